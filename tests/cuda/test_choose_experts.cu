// SPDX-License-Identifier: Apache-2.0
// The router's choice on the device.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/backend/cuda/prefill_rows.h"
#include "engine/backend/routing_rule.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

struct Chosen {
    std::vector<std::int32_t> experts;
    std::vector<float> weights;
};

Chosen choose(const std::vector<float>& values, RouterRule rule) {
    const auto tokens = static_cast<std::int32_t>(values.size()) / rule.nExpert;
    const auto count = static_cast<std::size_t>(tokens * rule.topK);
    const Buffer<float> logits(values);
    const Buffer<std::int32_t> experts(count);
    const Buffer<float> weights(count);
    chooseExperts({logits.get(), rule, tokens, experts.get(), weights.get()}, nullptr);
    return {experts.read(), weights.read()};
}

}  // namespace

TEST_CASE("the device chooses the experts and weights of the routing rule, whatever their number") {
    struct Case {
        int experts, topK;
    };
    constexpr int kTokens = 11;
    for (const Case c : {Case{1, 1}, {5, 3}, {32, 4}, {60, 8}, {128, 8}, {300, 16}, {512, 2}}) {
        std::vector<float> logits =
            randomFloats(static_cast<std::size_t>(kTokens) * c.experts, 7, 3.0F);
        // Logits in steps of a half: many are equal.
        for (float& x : logits) x = std::round(2 * x) / 2;
        for (const auto rule : {RoutingRule::TopKThenSoftmax, RoutingRule::SoftmaxThenTopK}) {
            INFO(c.experts << " experts, " << c.topK << " of them");
            const Chosen chosen = choose(logits, {rule, c.experts, c.topK});
            for (int t = 0; t < kTokens; ++t) {
                std::vector<std::int32_t> experts(static_cast<std::size_t>(c.topK));
                std::vector<float> weights(experts.size());
                moescope::chooseExperts(
                    rule,
                    std::span(logits).subspan(static_cast<std::size_t>(t) * c.experts, c.experts),
                    experts, weights);
                for (int k = 0; k < c.topK; ++k) {
                    const auto at = static_cast<std::size_t>(t * c.topK + k);
                    CHECK(chosen.experts[at] == experts[k]);
                    // Exponentials and the sum of up to 512 of them in float32.
                    CHECK(chosen.weights[at] == Approx(weights[k]).epsilon(1e-5));
                }
            }
        }
    }
}

TEST_CASE(
    "what is not a number is chosen last, as negative infinity is, and shows in the weights") {
    const std::vector<float> logits{NAN, -INFINITY, 2.0F, -0.0F, 0.0F, -NAN};
    const Chosen three = choose(logits, {RoutingRule::TopKThenSoftmax, 6, 3});
    CHECK(three.experts == std::vector<std::int32_t>{2, 3, 4});
    CHECK(three.weights[1] == three.weights[2]);
    const Chosen all = choose(logits, {RoutingRule::TopKThenSoftmax, 6, 6});
    CHECK(all.experts == std::vector<std::int32_t>{2, 3, 4, 0, 1, 5});
    CHECK(std::isnan(all.weights[3]));
    const Chosen spoilt = choose(logits, {RoutingRule::SoftmaxThenTopK, 6, 3});
    CHECK(std::isnan(spoilt.weights[0]));
}

TEST_CASE("experts of negative infinity are chosen once each, with no weight") {
    std::vector<float> logits(70, -INFINITY);
    logits[65] = 1.0F;
    const Chosen chosen = choose(logits, {RoutingRule::TopKThenSoftmax, 70, 4});
    CHECK(chosen.experts == std::vector<std::int32_t>{65, 0, 1, 2});
    CHECK(chosen.weights == std::vector<float>{1.0F, 0.0F, 0.0F, 0.0F});
}
