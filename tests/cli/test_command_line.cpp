// SPDX-License-Identifier: Apache-2.0
// What careless and hostile use of the program ends in: one sentence, the right exit code.
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;

namespace {

void writeText(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

std::string demoFile() {
    const auto json = nlohmann::json::parse(run({"inspect", "demo", "--json"}).out);
    return json.at("path").get<std::string>();
}

void requireFailure(const Outcome& outcome, int code, const std::string& sentence) {
    INFO(outcome.err);
    CHECK(outcome.code == code);
    CHECK(errorLines(outcome.err) == 1);
    CHECK_THAT(outcome.err, Contains(sentence));
}

}  // namespace

TEST_CASE("wrong usage exits with 2 and one sentence") {
    CHECK(run({}).code == 2);
    requireFailure(run({"genrate"}), 2, "did you mean 'generate'?");
    requireFailure(run({"generate", "demo", "--promt", "x"}), 2, "did you mean '--prompt'?");
    requireFailure(run({"eval", "demo", "--limt", "3"}), 2, "did you mean '--limit'?");
    requireFailure(run({"generate", "demo"}), 2,
                   "needs one of --prompt, --chat, --messages and --input");
    requireFailure(run({"--version", "--jsn"}), 2, "--jsn");
    for (const auto& [option, value] :
         std::vector<std::pair<std::string, std::string>>{{"-n", "0"},
                                                          {"-n", "-3"},
                                                          {"-n", "4x"},
                                                          {"-n", "99999999999"},
                                                          {"--context", "0"},
                                                          {"--context", "99999999"},
                                                          {"--threads", "9999"},
                                                          {"--cpu-target", "nonsense"},
                                                          {"--backend", "nonsense"},
                                                          {"--seed", "-1"},
                                                          {"--device", "1"},
                                                          {"--experts-on-host", "2"},
                                                          {"--system", "S"},
                                                          {"--show-reasoning", "--json"},
                                                          {"--seed", "99999999999999999999999"},
                                                          {"--temperature", "nan"},
                                                          {"--top-p", "7"},
                                                          {"--top-p", "0.9"},
                                                          {"--top-k", "5"},
                                                          {"--min-p", "0.1"}}) {
        CAPTURE(option, value);
        requireFailure(run({"generate", "demo", "--prompt", "hi", option, value}), 2, "error: ");
    }
}

TEST_CASE("ways to watch a GPU that exclude each other are refused before a model is loaded") {
    const Folder folder;
    const auto refused = [&](std::vector<std::string> more, const std::string& sentence) {
        std::vector<std::string> words{"profile", "absent",     "--prompt",  "hi",
                                       "--out",   folder / "r", "--backend", "cuda"};
        words.insert(words.end(), more.begin(), more.end());
        requireFailure(run(words), 2, sentence);
    };
    refused({"--counters", "basic", "--sample-counters"},
            "--counters and --sample-counters need a run each");
    refused({"--sample-counters", "--trace", "node"}, "--sample-counters needs a run of its own");
    refused({"--sample-counters", "--sample-power"}, "--sample-counters needs a run of its own");
    refused({"--sample-counters=100", "--graphs"}, "--sample-counters needs a run of its own");
    refused({"--counters", "basic", "--trace", "node"}, "--counters needs a run of its own");
    refused({"--sample-counters=0"}, "microseconds from 1 to 1000000, not 0");
    refused({"--sample-counters=x"}, "--sample-counters");
    requireFailure(
        run({"profile", "absent", "--prompt", "hi", "--out", folder / "r", "--sample-counters"}), 2,
        "watch a GPU");
}

TEST_CASE("files that are not what a command wants are named in one sentence") {
    const Folder folder;
    const std::string empty = folder / "empty", run1 = folder / "run.moescope";
    writeText(empty, "");
    requireFailure(run({"inspect", folder / "absent"}), 1, "no such file");
    requireFailure(run({"inspect", ""}), 2, "empty MODEL");
    requireFailure(run({"generate", "demo", "--messages", ""}), 1, "its name is empty");
    requireFailure(run({"generate", "demo", "--messages", folder / ""}), 1, "is a folder");
    requireFailure(run({"report", run1, "--out", ""}), 2, "needs --out DIR");
    requireFailure(run({"eval", "demo", "--suite", "basics", "--shots", "-2", "--out", run1}), 2,
                   "--shots takes 0 or more");
    requireFailure(run({"inspect", folder / ""}), 1, "config.json");
    requireFailure(run({"inspect", empty}), 1, "not a GGUF file");
    requireFailure(run({"routing", empty}), 1, "not a run file");
    requireFailure(run({"routing", folder / ""}), 1, "is a folder");
    requireFailure(run({"routing", demoFile()}), 1, "not a SQLite database");
    CHECK(run({"profile", "demo", "--prompt", "hi", "-n", "2", "--out", run1}).code == 0);
    requireFailure(run({"generate", run1, "--prompt", "hi"}), 1, "not a GGUF file");
    writeText(run1, contentOf(run1).substr(0, 5000));
    requireFailure(run({"routing", run1}), 1, "damaged");
}

TEST_CASE("truncated and damaged checkpoints fail with one sentence") {
    const Folder folder;
    const std::string whole = contentOf(demoFile()), broken = folder / "broken.gguf";
    for (const std::size_t size :
         {std::size_t{3}, std::size_t{20}, std::size_t{1000}, whole.size() / 2, whole.size() - 1}) {
        CAPTURE(size);
        writeText(broken, whole.substr(0, size));
        requireFailure(run({"generate", broken, "--prompt", "hi", "-n", "2"}), 1, "broken.gguf");
    }
    for (std::size_t bit = 0; bit < 24; ++bit) {
        CAPTURE(bit);
        std::string flipped = whole;
        flipped[bit] = static_cast<char>(flipped[bit] ^ 0x40);
        writeText(broken, flipped);
        requireFailure(run({"inspect", broken}), 1, "broken.gguf");
    }
}

TEST_CASE("outputs are replaced only when asked and never when they are devices") {
    const Folder folder;
    const std::string out = folder / "r.moescope", pipe = folder / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    const std::vector<std::string> profile{"profile", "demo", "--prompt", "hi", "-n", "2", "--out"};
    const auto to = [&](const std::string& path, bool overwrite) {
        std::vector<std::string> words = profile;
        words.push_back(path);
        if (overwrite) words.emplace_back("--overwrite");
        return run(words);
    };
    CHECK(to(out, false).code == 0);
    requireFailure(to(out, false), 1, "--overwrite replaces it");
    CHECK(to(out, true).code == 0);
    requireFailure(to("", false), 2, "--out");
    requireFailure(to(folder / "", true), 1, "not a regular file");
    requireFailure(to(pipe, true), 1, "not a regular file");
    requireFailure(run({"export", out, "--out", pipe}), 1, "not a regular file");
    requireFailure(run({"export", out, "--out", out, "--overwrite"}), 2, "would be lost");
    requireFailure(run({"export", out, "--out", folder / "e.foo"}), 2, ".pftrace");
    const std::string exported = folder / "e.json";
    CHECK(run({"export", out, "--out", exported}).code == 0);
    requireFailure(run({"export", out, "--out", exported}), 1, "--overwrite replaces it");
    CHECK(run({"export", out, "--out", exported, "--overwrite"}).code == 0);
    requireFailure(run({"convert", "demo", exported, "--to", "q8_0"}), 1,
                   "--overwrite replaces it");
    for (const char* consent : {"--overwrite", "--force"})
        CHECK(run({"convert", "demo", exported, "--to", "q8_0", consent}).code == 0);
    requireFailure(run({"synth", "demo-synthetic", "--out", pipe, "--overwrite"}), 1,
                   "not a regular file");
    CHECK(fs::is_fifo(pipe));
    const std::string input = folder / "in.jsonl";
    writeText(input, "{\"text\":\"hello there\"}\n");
    requireFailure(run({"score", "demo", "--input", input, "--output", input}), 2, "would be lost");
    CHECK(contentOf(input) == "{\"text\":\"hello there\"}\n");
}

TEST_CASE("a full standard output is a failure and not a success") {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"--help"}, {"eval", "--list"}, {"generate", "demo", "--prompt", "hi", "-n", "2"}}) {
        requireFailure(run(words, "/dev/full"), 1, "standard output");
    }
    CHECK(fs::is_character_file("/dev/full"));
}

TEST_CASE("JSON documents name their schema and version") {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"--version", "--json"},
             {"inspect", "demo", "--json"},
             {"tokenize", "demo", "--text", "hi \xff", "--json"},
             {"generate", "demo", "--prompt", "hi", "-n", "2", "--json"}}) {
        const Outcome outcome = run(words);
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        const auto document = nlohmann::json::parse(outcome.out);
        CHECK_THAT(document.at("schema").get<std::string>(),
                   Catch::Matchers::StartsWith("moescope."));
        CHECK(document.at("version") == 1);
    }
}

TEST_CASE("wrong input lines are named by number") {
    const Folder folder;
    const std::string input = folder / "in.jsonl";
    for (const std::string line : {"{oops", "[1]", "{\"text\":3}", "{\"text\":\"\xff\"}",
                                   "{\"tokens\":[1,99999]}", "{\"tokens\":[-1]}"}) {
        CAPTURE(line);
        writeText(input, "{\"text\":\"good line\"}\n" + line + "\n");
        requireFailure(run({"score", "demo", "--input", input, "--output", folder / "o"}), 1,
                       "line 2");
    }
}

TEST_CASE("inspect says what of the file is the model that it counts") {
    const std::string golden = std::string(MOESCOPE_SOURCE_DIR) + "/tests/golden/data/";
    const Outcome images = run({"inspect", golden + "gemma3_images"});
    CHECK_THAT(images.out,
               Contains("3.22 kB of weights that are read + 256 B not read + 3.94 kB of names"));
    CHECK_THAT(images.out, Contains("768 feed-forward, 640 attention, 192 embedding and head, 12 "
                                    "last norm"));
    CHECK_THAT(images.out, Contains("of these not read        7") && Contains("256 B\n"));
    const auto document =
        nlohmann::json::parse(run({"inspect", golden + "gemma3_images", "--json"}).out);
    CHECK(document.at("not_read_bytes") == 256);
    CHECK(document.at("tensor_bytes").get<int>() ==
          2 * document.at("parameters").at("total").get<int>() + 256);
    const std::string whole = run({"inspect", "demo"}).out;
    CHECK_THAT(whole, !Contains("not read"));
    CHECK_THAT(whole, Contains("weights as the CPU packs them"));
}

TEST_CASE("inspect says on which layers a window slides") {
    const std::string golden = std::string(MOESCOPE_SOURCE_DIR) + "/tests/golden/data/";
    CHECK_THAT(run({"inspect", golden + "mistral_window"}).out,
               Contains("sliding window of 5 on every layer"));
    CHECK_THAT(run({"inspect", golden + "mistral_null"}).out, Contains("full on every layer"));
    CHECK_THAT(run({"inspect", "demo"}).out, Contains("layers, full on the rest"));
}

TEST_CASE("conversations and functions are read from files and refused by file and message") {
    const Folder folder;
    const auto write = [&](const std::string& name, const std::string& text) {
        std::ofstream(folder / name) << text;
        return folder / name;
    };
    const std::string good = write(
        "good.json",
        R"({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d"}}]})");
    const Outcome said = run({"generate", "demo", "--messages", good, "-n", "2", "--json"});
    REQUIRE(said.code == 0);
    const Outcome bare =
        run({"generate", "demo", "--chat", "U", "--system", "S", "-n", "2", "--json"});
    REQUIRE(bare.code == 0);
    const auto tokens = [](const Outcome& o) {
        return nlohmann::json::parse(o.out)["prompt_tokens"].get<int>();
    };
    CHECK(tokens(said) > tokens(bare) + 10);  // the functions are in it
    const std::string role = write("role.json", R"([{"role": "bot", "content": "U"}])");
    requireFailure(run({"generate", "demo", "--messages", role}), 1, "role.json: message 1");
    requireFailure(run({"generate", "demo", "--messages", write("cut.json", "[{")}), 1, "cut.json");
    requireFailure(run({"generate", "demo", "--messages", write("none.json", "[]")}), 1,
                   "is empty");
    requireFailure(run({"generate", "demo", "--messages", folder / "absent"}), 1, "absent");
    requireFailure(run({"generate", "demo", "--messages", good, "--system", "S"}), 2, "--system");
    const std::string tools = write("tools.json", R"([{"type": "web_search"}])");
    requireFailure(run({"generate", "demo", "--chat", "U", "--tools", tools}), 1,
                   "tools.json: tool 1");
    requireFailure(run({"generate", "demo", "--chat", "U", "--builtin-tools", "x"}), 2, "not 'x'");
    requireFailure(run({"generate", "demo", "--chat", "U", "--thinking", "maybe"}), 2, "'maybe'");
    requireFailure(run({"generate", "demo", "--chat", "U", "--thinking", "off"}), 1, "no switch");
    requireFailure(run({"generate", "demo", "--chat", "U", "--chat-format", "x"}), 2,
                   "harmony, chatml");
}

TEST_CASE("more tokens than the context has room for are said") {
    const Folder folder;
    const Outcome text =
        run({"generate", "demo", "--prompt", "hi", "-n", "200000", "--context", "20"});
    CHECK(text.code == 0);
    const std::string said = "of the 200,000 tokens of -n the context of ";
    CHECK_THAT(text.err, Catch::Contains(said + "20 has room for 19"));  // "hi" is two tokens
    std::ofstream(folder / "in") << "{\"prompt\": \"hi\"}\n{\"prompt\": \"hi there\"}\n";
    const Outcome file = run({"generate", "demo", "--input", folder / "in", "--output",
                              folder / "out", "-n", "200000", "--context", "20"});
    CHECK(file.code == 0);
    CHECK_THAT(file.err, Catch::Contains(said + "20 has room for "));
    CHECK_THAT(run({"generate", "demo", "--prompt", "hi", "-n", "2", "--context", "20"}).err,
               !Catch::Contains("has room"));
    const Outcome replies =
        run({"eval", "demo", "--suite", "basics", "--limit", "1", "--generate", "-n", "200000",
             "--context", "300", "--out", folder / "run", "--progress", "off"});
    CHECK(replies.code == 0);
    CHECK_THAT(replies.err, Catch::Contains(said + "300 has room for 300"));
}

TEST_CASE("eval --generate asks the model for replies, and what only replies have is refused") {
    const Folder folder;
    const std::string out = folder / "replies.moescope";
    const std::vector<std::string> plain = {"eval",    "demo", "--suite", "basics",
                                            "--limit", "3",    "--out",   out};
    const auto with = [&](std::vector<std::string> more) {
        std::vector<std::string> words = plain;
        words.insert(words.end(), more.begin(), more.end());
        return words;
    };
    requireFailure(run(with({"--temperature", "0.5"})), 2, "--temperature goes with --generate");
    requireFailure(run(with({"-n", "8"})), 2, "--tokens goes with --generate");
    requireFailure(run(with({"--generate", "--temperature", "-1"})), 2, "temperature");
    requireFailure(run(with({"--generate", "--shots", "2"})), 2, "without worked examples");
    requireFailure(run(with({"--repeats", "2"})), 2, "--repeats goes with --generate");
    requireFailure(run(with({"--generate", "--repeats", "0"})), 2, "--repeats takes 1 or more");
    requireFailure(run(with({"--generate", "--repeats", "4"})), 2,
                   "at 0 all replies to an item are the same");
    requireFailure(run(with({"--generate", "--temperature", "1", "--repeats", "999999999"})), 2,
                   "suite 'basics' has room for");
    requireFailure(run(with({"--chat", "--reasoning", "low,high"})), 2,
                   "several efforts with --generate only");
    requireFailure(run(with({"--generate", "--reasoning", "low,low"})), 2, "names 'low' twice");
    requireFailure(run(with({"--generate", "--reasoning", "low,hihg"})), 2, "not 'hihg'");
    requireFailure(run(with({"--generate", "--reasoning", ","})), 2, "not ','");
    requireFailure(run(with({"--generate", "--top-p", "0.9"})), 2, "need a --temperature above 0");
    const Outcome replied = run(with({"--generate", "-n", "8", "--json"}));
    REQUIRE(replied.code == 0);
    const auto document = nlohmann::json::parse(replied.out);
    bool answered = false;
    for (const auto& metric : document.at("suites").at(0).at("metrics"))
        answered = answered || (metric.at("name") == "answered" && metric.at("n") == 3);
    CHECK(answered);
}

TEST_CASE("a reader of standard output that has gone is nothing to speak of") {
    const Folder folder;
    const std::string said = folder / "said.txt";
    const std::string command = "(sleep 0.3; '" MOESCOPE_BINARY "' --version --json 2>'" + said +
                                "'; echo $? >>'" + said + "') | true; sleep 1";
    REQUIRE(std::system(command.c_str()) == 0);
    std::ifstream file(said);
    std::string line;
    REQUIRE(std::getline(file, line));
    CHECK(line == "1");  // and no sentence before it
}
