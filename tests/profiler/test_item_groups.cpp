// SPDX-License-Identifier: Apache-2.0
// Routing of groups of people: which items are counterparts, which words are compared, and error
// rates where nothing differs.
#include <algorithm>
#include <array>
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

std::size_t setsOf(const ItemGrouping& grouping) {
    return std::set<std::string>(grouping.counterparts.begin(), grouping.counterparts.end()).size();
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
    CHECK(setsOf(gender) == 4);  // place x origin
    CHECK(setsOf(by(groupings, "pronoun")) == 4);
    CHECK(setsOf(by(groupings, "control")) == 2);
    CHECK(by(groupings, "control").exchange == Exchange::WithinBlocks);
    const ItemGrouping& place = by(groupings, "place");
    CHECK(place.exchange == Exchange::WholeBlocks);
    CHECK(place.texts[0].block == "a");
}

TEST_CASE("one odd case does not decide for all others how names are exchanged") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (int place = 0; place < 6; ++place)
        for (const char* part : {"1", "2"})
            suite.item(std::to_string(place) + part,
                       nlohmann::json{{"kind", place == 0  ? part
                                               : place % 2 ? "1"
                                                           : "2"}}
                           .dump(),
                       std::to_string(place), kWords);
    const std::vector<ItemGrouping> groupings = itemGroupings(suite.read());
    const ItemGrouping& kind = by(groupings, "kind");
    CHECK(kind.exchange == Exchange::WholeBlocks);
    CHECK(kind.texts.size() == 10);
    CHECK(kind.leftOut == 2);
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
    REQUIRE(compared.size() == 1);  // the prompts are alike
    CHECK(compared[0].tokens == ItemTokens::All);
    CHECK(compared[0].of.groups[0].sequences == 2);
    CHECK(compared[0].of.groups[0].assignments == 12);  // 2 items x 3 replies x 2 tokens
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

TEST_CASE("prompts that do not differ, or of which one is the end of the other, share nothing") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (int place = 0; place < 4; ++place)
        for (const bool male : {false, true}) {
            std::vector<std::pair<int, int>> words{{1, 0}, {2, 1}};
            if (male && place == 0) words.insert(words.begin(), {3, 2});
            suite.item(std::to_string(place) + (male ? "m" : "f"),
                       nlohmann::json{{"gender", male ? "male" : "female"}}.dump(),
                       std::to_string(place), words);
        }
    const RunReader run = suite.read();
    const std::vector<ItemComparison> compared = compareItemGroups(run, itemGroupings(run));
    REQUIRE(compared.size() == 1);
    CHECK(compared[0].tokens == ItemTokens::All);
}

TEST_CASE("items without tokens are counted as left out of the words that are shared") {
    const TempDir dir;
    Suite suite(dir / "r.moescope");
    for (int place = 0; place < 5; ++place)
        for (const bool male : {false, true})
            suite.item(std::to_string(place) + (male ? "m" : "f"),
                       nlohmann::json{{"gender", male ? "male" : "female"}}.dump(),
                       std::to_string(place), {{male ? 8 : 9, 2}, {1, 0}}, 1, 0, place < 3);
    const RunReader run = suite.read();
    const std::vector<ItemComparison> compared = compareItemGroups(run, itemGroupings(run));
    REQUIRE(compared.size() == 2);
    CHECK(compared[0].of.blocks == 3);
    CHECK(compared[0].of.sequencesLeftOut == 4);
    CHECK(compared[1].of.blocks == 5);
    CHECK(compared[1].of.sequencesLeftOut == 0);
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

struct Drawn {
    std::vector<RoutingCountRow> rows;
    std::vector<GroupedText> texts;

    void add(const std::string& group, int place, const std::array<double, kExperts>& taste) {
        const auto id = std::int64_t(texts.size());
        texts.push_back({id, group, std::to_string(place)});
        for (int e = 0; e < kExperts; ++e)
            rows.push_back({id, "prefill", 0, e, std::llround(100 * taste[std::size_t(e)])});
    }
};

/// Twenty cases whose texts differ widely, each told of two people; `effect`: how much more often
/// expert 0 is taken for the second.
Drawn people(std::mt19937_64& random, double effect) {
    std::normal_distribution<double> normal;
    Drawn out;
    for (int place = 0; place < 20; ++place) {
        std::array<double, kExperts> taste{};
        for (double& t : taste) t = std::exp(normal(random));
        for (const char* person : {"a", "b"}) {
            std::array<double, kExperts> own = taste;
            for (double& t : own) t *= std::exp(0.1 * normal(random));
            if (person == std::string("b")) own[0] *= std::exp(effect);
            out.add(person, place, own);
        }
    }
    return out;
}

/// As WinoBias: two lines a case, "he" for the stereotype in one and against it in the other. The
/// pronoun has a great effect in every line, the stereotype `effect`.
Drawn lines(std::mt19937_64& random, double effect) {
    std::normal_distribution<double> normal;
    Drawn out;
    for (int place = 0; place < 60; ++place)
        for (const bool odd : {false, true}) {
            std::array<double, kExperts> taste{};
            for (double& t : taste) t = std::exp(0.3 * normal(random));
            for (const bool pro : {false, true}) {
                std::array<double, kExperts> own = taste;
                for (double& t : own) t *= std::exp(0.05 * normal(random));
                if (pro == odd) own[1] *= std::exp(1.0);
                if (pro) own[0] *= std::exp(effect);
                out.add(pro ? "pro" : "anti", place, own);
            }
        }
    return out;
}

int rejections(int runs, Exchange exchange, Drawn (*draw)(std::mt19937_64&, double),
               double effect) {
    std::mt19937_64 random(11);
    int found = 0;
    for (int i = 0; i < runs; ++i) {
        const Drawn drawn = draw(random, effect);
        found += specialization(drawn.rows, drawn.texts, exchange, kExperts, {1.5, 99, 1}).p <= 0.05
                     ? 1
                     : 0;
    }
    return found;
}

}  // namespace

TEST_CASE("exchanging within cases is wrong as often as it says, and sees what cases would hide") {
    const int falsely = rejections(400, Exchange::WithinBlocks, people, 0);
    CHECK(falsely >= 7);  // 5 % of 400 is 20, three standard deviations 13
    CHECK(falsely <= 33);
    CHECK(rejections(100, Exchange::WithinBlocks, people, 0.25) > 80);
    CHECK(rejections(100, Exchange::Texts, people, 0.25) < 20);
}

TEST_CASE("what a case balances between its groups is not taken for chance") {
    const int falsely = rejections(400, Exchange::WithinBlocks, lines, 0);
    CHECK(falsely >= 7);
    CHECK(falsely <= 33);
    CHECK(rejections(100, Exchange::WithinBlocks, lines, 0.15) > 80);
}
