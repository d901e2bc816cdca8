// SPDX-License-Identifier: Apache-2.0
// Log-probabilities against the plain formula in long double, at every length of the vector tail.
#include "engine/run/logits.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace moescope;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

long double plainLogProbability(const std::vector<float>& logits, std::size_t token) {
    const long double largest = *std::max_element(logits.begin(), logits.end());
    long double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<long double>(x) - largest);
    return logits[token] - largest - std::log(sum);
}

}  // namespace

TEST_CASE("log-probabilities agree with the formula in long double") {
    std::mt19937 random(5);
    for (const float spread : {0.01F, 1.0F, 8.0F, 300.0F, 3e5F}) {
        std::normal_distribution<float> normal(-3.0F, spread);
        for (std::size_t n : {1U, 2U, 7U, 8U, 9U, 15U, 16U, 17U, 100U, 5003U}) {
            std::vector<float> logits(n);
            for (float& x : logits) x = normal(random);
            if (n > 4) logits[n / 2] = -kInfinity;
            const auto token = static_cast<TokenId>(n - 1);
            const auto expected = plainLogProbability(logits, n - 1);
            CAPTURE(spread, n);
            const double found = logProbability(logits, token);
            CHECK(std::abs(found - static_cast<double>(expected)) <=
                  4e-15 * std::max(1.0, std::abs(static_cast<double>(expected))));
            const auto first = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) -
                                                    logits.begin());
            CHECK(mostLikely(logits) == first);
            const LogitsSummary summary = summarize(logits);
            CHECK(logProbability(summary, logits[n - 1]) == found);
            CHECK(summary.likeliest == first);
        }
    }
}

TEST_CASE("equal logits give one over the vocabulary and the lowest id") {
    const std::vector<float> logits(1000, 2.5F);
    CHECK(logProbability(logits, 999) == Approx(-std::log(1000.0)).epsilon(1e-15));
    CHECK(mostLikely(logits) == 0);
    CHECK(summarize(logits).likeliest == 0);
    CHECK(summarize(logits).logSum == Approx(std::log(1000.0)).epsilon(1e-15));
}

TEST_CASE("logits that are not finite are refused wherever they stand") {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
        for (std::size_t at = 0; at < 19; ++at) {
            std::vector<float> logits(19, 1.0F);
            logits[at] = bad;
            CAPTURE(bad, at);
            CHECK_THROWS_AS(mostLikely(logits), Error);
            CHECK_THROWS_AS(logProbability(logits, 3), Error);
        }
    }
    CHECK_THROWS_AS(mostLikely(std::vector<float>(9, -kInfinity)), Error);
    std::vector<float> own(19, 1.0F);
    own[3] = -kInfinity;
    CHECK_THROWS_AS(logProbability(own, 3), Error);
    CHECK(logProbability(own, 4) == Approx(-std::log(18.0)));
}
