// SPDX-License-Identifier: Apache-2.0
// Differences of two runs and their noise test against values worked by hand.
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

#include "profiler/analysis/run_difference.h"

using namespace moescope;

namespace {

struct Run {
    std::vector<StepRow> steps;
    OperationColumns operations;
};

/// `n` decode steps from `position` on; experts and step times by index.
Run runOf(int n, int position, const std::function<std::int64_t(int)>& expertsNs,
          const std::function<std::int64_t(int)>& stepNs) {
    Run run;
    for (int i = 0; i < n; ++i)
        run.steps.push_back({i, 0, "decode", position + i, 1, i * 1000, i * 1000 + stepNs(i)});
    OperationCollector collector(run.steps);
    for (int i = 0; i < n; ++i)
        collector.add({i, i, 0, "experts", "k", i * 1000, i * 1000 + expertsNs(i), 0, 0, 1});
    run.operations = collector.take();
    return run;
}

RunDifference differenceOf(const Run& base, const Run& other) {
    return runDifference({base.steps, base.operations}, {other.steps, other.operations});
}

}  // namespace

TEST_CASE("the same steps are compared pair by pair and the p value is exact") {
    const auto alternating = [](int i) { return std::int64_t{100 + 20 * (i % 2)}; };
    const Run base = runOf(8, 5, alternating, [](int) { return 200; });
    const Run other = runOf(
        8, 5, [&](int i) { return alternating(i) + 2; },
        [](int i) { return std::int64_t{200 + (i % 2 == 0 ? 1 : -1)}; });
    const RunDifference d = differenceOf(base, other);
    REQUIRE(d.phases.size() == 1);
    CHECK(d.phases[0].paired);
    CHECK(d.phases[0].pairs == 8);
    CHECK(d.phases[0].blocks == 8);
    REQUIRE(d.rows.size() == 2);
    CHECK(d.rows[0].op.empty());  // the whole step: +1 and -1 in turn
    CHECK(d.rows[0].difference == Approx(0).margin(1e-12));
    CHECK(d.rows[0].p == 1);
    CHECK_FALSE(d.rows[0].real());
    CHECK(d.rows[1].op == "experts");
    CHECK(d.rows[1].baseNs == Approx(110));
    CHECK(d.rows[1].difference == Approx(2));
    CHECK(d.rows[1].low == Approx(2));
    CHECK(d.rows[1].high == Approx(2));
    CHECK(d.rows[1].p == Approx(2.0 / 256));  // all signs as they are, or all flipped
    CHECK(d.rows[1].q == Approx(4.0 / 256));
    CHECK(d.rows[1].real());
}

TEST_CASE("one slow block does not hide that every block is slower") {
    const Run base = runOf(
        6, 0, [](int) { return std::int64_t{100}; }, [](int) { return 900; });
    const Run other = runOf(
        6, 0, [](int i) { return std::int64_t{i == 5 ? 200 : 101 + i}; }, [](int) { return 900; });
    const RunDifference d = differenceOf(base, other);  // 1, 2, 3, 4, 5 and 100 slower
    REQUIRE(d.rows.size() == 2);
    CHECK(d.rows[1].difference == Approx(115.0 / 6));
    CHECK(d.rows[1].p == Approx(2.0 / 64));
    // Of 64 subsets 1.6 make 2.5 %: the empty one and the smallest mean, that of the 1 alone.
    CHECK(d.rows[1].low == 1);
    CHECK(d.rows[1].high == 100);

    // 20 blocks, subsets drawn: the interval agrees with the p value.
    const Run many = runOf(
        40, 0, [](int i) { return std::int64_t{i == 39 ? 5000 : 110 + i % 7}; },
        [](int) { return 900; });
    const Run steady = runOf(
        40, 0, [](int) { return std::int64_t{100}; }, [](int) { return 900; });
    const DifferenceRow row = differenceOf(steady, many).rows[1];
    CHECK(row.p == Approx(2e-4));
    CHECK(row.low > 10);
    CHECK(row.low < row.difference);
    CHECK(row.high > row.difference);
}

TEST_CASE("other steps are compared as two samples") {
    const Run base = runOf(
        10, 0, [](int i) { return std::int64_t{100 + i * 37 % 11}; }, [](int) { return 300; });
    const Run other = runOf(
        10, 500, [](int i) { return std::int64_t{150 + i * 37 % 11}; }, [](int) { return 300; });
    const RunDifference d = differenceOf(base, other);
    CHECK_FALSE(d.phases[0].paired);
    REQUIRE(d.rows.size() == 2);
    CHECK(d.rows[1].difference == Approx(50));
    // The values 0 to 10 but 7 over the least: variance 11.7333. 5 % of the seeded deals are beyond
    // 2.2076 standard errors (Student's t with 18 degrees, of continuous values: 2.1009).
    const double error = std::sqrt(2 * 11.733333 / 10);
    CHECK(d.rows[1].high - 50 == Approx(2.2076 * error).epsilon(1e-4));
    CHECK(d.rows[1].p < 0.001);
    CHECK(d.rows[0].p == 1);
    CHECK(d.rows[0].low == 0);
}

TEST_CASE("neighbouring steps form blocks, and too few are not tested") {
    const auto ns = [](int i) { return std::int64_t{100 + i}; };
    const RunDifference many = differenceOf(runOf(45, 0, ns, ns), runOf(45, 0, ns, ns));
    CHECK(many.phases[0].blocks == 20);
    CHECK(many.rows[0].p == 1);
    const RunDifference few = differenceOf(runOf(3, 0, ns, ns), runOf(3, 0, ns, ns));
    CHECK(std::isnan(few.rows[0].p));
    CHECK(std::isnan(few.rows[0].q));
    CHECK_FALSE(few.rows[0].real());
}

TEST_CASE("an operation that only one run has is shown and not tested") {
    const auto ns = [](int) { return std::int64_t{100}; };
    Run other = runOf(8, 0, ns, ns);
    other.operations.opNames[0] = "mlp";
    const RunDifference d = differenceOf(runOf(8, 0, ns, ns), other);
    REQUIRE(d.rows.size() == 3);
    for (const DifferenceRow& row : d.rows) {
        if (row.op.empty()) continue;
        CHECK(std::isnan(row.difference));
        CHECK(std::isnan(row.p));
    }
}

TEST_CASE("runs without a difference seldom show one") {
    // A hundred pairs of runs of the same noise: about 5 % of the whole-step rows reach p 0.05.
    std::uint64_t state = 1;
    const auto noise = [&](int) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        return std::int64_t(400 + (state >> 33U) % 100);
    };
    int found = 0;
    for (int trial = 0; trial < 100; ++trial) {
        const RunDifference d =
            differenceOf(runOf(24, 0, noise, noise), runOf(24, 0, noise, noise));
        found += d.rows[0].p < 0.05 ? 1 : 0;
    }
    CHECK(found <= 12);  // binomial(100, 0.05): 12 or fewer in 998 of 1000
}

TEST_CASE("a short noisy run beside a long one is noise as often as it should be") {
    std::uint64_t state = 7;
    const auto noise = [&](int) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        const double even = (double(state >> 33U) + 1) / 2147483649.0;
        return std::int64_t(400'000 - 50'000 * std::log(even));  // a long tail, as delays have
    };
    int found = 0, apart = 0;
    for (int trial = 0; trial < 100; ++trial) {
        const RunDifference d =
            differenceOf(runOf(8, 0, noise, noise), runOf(600, 5000, noise, noise));
        const DifferenceRow& row = d.rows[0];
        found += row.p < 0.05 ? 1 : 0;
        apart += (row.p <= 0.05) != (row.low > 0 || row.high < 0) ? 1 : 0;
    }
    CHECK(found <= 12);  // binomial(100, 0.05): 12 or fewer in 998 of 1000
    CHECK(apart == 0);   // the interval and p say the same
}

TEST_CASE("the sentence of a phase counts one step as one") {
    CHECK(phaseSentence({"decode", 1, 1, true, 1, 1}) ==
          "decode: 1 step compared pair by pair, 1 block: too few to test");
    CHECK(phaseSentence({"decode", 2, 1, false, 0, 20}) ==
          "decode: 2 steps against 1 other one, 20 blocks");
}
