// SPDX-License-Identifier: Apache-2.0
// moescope import and export as a user of another engine meets them: a run of the demo model goes
// out as lines that vLLM would have written, comes back, and is analysed the same.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

json resultOf(const std::vector<std::string>& command) {
    const Outcome outcome = run(command);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return json::parse(outcome.out);
}

/// Two groups of two texts.
std::string workloadIn(const Folder& folder) {
    const std::string path = folder / "workload.jsonl";
    std::ofstream file(path);
    for (int i = 0; i < 4; ++i) {
        json line{{"id", "t" + std::to_string(i)},
                  {"group", i % 2 == 0 ? "even" : "odd"},
                  {"tokens", json::array()}};
        for (int t = 0; t < 20; ++t) line["tokens"].push_back(100 + 50 * (i % 2) + t);
        file << line.dump() << '\n';
    }
    return path;
}

}  // namespace

TEST_CASE("routing that went out as lines and came back is analysed the same") {
    const Folder folder;
    const std::string out = folder / "a.moescope", lines = folder / "a.jsonl",
                      back = folder / "b.moescope";
    const Outcome profile = run(
        {"profile", "demo", "-w", workloadIn(folder), "-n", "3", "--routing-tokens", "--out", out});
    INFO(profile.err);
    REQUIRE(profile.code == 0);
    const Outcome exported = run({"export", out, "--out", lines});
    INFO(exported.err);
    REQUIRE(exported.code == 0);
    const Outcome imported = run({"import", "routed-experts", lines, "--out", back});
    INFO(imported.err);
    REQUIRE(imported.code == 0);
    CHECK_THAT(imported.out, Contains("4 sequences, 92 tokens, 8 layers x 24 experts, top-4"));
    CHECK(imported.err.empty());  // nothing had to be guessed
    const json before = resultOf({"routing", out, "--json"}),
               after = resultOf({"routing", back, "--json"});
    CHECK(before == after);
    const auto without = [](json document) {
        for (const char* key : {"run", "offload"}) document.erase(key);
        for (json& layer : document["layers"]) layer.erase("expert_bytes");
        return document;
    };
    CHECK(without(resultOf({"cache", out, "--json"})) ==
          without(resultOf({"cache", back, "--json"})));
    CHECK(resultOf({"placement", back, "--json"})["placements"].size() ==
          resultOf({"placement", out, "--json"})["placements"].size());
    CHECK(run({"report", back, "--out", folder / "report"}).code == 0);
    CHECK(run({"compare", out, back}).code == 0);
}

TEST_CASE("an import says what it had to guess and what it needs") {
    const Folder folder;
    const std::string lines = folder / "r.jsonl", out = folder / "r.moescope";
    std::ofstream(lines) << R"({"routed_experts": [[[0, 5]], [[1, 2]]]})" << '\n';
    const Outcome guessed = run({"import", "routed-experts", lines, "--out", out});
    CHECK(guessed.code == 0);
    CHECK_THAT(guessed.err, Contains("warning: experts guessed = 6 experts: The greatest id"));
    CHECK_THAT(guessed.err, Contains("warning: prompt lengths unknown = 1 sequence"));
    CHECK_THAT(guessed.err, !Contains("timings"));
    const Outcome said = run({"import", "routed-experts", lines, "--experts", "8", "--out", out,
                              "--overwrite", "--json"});
    CHECK(json::parse(said.out).at("experts") == 8);
    CHECK_THAT(said.err, !Contains("guessed"));
    CHECK(run({"import", "routed-experts", lines, "--experts", "0", "--out", out, "--overwrite"})
              .code == 2);
    CHECK(run({"import", "nsys", lines, "--top-k", "4", "--out", folder / "n.moescope"}).code == 2);
    const Outcome few =
        run({"import", "routed-experts", lines, "--experts", "4", "--out", folder / "n.moescope"});
    CHECK(few.code == 1);
    CHECK_THAT(few.err, Contains("r.jsonl: line 1: token 0, layer 0: expert 5 is not one of 4"));
}

TEST_CASE("a run without the experts of each token is not exported as lines") {
    const Folder folder;
    const std::string out = folder / "a.moescope";
    REQUIRE(run({"profile", "demo", "--prompt", "One", "-n", "1", "--out", out}).code == 0);
    const Outcome exported = run({"export", out, "--out", folder / "a.jsonl"});
    CHECK(exported.code == 1);
    CHECK_THAT(exported.err, Contains("does not hold the experts of each token"));
}
