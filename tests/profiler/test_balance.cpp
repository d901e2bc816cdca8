// SPDX-License-Identifier: Apache-2.0
// Balance metrics against hand-worked fixtures, identities, and published histograms.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/balance.h"
#include "profiler/analysis/statistics.h"

using namespace moescope;
using Counts = std::vector<std::int64_t>;

TEST_CASE("balance of the worked histogram") {
    const Counts counts{8, 4, 3, 1};  // E=4, k=2, T=8, m=4
    const Balance b = balance(counts, 2);
    CHECK(b.tokens == 8);
    CHECK(b.assignments == 16);
    CHECK(b.maxOverMean == Approx(2.0));
    CHECK(b.minOverMax == Approx(0.125));
    CHECK(b.cv == Approx(0.637377).epsilon(1e-6));
    CHECK(b.gini == Approx(0.34375));
    CHECK(b.entropyBits == Approx(1.702820).epsilon(1e-6));
    CHECK(b.normalizedEntropy == Approx(0.851410).epsilon(1e-6));
    CHECK(b.effectiveExperts == Approx(3.255365).epsilon(1e-6));
    CHECK(b.jain == Approx(0.711111).epsilon(1e-6));
    CHECK(b.deadExperts == 0);
}

TEST_CASE("balance of the worked trace") {
    // t0{0,1} t1{0,2} t2{0,1} t3{1,3} t4{0,1} t5{2,3}: counts 4, 4, 2, 2 and m = 3.
    const Counts counts{4, 4, 2, 2};
    const Balance b = balance(counts, 2);
    CHECK(b.tokens == 6);
    CHECK(b.maxOverMean == Approx(4.0 / 3));
    CHECK(b.cv == Approx(1.0 / 3));
    CHECK(b.gini == Approx(1.0 / 6));
}

TEST_CASE("half of the experts dead") {
    const Counts counts{8, 8, 0, 0};
    const Balance b = balance(counts, 2);
    CHECK(b.gini == Approx(0.5));
    CHECK(b.deadExperts == 2);
    CHECK(b.effectiveExperts == Approx(2.0));
    CHECK(b.normalizedEntropy == Approx(0.5));
}

TEST_CASE("an empty layer has no balance rather than a perfect one") {
    const Counts counts(4, 0);
    const Balance b = balance(counts, 2);
    CHECK(b.tokens == 0);
    CHECK(std::isnan(b.maxOverMean));
    CHECK(std::isnan(b.gini));
    CHECK(std::isnan(b.normalizedEntropy));
    CHECK(std::isnan(balanceNull(0, 4, 2).maxOverMean));
    CHECK_THROWS_AS(balance(Counts{1, -1}, 1), Error);
}

TEST_CASE("identities between the metrics hold for random histograms") {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        Counts counts(std::size_t(2 + random() % 200));
        for (auto& count : counts) count = std::int64_t(random() % 1000);
        counts[0] += 1;
        const Balance b = balance(counts, 1);
        CHECK(b.jain == Approx(1 / (1 + b.cv * b.cv)));
        CHECK(b.effectiveExperts == Approx(std::exp2(b.entropyBits)));
        CHECK((b.normalizedEntropy > 0 || counts.size() == 1 || b.effectiveExperts == Approx(1)));
        CHECK(b.maxOverMean >= 1);
        Counts other = counts;
        std::shuffle(other.begin(), other.end(), random);
        for (auto& count : other) count *= 3;
        const Balance scaled = balance(other, 1);  // neither names nor scale of the load matter
        CHECK(scaled.maxOverMean == Approx(b.maxOverMean));
        CHECK(scaled.gini == Approx(b.gini));
        CHECK(scaled.cv == Approx(b.cv));
        CHECK(scaled.normalizedEntropy == Approx(b.normalizedEntropy));
    }
    CHECK(balance(Counts(7, 5), 1).gini == Approx(0).margin(1e-12));
    CHECK(balance(Counts(7, 5), 1).cv == 0);
}

TEST_CASE("chance alone gives the simulated table of max over mean") {
    struct Line {
        std::int64_t tokens;
        double e32k4, e128k4, e128k8, e64k8;
    };
    const Line table[] = {{1, 8.0, 32, 16, 8.0},         {8, 3.26, 8.78, 5.78, 3.66},
                          {32, 2.12, 4.29, 3.14, 2.23},  {64, 1.75, 3.21, 2.45, 1.86},
                          {256, 1.36, 2.01, 1.69, 1.40}, {1024, 1.16, 1.47, 1.35, 1.19},
                          {4096, 1.08, 1.24, 1.17, 1.10}};
    for (const Line& line : table) {
        INFO(line.tokens << " tokens");
        CHECK(balanceNull(line.tokens, 32, 4).maxOverMean == Approx(line.e32k4).epsilon(0.02));
        CHECK(balanceNull(line.tokens, 128, 4).maxOverMean == Approx(line.e128k4).epsilon(0.02));
        CHECK(balanceNull(line.tokens, 128, 8).maxOverMean == Approx(line.e128k8).epsilon(0.02));
        CHECK(balanceNull(line.tokens, 64, 8).maxOverMean == Approx(line.e64k8).epsilon(0.02));
    }
}

TEST_CASE("the normal approximation continues the drawn simulation") {
    for (const auto& [experts, topK] : {std::pair{32, 4}, {128, 4}}) {
        const double drawn = balanceNull(8192, experts, topK).maxOverMean - 1;
        const double normal = balanceNull(8193, experts, topK).maxOverMean - 1;
        CHECK(normal == Approx(drawn).epsilon(0.08));  // of the excess, so 1 % of the ratio itself
        const double larger = balanceNull(4 * 8193, experts, topK).maxOverMean - 1;
        CHECK(larger == Approx(normal / 2).epsilon(0.08));  // shrinks with the square root
    }
}

TEST_CASE("the chance value is reproducible and safe to ask for from threads") {
    const BalanceNull here = balanceNull(77, 16, 2);
    CHECK(here.maxOverMean95 >= here.maxOverMean);
    CHECK(here.deadExperts == Approx(16 * std::pow(1 - 2.0 / 16, 77)));
    CHECK(here.normalizedEntropy < 1);
    CHECK(balanceNull(5, 4, 4).maxOverMean == 1);
    std::vector<BalanceNull> found(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < found.size(); ++i) {
        threads.emplace_back([&found, i] { found[i] = balanceNull(78, 16, 2); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const BalanceNull& value : found) CHECK(value.maxOverMean == found[0].maxOverMean);
}

TEST_CASE("published histograms of OLMoE and Mixtral give the golden values") {
    const std::filesystem::path file =
        std::filesystem::path(MOESCOPE_SOURCE_DIR) / "../shared/traces/olmoe_counts.json";
    if (!std::filesystem::exists(file)) {
        WARN("skipped: " << file << " is absent");
        return;
    }
    const nlohmann::json data = parseJson(readFile(file), file.string());
    struct Line {
        const char* name;
        int layer, topK;
        double maxOverMean, minOverMean, cv, gini, entropy, effective, simpson;
    };
    const Line table[] = {
        {"olmoe/c4", 0, 8, 3.0165, .2996, .3242, .1371, .9897, 61.33, 57.91},
        {"olmoe/c4", 2, 8, 2.4992, .1903, .5124, .2878, .9683, 56.11, 50.69},
        {"olmoe/github", 1, 8, 6.1566, .0127, 1.3489, .5835, .8514, 34.49, 22.70},
        {"olmoe/wikipedia", 2, 8, 4.6507, .0362, 1.3012, .6333, .8293, 31.47, 23.76},
        {"mistral/github", 2, 2, 1.3284, .7390, .1836, .1035, .9919, 7.867, 7.739},
    };
    for (const Line& line : table) {
        INFO(line.name << " " << line.layer);
        const Counts counts = data.at(line.name).at(std::size_t(line.layer)).get<Counts>();
        const Balance b = balance(counts, line.topK);
        CHECK(b.maxOverMean == Approx(line.maxOverMean).margin(6e-5));
        CHECK(b.minOverMax * b.maxOverMean == Approx(line.minOverMean).margin(6e-5));
        CHECK(b.cv == Approx(line.cv).margin(6e-5));
        CHECK(b.gini == Approx(line.gini).margin(6e-5));
        CHECK(b.normalizedEntropy == Approx(line.entropy).margin(6e-5));
        CHECK(b.effectiveExperts == Approx(line.effective).margin(6e-3));
        CHECK(b.jain * double(counts.size()) == Approx(line.simpson).margin(6e-3));
    }
}

TEST_CASE("median and percentile follow their documented definitions") {
    const Counts odd{1, 2, 10}, even{1, 2, 4, 10};
    CHECK(medianOfSorted(odd) == 2);
    CHECK(medianOfSorted(even) == 3);
    CHECK(medianOfSorted({}) == 0);
    Counts hundred(100);
    for (std::size_t i = 0; i < 100; ++i) hundred[i] = std::int64_t(i) + 1;
    CHECK(percentileOfSorted(hundred, 0.95) == 95);
    CHECK(percentileOfSorted(odd, 0.95) == 10);
    CHECK(percentileOfSorted({}, 0.95) == 0);
}
