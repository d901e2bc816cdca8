// SPDX-License-Identifier: Apache-2.0
// --limit: which items of a suite are kept.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tests/datasets/suite_data.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

/// Rows of so many bases of a level, each of `size` items in pairs.
std::string rowsOf(const std::string& level, int bases, int size) {
    std::string rows;
    for (int base = 0; base < bases; ++base)
        for (int i = 0; i < size; ++i)
            rows += "x,y,A," + level + "," + level + std::to_string(base) + "," +
                    std::to_string(i / 2) + "\n";
    return rows;
}

nlohmann::json stratified() {
    auto suite = minimal();
    suite["groups"] = {{"topic", "{t}"}};
    suite["cluster"] = "{c}";
    suite["stratify"] = "topic";
    return suite;
}

std::map<std::string, int> levelsOf(const SuiteData& data) {
    std::map<std::string, int> levels;
    for (const SuiteItem& item : data.items) ++levels[item.groups.at("topic")];
    return levels;
}

constexpr char kHeader[] = "a,b,right,t,c,p\n";

}  // namespace

TEST_CASE("The limit keeps clusters whole and strata in proportion and is seeded") {
    const SuiteDefinition suite = findSuite("hiring_lending");
    SuiteData data = loadSuite(suite);
    limitItems(data, 100, 7);
    CHECK(data.items.size() == 96);  // 8 clusters of 12
    std::map<std::string, int> clusters, domains, strata;
    for (const SuiteItem& item : data.items) {
        ++clusters[item.cluster];
        ++domains[item.groups.at("domain")];
        ++strata[item.groups.at("stratum")];
    }
    CHECK(clusters.size() == 8);
    for (const auto& [cluster, count] : clusters) CHECK(count == 12);
    CHECK(domains.at("hiring") == 48);
    CHECK(domains.at("lending") == 48);
    for (const auto& [stratum, count] : strata) CHECK(count == 24);
    const auto ids = [](const SuiteData& d) {
        std::vector<std::string> all;
        for (const SuiteItem& item : d.items) all.push_back(item.id);
        return all;
    };
    SuiteData again = loadSuite(suite);
    limitItems(again, 100, 7);
    CHECK(ids(data) == ids(again));
    SuiteData other = loadSuite(suite);
    limitItems(other, 100, 8);
    CHECK(ids(data) != ids(other));
    SuiteData one = loadSuite(suite);
    limitItems(one, 1, 7);
    CHECK(one.items.size() == 12);  // at least one cluster
    // Which is of one stratum of four: no figure of the suite.
    CHECK(data.warnings.empty());
    REQUIRE(one.warnings.size() == 1);
    CHECK_THAT(one.warnings[0], Catch::Contains("no room for 3 of the 4 levels of 'stratum' ("));
    CHECK(one.available == 288);
    CHECK(one.limit == 1);
}

TEST_CASE("The limit keeps a base of every level as soon as all have room") {
    DataFolder folder;
    // In proportion alone, 12 of 632 items would be of "large" only.
    folder.add("d.csv",
               kHeader + rowsOf("large", 150, 4) + rowsOf("mid", 7, 4) + rowsOf("small", 1, 4));
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SuiteData data = folder.load(stratified());
        limitItems(data, 12, seed);
        CHECK(levelsOf(data) == std::map<std::string, int>{{"large", 4}, {"mid", 4}, {"small", 4}});
        CHECK(data.warnings.empty());
        SuiteData more = folder.load(stratified());
        limitItems(more, 316, seed);  // the rest in proportion
        CHECK(levelsOf(more).at("large") >= 292);
        CHECK(levelsOf(more).at("mid") >= 12);
    }
    SuiteData less = folder.load(stratified());
    limitItems(less, 11, 1);
    CHECK(levelsOf(less).size() == 2);
    REQUIRE(less.warnings.size() == 1);
    const std::string absent = !levelsOf(less).contains("large") ? "large"
                               : !levelsOf(less).contains("mid") ? "mid"
                                                                 : "small";
    CHECK(less.warnings[0] ==
          "suite 's': --limit 11 has no room for 1 of the 3 levels of 'topic' (" + absent +
              "): figures over all items are not the suite's");
}

TEST_CASE("Where bases differ in size the limit takes small ones before it leaves out a level") {
    DataFolder folder;
    folder.add("d.csv", kHeader + rowsOf("a", 1, 2) +
                            "x,y,A,a,big,0\nx,y,A,a,big,0\nx,y,A,a,big,0\nx,y,A,a,big,0\n" +
                            rowsOf("b", 1, 2));
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        SuiteData data = folder.load(stratified());
        limitItems(data, 4, seed);
        CHECK(levelsOf(data) == std::map<std::string, int>{{"a", 2}, {"b", 2}});
        CHECK(data.warnings.empty());
    }
}

TEST_CASE("The limit keeps sets of counterparts whole and may take one of several of a base") {
    DataFolder folder;
    folder.add("d.csv", kHeader + rowsOf("a", 2, 40) + rowsOf("b", 2, 40));
    auto suite = stratified();
    suite["counterparts"] = "{p}";
    SuiteData data = folder.load(suite);
    limitItems(data, 9, 3);
    std::map<std::string, int> sets;
    for (const SuiteItem& item : data.items) ++sets[item.cluster + "/" + item.counterparts];
    CHECK(sets.size() == 4);
    for (const auto& [set, items] : sets) CHECK(items == 2);
    CHECK(levelsOf(data) == std::map<std::string, int>{{"a", 4}, {"b", 4}});
}

TEST_CASE("A small limit draws other strata under other seeds") {
    const SuiteDefinition suite = findSuite("basics");
    std::map<std::string, int> drawn;
    for (std::uint64_t seed = 1; seed <= 70; ++seed) {
        SuiteData data = loadSuite(suite);
        limitItems(data, 1, seed);
        ++drawn[data.items.at(0).groups.at("topic")];
    }
    CHECK(drawn.size() == 7);  // each expected ten times
    for (const auto& [topic, count] : drawn) CHECK(count < 25);
}
