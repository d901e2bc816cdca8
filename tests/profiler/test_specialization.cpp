// SPDX-License-Identifier: Apache-2.0
// Lift, divergence and their permutation test: values worked by hand, published values, error rates
// where nothing differs, and what a hostile run file may hold.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <random>

#include "engine/core/file.h"
#include "profiler/analysis/specialization.h"
#include "profiler/analysis/statistics.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;

namespace {

/// Texts with their counts, added one by one.
struct Texts {
    std::vector<SequenceRow> sequences;
    std::vector<RoutingCountRow> rows;
    int experts = 0;

    void add(const std::string& group, const std::vector<std::int64_t>& counts, int layer = 0) {
        const auto id = std::int64_t(sequences.size());
        experts = std::max(experts, int(counts.size()));
        sequences.push_back({id, "text", group, 0, 0});
        for (std::size_t e = 0; e < counts.size(); ++e)
            rows.push_back({id, "prefill", layer, int(e), counts[e]});
    }
    Specialization test(int permutations = 199, double threshold = 1.5) const {
        return specialization(rows, sequences, experts, {threshold, permutations, 7});
    }
};

/// Each text has tastes of its own around `taste`, as real texts have: far more variable than
/// independent tokens.
std::vector<std::int64_t> text(std::mt19937_64& random, std::vector<double> taste, int tokens) {
    for (double& t : taste) t *= std::exp(double(random() % 1000) / 500.0);
    double sum = 0;
    for (const double t : taste) sum += t;
    std::vector<std::int64_t> counts;
    for (const double t : taste) counts.push_back(std::llround(t / sum * tokens));
    return counts;
}

}  // namespace

TEST_CASE("lift and divergence of two groups by hand") {
    Texts texts;  // fixture A of docs/metrics.md against an even load
    texts.add("a", {5, 1, 2, 0});
    texts.add("a", {3, 3, 1, 1});
    texts.add("b", {30, 10, 20, 20});
    texts.add("b", {10, 30, 20, 20});  // ten times the text: the groups weigh the same all the same
    const Specialization s = texts.test();
    REQUIRE(s.reason.empty());
    REQUIRE(s.groups.size() == 2);
    CHECK(s.groups[0].name == "a");
    CHECK(s.groups[0].sequences == 2);
    CHECK(s.groups[1].assignments == 160);
    REQUIRE(s.layers.size() == 1);
    const LayerSpecialization& layer = s.layers[0];
    CHECK(layer.divergence == Approx(0.0773191).epsilon(1e-6));
    CHECK(layer.meanPairwise == Approx(0.0773191).epsilon(1e-6));
    const std::vector<double> shares{.5, .25, .1875, .0625, .25, .25, .25, .25};
    const std::vector<double> lifts{4 / 3., 1, 6 / 7., .4, 2 / 3., 1, 8 / 7., 1.6};
    for (std::size_t i = 0; i < 8; ++i) {
        CHECK(layer.probability[i] == Approx(shares[i]));
        CHECK(layer.lift[i] == Approx(lifts[i]));
    }
    CHECK(layer.dominant == std::vector<int>{0, 0, 1, 1});
    CHECK(layer.topLift(3) == Approx(1.6));
    CHECK(s.specializedShare == 0.25);  // only expert 3 is above 1.5
    CHECK(texts.test(99, 1.2).specializedShare == 0.5);
}

TEST_CASE("groups that share no expert differ as much as groups can") {
    Texts texts;
    for (int i = 0; i < 2; ++i) {
        texts.add("x", {6, 6, 0, 0, 0});
        texts.add("y", {0, 0, 9, 0, 0});
        texts.add("z", {0, 0, 0, 3, 0});
    }
    const Specialization s = texts.test();
    CHECK(s.layers[0].divergence == Approx(std::log2(3.0)));
    CHECK(s.layers[0].meanPairwise == Approx(1.0));
    CHECK(s.layers[0].topLift(2) == Approx(3.0));
    CHECK(s.layers[0].dominant == std::vector<int>{0, 0, 1, 2, -1});
    CHECK(std::isnan(s.layers[0].topLift(4)));
    CHECK(std::isnan(s.layers[0].expertQ[4]));
    CHECK(s.specializedShare == Approx(0.8));  // a dead expert stays in the denominator
}

TEST_CASE("both phases of a text are one text") {
    Texts once, split;
    for (const char* group : {"a", "a", "b", "b"}) {
        once.add(group, {4, group[0] == 'a' ? 2 : 8});
        split.add(group, {4, group[0] == 'a' ? 1 : 6});
        split.rows.push_back(
            {std::int64_t(split.sequences.size()) - 1, "decode", 0, 1, group[0] == 'a' ? 1 : 2});
    }
    CHECK(once.test().layers[0].divergence == split.test().layers[0].divergence);
    CHECK(split.test().groups[0].sequences == 2);
}

TEST_CASE("with two texts a group the test can tell nothing") {
    Texts texts;
    for (const char* group : {"a", "a", "b", "b"})
        texts.add(group, group[0] == 'a' ? std::vector<std::int64_t>{9, 0}
                                         : std::vector<std::int64_t>{0, 9});
    // Of the three ways to halve four texts one is the observed: p is a third, not 0.001.
    const Specialization s = texts.test(999);
    CHECK(s.layers[0].p == Approx(1 / 3.0).margin(0.06));
    CHECK(s.layers[0].divergence == Approx(1.0));
    CHECK(s.layers[0].nullMean == Approx(1 / 3.0).margin(0.06));
    CHECK(s.reliableShare == 0);
    CHECK(leadingExperts(s, 0, 5).empty());
}

TEST_CASE("identical groups are not found to differ") {
    Texts texts;
    for (int i = 0; i < 6; ++i) {
        texts.add("a", {i + 1, 7, 2 * i});
        texts.add("b", {i + 1, 7, 2 * i});
    }
    const Specialization s = texts.test(999);
    CHECK(s.layers[0].divergence == Approx(0).margin(1e-12));
    CHECK(s.layers[0].p == 1.0);
    CHECK(s.p == 1.0);
    CHECK(s.specializedShare == 0);
}

TEST_CASE("shuffled names are called different at the nominal rate") {
    std::mt19937_64 random(11);
    int rejected = 0;
    constexpr int kTrials = 400;
    for (int trial = 0; trial < kTrials; ++trial) {
        Texts texts;
        for (int i = 0; i < 18; ++i)
            texts.add(std::string(1, char('a' + i % 3)),
                      text(random, {1, 2, 3, 1, 1, 2}, 100 + 40 * (i / 3)));
        rejected += texts.test(99).layers[0].p <= 0.05 ? 1 : 0;
    }
    // 400 tests at 5 %: 20 +- 4.4.
    CHECK(rejected >= 8);
    CHECK(rejected <= 33);
}

TEST_CASE("a planted specialisation is found where it was planted") {
    std::mt19937_64 random(5);
    Texts texts;
    for (int i = 0; i < 30; ++i) {
        std::vector<double> taste(8, 1.0);
        texts.add(std::string(1, char('a' + i % 3)), text(random, taste, 400), 0);
        if (i % 3 == 2) taste[6] = 8;
        const std::vector<std::int64_t> counts = text(random, taste, 400);
        for (std::size_t e = 0; e < counts.size(); ++e)
            texts.rows.push_back({i, "prefill", 3, int(e), counts[e]});
    }
    const Specialization s = texts.test(999);
    REQUIRE(s.layers.size() == 2);
    CHECK(s.layers[0].q > 0.05);
    CHECK(s.layers[1].layer == 3);
    CHECK(s.layers[1].p == Approx(0.001));
    CHECK(s.layers[1].q == Approx(0.002));
    CHECK(s.layers[1].divergence > s.layers[1].null95);
    CHECK(s.layers[1].excess() > 0.02);
    CHECK(s.layers[1].null95 > s.layers[1].nullMean);
    CHECK(s.p < 0.01);
    const std::vector<GroupExpert> leading = leadingExperts(s, 2, 5);
    REQUIRE(leading.size() == 1);
    CHECK(leading[0].layer == 3);
    CHECK(leading[0].expert == 6);
    CHECK(leading[0].lift > 1.8);
    CHECK(leading[0].share == Approx(s.layers[1].probability[2 * 8 + 6]));
    CHECK(leadingExperts(s, 0, 5).empty());
    CHECK(s.reliableShare == Approx(1 / 16.0));
    CHECK(s.chanceShare < s.specializedShare);
}

TEST_CASE("few tokens give large lifts by chance and the chance share says so") {
    std::mt19937_64 random(3);
    Texts texts;
    for (int i = 0; i < 12; ++i) {
        std::vector<std::int64_t> counts(32, 0);
        for (int t = 0; t < 20; ++t) ++counts[random() % 32];
        texts.add(i % 2 == 0 ? "a" : "b", counts);
    }
    const Specialization s = texts.test(999);
    CHECK(s.specializedShare > 0.05);
    CHECK(s.chanceShare == Approx(s.specializedShare).margin(0.15));
    CHECK(s.shareP > 0.05);
    CHECK(s.reliableShare == 0);
}

TEST_CASE("the same run gives the same figures in any order of rows") {
    std::mt19937_64 random(9);
    Texts texts;
    for (int i = 0; i < 8; ++i) texts.add(i % 2 == 0 ? "a" : "b", text(random, {1, 1, 2, 1}, 90));
    const Specialization first = texts.test();
    std::shuffle(texts.rows.begin(), texts.rows.end(), random);
    const Specialization second = texts.test();
    CHECK(first.layers[0].p == second.layers[0].p);
    CHECK(first.layers[0].nullMean == second.layers[0].nullMean);
    CHECK(first.layers[0].lift == second.layers[0].lift);
    CHECK(first.chanceShare == second.chanceShare);
    const Specialization other = specialization(texts.rows, texts.sequences, 0, {1.5, 199, 8});
    CHECK(first.layers[0].nullMean != other.layers[0].nullMean);
}

TEST_CASE("groups of one text are left out and one group is no comparison") {
    Texts texts;
    texts.add("a", {1, 2});
    texts.add("a", {2, 2});
    texts.add("b", {5, 2});
    texts.add("", {5, 2});
    const Specialization alone = texts.test();
    CHECK_FALSE(alone.reason.empty());
    CHECK(alone.reason.find("only \"a\"") != std::string::npos);
    CHECK(alone.layers.empty());
    texts.add("b", {5, 1});
    texts.add("c", {5, 1});
    const Specialization s = texts.test();
    CHECK(s.reason.empty());
    CHECK(s.groups.size() == 2);
    CHECK(s.sequencesLeftOut == 2);
    CHECK_FALSE(Texts{}.test().reason.empty());
}

TEST_CASE("groups that never meet in a layer have no divergence") {
    Texts texts;
    for (int i = 0; i < 2; ++i) {
        texts.add("a", {1, 2}, 0);
        texts.add("b", {1, 2}, 1);
    }
    const Specialization s = texts.test();
    REQUIRE(s.layers.size() == 2);
    CHECK(std::isnan(s.layers[0].divergence));
    CHECK(std::isnan(s.layers[0].p));
    CHECK(std::isnan(s.layers[0].q));
    CHECK(std::isnan(s.p));
}

TEST_CASE("sizes that only a hostile run file has are refused with a reason") {
    Texts many;
    for (int i = 0; i < 600; ++i) many.add("g" + std::to_string(i / 2), {1, 1});
    CHECK(many.test().reason.find("groups") != std::string::npos);
    Texts wide;
    for (const char* group : {"a", "a", "b", "b"}) {
        wide.add(group, {1});
        for (int layer = 1; layer < 60; ++layer)
            wide.rows.push_back({std::int64_t(wide.sequences.size()) - 1, "prefill", layer * 7,
                                 32767, std::int64_t{1} << 53U});
    }
    CHECK(wide.test().reason.find("layers and experts") != std::string::npos);
    wide.rows.erase(std::remove_if(wide.rows.begin(), wide.rows.end(),
                                   [](const RoutingCountRow& r) { return r.layer > 60; }),
                    wide.rows.end());
    const Specialization fewer = wide.test(999);  // 9 x 32768 cells: fewer permutations than asked
    CHECK(fewer.reason.empty());
    CHECK(fewer.permutations >= 99);
    CHECK(fewer.permutations < 999);
}

TEST_CASE("a run file is analysed with the experts that it states") {
    const test::TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.setMeta("routing", nlohmann::json{{"experts", 4}, {"top_k", 1}, {"layers", 1}});
    for (int i = 0; i < 4; ++i) {
        writer.add(SequenceRow{i, "t", i < 2 ? "a" : "b", 1, 0});
        writer.add(RoutingCountRow{i, "prefill", 0, i < 2 ? 0 : 1, 5});
    }
    writer.finish(RunStatus::Done);
    const Specialization s = specialization(RunReader(path), {1.5, 99, 1});
    CHECK(s.experts == 4);
    CHECK(s.specializedShare == 0.5);
}

TEST_CASE("shuffling stops when it is told to") {
    std::vector<RoutingCountRow> rows;
    std::vector<SequenceRow> sequences;
    for (int i = 0; i < 4; ++i) {
        sequences.push_back({i, "t", i < 2 ? "a" : "b", 1, 0});
        rows.push_back({i, "prefill", 0, i < 2 ? 0 : 1, 5});
    }
    const StopFlag stop = true;
    CHECK_THROWS_AS(specialization(rows, sequences, 4, {.stop = &stop}), Interrupted);
}

TEST_CASE("published divergences of real models are met") {
    const std::filesystem::path path =
        std::filesystem::path(MOESCOPE_SOURCE_DIR) / "../shared/traces/olmoe_counts.json";
    if (!std::filesystem::exists(path)) {
        WARN("skipped: ../shared/traces is not here");
        return;
    }
    const nlohmann::json file = parseJson(readFile(path), path.string());
    // OLMoE-1B-7B, layers 0, 7 and 15, five domains: means of ten pairs (moe-balance.md, 1.6).
    Texts texts;
    for (const char* domain : {"arxiv", "book", "c4", "github", "wikipedia"}) {
        for (int half = 0; half < 2; ++half) {
            for (std::size_t layer = 0; layer < 3; ++layer) {
                auto counts = file.at(std::string("olmoe/") + domain)
                                  .at(layer)
                                  .get<std::vector<std::int64_t>>();
                for (std::int64_t& count : counts)
                    count = half == 0 ? count / 2 : count - count / 2;
                if (layer == 0) {
                    texts.add(domain, counts);
                    continue;
                }
                for (std::size_t e = 0; e < counts.size(); ++e)
                    texts.rows.push_back({std::int64_t(texts.sequences.size()) - 1, "prefill",
                                          int(layer), int(e), counts[e]});
            }
        }
    }
    const Specialization s = texts.test(99);
    CHECK(s.layers[0].meanPairwise == Approx(0.095).margin(0.0006));
    CHECK(s.layers[1].meanPairwise == Approx(0.232).margin(0.0006));
    CHECK(s.layers[2].meanPairwise == Approx(0.297).margin(0.0006));
    // "Expert 17 takes 76.96 % of GitHub's tokens": 8 choices a token, and 64 experts.
    CHECK(s.layers[1].probability[3 * 64 + 17] * 8 == Approx(0.7696).margin(0.00006));
}

TEST_CASE("false discovery rates by hand") {
    const std::vector<double> q =
        benjaminiHochberg(std::vector<double>{0.01, 0.04, 0.03, NAN, 0.005});
    CHECK(q[0] == Approx(0.02));
    CHECK(q[1] == Approx(0.04));
    CHECK(q[2] == Approx(0.04));
    CHECK(std::isnan(q[3]));
    CHECK(q[4] == Approx(0.02));
    CHECK(benjaminiHochberg({}).empty());
}
