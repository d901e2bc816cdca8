// SPDX-License-Identifier: Apache-2.0
// What a step of many tokens does row by row, against double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "engine/backend/cuda/prefill_rows.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::Bf16, WeightFormat::Bf16Pair, WeightFormat::Q8_0,
                                     WeightFormat::Mxfp4};

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
