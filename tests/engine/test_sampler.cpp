// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "engine/run/sampler.h"

using namespace moescope;

namespace {

/// Probabilities 0.5, 0.25, 0.125, 0.125 in scrambled order.
const std::vector<float> kLogits{std::log(0.125F), std::log(0.5F), std::log(0.125F),
                                 std::log(0.25F)};

SamplingOptions warm() {
    SamplingOptions options;
    options.temperature = 1.0;
    options.seed = 7;
    return options;
}

std::map<TokenId, double> frequencies(const SamplingOptions& options,
                                      const std::vector<float>& logits) {
    constexpr int kDraws = 20000;
    Sampler sampler(options);
    std::map<TokenId, double> share;
    for (int i = 0; i < kDraws; ++i) share[sampler.sample(logits)] += 1.0 / kDraws;
    return share;
}

}  // namespace

TEST_CASE("greedy takes the largest logit and the lowest id of a tie") {
    Sampler sampler({});
    CHECK(sampler.sample(kLogits) == 1);
    CHECK(sampler.sample(std::vector<float>{1, 3, 3, 2}) == 1);
    CHECK(sampler.sample(std::vector<float>{-INFINITY, -5}) == 1);
}

TEST_CASE("temperature one draws with the model's probabilities") {
    const auto share = frequencies(warm(), kLogits);
    CHECK(share.at(1) == Approx(0.5).margin(0.015));
    CHECK(share.at(3) == Approx(0.25).margin(0.015));
    CHECK(share.at(0) == Approx(0.125).margin(0.01));
    CHECK(share.at(2) == Approx(0.125).margin(0.01));
}

TEST_CASE("a low temperature sharpens") {
    SamplingOptions options = warm();
    options.temperature = 0.5;  // squares: 16 : 4 : 1 : 1
    CHECK(frequencies(options, kLogits).at(1) == Approx(16.0 / 22).margin(0.015));
}

TEST_CASE("top-k keeps the likeliest and renormalises") {
    SamplingOptions options = warm();
    options.topK = 2;
    const auto share = frequencies(options, kLogits);
    REQUIRE(share.size() == 2);
    CHECK(share.at(1) == Approx(2.0 / 3).margin(0.015));
    options.topK = 3;  // of the two at 0.125 the lower id stays
    CHECK(frequencies(options, kLogits).count(2) == 0);
}

TEST_CASE("top-p keeps the smallest set that reaches the mass") {
    SamplingOptions options = warm();
    options.topP = 0.5;
    CHECK(frequencies(options, kLogits).size() == 1);
    options.topP = 0.51;
    CHECK(frequencies(options, kLogits).size() == 2);
    options.topP = 1e-9;
    CHECK(frequencies(options, kLogits).size() == 1);
    // After top-k 2 the masses are 2/3 and 1/3.
    options.topK = 2;
    options.topP = 0.66;
    CHECK(frequencies(options, kLogits).size() == 1);
}

TEST_CASE("min-p drops what is small beside the likeliest") {
    SamplingOptions options = warm();
    options.minP = 0.3;
    CHECK(frequencies(options, kLogits).size() == 2);
    options.minP = 0.2;
    CHECK(frequencies(options, kLogits).size() == 4);
    options.topP = 0.9;
    options.minP = 0.3;
    CHECK(frequencies(options, kLogits).size() == 2);
}

TEST_CASE("top-p over a large flat vocabulary keeps the right number") {
    const std::vector<float> flat(1000, 0.25F);
    SamplingOptions options = warm();
    options.topP = 0.25;
    Sampler sampler(options);
    std::set<TokenId> seen;
    for (int i = 0; i < 20000; ++i) seen.insert(sampler.sample(flat));
    CHECK(seen.size() == 250);
    CHECK(*seen.rbegin() == 249);
}

TEST_CASE("a seed fixes the sequence and another seed changes it") {
    const auto draw = [](std::uint64_t seed) {
        SamplingOptions options = warm();
        options.seed = seed;
        Sampler sampler(options);
        std::vector<TokenId> tokens;
        for (int i = 0; i < 64; ++i) tokens.push_back(sampler.sample(kLogits));
        return tokens;
    };
    CHECK(draw(1) == draw(1));
    CHECK(draw(1) != draw(2));
}

TEST_CASE("no seed gives another seed's draws shifted") {
    const auto draw = [](std::uint64_t seed) {
        SamplingOptions options = warm();
        options.seed = seed;
        Sampler sampler(options);
        std::vector<TokenId> tokens;
        for (int i = 0; i < 64; ++i) tokens.push_back(sampler.sample(kLogits));
        return tokens;
    };
    const auto first = draw(5);
    const auto second = draw(5 + 0x9E3779B97F4A7C15ULL);
    CHECK_FALSE(std::equal(first.begin() + 1, first.end(), second.begin()));
}

TEST_CASE("options out of range are refused") {
    const auto refused = [](auto change) {
        SamplingOptions options;
        change(options);
        CHECK_THROWS_AS(Sampler(options), UsageError);
    };
    refused([](SamplingOptions& o) { o.temperature = -0.1; });
    refused([](SamplingOptions& o) { o.temperature = NAN; });
    refused([](SamplingOptions& o) { o.temperature = INFINITY; });
    refused([](SamplingOptions& o) { o.topK = -1; });
    refused([](SamplingOptions& o) { o.topP = 0.0; });
    refused([](SamplingOptions& o) { o.topP = 1.01; });
    refused([](SamplingOptions& o) { o.topP = NAN; });
    refused([](SamplingOptions& o) { o.minP = -0.1; });
    refused([](SamplingOptions& o) { o.minP = 1.1; });
}

TEST_CASE("options that greedy choices would ignore are refused") {
    const auto refused = [](double temperature, auto change) {
        SamplingOptions options;
        options.temperature = temperature;
        change(options);
        try {
            const Sampler sampler(options);
        } catch (const UsageError&) {
            return true;
        }
        return false;
    };
    const auto topK = [](SamplingOptions& o) { o.topK = 3; };
    const auto topP = [](SamplingOptions& o) { o.topP = 0.9; };
    const auto minP = [](SamplingOptions& o) { o.minP = 0.1; };
    const auto off = [](SamplingOptions& o) { o.topP = 1.0; };
    CHECK(refused(0, topK));
    CHECK(refused(0, topP));
    CHECK(refused(0, minP));
    CHECK_FALSE(refused(0.5, topK));
    CHECK_FALSE(refused(0, off));
}

TEST_CASE("logits that are not finite are an error and no token") {
    for (const float bad : {float{NAN}, float{INFINITY}}) {
        Sampler greedy({});
        Sampler random(warm());
        CHECK_THROWS_AS(greedy.sample(std::vector<float>{0, bad, 1}), Error);
        CHECK_THROWS_AS(random.sample(std::vector<float>{bad, 0, 1}), Error);
    }
    Sampler greedy({});
    CHECK_THROWS_AS(greedy.sample(std::vector<float>{-INFINITY, -INFINITY}), Error);
}

TEST_CASE("a rule has a temperature whose products with a logarithm are finite") {
    SamplingOptions options = warm();
    options.temperature = 1e300;
    Sampler sampler(options);
    CHECK(std::isfinite(100 * sampler.rule().temperature));
    CHECK(sampler.rule().draw == 1);
}
