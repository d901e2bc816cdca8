// SPDX-License-Identifier: Apache-2.0
// moescope placement: from a run with the experts of each token to what it says of several GPUs.
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;

namespace {

/// A run of the demo model over six texts in two groups.
std::string profiled(const Folder& folder, bool byToken) {
    const std::string workload = folder / "workload.jsonl", out = folder / "r.moescope";
    std::ofstream file(workload);
    for (int i = 0; i < 6; ++i) {
        nlohmann::json line{{"id", i}, {"group", i % 2 == 0 ? "a" : "b"}};
        for (int t = 0; t < 10; ++t) line["tokens"].push_back(100 + (37 * t + 11 * i) % 900);
        file << line.dump() << '\n';
    }
    file.close();
    std::vector<std::string> words{"profile", "demo", "-w", workload, "-n", "0", "--out", out};
    if (byToken) words.emplace_back("--routing-tokens");
    REQUIRE(run(words).code == 0);
    return out;
}

void requireRefusal(const std::vector<std::string>& words, const std::string& sentence) {
    const Outcome outcome = run(words);
    INFO(outcome.err);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.err, Contains(sentence));
}

}  // namespace

TEST_CASE("placement tells load, chance and cost of one GPU and of several") {
    const Folder folder;
    const std::string out = profiled(folder, true);
    const auto json = nlohmann::json::parse(
        run({"placement", out, "--gpus", "1,4", "--tokens", "8", "--json"}).out);
    CHECK(json.at("schema") == "moescope.placement");
    CHECK(json.at("texts") == 6);
    CHECK(json.at("routed_tokens") == 60);
    CHECK(json.at("held_out") == "halves");
    REQUIRE(json.at("placements").size() == 4);
    const auto& one = json.at("placements").at(0);
    CHECK(one.at("imbalance") == 1);
    CHECK(one.at("cost").at("exchange_ns") == 0);
    CHECK(one.at("cost").at("expert_bytes_per_gpu").get<double>() > 1e6);
    const auto& four = json.at("placements").at(1);
    CHECK(four.at("imbalance").get<double>() > 1);
    CHECK(four.at("chance_imbalance").get<double>() > 1);
    CHECK(four.at("layer_imbalance").size() == json.at("layers").size());

    const Outcome text = run({"placement", out, "--held-out", "groups"});
    CHECK(text.code == 0);
    CHECK_THAT(text.out, Contains("placements of each group of texts decided on all other groups"));
    CHECK(run({"placement", out}).out == run({"placement", out}).out);
    requireRefusal({"placement", out, "--history", out}, "is the run itself");
}

TEST_CASE("placement writes what SGLang's --init-expert-location reads") {
    const Folder folder;
    const std::string out = profiled(folder, true), file = folder / "map.json";
    const Outcome written = run({"placement", out, "--gpus", "4", "--write", file});
    INFO(written.err);
    REQUIRE(written.code == 0);
    const auto map = nlohmann::json::parse(std::ifstream(file));
    REQUIRE(map.size() == 1);  // it takes every other key for an argument that it does not know
    const auto& layers = map.at("physical_to_logical_map");
    CHECK(layers.size() == 8);
    CHECK(layers.at(0).size() == 28);  // 24 experts and 4 further copies
    CHECK(run({"placement", out, "--gpus", "4", "--write", file}).code != 0);
    CHECK(run({"placement", out, "--gpus", "4", "--write", file, "--overwrite"}).code == 0);
}

TEST_CASE("placement leaves the files that it reads alone") {
    const Folder folder;
    const std::string out = profiled(folder, true), other = folder / "other.moescope";
    std::filesystem::copy_file(out, other);
    CHECK(run({"placement", out, "--history", other}).code == 0);
    requireRefusal(
        {"placement", out, "--gpus", "4", "--history", other, "--write", other, "--overwrite"},
        "--write");
    const std::string map = folder / "map.json";
    requireRefusal({"placement", out, "--gpus", "64", "--write", map}, "24 experts");
    CHECK_FALSE(std::filesystem::exists(map));
}

TEST_CASE("placement says what a run lacks") {
    const Folder folder;
    const Outcome bare = run({"placement", profiled(folder, false)});
    CHECK(bare.code == 1);
    CHECK_THAT(bare.err, Contains("r.moescope") && Contains("--routing-tokens"));
    CHECK(errorLines(bare.err) == 1);
}

TEST_CASE("nonsense about placements is refused before anything is read") {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"placement", "absent", "--gpus", "0"},
             {"placement", "absent", "--tokens", "0"},
             {"placement", "absent", "--step", "both"},
             {"placement", "absent", "--held-out", "none"},
             {"placement", "absent", "--gpu", "z80"},
             {"placement", "absent", "--policy", "packed"},
             {"placement", "absent", "--write", "f.json"},
             {"placement", "absent", "--history", "x", "--splits", "3"},
             {"placement", "absent", "--redundant", "-2"},
             {"placement", "absent", "--expert-bytes", "nan"}}) {
        const Outcome outcome = run(words);
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(errorLines(outcome.err) == 1);
    }
}
