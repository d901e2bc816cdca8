// SPDX-License-Identifier: Apache-2.0
// Routing of groups of people: which items are counterparts, which words are compared, and error
// rates where nothing differs.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "profiler/analysis/item_groups.h"
#include "tests/profiler/routed_suite.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::kExperts;
using test::Suite;
using test::TempDir;

namespace {

const ItemGrouping& by(const std::vector<ItemGrouping>& groupings, const std::string& key) {
    const auto found = std::find_if(groupings.begin(), groupings.end(),
                                    [&](const ItemGrouping& g) { return g.key == key; });
    REQUIRE(found != groupings.end());
    return *found;
}

std::size_t blocksOf(const ItemGrouping& grouping) {
    std::set<std::string> blocks;
    for (const GroupedText& text : grouping.texts) blocks.insert(text.block);
    return blocks.size();
}

const std::vector<std::pair<int, int>> kWords{{1, 0}, {2, 1}};

}  // namespace

TEST_CASE("counterparts are items of a case that agree in all else that is said of each") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (const char* place : {"a", "b"}) {
        for (const char* gender : {"female", "male"})
            for (const char* origin : {"north", "south"}) {
                nlohmann::json groups{{"gender", gender}, {"origin", origin}, {"place", place}};
                // Another word for the same thing, and a mark that only some items have.
                groups["pronoun"] = std::string(gender) == "male" ? "he" : "she";
                if (std::string(gender) + origin == "malenorth") groups["control"] = "first";
                suite.item(std::string(place) + gender + origin, groups.dump(), place, kWords);
            }
        suite.item(std::string(place) + "twin", R"({"control":"second"})", place, kWords);
    }
    const std::vector<ItemGrouping> groupings = itemGroupings(suite.read());
    CHECK(groupings.size() == 5);  // no outcome: all are right
    const ItemGrouping& gender = by(groupings, "gender");
    CHECK(gender.suite == "loans");
    CHECK(gender.exchange == Exchange::WithinBlocks);
    CHECK(gender.texts.size() == 8);
    CHECK(blocksOf(gender) == 4);  // place x origin
    CHECK(blocksOf(by(groupings, "pronoun")) == 4);
    CHECK(blocksOf(by(groupings, "control")) == 2);
    CHECK(by(groupings, "control").exchange == Exchange::WithinBlocks);
    const ItemGrouping& place = by(groupings, "place");
    CHECK(place.exchange == Exchange::WholeBlocks);
    CHECK(blocksOf(place) == 2);
}

TEST_CASE("replies to one item are one text, and have no outcome of their own") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (const char* place : {"a", "b"})
        for (const char* gender : {"female", "male"})
            for (int repeat = 0; repeat < 3; ++repeat)
                suite.item(std::string(place) + gender, nlohmann::json{{"gender", gender}}.dump(),
                           place, kWords, repeat % 2, repeat);
    const RunReader run = suite.read();
    const std::vector<ItemGrouping> groupings = itemGroupings(run);
    REQUIRE(groupings.size() == 1);
    CHECK(groupings[0].texts.size() == 4);
    const std::vector<ItemComparison> compared = compareItemGroups(run, groupings);
    REQUIRE(compared.size() == 2);
    CHECK(compared[1].tokens == ItemTokens::All);
    CHECK(compared[1].of.groups[0].sequences == 2);
    CHECK(compared[1].of.groups[0].assignments == 12);  // 2 items x 3 replies x 2 tokens
}

TEST_CASE("right and wrong items are groups too") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (int i = 0; i < 6; ++i)
        suite.item("item" + std::to_string(i), "{}", "case" + std::to_string(i),
                   {{1, i % 2 == 0 ? 2 : 3}}, i % 2);
    const RunReader run = suite.read();
    const std::vector<ItemGrouping> groupings = itemGroupings(run);
    REQUIRE(groupings.size() == 1);
    CHECK(groupings[0].key == kOutcome);
    CHECK(groupings[0].exchange == Exchange::WholeBlocks);
    const std::vector<ItemComparison> compared = compareItemGroups(run, groupings);
    REQUIRE(compared.size() == 1);
    CHECK(compared[0].of.meanDivergence == Approx(1));  // one bit: nothing shared
    CHECK(compared[0].of.groups[0].name == "right");
}

TEST_CASE("a name that is routed otherwise is no difference of the words behind it") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (int place = 0; place < 8; ++place)
        for (const bool male : {false, true}) {
            // "Mary", or "John Smith", then four words that all have, among them one that is said
            // before the name, too.
            std::vector<std::pair<int, int>> words{{7, 1}};
            if (male)
                words.insert(words.end(), {{10, 3}, {11, 3}});
            else
                words.emplace_back(12, 2);
            words.insert(words.end(), {{7, 0}, {8, 1}, {9, place % 4}, {6, 2}});
            suite.item(std::to_string(place) + (male ? "m" : "f"),
                       nlohmann::json{{"gender", male ? "male" : "female"}}.dump(),
                       std::to_string(place), words);
        }
    const RunReader run = suite.read();
    const std::vector<ItemComparison> compared = compareItemGroups(run, itemGroupings(run));
    REQUIRE(compared.size() == 2);
    CHECK(compared[0].tokens == ItemTokens::Shared);
    CHECK(compared[0].sharedTokens == 4);
    CHECK(compared[0].of.meanDivergence == Approx(0).margin(1e-12));
    CHECK(compared[0].of.p == 1);
    CHECK(compared[0].of.groups[0].assignments == 32);
    CHECK(compared[1].tokens == ItemTokens::All);
    CHECK(compared[1].of.p < 0.05);
    CHECK(compared[1].q == Approx(2 * compared[1].of.p));
}

TEST_CASE("without each item's experts only all tokens are compared") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (const char* place : {"a", "b"})
        for (const char* gender : {"female", "male"})
            suite.item(std::string(place) + gender, nlohmann::json{{"gender", gender}}.dump(),
                       place, kWords, 1, 0, false);
    const RunReader run = suite.read();
    const std::vector<ItemComparison> compared = compareItemGroups(run, itemGroupings(run));
    REQUIRE(compared.size() == 1);
    CHECK(compared[0].tokens == ItemTokens::All);
}

TEST_CASE("what a damaged file says of items is left out") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (const char* groups : {"", "[", "[1]", "{\"gender\":3}", "{\"gender\":\"\"}", "null"})
        for (int i = 0; i < 2; ++i) suite.item(groups + std::to_string(i), groups, "c", kWords);
    CHECK(itemGroupings(suite.read()).empty());
}

namespace {

/// Cases whose texts differ widely, each told of two people; `effect`: how much more often expert
/// 0 is taken for the second.
std::vector<std::pair<std::vector<RoutingCountRow>, std::vector<GroupedText>>> drawnCases(
    int runs, int cases, double effect) {
    std::vector<std::pair<std::vector<RoutingCountRow>, std::vector<GroupedText>>> out;
    std::mt19937_64 random(11);
    std::normal_distribution<double> normal;
    for (int run = 0; run < runs; ++run) {
        auto& [rows, texts] = out.emplace_back();
        for (int c = 0; c < cases; ++c) {
            double taste[kExperts];
            for (double& t : taste) t = std::exp(normal(random));
            for (int person = 0; person < 2; ++person) {
                const std::int64_t id = 2 * c + person;
                texts.push_back({id, person == 0 ? "a" : "b", std::to_string(c)});
                for (int e = 0; e < kExperts; ++e) {
                    const double more = e == 0 && person == 1 ? effect : 0;
                    rows.push_back(
                        {id, "prefill", 0, e,
                         std::llround(100 * taste[e] * std::exp(more + 0.1 * normal(random)))});
                }
            }
        }
    }
    return out;
}

int rejections(int runs, double effect, Exchange exchange) {
    int found = 0;
    for (const auto& [rows, texts] : drawnCases(runs, 20, effect))
        found += specialization(rows, texts, exchange, kExperts, {1.5, 99, 1}).p <= 0.05 ? 1 : 0;
    return found;
}

}  // namespace

TEST_CASE("exchanging within cases is wrong as often as it says, and sees what cases would hide") {
    const int falsely = rejections(400, 0, Exchange::WithinBlocks);
    CHECK(falsely >= 7);  // 5 % of 400 is 20, three standard deviations 13
    CHECK(falsely <= 33);
    CHECK(rejections(100, 0.25, Exchange::WithinBlocks) > 80);
    CHECK(rejections(100, 0.25, Exchange::Texts) < 20);
}
