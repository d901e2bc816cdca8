// SPDX-License-Identifier: Apache-2.0
// Attention of few tokens against plain loops in double, and its ways to a token's key.
#include <catch2/catch.hpp>

#include <algorithm>

#include "engine/backend/cuda/decode.h"
#include "engine/backend/kv_layout.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

struct Case {
    int headDim, nHead, nKvHead, position, window, cacheRows;
    bool sinks = true;
    int splits = 1;
    RopePairing pairing = RopePairing::HalfSplit;
};

float halfOf(float x) {
    return halfToFloat(floatToHalf(x));
}

/// One token of one sequence: its q, k and v not yet turned, and the cache of those before it, NaN
/// wherever it may not look.
class Token {
public:
    Token(const Case& of, unsigned seed)
        : c(of),
          x(randomFloats(static_cast<std::size_t>(c.nHead + 2 * c.nKvHead) * c.headDim, seed)),
          sinks(randomFloats(static_cast<std::size_t>(c.nHead), seed + 1, 2.0F)),
          keys(static_cast<std::size_t>(c.cacheRows) * width(), 0xFFFF),
          values(keys) {
        for (int i = 0; i < c.headDim / 2; ++i)
            angles.push_back(make_float2(std::cos(0.3F + 0.7F * static_cast<float>(i)),
                                         std::sin(0.3F + 0.7F * static_cast<float>(i))));
        const auto older = randomFloats(keys.size(), seed + 2);
        for (int p = firstVisible(c.position, c.window); p < c.position; ++p) {
            for (std::size_t i = 0; i < width(); ++i) {
                const std::size_t at = static_cast<std::size_t>(p % c.cacheRows) * width() + i;
                keys[at] = floatToHalf(older[at]);
                values[at] = floatToHalf(older[older.size() - 1 - at]);
            }
        }
    }
    std::size_t width() const { return static_cast<std::size_t>(c.nKvHead) * c.headDim; }

    /// Appends what attention is, head by head.
    void expect(std::vector<double>& out) const {
        for (int h = 0; h < c.nHead; ++h) {
            const int kvHead = h / (c.nHead / c.nKvHead);
            const std::vector<double> q = turned(h);
            std::vector<double> newKey = turned(c.nHead + kvHead);
            const float* newValue = x.data() + (c.nHead + c.nKvHead + kvHead) * c.headDim;
            double sum = c.sinks ? std::exp(double{sinks[static_cast<std::size_t>(h)]}) : 0.0;
            std::vector<double> total(static_cast<std::size_t>(c.headDim));
            for (int p = firstVisible(c.position, c.window); p <= c.position; ++p) {
                const bool isNew = p == c.position;
                const std::size_t at = static_cast<std::size_t>(p % c.cacheRows) * width() +
                                       static_cast<std::size_t>(kvHead) * c.headDim;
                const auto keyAt = [&](std::size_t i) {
                    return isNew ? halfOf(static_cast<float>(newKey[i]))
                                 : halfToFloat(keys[at + i]);
                };
                double score = 0;
                for (std::size_t i = 0; i < q.size(); ++i) score += q[i] * keyAt(i);
                const double weight = std::exp(score / std::sqrt(double(c.headDim)));
                sum += weight;
                for (std::size_t i = 0; i < q.size(); ++i)
                    total[i] +=
                        weight * (isNew ? halfOf(newValue[i]) : halfToFloat(values[at + i]));
            }
            for (const double t : total) out.push_back(t / sum);
        }
    }

    Case c;
    std::vector<float> x, sinks;
    std::vector<float2> angles;
    std::vector<std::uint16_t> keys, values;

private:
    std::vector<double> turned(int head) const {
        const float* from = x.data() + head * c.headDim;
        std::vector<double> y(from, from + c.headDim);
        const int half = c.headDim / 2;
        const bool split = c.pairing == RopePairing::HalfSplit;
        for (int i = 0; i < half; ++i) {
            double& a = y[static_cast<std::size_t>(split ? i : 2 * i)];
            double& b = y[static_cast<std::size_t>(split ? i + half : 2 * i + 1)];
            const float2 angle = angles[static_cast<std::size_t>(i)];
            const double first = a * angle.x - b * angle.y;
            b = b * angle.x + a * angle.y;
            a = first;
        }
        return y;
    }
};

/// What a kernel leaves behind.
struct Result {
    std::vector<std::uint32_t> words;
    std::vector<std::uint16_t> keys, values;
};

/// Who turns q and k and stores the new key and value.
enum class Turned {
    Before,         ///< the kernel in front
    Within,         ///< the kernel of attention
    WithinSettled,  ///< which does not wait for the older keys
};

Result attend(const Token& token, Turned turned) {
    const bool inAttention = turned != Turned::Before;
    const Case& c = token.c;
    const Buffer<float> qkv(token.x), sinks(token.sinks);
    const Buffer<float2> angles(token.angles);
    const Buffer<std::uint16_t> keys(token.keys), values(token.values);
    const Buffer<TokenPlace> places(std::vector<TokenPlace>{{c.position, 0}});
    const Buffer<float> partial(decodeAttentionScratch(c.nHead, c.nKvHead, c.headDim));
    const Buffer<unsigned> counters(
        std::vector<unsigned>(decodeAttentionCounters(c.nHead, c.nKvHead)));
    const auto columns = static_cast<std::size_t>(c.nHead) * c.headDim;
    const Buffer<std::uint32_t> out(std::vector<std::uint32_t>((columns + 127) / 128 * 128));
    DecodeAttention a;
    a.qkv = qkv.get();
    a.qkvStride = static_cast<int>(token.x.size());
    a.caches.only = {c.cacheRows, keys.get(), values.get()};
    a.angles = inAttention ? angles.get() : nullptr;
    a.pairing = c.pairing;
    a.settled = turned == Turned::WithinSettled;
    a.sinks = c.sinks ? sinks.get() : nullptr;
    a.places = places.get();
    a.window = c.window;
    a.tokens = 1;
    a.nHead = c.nHead;
    a.nKvHead = c.nKvHead;
    a.headDim = c.headDim;
    a.scale = 1.0F / std::sqrt(static_cast<float>(c.headDim));
    a.out.words = out.get();
    a.out.stride = static_cast<int>((columns + 127) / 128 * 128);
    a.splits = c.splits;
    a.partial = partial.get();
    a.counters = counters.get();
    if (!inAttention) {
        RotateAndStore r;
        r.qkv = qkv.get();
        r.places = places.get();
        r.tokens = 1;
        r.nHead = c.nHead;
        r.nKvHead = c.nKvHead;
        r.headDim = c.headDim;
        r.pairing = c.pairing;
        r.angles = angles.get();
        r.caches = a.caches;
        rotateAndStore(r, nullptr);
    }
    decodeAttention(a, nullptr);
    return {out.read(), keys.read(), values.read()};
}

std::vector<float> numbersOf(const Result& result, std::size_t columns) {
    std::vector<float> numbers;
    for (std::size_t i = 0; i < columns; ++i) {
        const auto bits = [&](std::size_t half) {  // of the octet's: high parts, then low ones
            const std::uint32_t word = result.words[i / 8 * 8 + half / 2];
            return static_cast<std::uint16_t>(half % 2 != 0 ? word >> 16U : word & 0xFFFFU);
        };
        numbers.push_back(bf16ToFloat(bits(i % 8)) + bf16ToFloat(bits(8 + i % 8)));
    }
    return numbers;
}

/// All ways to a token's key agree with plain loops, and with each other to the bit.
void checkAttention(const Case& c) {
    INFO("heads of " << c.headDim << ", " << c.nHead << " of " << c.nKvHead << ", position "
                     << c.position << ", window " << c.window << ", " << c.splits << " splits");
    const Token token(c, 3);
    std::vector<double> expected;
    token.expect(expected);
    const Result before = attend(token, Turned::Before);
    // 16 bits of mantissa are stored.
    CHECK(errorNorm(numbersOf(before, expected.size()), expected) < 1e-5);
    for (const Turned turned : {Turned::Within, Turned::WithinSettled}) {
        const Result within = attend(token, turned);
        CHECK(within.words == before.words);
        CHECK(within.keys == before.keys);
        CHECK(within.values == before.values);
    }
}

}  // namespace

TEST_CASE("decoded attention of every head size matches plain loops") {
    for (const int headDim : {2, 12, 16, 64, 80, 100, 128, 256}) {
        for (const auto pairing : {RopePairing::HalfSplit, RopePairing::Interleaved})
            checkAttention({headDim, 6, 2, 70, 0, 90, true, 1, pairing});
    }
}

TEST_CASE("decoded attention takes groups of heads of any size") {
    checkAttention({64, 7, 1, 40, 0, 43});
    checkAttention({64, 3, 3, 40, 0, 43, false});
    checkAttention({32, 16, 2, 0, 0, 1, false});
    checkAttention({32, 16, 2, 1, 0, 8});
}

TEST_CASE("decoded attention reads rings and contexts of many tiles") {
    for (const int headDim : {20, 64, 128, 256}) {
        checkAttention({headDim, 4, 2, 301, 128, 128});
        checkAttention({headDim, 4, 2, 127, 128, 140});
        checkAttention({headDim, 4, 2, 128, 128, 140});
        checkAttention({headDim, 4, 2, 500, 300, 305});
        checkAttention({headDim, 4, 2, 700, 0, 701});
    }
}

TEST_CASE("decoded attention is shared out among blocks") {
    for (const int headDim : {20, 64, 128, 256}) {
        checkAttention({headDim, 4, 2, 700, 0, 701, true, 16});
        checkAttention({headDim, 4, 2, 700, 500, 640, false, 2});
        checkAttention({headDim, 4, 2, 256, 0, 300, true, 3});
    }
}

TEST_CASE("decoded attention has the same bits with splits that get no keys") {
    Case c{64, 4, 2, 700, 0, 701, true, attentionSplitsOfKeys(701)};
    const Token token(c, 3);
    const Result enough = attend(token, Turned::Within);
    Token more = token;
    more.c.splits = kAttentionSplits;
    CHECK(attend(more, Turned::Within).words == enough.words);
}
