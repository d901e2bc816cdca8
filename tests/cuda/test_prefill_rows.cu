// SPDX-License-Identifier: Apache-2.0
// What a step of many tokens does row by row, against double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <span>
#include <vector>

#include "engine/backend/cuda/prefill_product.h"
#include "engine/backend/cuda/prefill_rows.h"
#include "engine/backend/routing_rule.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

/// A norm with weights and bias of its own.
struct Norm {
    Norm(NormKind kind, int width)
        : weight(randomFloats(static_cast<std::size_t>(width), 4)),
          bias(randomFloats(static_cast<std::size_t>(width), 5)),
          deviceWeight(weight),
          deviceBias(bias) {
        weights.kind = kind;
        weights.eps = 1e-5F;
        weights.weight = deviceWeight.get();
        if (kind == NormKind::LayerNorm) weights.bias = deviceBias.get();
    }

    /// Of the row of `width` numbers from `x` on.
    std::vector<double> of(const float* x) const {
        const std::size_t width = weight.size();
        double mean = 0, squares = 0;
        if (weights.kind == NormKind::LayerNorm) {
            for (std::size_t i = 0; i < width; ++i) mean += x[i] / static_cast<double>(width);
        }
        for (std::size_t i = 0; i < width; ++i) squares += (x[i] - mean) * (x[i] - mean);
        const double scale =
            1.0 / std::sqrt(squares / static_cast<double>(width) + double{weights.eps});
        std::vector<double> y(width);
        for (std::size_t i = 0; i < width; ++i) {
            const double w = weight[i] + (weights.kind == NormKind::RmsPlusOne ? 1.0 : 0.0);
            y[i] = (x[i] - mean) * scale * w + (weights.bias != nullptr ? bias[i] : 0.0F);
        }
        return y;
    }

    std::vector<float> weight, bias;
    Buffer<float> deviceWeight, deviceBias;
    NormWeights weights;
};

}  // namespace

TEST_CASE("normalised rows lie in the operand order of every format, for any width") {
    constexpr int kRows = 2;
    for (const WeightFormat format : kFormats) {
        for (const int width : {96, 2120, 37}) {
            for (const auto kind : {NormKind::Rms, NormKind::RmsPlusOne, NormKind::LayerNorm}) {
                for (const bool low : {false, true}) {
                    INFO("format " << static_cast<int>(format) << ", width " << width << ", norm "
                                   << static_cast<int>(kind) << ", low " << low);
                    const std::vector<float> rows =
                        randomFloats(static_cast<std::size_t>(kRows) * width, 6);
                    const Buffer<float> in(rows);
                    const Norm norm(kind, width);
                    const Operand out(format, kRows, width, low);
                    normToOperand({in.get(), norm.weights, kRows, width, out.rows()}, nullptr);
                    std::vector<double> expected;
                    for (int r = 0; r < kRows; ++r) {
                        const std::vector<double> y = norm.of(rows.data() + r * width);
                        expected.insert(expected.end(), y.begin(), y.end());
                    }
                    // Eight bits of mantissa, or sixteen.
                    CHECK(errorNorm(out.read(), expected) < (low ? 1e-5 : 3e-3));
                }
            }
        }
    }
}

TEST_CASE("a router's kernel normalises tokens, multiplies them and chooses their experts") {
    struct Case {
        WeightFormat format;
        NormKind norm;
        int experts, topK, width, tokens;
    };
    // Blocks of 8 tokens, and of 16 where the 3 multiprocessors of the emulator have too many.
    for (const Case c : {Case{WeightFormat::Bf16Pair, NormKind::Rms, 32, 4, 672, 21},
                         {WeightFormat::Bf16Pair, NormKind::LayerNorm, 60, 3, 104, 30},
                         {WeightFormat::Bf16, NormKind::RmsPlusOne, 5, 5, 72, 9},
                         {WeightFormat::Bf16, NormKind::Rms, 512, 8, 128, 26}}) {
        INFO(c.experts << " experts, width " << c.width << ", " << c.tokens << " tokens");
        const std::vector<float> hidden =
            randomFloats(static_cast<std::size_t>(c.tokens) * c.width, 9);
        const std::vector<float> bias = randomFloats(static_cast<std::size_t>(c.experts), 10);
        const Norm norm(c.norm, c.width);
        const Weights weights(c.format, 1, c.experts, c.width, 11);
        const auto slots = static_cast<std::size_t>(c.tokens * c.topK);
        const Buffer<float> in(hidden), biases(bias), gates(slots);
        const Buffer<std::int32_t> chosen(slots);
        const Operand normed(WeightFormat::Mxfp4, c.tokens, c.width, true);
        REQUIRE(routesTokens(weights.matrix()));
        RouteTokens r;
        r.hidden = in.get();
        r.norm = norm.weights;
        r.weights = weights.matrix();
        r.bias = biases.get();
        r.rule = {RoutingRule::TopKThenSoftmax, c.experts, c.topK};
        r.tokens = c.tokens;
        r.width = c.width;
        r.normed = normed.rows();
        r.experts = chosen.get();
        r.gateWeights = gates.get();
        routeTokens(r, deviceLimits().multiprocessors, nullptr);

        std::vector<double> all, expectedGates;
        std::vector<std::int32_t> expected(slots);
        for (int t = 0; t < c.tokens; ++t) {
            const std::vector<double> y = norm.of(hidden.data() + t * c.width);
            all.insert(all.end(), y.begin(), y.end());
            std::vector<float> logits(static_cast<std::size_t>(c.experts));
            for (int e = 0; e < c.experts; ++e) {
                double sum = bias[static_cast<std::size_t>(e)];
                for (int i = 0; i < c.width; ++i)
                    sum += weights.at(0, e, i) * y[static_cast<std::size_t>(i)];
                logits[static_cast<std::size_t>(e)] = static_cast<float>(sum);
            }
            std::vector<float> gatesOfToken(static_cast<std::size_t>(c.topK));
            moescope::chooseExperts(
                r.rule.rule, logits,
                std::span(expected).subspan(static_cast<std::size_t>(t * c.topK), c.topK),
                gatesOfToken);
            expectedGates.insert(expectedGates.end(), gatesOfToken.begin(), gatesOfToken.end());
        }
        CHECK(chosen.read() == expected);
        // Logits of up to a hundred with 16 bits of mantissa.
        CHECK(errorNorm(gates.read(), expectedGates) < 1e-3);
        CHECK(errorNorm(normed.read(), all) < 1e-5);
    }
}

TEST_CASE("there is a router's kernel for weights of bf16 and of pairs, eight columns at a time") {
    DeviceMatrix weights;
    weights.rows = 8;
    weights.cols = 40;
    for (const WeightFormat format : kFormats) {
        weights.format = format;
        CHECK(routesTokens(weights) ==
              (format == WeightFormat::Bf16 || format == WeightFormat::Bf16Pair));
    }
    weights.format = WeightFormat::Bf16;
    weights.cols = 36;
    CHECK_FALSE(routesTokens(weights));
}

TEST_CASE("activated rows lie in the operand order of every format, for any width") {
    for (const WeightFormat format : kFormats) {
        for (const int width : {160, 37}) {
            const std::vector<float> rows = randomFloats(2 * static_cast<std::size_t>(width), 8);
            const Buffer<float> in(rows);
            const Operand out(format, 2, width, true);
            activateRows({in.get(), Activation::Silu, 2, width, out.rows()}, nullptr);
            std::vector<double> expected;
            for (const double x : rows) expected.push_back(x / (1.0 + std::exp(-x)));
            CHECK(errorNorm(out.read(), expected) < 1e-5);
        }
    }
}

TEST_CASE("a token's products are weighted, summed and added, for any width and number of them") {
    constexpr int kTokens = 3;
    for (const int width : {8, 1100, 37}) {
        for (const int topK : {1, 4, 9}) {
            for (const bool add : {false, true}) {
                INFO("width " << width << ", " << topK << " products, add " << add);
                const auto slots = static_cast<std::size_t>(kTokens * topK);
                const std::vector<float> products = randomFloats(slots * width, 1);
                const std::vector<float> weights = randomFloats(slots, 2);
                const std::vector<float> before =
                    randomFloats(static_cast<std::size_t>(kTokens) * width, 3);
                const Buffer<float> in(products), factors(weights);
                const Buffer<float> out =
                    add ? Buffer<float>(before) : Buffer<float>(before.size());
                combineExperts({in.get(), factors.get(), kTokens, topK, width, out.get(), add},
                               nullptr);
                std::vector<double> expected(before.size());
                for (std::size_t i = 0; i < expected.size(); ++i) {
                    const std::size_t token = i / width;
                    expected[i] = add ? before[i] : 0.0;
                    for (std::size_t k = token * topK; k < (token + 1) * topK; ++k)
                        expected[i] += double{weights[k]} * products[k * width + i % width];
                }
                CHECK(errorNorm(out.read(), expected) < 1e-6);  // sums of ten float32 numbers
            }
        }
    }
}
