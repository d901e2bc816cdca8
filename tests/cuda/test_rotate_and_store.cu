// SPDX-License-Identifier: Apache-2.0
// Norms of heads, rotation and the cache, against double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "engine/backend/cuda/decode.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

constexpr int kTokens = 2, kHeads = 5, kKvHeads = 2, kRows = 4, kPosition = 3;

/// A head after its norm and its rotation.
std::vector<double> turned(const float* x, int headDim, const NormWeights* norm,
                           const std::vector<float>& weight, RopePairing pairing,
                           const std::vector<float2>& angles, int token) {
    std::vector<double> y(x, x + headDim);
    if (norm != nullptr) {
        double mean = 0, squares = 0;
        if (norm->kind == NormKind::LayerNorm) {
            for (const double v : y) mean += v / headDim;
        }
        for (const double v : y) squares += (v - mean) * (v - mean);
        for (int i = 0; i < headDim; ++i) {
            y[i] = (y[i] - mean) / std::sqrt(squares / headDim + double{norm->eps}) *
                   (weight[i] + (norm->kind == NormKind::RmsPlusOne ? 1.0 : 0.0));
        }
    }
    const int half = headDim / 2;
    for (int i = 0; i < half; ++i) {
        const bool split = pairing == RopePairing::HalfSplit;
        double& a = y[split ? i : 2 * i];
        double& b = y[split ? i + half : 2 * i + 1];
        const float2 angle = angles[token * half + i];
        const double turnedA = a * angle.x - b * angle.y;
        b = b * angle.x + a * angle.y;
        a = turnedA;
    }
    return y;
}

void checkHeads(int headDim, RopePairing pairing, QkNorm qkNorm, NormKind kind) {
    INFO("heads of " << headDim << ", pairing " << static_cast<int>(pairing) << ", norm "
                     << static_cast<int>(qkNorm) << " " << static_cast<int>(kind));
    constexpr int kAll = kHeads + 2 * kKvHeads;
    const int half = headDim / 2;
    const std::vector<float> x =
        randomFloats(static_cast<std::size_t>(kTokens) * kAll * headDim, 1);
    const std::vector<float> qWeight = randomFloats(headDim, 2), kWeight = randomFloats(headDim, 3);
    std::vector<float2> angles;
    for (int i = 0; i < kTokens * half; ++i)
        angles.push_back(make_float2(std::cos(0.1F * i), std::sin(0.1F * i)));
    const Buffer<float> qkv(x), qw(qWeight), kw(kWeight);
    const Buffer<float2> deviceAngles(angles);
    const Buffer<TokenPlace> places(std::vector<TokenPlace>{{kPosition, 0}, {kPosition + 1, 0}});
    const std::size_t cacheSize = static_cast<std::size_t>(kRows) * kKvHeads * headDim;
    const Buffer<std::uint16_t> keys(cacheSize), values(cacheSize);
    RotateAndStore r;
    r.qkv = qkv.get();
    r.places = places.get();
    r.tokens = kTokens;
    r.nHead = kHeads;
    r.nKvHead = kKvHeads;
    r.headDim = headDim;
    r.qkNorm = qkNorm;
    r.qNorm.kind = r.kNorm.kind = kind;
    r.qNorm.eps = r.kNorm.eps = 1e-5F;
    r.qNorm.weight = qw.get();
    r.kNorm.weight = kw.get();
    r.pairing = pairing;
    r.angles = deviceAngles.get();
    r.caches.only = {kRows, keys.get(), values.get()};
    rotateAndStore(r, nullptr);

    const bool normed = qkNorm == QkNorm::PerHead;
    const std::vector<float> out = qkv.read();
    const auto storedKeys = keys.read();
    const auto storedValues = values.read();
    std::vector<float> queries, cached;
    std::vector<double> expectedQueries, expectedCached;
    for (int t = 0; t < kTokens; ++t) {
        for (int h = 0; h < kAll; ++h) {
            const std::size_t at = (static_cast<std::size_t>(t) * kAll + h) * headDim;
            if (h < kHeads) {
                const auto y = turned(x.data() + at, headDim, normed ? &r.qNorm : nullptr, qWeight,
                                      pairing, angles, t);
                expectedQueries.insert(expectedQueries.end(), y.begin(), y.end());
                queries.insert(queries.end(), out.data() + at, out.data() + at + headDim);
                continue;
            }
            const bool isValue = h >= kHeads + kKvHeads;
            const auto y = isValue ? std::vector<double>(x.data() + at, x.data() + at + headDim)
                                   : turned(x.data() + at, headDim, normed ? &r.kNorm : nullptr,
                                            kWeight, pairing, angles, t);
            expectedCached.insert(expectedCached.end(), y.begin(), y.end());
            const int row = (kPosition + t) % kRows;
            const int kvHead = (h - kHeads) % kKvHeads;
            for (int i = 0; i < headDim; ++i) {
                const auto from = (static_cast<std::size_t>(row) * kKvHeads + kvHead) * headDim + i;
                cached.push_back(halfToFloat((isValue ? storedValues : storedKeys)[from]));
            }
        }
    }
    CHECK(errorNorm(queries, expectedQueries) < 1e-6);
    CHECK(errorNorm(cached, expectedCached) < 4e-4);  // half precision: 2^-11 at most
}

}  // namespace

TEST_CASE("heads of any size are turned in either pairing, and keys and values cached") {
    for (const int headDim : {2, 12, 16, 64, 80, 100, 128, 256}) {
        for (const auto pairing : {RopePairing::HalfSplit, RopePairing::Interleaved})
            checkHeads(headDim, pairing, QkNorm::None, NormKind::Rms);
    }
}

TEST_CASE("heads of any size are normalised before they are turned") {
    for (const int headDim : {12, 64, 80, 256}) {
        for (const auto kind : {NormKind::Rms, NormKind::RmsPlusOne, NormKind::LayerNorm})
            checkHeads(headDim, RopePairing::HalfSplit, QkNorm::PerHead, kind);
    }
    checkHeads(128, RopePairing::Interleaved, QkNorm::PerHead, NormKind::Rms);
    checkHeads(100, RopePairing::Interleaved, QkNorm::PerHead, NormKind::LayerNorm);
}
