// SPDX-License-Identifier: Apache-2.0
// score, compare and routing on the demo model: what they count and what they warn of.
#include <cmath>
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

void evaluate(const std::string& out, const std::string& limit) {
    const Outcome outcome =
        run({"eval", "demo", "--suite", "basics", "--limit", limit, "--out", out});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
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
        const Outcome outcome =
            run({"score", "demo", "--input", folder / "in", "--output", folder / "out", "--json"});
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
    const std::vector<std::string> words{"score",       "demo",     "--input",
                                         folder / "in", "--output", folder / "out"};
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

TEST_CASE("compare pairs items and warns when the runs saw different ones") {
    const Folder folder;
    evaluate(folder / "a.moescope", "28");
    evaluate(folder / "b.moescope", "14");
    const Outcome outcome =
        run({"compare", folder / "a.moescope", folder / "b.moescope", "--json"});
    REQUIRE(outcome.code == 0);
    const json document = json::parse(outcome.out);
    const json paired = document.at("paired").at(0);
    CHECK(paired.at("suite") == "basics");
    CHECK(paired.at("mean_difference") == 0.0);  // the same model on the common items
    CHECK(paired.at("p") == 1.0);
    CHECK(paired.at("items").get<int>() > 0);
    CHECK(paired.at("items").get<int>() <= 14);
    bool grouped = false;
    for (const json& metric : document.at("metrics")) grouped |= metric.at("group") != "";
    CHECK(grouped);
    const std::string warnings = document.at("warnings").dump();
    CHECK_THAT(warnings, Contains("basics: limit is 28 in the first and 14 in run 2"));
    CHECK_THAT(warnings, !Contains("synthetic"));
}

TEST_CASE("compare warns that a model is synthetic") {
    const Folder folder;
    REQUIRE(run({"synth", "demo-synthetic", "--out", folder / "s.gguf"}).code == 0);
    for (const char* name : {"a.moescope", "b.moescope"})
        REQUIRE(run({"eval", folder / "s.gguf", "--suite", "basics", "--limit", "7", "--out",
                     folder / name})
                    .code == 0);
    const Outcome outcome =
        run({"compare", folder / "a.moescope", folder / "b.moescope", "--json"});
    REQUIRE(outcome.code == 0);
    CHECK_THAT(json::parse(outcome.out).at("warnings").dump(), Contains("synthetic"));
}

TEST_CASE("a refused resume leaves a finished run as it was") {
    const Folder folder;
    evaluate(folder / "a.moescope", "14");
    const std::string before = contentOf(folder / "a.moescope");
    const Outcome outcome = run({"eval", "demo", "--suite", "basics", "--limit", "14", "--chat",
                                 "--resume", "--out", folder / "a.moescope"});
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("prompt_format differs"));
    CHECK((contentOf(folder / "a.moescope") == before));
}

TEST_CASE("routing exits with 3 when a threshold is crossed") {
    const Folder folder;
    REQUIRE(run({"profile", "demo", "--prompt", "one two three", "-n", "4", "--out",
                 folder / "p.moescope"})
                .code == 0);
    CHECK(run({"routing", folder / "p.moescope", "--fail-on", "0.01"}).code == 3);
    CHECK(run({"routing", folder / "p.moescope", "--fail-on", "1000"}).code == 0);
}
