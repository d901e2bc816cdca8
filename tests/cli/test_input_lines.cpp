// SPDX-License-Identifier: Apache-2.0
// Input lines of score, generate, profile and tokenize: what they may hold, and how a wrong one is
// named.
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

/// A command that reads lines, and what it says to one that follows a good one.
struct Reading {
    std::string good;
    std::vector<std::string> words;  ///< "IN", "OUT" stand for the files

    Outcome of(const Folder& folder, const std::string& line) const {
        std::ofstream(folder / "in.jsonl") << good << '\n' << line << '\n';
        std::error_code absent;
        fs::remove(folder / "out", absent);
        std::vector<std::string> arguments;
        for (const std::string& word : words)
            arguments.push_back(word == "IN"    ? folder / "in.jsonl"
                                : word == "OUT" ? folder / "out"
                                                : word);
        return run(arguments);
    }
    void refuses(const std::string& line, const std::string& why) const {
        const Folder folder;
        CAPTURE(words.front(), line);
        const Outcome outcome = of(folder, line);
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK(errorLines(outcome.err) == 1);
        CHECK_THAT(outcome.err, Contains("in.jsonl: line 2: " + why));
        CHECK_THAT(outcome.err, !Contains("loaded "));
    }
};

const Reading kScore{R"({"text":"a b c"})", {"score", "demo", "--input", "IN", "--output", "OUT"}};
const Reading kGenerate{R"({"prompt":"a b c"})",
                        {"generate", "demo", "--input", "IN", "--output", "OUT", "-n", "4"}};
const Reading kProfile{R"({"text":"a b c"})",
                       {"profile", "demo", "--workload", "IN", "--out", "OUT", "-n", "4"}};
const Reading kTokenize{R"({"text":"a b c"})", {"tokenize", "demo", "--input", "IN"}};

std::vector<json> lines(const std::string& path) {
    std::vector<json> out;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) out.push_back(json::parse(line));
    return out;
}

}  // namespace

TEST_CASE("keys that no command knows are refused with those it knows") {
    kScore.refuses(R"({"text":"a b","continuaton":" c"})",
                   "continuaton: unknown key; did you mean 'continuation'?\n"
                   "hint: known keys: id, group, text, tokens, continuation, continuations");
    kGenerate.refuses(R"({"text":"a b"})", "text: unknown key; known: id, prompt, chat");
    kProfile.refuses(R"({"text":"a b","domain":"x"})",
                     "domain: unknown key; known: id, group, text, chat, tokens");
    kTokenize.refuses(R"({"txt":"a b"})", "txt: unknown key; did you mean 'text'?");
}

TEST_CASE("lines of one id are refused where results are found by it") {
    for (Reading reading : {kScore, kGenerate}) {
        reading.good.insert(1, R"("id":"a",)");
        std::string same = reading.good;
        reading.refuses(same, "\"id\" a is that of line 1 as well");
        reading.good.replace(reading.good.find("\"a\""), 3, "2");
        same = reading.good;
        same.replace(same.find("\"id\":2,"), 7, "");  // has its number as id
        reading.refuses(same,
                        "the line has no \"id\" and goes by its number, which is that of line 1");
    }
}

TEST_CASE("texts that are too long, empty or out of the vocabulary are named by their line") {
    std::string text;
    for (int i = 0; i < 4000; ++i) text += " word";
    const std::string tooLong = "tokens of context are more than the";
    const auto refusesLength = [&](const Reading& reading, const json& line) {
        const Folder folder;
        const Outcome outcome = reading.of(folder, line.dump());
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK_THAT(outcome.err, Contains("in.jsonl: line 2: ") && Contains(tooLong));
        CHECK_THAT(outcome.err, !Contains("loaded "));
    };
    refusesLength(kGenerate, {{"prompt", text}});
    refusesLength(kGenerate, {{"chat", text}});
    refusesLength(kProfile, {{"text", text}});
    kScore.refuses(R"({"text":"a b","continuation":""})", "the continuation is empty");
    kScore.refuses(R"({"text":"a b","continuations":[" c",""]})", "the continuation is empty");
    kProfile.refuses(R"({"tokens":[]})", "the prompt is empty");
    kProfile.refuses(R"({"tokens":[999999]})", "token id 999999 is outside the vocabulary");
    kProfile.refuses(R"({"text":"a","tokens":[1]})", "give");
}

TEST_CASE("a wrong option is no error of a line") {
    const auto refuses = [](Reading reading, std::vector<std::string> options, int code,
                            const std::string& why, bool ofLine) {
        const Folder folder;
        reading.words.insert(reading.words.end(), options.begin(), options.end());
        const Outcome outcome = reading.of(folder, reading.good);
        INFO(outcome.err);
        CHECK(outcome.code == code);
        CHECK_THAT(outcome.err, Contains(why));
        CHECK((outcome.err.find("line ") != std::string::npos) == ofLine);
    };
    const Reading generation{R"({"chat":"hi"})", kGenerate.words};
    const Reading profile{R"({"chat":"hi"})", kProfile.words};
    for (const Reading& chats : {generation, profile})
        refuses(chats, {"--chat-format", "nonsense"}, 2, "no chat format is named", false);
    refuses(kProfile, {"--temperature", "-1"}, 2, "temperature", false);
    refuses(kGenerate, {"--context", "0"}, 2, "--context takes", false);
    refuses(kGenerate, {"--context", "1"}, 1, "line 1: --context 1 is too small", true);
}

TEST_CASE("wrong inputs are refused before the model is loaded") {
    const Folder folder;
    std::ofstream(folder / "role.json") << R"([{"role":"bot","content":"U"}])";
    std::ofstream(folder / "tools.json") << R"([{"type":"oven"}])";
    std::ofstream(folder / "none.txt");
    std::ofstream(folder / "one.txt") << "a";
    using Words = std::vector<std::string>;
    const std::string out = folder / "out";
    const std::vector<std::pair<Words, std::string>> wrong{
        {{"generate", "demo", "--messages", folder / "role.json"}, "role.json: message 1"},
        {{"generate", "demo", "--chat", "Hi", "--tools", folder / "tools.json"}, "tools.json: "},
        {{"generate", "demo", "--chat", "Hi", "--context", "3"}, "--context 3 is too small"},
        {{"profile", "demo", "--chat", "Hi", "--tools", folder / "absent", "--out", out}, "absent"},
        {{"score", "demo", "--input", folder / "absent", "--output", out}, "absent"},
        {{"generate", "demo", "--input", folder / "absent", "--output", out}, "absent"},
        {{"profile", "demo", "--workload", folder / "absent", "--out", out}, "absent"},
        {{"score", "demo", "--perplexity", folder / "absent"}, "absent"},
        {{"score", "demo", "--perplexity", folder / "none.txt"}, "none.txt: a text of 0 tokens"},
        {{"compare-numerics", "demo", "demo-wide", "--text", folder / "none.txt"},
         "none.txt: holds no text"},
        {{"compare-numerics", "demo", "demo", "--text", folder / "one.txt"}, "no two tokens"},
        {{"compare-numerics", "demo", "demo-wide", "--text", folder / "role.json"},
         "cannot be compared token by token"},
        {{"compare-numerics", "demo", folder / "absent", "--text", folder / "role.json"}, "absent"},
        {{"eval", "demo", "--suite", folder / "absent", "--out", out}, "absent"}};
    for (const auto& [words, why] : wrong) {
        CAPTURE(words);
        const Outcome outcome = run(words);
        INFO(outcome.err);
        CHECK((outcome.code == 1 || outcome.code == 2));
        CHECK(errorLines(outcome.err) == 1);
        CHECK_THAT(outcome.err, Contains(why) && !Contains("loaded "));
    }
    CHECK_FALSE(fs::exists(out));
}

TEST_CASE("eval --chat of a model without a chat template is refused before it is loaded") {
    // The demo is harmony by its template and by its control tokens: both get other names.
    const auto facts = nlohmann::json::parse(run({"inspect", "demo", "--json"}).out);
    std::string bytes = contentOf(facts.at("path").get<std::string>());
    for (const auto& [name, other] :
         {std::pair<std::string, std::string>{"chat_template", "chat_nothing!"},
          {"<|channel|>", "<|nothing|>"}}) {
        REQUIRE(name.size() == other.size());
        REQUIRE(bytes.find(name) != std::string::npos);
        for (std::size_t at = 0; (at = bytes.find(name, at)) != std::string::npos;)
            bytes.replace(at, name.size(), other);
    }
    const Folder folder;
    const std::string model = folder / "plain.gguf", out = folder / "out";
    std::ofstream(model, std::ios::binary) << bytes;
    const std::vector<std::string> words{"eval",    model, "--suite", "basics",
                                         "--limit", "1",   "--out",   out};
    const Outcome plain = run(words);
    INFO(plain.err);
    CHECK(plain.code == 0);
    std::vector<std::string> chat = words;
    chat.insert(chat.end(), {"--chat", "--overwrite"});
    const Outcome refused = run(chat);
    INFO(refused.err);
    CHECK(refused.code == 2);
    CHECK(errorLines(refused.err) == 1);
    CHECK_THAT(refused.err,
               Contains("plain.gguf: this model has no chat template") && !Contains("loaded "));
}

TEST_CASE("a file without lines is refused by name") {
    const Folder folder;
    std::ofstream(folder / "none") << "\n";
    for (const Reading* reading : {&kScore, &kGenerate, &kProfile}) {
        std::vector<std::string> words;
        for (const std::string& word : reading->words)
            words.push_back(word == "IN" ? folder / "none" : word == "OUT" ? folder / "out" : word);
        const Outcome outcome = run(words);
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK_THAT(outcome.err, Contains("none: holds no lines"));
    }
}

TEST_CASE("a chat of one message is what its text is and a conversation what --messages makes") {
    const Folder folder;
    const json messages{{{"role", "system"}, {"content", "Be brief."}},
                        {{"role", "developer"}, {"content", "No jokes."}},
                        {{"role", "user"}, {"content", "Hello"}},
                        {{"role", "assistant"}, {"content", "Good day"}},
                        {{"role", "user"}, {"content", "Who are you?"}}};
    std::ofstream(folder / "m.json") << messages.dump();
    std::ofstream(folder / "in") << R"({"id":"text","chat":"Hello"})" << '\n'
                                 << R"({"id":"list","chat":[{"role":"user","content":"Hello"}]})"
                                 << '\n'
                                 << json{{"id", "all"}, {"chat", messages}}.dump() << '\n';
    const Outcome outcome =
        run({"generate", "demo", "--input", folder / "in", "--output", folder / "out", "-n", "6"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const std::vector<json> results = lines(folder / "out");
    REQUIRE(results.size() == 3);
    CHECK(results[0].at("tokens") == results[1].at("tokens"));
    CHECK(results[0].at("logits_hash") == results[1].at("logits_hash"));
    const json alone = json::parse(
        run({"generate", "demo", "--messages", folder / "m.json", "-n", "6", "--json"}).out);
    CHECK(results[2].at("prompt_tokens") == alone.at("prompt_tokens"));
    CHECK(results[2].at("logits_hash") == alone.at("logits_hash"));
    std::ofstream(folder / "w") << R"({"chat":[{"role":"user","content":"Hello"}]})" << '\n';
    CHECK(run({"profile", "demo", "--workload", folder / "w", "-n", "2", "--out", folder / "r"})
              .code == 0);
}

TEST_CASE("conversations in lines are refused by line, message and field") {
    kGenerate.refuses(R"({"chat":[{"role":"bot","content":"U"}]})", "message 1: \"role\" is 'bot'");
    kGenerate.refuses(R"({"chat":[]})", "the conversation is empty");
    kGenerate.refuses(R"({"chat":7})", "\"chat\" must be a text or a list of messages");
    kGenerate.refuses(R"({"chat":["hello"]})", "message 1: is no JSON object");
    kProfile.refuses(R"({"chat":[{"role":"user","content":7}]})", "message 1: \"content\"");
    Reading system = kGenerate;
    system.words.insert(system.words.end(), {"--system", "S"});
    system.refuses(R"({"chat":[{"role":"user","content":"U"}]})", "--system goes with a \"chat\"");
}
