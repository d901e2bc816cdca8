// SPDX-License-Identifier: Apache-2.0
// score, compare-numerics, generate --input and bench on the demo model: what they count.
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

void writeText(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

std::vector<json> lines(const std::string& path) {
    std::vector<json> out;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) out.push_back(json::parse(line));
    return out;
}

}  // namespace

TEST_CASE("score moves a space at the end of the text to the continuation") {
    const Folder folder;
    writeText(folder / "in", R"({"id":"a","text":"The cat sat ","continuation":"down"})"
                             "\n"
                             R"({"id":"b","text":"The cat sat","continuation":" down"})");
    const Outcome outcome =
        run({"score", "demo", "--input", folder / "in", "--output", folder / "out"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const std::vector<json> results = lines(folder / "out");
    REQUIRE(results.size() == 2);
    CHECK(results[0].at("scored_tokens").get<int>() > 0);
    CHECK(results[0].at("sum") == results[1].at("sum"));
    CHECK(results[0].at("tokens") == results[1].at("tokens"));
}

TEST_CASE("score sums the log-probabilities of the continuation alone") {
    const Folder folder;
    writeText(folder / "in", R"({"id":"a","tokens":[5,6,7,8]})");
    REQUIRE(run({"score", "demo", "--input", folder / "in", "--output", folder / "out"}).code == 0);
    const json result = lines(folder / "out").at(0);
    CHECK(result.at("logprobs").at(0).is_null());
    double sum = 0;
    for (std::size_t i = 1; i < 4; ++i) sum += result.at("logprobs").at(i).get<double>();
    CHECK(result.at("sum").get<double>() == Approx(sum));
    CHECK(result.at("scored_tokens") == 3);
    CHECK(result.at("perplexity").get<double>() == Approx(std::exp(-sum / 3)));
}

TEST_CASE("score gives totals by group in bytes of the text that was scored") {
    const Folder folder;
    // \u00e9 is two bytes.
    writeText(folder / "in",
              R"({"id":"a","group":"prose","text":"The cat","continuation":" sat down caf\u00e9"})"
              "\n"
              R"({"id":"b","group":"code","text":"return","continuation":" x;"})"
              "\n"
              R"({"id":"c","text":"no group","continuation":" here"})");
    const std::vector<std::string> words{"score",    "demo",         "--input", folder / "in",
                                         "--output", folder / "out", "--json"};
    const Outcome outcome = run(words);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const json document = json::parse(outcome.out);
    const std::vector<json> results = lines(folder / "out");
    CHECK(results[0].at("group") == "prose");
    CHECK_FALSE(results[2].contains("group"));
    CHECK(document.at("items") == 3);
    CHECK(document.at("bytes") == 15 + 3 + 5);
    REQUIRE(document.at("groups").size() == 2);
    const json& prose = document.at("groups").at(0);
    CHECK(prose.at("group") == "prose");
    CHECK(prose.at("bytes") == 15);
    CHECK(prose.at("sum") == results[0].at("sum"));
    CHECK(prose.at("bits_per_byte").get<double>() ==
          Approx(-results[0].at("sum").get<double>() / std::log(2.0) / 15));
}

TEST_CASE("score counts the bytes that given tokens spell") {
    const Folder folder;
    const auto totals = [&](const json& line) {
        writeText(folder / "in", line.dump() + "\n");
        const Outcome outcome = run({"score", "demo", "--input", folder / "in", "--output",
                                     folder / "out", "--json", "--overwrite"});
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        return json::parse(outcome.out);
    };
    const json text = totals({{"text", "The cat sat down in a caf\u00e9."}});
    const json tokens = totals({{"tokens", lines(folder / "out").at(0).at("tokens")}});
    CHECK(text.at("bytes").get<int>() > 16);
    CHECK(tokens.at("bytes") == text.at("bytes"));
    CHECK(tokens.at("bits_per_byte") == text.at("bits_per_byte"));
}

TEST_CASE("score prints a table when lines name groups and only then") {
    const Folder folder;
    const std::vector<std::string> words{"score",    "demo",         "--input",    folder / "in",
                                         "--output", folder / "out", "--overwrite"};
    writeText(folder / "in", R"({"text":"one two three"})");
    const Outcome plain = run(words);
    CHECK(plain.out.empty());
    CHECK_THAT(plain.err, Contains("bits per byte"));
    writeText(folder / "in", R"({"text":"one two three","group":"counting"})");
    CHECK_THAT(run(words).out, Contains("counting") && Contains("macro mean"));
}

TEST_CASE("score names the line whose group is no text") {
    const Folder folder;
    writeText(folder / "in", R"({"text":"a b c","group":7})");
    const Outcome outcome =
        run({"score", "demo", "--input", folder / "in", "--output", folder / "out"});
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("line 1: \"group\" must be a string"));
}

TEST_CASE("score refuses a line with nothing to predict") {
    const Folder folder;
    writeText(folder / "in", R"({"tokens":[5]})");
    const Outcome outcome =
        run({"score", "demo", "--input", folder / "in", "--output", folder / "out"});
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("line 1: there is nothing to score"));
}

TEST_CASE("score ranks continuations by sum and by length") {
    const Folder folder;
    writeText(
        folder / "in",
        R"({"id":"a","text":"The cat and the dog and the mouse and the horse sat on the","continuations":[" mat"," caf\u00e9 by the sea"]})"
        "\n"
        R"({"id":"b","text":"The cat and the dog and the mouse and the horse sat on the","continuation":" mat"})");
    const Outcome outcome = run({"score", "demo", "--input", folder / "in", "--output",
                                 folder / "out", "--json", "--top", "3"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const std::vector<json> results = lines(folder / "out");
    const json& list = results[0].at("continuations");
    REQUIRE(list.size() == 2);
    CHECK(list[0].at("sum") == results[1].at("sum"));
    CHECK(list[0].at("bytes") == 3);
    CHECK(list[1].at("bytes") == 16);
    CHECK(list[1].at("characters") == 15);
    std::vector<double> sums, perByte;
    for (const json& c : list) {
        sums.push_back(c.at("sum"));
        perByte.push_back(sums.back() / c.at("bytes").get<double>());
    }
    CHECK(results[0].at("best") == (sums[1] > sums[0] ? 1 : 0));
    CHECK(results[0].at("best_per_byte") == (perByte[1] > perByte[0] ? 1 : 0));
    const std::size_t split =
        list[0].at("tokens").size() - list[0].at("scored_tokens").get<std::size_t>();
    CHECK(list[0].at("logprobs").at(split - 1).is_null());
    const json& top = list[0].at("top").at(split);
    REQUIRE(top.size() == 3);
    CHECK(top[0].at("token") == list[0].at("likeliest").at(split));
    CHECK(top[0].at("logprob") >= top[1].at("logprob"));
    CHECK(top[0].at("text").is_string());
    const json totals = json::parse(outcome.out);
    CHECK(totals.at("shared_tokens").get<int>() > 2 * static_cast<int>(split) - 4);
}

TEST_CASE("score gives the same lines with and without sharing and whatever the threads") {
    const Folder folder;
    std::string text;
    for (int i = 0; i < 12; ++i)
        text +=
            json{{"text", "A common beginning of some words, then number " + std::to_string(i % 5)},
                 {"continuations", {" and", " or else", " and so on"}}}
                .dump() +
            "\n";
    writeText(folder / "in", text);
    const auto score = [&](const std::string& out, std::vector<std::string> more) {
        std::vector<std::string> words{"score",       "demo",     "--input",
                                       folder / "in", "--output", folder / out};
        words.insert(words.end(), more.begin(), more.end());
        REQUIRE(run(words).code == 0);
        return contentOf(folder / out);
    };
    const std::string shared = score("a", {"--prompt-logprobs", "--threads", "2"});
    CHECK((score("b", {"--prompt-logprobs", "--no-share-prefix", "--threads", "1"}) == shared));
}

TEST_CASE("score writes the logits behind every scored token") {
    const Folder folder;
    writeText(folder / "in", R"({"id":"x","tokens":[5,6,7,8]})"
                             "\n"
                             R"({"id":"y","text":"The cat","continuations":[" sat"," ran far"]})");
    REQUIRE(run({"score", "demo", "--input", folder / "in", "--output", folder / "out", "--logits",
                 folder / "l.safetensors"})
                .code == 0);
    const std::string file = contentOf(folder / "l.safetensors");
    std::uint64_t length = 0;
    REQUIRE(file.size() > sizeof length);
    std::memcpy(&length, file.data(), sizeof length);
    const json header = json::parse(file.substr(sizeof length, length));
    const json& x = header.at("x");
    CHECK(x.at("dtype") == "F32");
    CHECK(x.at("shape") == json{3, 5120});
    CHECK(header.contains("y/0"));
    CHECK(header.contains("y/1"));
    // The second row's log softmax at token 7 is the second log-probability.
    std::vector<float> row(5120);
    const std::size_t begin =
        sizeof length + length + x.at("data_offsets").at(0).get<std::size_t>();
    std::memcpy(row.data(), file.data() + begin + row.size() * sizeof(float),
                row.size() * sizeof(float));
    double sum = 0;
    for (const float v : row) sum += std::exp(double(v) - row[7]);
    const double expected = lines(folder / "out").at(0).at("logprobs").at(2).get<double>();
    CHECK(-std::log(sum) == Approx(expected).epsilon(1e-9));
    writeText(folder / "in",
              "{\"id\":\"x\",\"text\":\"The ship\",\"continuations\":[\" sailed\"]}\n"
              "{\"id\":\"x/0\",\"tokens\":[5,6]}");
    const Outcome twice = run({"score", "demo", "--input", folder / "in", "--output", folder / "o2",
                               "--logits", folder / "m.safetensors"});
    CHECK(twice.code == 1);
    CHECK_THAT(twice.err, Contains("in: line 2: --logits would write a second 'x/0'"));
    CHECK_FALSE(fs::exists(folder / "m.safetensors.part"));
}

TEST_CASE("score measures the perplexity of a text by three conventions") {
    const Folder folder;
    std::string text;
    for (int i = 0; i < 60; ++i)
        text += "The ship sailed on and the crew of " + std::to_string(i) + " slept.\n";
    writeText(folder / "t", text);
    const auto perplexity = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"score",    "demo", "--perplexity", folder / "t", "--json",
                                       "--window", "64"};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome outcome = run(words);
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        return json::parse(outcome.out);
    };
    const json lm = perplexity({});
    CHECK(lm.at("scored_tokens") == lm.at("tokens"));
    CHECK(lm.at("bytes") == text.size());
    CHECK(lm.at("perplexity").get<double>() ==
          Approx(std::exp(lm.at("nats_per_token").get<double>())));
    CHECK(lm.at("perplexity_low") < lm.at("perplexity"));
    CHECK(lm.at("words") == 60 * 10 + 1);
    const json hf = perplexity({"--convention", "hf", "--stride", "16"});
    CHECK(hf.at("scored_tokens").get<int>() == hf.at("tokens").get<int>() - 1);
    CHECK(hf.at("perplexity") < lm.at("perplexity"));  // more context for every token
    const json cpp = perplexity({"--convention", "llama.cpp"});
    CHECK(cpp.at("scored_tokens").get<int>() == 31 * cpp.at("windows").get<int>());
    CHECK(run({"score", "demo", "--perplexity", folder / "t", "--stride", "3"}).code == 2);
    writeText(folder / "short", "The ship sailed on.\n");
    const auto shown = [&](const char* window) {
        return run({"score", "demo", "--perplexity", folder / "short", "--window", window}).out;
    };
    CHECK_THAT(shown("64"), Contains(" (one window: no interval), ") && !Contains("n/a"));
    CHECK_THAT(shown("4"), Contains(" (too few tokens: no interval), ") && !Contains("n/a"));
    CHECK(run({"score", "demo", "--perplexity", folder / "absent"}).code == 1);
    CHECK(run({"score", "demo", "--perplexity", folder / "t", "--window", "100000"}).code == 2);
}

TEST_CASE("compare-numerics measures what fast numerics cost") {
    const Folder folder;
    writeText(folder / "t", "The ship sailed on, and the crew slept until the wind came back.\n");
    const auto kl = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"compare-numerics", "demo",       "demo",
                                       "--text",           folder / "t", "--json"};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome outcome = run(words);
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        const json document = json::parse(outcome.out);
        return document.at("kl_mean").at("value").get<double>();
    };
    CHECK(kl({}) == 0.0);
    const double fast = kl({"--numerics-b", "fast", "--cpu-target", "avx2"});
    CHECK(fast > 0.0);
    CHECK(fast < 0.01);
    CHECK(run({"compare-numerics", "demo", "demo", "--text", folder / "t", "--numerics-b", "x"})
              .code == 2);
}

TEST_CASE("compare-numerics leaves a run that a report shows with its intervals") {
    const Folder folder;
    std::string text;
    for (int i = 0; i < 40; ++i)
        text += "The ship sailed on, and the crew of " + std::to_string(i) + " slept.\n";
    writeText(folder / "t", text);
    const std::vector<std::string> words{"compare-numerics",
                                         "demo",
                                         "demo",
                                         "--text",
                                         folder / "t",
                                         "--context",
                                         "64",
                                         "--numerics-b",
                                         "fast",
                                         "--cpu-target",
                                         "avx2",
                                         "--out",
                                         folder / "n.moescope"};
    const Outcome outcome = run(words);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.out, Contains("same experts in every layer"));
    CHECK_THAT(outcome.out, Contains("perplexity A, blocks of 64 tokens "));
    CHECK(run(words).code == 1);  // the file is there already
    REQUIRE(run({"report", folder / "n.moescope", "--format", "html,json,csv,md", "--out",
                 folder / "r"})
                .code == 0);
    const std::string page = contentOf(folder / "r/report.html");
    CHECK_THAT(page, Contains("Numerics, B beside A"));
    CHECK_THAT(page, Contains("same experts, over tokens and layers"));
    CHECK_THAT(page, Contains("Share of tokens that keep their experts, by layer"));
    CHECK_THAT(page, Contains("percentile bootstrap over"));
    CHECK_THAT(page, !Contains("id=\"r1-suites\""));  // a comparison of numerics is none
    CHECK_THAT(contentOf(folder / "r/report.md"), Contains("| kl\\_mean | all | "));
    CHECK_THAT(contentOf(folder / "r/metrics.csv"), Contains("layer=002"));
    const json document = json::parse(contentOf(folder / "r/report.json"));
    CHECK_THAT(document.dump(), Contains("routing_agreement_all_layers"));
}

TEST_CASE("generate answers a file of prompts as it answers each alone") {
    const Folder folder;
    writeText(folder / "in",
              "{\"id\":\"a\",\"prompt\":\"The cat\"}\n"
              "{\"id\":\"b\",\"prompt\":\"Once upon a time there was\"}\n"
              "{\"id\":\"c\",\"prompt\":\"Two and two\"}\n");
    const Outcome outcome = run({"generate", "demo", "--input", folder / "in", "--output",
                                 folder / "out", "-n", "12", "--parallel", "2"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const std::vector<json> results = lines(folder / "out");
    REQUIRE(results.size() == 3);
    const std::vector<std::string> ids = {"a", "b", "c"};
    const std::vector<std::string> prompts = {"The cat", "Once upon a time there was",
                                              "Two and two"};
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(results[i].at("id") == ids[i]);
        const Outcome alone =
            run({"generate", "demo", "--prompt", prompts[i], "-n", "12", "--json"});
        const json one = json::parse(alone.out);
        CHECK(results[i].at("tokens") == one.at("tokens"));
        CHECK(results[i].at("logits_hash") == one.at("logits_hash"));
        CHECK(results[i].at("text") == one.at("text"));
    }
}

TEST_CASE("generate ends where the model's context is full and refuses no -n for it") {
    const Folder folder;
    std::string most = "the";
    for (int i = 1; i < 1000; ++i) most += " the";  // of the demo's 1,024 tokens
    writeText(folder / "in", json{{"prompt", most}}.dump() + "\n{\"prompt\": \"the\"}\n");
    const Outcome one = run({"generate", "demo", "-p", most, "--json"});
    INFO(one.err);
    REQUIRE(one.code == 0);
    const json body = json::parse(one.out);
    CHECK(body.at("finish_reason") == "context");
    // The last one is chosen and not evaluated.
    CHECK(body.at("prompt_tokens").get<std::size_t>() + body.at("tokens").size() == 1024 + 1);
    REQUIRE(run({"generate", "demo", "--input", folder / "in", "--output", folder / "out"}).code ==
            0);
    const std::vector<json> all = lines(folder / "out");
    CHECK(all.at(0).at("tokens") == body.at("tokens"));
    CHECK(all.at(0).at("finish_reason") == "context");
    CHECK(all.at(1).at("finish_reason") != "context");
}

TEST_CASE("score takes one token more than the context, which is predicted and not evaluated") {
    const Folder folder;
    const auto score = [&](int tokens) {
        writeText(folder / "in", json{{"tokens", std::vector<int>(tokens, 5)}}.dump());
        return run(
            {"score", "demo", "--input", folder / "in", "--output", folder / "out", "--overwrite"});
    };
    CHECK(score(1024 + 1).code == 0);
    const Outcome refused = score(1024 + 2);
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Contains("line 1: 1025 tokens before the last are more than the "
                                     "model's context of 1024"));
}

TEST_CASE("generate goes on past end-of-text tokens when they are ignored") {
    const Folder folder;
    writeText(folder / "in", "{\"id\":\"a\",\"prompt\":\"hi\"}\n");
    // Hot enough that every token is as likely as any other: this seed meets an end of text.
    const std::vector<std::string> sampled = {"-n", "40", "--temperature", "1000", "--seed", "39"};
    const auto generated = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"generate", "demo"};
        words.insert(words.end(), sampled.begin(), sampled.end());
        words.insert(words.end(), more.begin(), more.end());
        const Outcome outcome = run(words);
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        return json::parse(outcome.out);
    };
    const json stopped = generated({"--prompt", "hi", "--json"});
    REQUIRE(stopped.at("finish_reason") == "stop");
    REQUIRE(stopped.at("tokens").size() < 40);
    const json full = generated({"--prompt", "hi", "--ignore-stop", "--json"});
    CHECK(full.at("finish_reason") == "length");
    REQUIRE(full.at("tokens").size() == 40);
    CHECK(std::equal(stopped.at("tokens").begin(), stopped.at("tokens").end(),
                     full.at("tokens").begin()));
    generated({"--input", folder / "in", "--output", folder / "out", "--ignore-stop", "--json"});
    const json line = lines(folder / "out").front();
    CHECK(line.at("tokens") == full.at("tokens"));
    CHECK(line.at("text") == full.at("text"));
}

TEST_CASE("lines that generate cannot use are refused by number") {
    const Folder folder;
    writeText(folder / "in", "{\"id\":\"a\",\"prompt\":\"The cat\"}\n{\"id\":\"b\"}\n");
    const Outcome neither =
        run({"generate", "demo", "--input", folder / "in", "--output", folder / "out"});
    CHECK(neither.code == 1);
    CHECK_THAT(neither.err, Contains("in: line 2: give \"prompt\" or \"chat\""));
    CHECK(run({"generate", "demo", "--input", folder / "in"}).code == 2);
    CHECK(run({"generate", "demo", "--input", folder / "in", "--prompt", "x"}).code == 2);
    const Outcome same =
        run({"generate", "demo", "--input", folder / "in", "--output", folder / "in"});
    CHECK(same.code == 2);
    CHECK_THAT(same.err, Contains("would be lost"));
    // A file that is read as a model, and two outputs that are one: named before anything is done.
    const std::vector<std::string> score = {"score", folder / "model", "--input", folder / "in"};
    const auto refused = [&](std::vector<std::string> more) {
        more.insert(more.begin(), score.begin(), score.end());
        const Outcome outcome = run(more);
        CHECK(outcome.code == 2);
        CHECK_THAT(outcome.err, Contains("would be lost"));
    };
    refused({"--output", folder / "model"});
    refused({"--output", folder / "x", "--logits", folder / "x"});
    refused({"--output", folder / "x", "--logits", folder / "in"});
}

TEST_CASE("bench decodes several sequences at a time") {
    const Outcome outcome =
        run({"bench", "demo", "-p", "16", "-n", "4", "-b", "1,3", "-r", "1", "--json"});
    REQUIRE(outcome.code == 0);
    const json rows = json::parse(outcome.out).at("results");
    REQUIRE(rows.size() == 3);
    CHECK(rows[1].at("sequences") == 1);
    CHECK(rows[2].at("sequences") == 3);
    CHECK(rows[2].at("tokens_per_second").get<double>() > 0);
    // The same weights are read for three tokens; experts that more tokens choose are more.
    CHECK(rows[2].at("flops").get<double>() > 2.9 * rows[1].at("flops").get<double>());
    CHECK(rows[2].at("bytes").get<double>() < 2.9 * rows[1].at("bytes").get<double>());
}

TEST_CASE("bench decodes behind as many tokens as --depth says") {
    for (const char* batch : {"1", "3"}) {
        const Outcome outcome = run({"bench", "demo", "-p", "16", "-n", "4", "-d", "0,16,600", "-b",
                                     batch, "-r", "1", "--json"});
        REQUIRE(outcome.code == 0);
        const json rows = json::parse(outcome.out).at("results");
        REQUIRE(rows.size() == 4);
        CHECK(rows[0].at("phase") == "prefill");
        CHECK(rows[0].at("depth") == 0);
        CHECK(rows[1].at("phase") == "decode");
        CHECK(rows[1].at("depth") == 0);
        CHECK(rows[2].at("depth") == 16);
        CHECK(rows[3].at("depth") == 600);
        // More keys and values are read, for the same tokens.
        CHECK(rows[3].at("tokens") == rows[2].at("tokens"));
        CHECK(rows[3].at("bytes").get<double>() > rows[2].at("bytes").get<double>());
        for (const std::size_t deeper : {2, 3})
            CHECK(rows[deeper].at("flops").get<double>() >
                  rows[deeper - 1].at("flops").get<double>());
    }
}

TEST_CASE("bench --trace records operations and routing of several sequences at a time") {
    const auto recorded = [](const std::string& batch) {
        const Outcome outcome = run(
            {"bench", "demo", "-p", "16", "-n", "4", "-b", batch, "-r", "1", "--trace", "--json"});
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        return json::parse(outcome.out).at("recorded");
    };
    const json one = recorded("1"), three = recorded("3");
    const auto routed = [](const json& r) { return r.at("routing_choices").get<int>(); };
    CHECK(three.at("operations").get<int>() > 0);
    REQUIRE(routed(one) % (16 + 4) == 0);
    const int perToken = routed(one) / (16 + 4);
    CHECK(perToken > 0);
    CHECK(routed(three) == (16 + 3 * 4) * perToken);
}

TEST_CASE("bench gives no speed of a model whose prompts come to logits that are not finite") {
    const Folder folder;
    const fs::path golden = fs::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data/gpt2_untied";
    fs::copy_file(golden / "config.json", folder / "config.json");
    std::string file = contentOf(golden / "model.safetensors");
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    const json header = json::parse(file.substr(8, length));
    // Sums of token and position overflow from the second token on.
    const auto fill = [&](const char* name, std::size_t firstRow) {
        const json& tensor = header.at(name);
        const std::size_t width = tensor.at("shape").at(1);
        const std::size_t begin = tensor.at("data_offsets").at(0);
        const std::size_t end = tensor.at("data_offsets").at(1);
        const std::uint16_t large = 0x7F60;  // 3e38 in BF16
        for (std::size_t at = begin + firstRow * width * sizeof large; at < end; at += sizeof large)
            std::memcpy(file.data() + 8 + length + at, &large, sizeof large);
    };
    fill("transformer.wte.weight", 0);
    fill("transformer.wpe.weight", 1);
    writeText(folder / "model.safetensors", file);
    const auto bench = [&](const char* prompt) {
        return run({"bench", folder / "", "-p", prompt, "-n", "1", "-d", "0", "-r", "1"});
    };
    CHECK(bench("1").code == 0);
    const Outcome outcome = bench("4");
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("not finite"));
}

TEST_CASE("bench names the option whose number is none it takes") {
    for (const auto& [option, value] :
         std::vector<std::pair<std::string, std::string>>{{"-b", "0"},
                                                          {"-b", "-1"},
                                                          {"-b", "99999999999"},
                                                          {"-b", "2000000000"},
                                                          {"-b", "x"},
                                                          {"-p", "-1"},
                                                          {"-p", "2147483647"},
                                                          {"-n", "2147483647"},
                                                          {"-d", "-1"},
                                                          {"-n", "0"},
                                                          {"-n", "x"}}) {
        CAPTURE(option, value);
        for (const std::vector<std::string>& words :
             {std::vector<std::string>{"bench", "demo", option, value},
              std::vector<std::string>{"bench", "demo", option + "=" + value}}) {
            const Outcome outcome = run(words);
            CHECK(outcome.code == 2);
            CHECK_THAT(outcome.err, Contains(option + " takes whole numbers from " +
                                             (option == "-d" ? "0" : "1")) &&
                                        Contains("not '" + value + "'"));
        }
    }
    for (const char* value : {"0", "-1", "1001"})
        CHECK_THAT(run({"bench", "demo", "-r", value}).err, Contains("--repeat takes 1 to 1000"));
    CHECK(run({"bench", "demo", "-r", "x"}).code == 2);
}
