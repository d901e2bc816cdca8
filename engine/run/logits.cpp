// SPDX-License-Identifier: Apache-2.0
// Scoring a token means a maximum and a sum of exponentials over the whole vocabulary: with the C
// library's exp that cost as much as evaluating the token in a small model.
#include "engine/run/logits.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/backend/kept_logits.h"
#include "engine/core/cpu_features.h"

namespace moescope {
namespace {

constexpr std::size_t kLanes = 8;
using Floats = float __attribute__((vector_size(4 * kLanes)));
using Doubles = double __attribute__((vector_size(8 * kLanes)));
using Words = std::int64_t __attribute__((vector_size(8 * kLanes)));

#define MOESCOPE_ALWAYS_INLINE [[gnu::always_inline]] inline

struct Peak {
    float value;
    bool nan;
};

MOESCOPE_ALWAYS_INLINE Peak peakOf(const float* p, std::size_t n) {
    Peak peak{p[0], std::isnan(p[0])};
    Floats largest = Floats{} + p[0];
    auto unordered = largest != largest;
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        Floats x;
        std::memcpy(&x, p + i, sizeof x);
        unordered |= x != x;
        largest = x > largest ? x : largest;
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        peak.nan |= unordered[lane] != 0;
        peak.value = std::max(peak.value, largest[lane]);
    }
    for (; i < n; ++i) {
        peak.nan |= std::isnan(p[i]);
        peak.value = std::max(peak.value, p[i]);
    }
    return peak;
}

/// sum of exp(p[i] - largest), in double. exp(x) = 2^k exp(r), |r| <= ln 2 / 2, by the Taylor
/// series to r^13 (what is left out is below 5e-18); within 4e-16 of the C library's.
MOESCOPE_ALWAYS_INLINE double sumOfExp(const float* p, std::size_t n, double largest) {
    constexpr double kLog2e = 1.4426950408889634, kLn2High = 0x1.62e42fefa0000p-1,
                     kLn2Low = 0x1.cf79abc9e3b3ap-40;
    constexpr double kRound = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
    constexpr double kLeast = -700.0;    // exp of less is nothing beside the 1 of the largest
    constexpr double kFactorials[] = {6227020800.0, 479001600.0, 39916800.0, 3628800.0, 362880.0,
                                      40320.0,      5040.0,      720.0,      120.0,     24.0,
                                      6.0,          2.0,         1.0,        1.0};
    Doubles sums = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        Floats x;
        std::memcpy(&x, p + i, sizeof x);
        Doubles d = __builtin_convertvector(x, Doubles) - largest;
        d = d < kLeast ? Doubles{} + kLeast : d;
        const Doubles shifted = d * kLog2e + kRound;
        const Doubles k = shifted - kRound;
        const Doubles r = (d - k * kLn2High) - k * kLn2Low;
        Doubles series = {};
        for (const double factorial : kFactorials) series = series * r + 1.0 / factorial;
        Words bits;
        std::memcpy(&bits, &shifted, sizeof bits);
        bits = (bits + 1023) << 52;
        Doubles power;
        std::memcpy(&power, &bits, sizeof power);
        sums += series * power;
    }
    double sum = 0.0;
    for (; i < n; ++i) sum += std::exp(static_cast<double>(p[i]) - largest);
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum += sums[lane];
    return sum;
}

struct Routines {
    Peak (*peak)(const float*, std::size_t);
    double (*sum)(const float*, std::size_t, double);
};

Peak plainPeak(const float* p, std::size_t n) {
    return peakOf(p, n);
}
double plainSum(const float* p, std::size_t n, double largest) {
    return sumOfExp(p, n, largest);
}
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) Peak avx2Peak(const float* p, std::size_t n) {
    return peakOf(p, n);
}
__attribute__((target("avx2,fma"))) double avx2Sum(const float* p, std::size_t n, double largest) {
    return sumOfExp(p, n, largest);
}
__attribute__((target("avx512f,avx512dq"))) double avx512Sum(const float* p, std::size_t n,
                                                             double largest) {
    return sumOfExp(p, n, largest);
}
#endif

Routines choose() {
#if defined(__x86_64__)
    if (cpuFeatures().avx512) return {avx2Peak, avx512Sum};
    if (cpuFeatures().avx2) return {avx2Peak, avx2Sum};
#endif
    return {plainPeak, plainSum};
}

const Routines& routines() {
    static const Routines chosen = choose();
    return chosen;
}

/// The largest logit; throws when it is none.
float largestOf(std::span<const float> logits) {
    assert(!logits.empty());
    const Peak peak = routines().peak(logits.data(), logits.size());
    if (peak.nan || !std::isfinite(peak.value)) throw notFinite();
    return peak.value;
}

TokenId firstOf(std::span<const float> logits, float value) {
    return static_cast<TokenId>(std::find(logits.begin(), logits.end(), value) - logits.begin());
}

}  // namespace

Error notFinite() {
    return Error("the model's logits are not finite",
                 "the checkpoint may be damaged; try --backend reference to rule out a kernel");
}

TokenId mostLikely(std::span<const float> logits) {
    return firstOf(logits, largestOf(logits));
}

LogitsSummary summarize(std::span<const float> logits) {
    LogitsSummary summary;
    summary.largest = largestOf(logits);
    summary.logSum = std::log(routines().sum(logits.data(), logits.size(), summary.largest));
    summary.likeliest = firstOf(logits, summary.largest);
    return summary;
}

double logProbability(const LogitsSummary& summary, float logit) {
    const double result = static_cast<double>(logit) - summary.largest - summary.logSum;
    // Finite logits lie within 7e38 of each other, so nothing else leads here.
    if (!std::isfinite(result)) throw notFinite();
    return result;
}

double logProbability(std::span<const float> logits, TokenId token) {
    assert(token >= 0 && static_cast<std::size_t>(token) < logits.size());
    return logProbability(summarize(logits), logits[static_cast<std::size_t>(token)]);
}

std::uint64_t logitsHash(std::span<const float> logits) noexcept {
    std::uint64_t hash = kLogitsHashBase;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        hash += hashedLogit(static_cast<std::uint32_t>(i), std::bit_cast<std::uint32_t>(logits[i]));
    }
    return hash;
}

}  // namespace moescope
