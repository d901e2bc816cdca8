// SPDX-License-Identifier: Apache-2.0
// From an evaluation to whether its items are routed otherwise by whom they speak of.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;

TEST_CASE("items of an evaluation are compared by whom they speak of, over the same words") {
    const Folder folder;
    const std::string out = folder / "r.moescope";
    const Outcome eval = run({"eval", "demo", "--suite", "hiring_lending", "--limit", "60",
                              "--routing-tokens", "--out", out});
    INFO(eval.err);
    REQUIRE(eval.code == 0);
    const auto json = nlohmann::json::parse(
        run({"routing", out, "--by", "gender", "--permutations", "99", "--json"}).out);
    const auto& compared = json.at("item_groups");
    REQUIRE(compared.size() == 2);
    const auto& shared = compared.at(0);
    CHECK(shared.at("suite") == "hiring_lending");
    CHECK(shared.at("tokens") == "shared");
    CHECK(shared.at("exchange") == "within_blocks");
    CHECK(shared.at("shared_tokens").get<double>() > 20);
    const auto assignments = [](const nlohmann::json& one) {
        return one.at("specialization").at("groups").at(0).at("assignments").get<double>();
    };
    CHECK(assignments(shared) > 0);
    CHECK(assignments(shared) < assignments(compared.at(1)));
    // Every token has as many experts in each layer.
    const double choices = json.at("top_k").get<double>() * json.at("layers").size();
    CHECK(std::fmod(assignments(shared), choices) == 0);

    CHECK_THAT(run({"routing", out}).out, Contains("--by all, or of "));
    const Outcome text = run({"routing", out, "--by", "gender", "--permutations", "99"});
    CHECK_THAT(text.out, Contains("behind what differs"));
    CHECK_THAT(text.out, Contains("2 groups of texts"));  // one grouping: its layers, too
    for (const char* by : {"height", ""}) {
        const Outcome refused = run({"routing", out, "--by", by});
        CHECK(refused.code == 2);
        CHECK_THAT(refused.err, Contains(by == std::string("height") ? "gender" : "--by"));
    }
    // Of the items before, tokens would be missing.
    const Outcome other = run(
        {"eval", "demo", "--suite", "hiring_lending", "--limit", "60", "--out", out, "--resume"});
    CHECK(other.code == 1);
    CHECK_THAT(other.err, Contains("was begun with --routing-tokens and can only be resumed so"));
}
