// SPDX-License-Identifier: Apache-2.0
// Prefill's attention against plain loops in double.
#include <catch2/catch.hpp>

#include <algorithm>

#include "engine/backend/kv_layout.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

struct Case {
    int headDim, nHead, nKvHead, tokens, position, window, cacheRows;
    bool sinks, low;
    WeightFormat format = WeightFormat::Bf16;
};

/// Error norm; the cache holds NaN wherever no token sees it.
double attentionError(const Case& c) {
    const int width = c.nKvHead * c.headDim;
    const auto size = static_cast<std::size_t>(c.cacheRows) * width;
    std::vector<std::uint16_t> keys(size, 0xFFFF), values(size, 0xFFFF);
    std::mt19937 random(4);
    std::normal_distribution<float> normal;
    const int end = c.position + c.tokens;
    for (int p = firstVisible(c.position, c.window); p < end; ++p) {
        for (int i = 0; i < width; ++i) {
            const std::size_t at = static_cast<std::size_t>(p % c.cacheRows) * width + i;
            keys[at] = floatToHalf(normal(random));
            values[at] = floatToHalf(normal(random));
        }
    }
    const int stride = c.nHead * c.headDim + 8;
    const auto queries = randomFloats(static_cast<std::size_t>(c.tokens) * stride, 5, 2.0F);
    const auto sinks = randomFloats(static_cast<std::size_t>(c.nHead), 6, 2.0F);
    const Buffer<std::uint16_t> deviceKeys(keys), deviceValues(values);
    const Buffer<float> deviceQueries(queries), deviceSinks(sinks);
    const Operand out(c.format, c.tokens, c.nHead * c.headDim, c.low);
    PrefillAttention a;
    a.queries = deviceQueries.get();
    a.queryStride = stride;
    a.sinks = c.sinks ? deviceSinks.get() : nullptr;
    a.window = c.window;
    a.nHead = c.nHead;
    a.nKvHead = c.nKvHead;
    a.headDim = c.headDim;
    a.scale = 1.0F / std::sqrt(static_cast<float>(c.headDim));
    a.out = out.rows();
    a.runCount = 1;
    a.runs[0] = {deviceKeys.get(), deviceValues.get(), c.cacheRows, 0, c.tokens, c.position};
    prefillAttention(a, nullptr);

    std::vector<double> expected;
    for (int t = 0; t < c.tokens; ++t) {
        for (int h = 0; h < c.nHead; ++h) {
            const float* const q = queries.data() + t * stride + h * c.headDim;
            const int offset = h / (c.nHead / c.nKvHead) * c.headDim;
            double sum = c.sinks ? std::exp(double{sinks[h]}) : 0.0;
            std::vector<double> total(static_cast<std::size_t>(c.headDim));
            for (int p = firstVisible(c.position + t, c.window); p <= c.position + t; ++p) {
                const std::size_t row = static_cast<std::size_t>(p % c.cacheRows) * width + offset;
                double score = 0.0;
                for (int i = 0; i < c.headDim; ++i) {
                    score += double{q[i]} * halfToFloat(keys[row + i]);
                }
                const double weight = std::exp(score * a.scale);
                sum += weight;
                for (int i = 0; i < c.headDim; ++i) {
                    total[i] += weight * halfToFloat(values[row + i]);
                }
            }
            for (const double x : total) expected.push_back(x / sum);
        }
    }
    return errorNorm(out.read(), expected);
}

}  // namespace

TEST_CASE("attention of every head size matches plain loops") {
    for (const int headDim : {8, 16, 20, 32, 64, 80, 96, 128, 256}) {
        INFO("head size " << headDim);
        CHECK(attentionError({headDim, 4, 2, 7, 70, 0, 90, true, true}) < 1e-4);
    }
}

TEST_CASE("attention without low parts stays within bf16") {
    for (const int headDim : {20, 64}) {
        INFO("head size " << headDim);
        CHECK(attentionError({headDim, 4, 2, 21, 50, 0, 90, true, false}) < 1e-2);
    }
}

TEST_CASE("attention from the first token on, in several blocks, sees no later token") {
    CHECK(attentionError({32, 8, 1, 37, 0, 0, 37, false, true}) < 1e-4);
    CHECK(attentionError({32, 1, 1, 150, 0, 0, 150, false, true}) < 1e-4);
}

TEST_CASE("attention through a window reads the ring and skips what has left it") {
    // A ring of window - 1 + tokens rows, which the positions have gone round more than once.
    CHECK(attentionError({64, 8, 2, 45, 301, 24, 24 - 1 + 45, true, true}) < 1e-4);
    CHECK(attentionError({16, 2, 2, 140, 10, 9, 9 - 1 + 140, true, true}) < 1e-4);
    CHECK(attentionError({20, 2, 1, 9, 40, 5, 5 - 1 + 9, true, true}) < 1e-4);
}

TEST_CASE("attention takes groups of heads that do not divide its rows") {
    CHECK(attentionError({16, 7, 1, 40, 3, 0, 43, false, true}) < 1e-4);
    CHECK(attentionError({32, 72, 1, 3, 3, 0, 8, true, true}) < 1e-4);
}

TEST_CASE("attention writes the order of the format that reads it") {
    for (const WeightFormat format : {WeightFormat::Q8_0, WeightFormat::Mxfp4}) {
        CHECK(attentionError({32, 3, 3, 5, 9, 0, 16, false, true, format}) < 1e-4);
        CHECK(attentionError({16, 3, 1, 5, 9, 0, 16, false, true, format}) < 1e-4);
        CHECK(attentionError({64, 2, 1, 5, 9, 0, 16, false, true, format}) < 1e-4);
    }
}

TEST_CASE("attention writes nothing behind its rows, whosoever has made them so long") {
    // Rows as long as 160 columns of bf16 need, which cut a chunk of MXFP4.
    constexpr int kStride = 160, kWidth = 128, kTokens = 3;
    constexpr std::uint16_t kUntouched = 0xABCD;
    for (const int headDim : {8, 32}) {
        INFO("head size " << headDim);
        const auto queries = randomFloats(kTokens * kWidth, 7);
        const Buffer<float> deviceQueries(queries);
        const Buffer<std::uint16_t> cache(std::vector<std::uint16_t>(
            static_cast<std::size_t>(kTokens) * headDim, floatToHalf(1.0F)));
        const Buffer<std::uint16_t> out(
            std::vector<std::uint16_t>((kTokens + 1) * kStride, kUntouched));
        PrefillAttention a;
        a.queries = deviceQueries.get();
        a.queryStride = kWidth;
        a.nHead = kWidth / headDim;
        a.nKvHead = 1;
        a.headDim = headDim;
        a.scale = 1.0F;
        a.out = {out.get(), nullptr, kStride, WeightFormat::Mxfp4};
        a.runCount = 1;
        a.runs[0] = {cache.get(), cache.get(), kTokens, 0, kTokens, 0};
        prefillAttention(a, nullptr);
        const std::vector<std::uint16_t> rows = out.read();
        for (int t = 0; t < kTokens; ++t) {
            // All values are one, so that all weighted sums are.
            const auto row = rows.begin() + t * kStride;
            CHECK(std::all_of(row, row + kWidth,
                              [](std::uint16_t x) { return x == floatToBf16(1.0F); }));
        }
        CHECK(std::all_of(rows.begin() + kTokens * kStride, rows.end(),
                          [](std::uint16_t x) { return x == kUntouched; }));
    }
}
