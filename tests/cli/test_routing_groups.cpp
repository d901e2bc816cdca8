// SPDX-License-Identifier: Apache-2.0
// From a workload with groups of texts to what `moescope routing` says of them.
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;

namespace {

/// Two groups of five prompts; the ids of one never occur in the other.
std::string workloadIn(const Folder& folder, bool grouped) {
    const std::string path = folder / "workload.jsonl";
    std::ofstream file(path);
    for (int i = 0; i < 10; ++i) {
        nlohmann::json line{{"id", i}, {"tokens", nlohmann::json::array()}};
        if (grouped) line["group"] = i % 2 == 0 ? "even\u001b[31m" : "odd";
        for (int t = 0; t < 12; ++t)
            line["tokens"].push_back(i % 2 == 0 ? 100 + (t + i) % 3 : 200 + (t + i) % 3);
        file << line.dump() << '\n';
    }
    return path;
}

}  // namespace

TEST_CASE("given texts are routed without generating and their groups compared") {
    const Folder folder;
    const std::string out = folder / "r.moescope";
    const Outcome profile =
        run({"profile", "demo", "-w", workloadIn(folder, true), "-n", "0", "--out", out, "--json"});
    INFO(profile.err);
    REQUIRE(profile.code == 0);
    const auto measured = nlohmann::json::parse(profile.out);
    CHECK(measured.at("decode_tokens_per_second").is_null());
    CHECK(measured.at("ttft_ns").is_null());
    CHECK(measured.at("prefill_tokens_per_second").get<double>() > 0);

    const auto json = nlohmann::json::parse(run({"routing", out, "--json"}).out);
    CHECK(json.at("layers").at(0).at("tokens") == 120);
    const auto& groups = json.at("specialization");
    REQUIRE(groups.at("groups").size() == 2);
    CHECK(groups.at("groups").at(1).at("name") == "odd");
    CHECK(groups.at("groups").at(1).at("sequences") == 5);
    CHECK(groups.at("permutations") == 999);
    CHECK(groups.at("p").get<double>() < 0.05);
    CHECK(groups.at("specialized_share").get<double>() >
          groups.at("chance_specialized_share").get<double>());
    const auto& layer = groups.at("layers").at(0);
    CHECK(layer.at("divergence_bits").get<double>() ==
          Approx(layer.at("mean_pairwise_divergence_bits").get<double>()));
    CHECK(layer.at("lift").at("odd").size() == json.at("experts").get<std::size_t>());

    const Outcome text = run({"routing", out, "--lift-threshold", "1.9"});
    CHECK_THAT(text.out, Contains("2 groups of texts, 10 texts in all, 999 permutations"));
    CHECK_THAT(text.out, Contains("Reliably (lift above 1.90, q < 0.05) such are"));
    CHECK(text.out.find('\x1b') == std::string::npos);  // names cannot reach the terminal's control
    CHECK(run({"routing", out, "--permutations", "99"}).out ==
          run({"routing", out, "--permutations", "99"}).out);
}

TEST_CASE("a run without groups says why nothing is compared") {
    const Folder folder;
    const std::string out = folder / "r.moescope";
    REQUIRE(
        run({"profile", "demo", "-w", workloadIn(folder, false), "-n", "0", "--out", out}).code ==
        0);
    CHECK_THAT(run({"routing", out}).out, Contains("needs at least two groups of texts"));
    const auto json = nlohmann::json::parse(run({"routing", out, "--json"}).out);
    CHECK(json.at("specialization").contains("reason"));
}

TEST_CASE("nonsense about groups and lengths is refused before anything is read") {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"routing", "absent", "--lift-threshold", "0.5"},
             {"routing", "absent", "--lift-threshold", "nan"},
             {"routing", "absent", "--permutations", "0"},
             {"routing", "absent", "--seed", "-1"},
             {"profile", "demo", "--prompt", "x", "-n", "-1", "--out", "absent/r.moescope"}}) {
        const Outcome outcome = run(words);
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(errorLines(outcome.err) == 1);
    }
}
