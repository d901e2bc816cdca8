// SPDX-License-Identifier: Apache-2.0
// Norms, activations and attention, as templates over a simd_*.h struct; see matmul_impl.h for how
// it may be included.
#pragma once

#include <cmath>

#include "engine/backend/cpu/matmul_impl.h"

namespace moescope::cpu {
namespace {

/// e^x to 2 units in the last place; x below -87.7 gives exactly 0, which is what keeps hidden
/// positions (minus infinity) out of a softmax to the last bit. Range reduction by ln 2 in two
/// parts, then the Taylor polynomial of degree 6 on [-ln2/2, ln2/2] (Cody and Waite). Here and
/// below the constant is the first operand of min and max: they return the second where either is
/// no number, so that NaN comes out as NaN.
template <typename S>
MOESCOPE_INLINE typename S::F expLanes(typename S::F x) {
    using F = typename S::F;
    x = S::min(S::set1(88.0F), S::max(S::set1(-88.0F), x));
    const F n = S::round(S::mul(x, S::set1(1.44269504F)));
    F r = S::fma(n, S::set1(-0.693359375F), x);
    r = S::fma(n, S::set1(2.12194440e-4F), r);
    F p = S::set1(1.0F / 720);
    p = S::fma(p, r, S::set1(1.0F / 120));
    p = S::fma(p, r, S::set1(1.0F / 24));
    p = S::fma(p, r, S::set1(1.0F / 6));
    p = S::fma(p, r, S::set1(0.5F));
    p = S::fma(p, r, S::set1(1.0F));
    p = S::fma(p, r, S::set1(1.0F));
    return S::mul(p, S::pow2(n));
}

/// x / (1 + e^-sx), that is x sigmoid(s x).
template <typename S>
MOESCOPE_INLINE typename S::F swish(typename S::F x, typename S::F s) {
    const typename S::F e = expLanes<S>(S::sub(S::zero(), S::mul(s, x)));
    return S::div(x, S::add(S::set1(1.0F), e));
}

template <typename S>
MOESCOPE_INLINE typename S::F activateLanes(Activation kind, float alpha, float limit,
                                            typename S::F gate) {
    using F = typename S::F;
    switch (kind) {
        case Activation::Silu:
            return swish<S>(gate, S::set1(1.0F));
        case Activation::GeluTanh: {
            // 0.5 x (1 + tanh u) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
            const F cube = S::mul(gate, S::mul(gate, gate));
            const F u2 = S::mul(S::fma(S::set1(0.044715F), cube, gate), S::set1(1.5957691216F));
            return S::div(gate, S::add(S::set1(1.0F), expLanes<S>(S::sub(S::zero(), u2))));
        }
        case Activation::GptOssSwiGlu:
            break;
    }
    return swish<S>(S::min(S::set1(limit), gate), S::set1(alpha));
}

template <typename S>
void activate(Activation kind, float alpha, float limit, const float* gate, const float* up, int n,
              float* out) {
    using F = typename S::F;
    const auto lanes = [&](const float* g, const float* u, float* to) {
        F r = activateLanes<S>(kind, alpha, limit, S::load(g));
        if (u != nullptr) {
            F linear = S::load(u);
            if (kind == Activation::GptOssSwiGlu) {
                linear = S::max(S::set1(-limit), S::min(S::set1(limit), linear));
                linear = S::add(linear, S::set1(1.0F));
            }
            r = S::mul(r, linear);
        }
        S::store(to, r);
    };
    int i = 0;
    for (; i + 16 <= n; i += 16) lanes(gate + i, up == nullptr ? nullptr : up + i, out + i);
    if (i == n) return;
    float g[16] = {};
    float u[16] = {};
    for (int j = i; j < n; ++j) {
        g[j - i] = gate[j];
        if (up != nullptr) u[j - i] = up[j];
    }
    lanes(g, up == nullptr ? nullptr : u, g);
    for (int j = i; j < n; ++j) out[j] = g[j - i];
}

template <typename S>
void rmsNorm(const float* x, const float* weight, float offset, float eps, int n, float* out) {
    using F = typename S::F;
    F squares[2] = {S::zero(), S::zero()};
    int i = 0;
    for (; i + 32 <= n; i += 32) {
        const F a = S::load(x + i);
        const F b = S::load(x + i + 16);
        squares[0] = S::fma(a, a, squares[0]);
        squares[1] = S::fma(b, b, squares[1]);
    }
    float sum = S::sum(S::add(squares[0], squares[1]));
    for (int j = i; j < n; ++j) sum += x[j] * x[j];
    float inverse = 1.0F / __builtin_sqrtf(sum / static_cast<float>(n) + eps);
    if (!__builtin_isfinite(sum)) {  // squares overflow from 1.8e19 on, and all would become zero
        double squares = 0.0;
        for (int j = 0; j < n; ++j) squares += static_cast<double>(x[j]) * x[j];
        inverse = static_cast<float>(1.0 / __builtin_sqrt(squares / n + eps));
    }
    for (int j = 0; j < n; ++j) out[j] = x[j] * inverse * (weight[j] + offset);
}

/// Scores of `kGroups` groups of 16 keys. A broadcast serves all groups, a key all queries.
template <typename S, int kQueries, int kGroups>
MOESCOPE_INLINE void scoreGroups(const float* q, std::int64_t qStride, const float* k, int headDim,
                                 int headWidth, float scale, float* scores, std::int64_t stride) {
    using F = typename S::F;
    F even[kQueries][kGroups];
    F odd[kQueries][kGroups];
    unroll<kQueries>(
        [&](auto i) { unroll<kGroups>([&](auto g) { even[i][g] = odd[i][g] = S::zero(); }); });
    for (int d = 0; d < headDim; d += 2) {  // rotary heads have an even width
        F a[kGroups];
        F b[kGroups];
        unroll<kGroups>([&](auto g) {
            a[g] = S::load(k + 16 * (g * headWidth + d));
            b[g] = S::load(k + 16 * (g * headWidth + d + 1));
        });
        unroll<kQueries>([&](auto i) {
            const F x = S::set1(q[i * qStride + d]);
            const F y = S::set1(q[i * qStride + d + 1]);
            unroll<kGroups>([&](auto g) {
                even[i][g] = S::fma(a[g], x, even[i][g]);
                odd[i][g] = S::fma(b[g], y, odd[i][g]);
            });
        });
    }
    unroll<kQueries>([&](auto i) {
        unroll<kGroups>([&](auto g) {
            S::store(scores + i * stride + 16 * g,
                     S::mul(S::add(even[i][g], odd[i][g]), S::set1(scale)));
        });
    });
}

template <typename S, int kQueries>
void scoresOf(const float* q, std::int64_t qStride, const float* k, std::int64_t groups,
              int headDim, int headWidth, float scale, float* scores, std::int64_t stride) {
    std::int64_t g = 0;
    for (; g + S::kKeyGroups <= groups; g += S::kKeyGroups)
        scoreGroups<S, kQueries, S::kKeyGroups>(q, qStride, k + 16 * headWidth * g, headDim,
                                                headWidth, scale, scores + 16 * g, stride);
    for (; g < groups; ++g)
        scoreGroups<S, kQueries, 1>(q, qStride, k + 16 * headWidth * g, headDim, headWidth, scale,
                                    scores + 16 * g, stride);
}

template <typename S>
void scores(const float* q, int nq, std::int64_t qStride, const float* k, std::int64_t groups,
            int headDim, int headWidth, float scale, float* out, std::int64_t stride) {
    for (int i = 0; i < nq; i += 4) {
        dispatchCount<4>(nq - i, [&](auto n) {
            scoresOf<S, n>(q + i * qStride, qStride, k, groups, headDim, headWidth, scale,
                           out + i * stride, stride);
        });
    }
}

/// May drop what is not a number: expSum of the same values carries it on.
template <typename S>
float maxOf(const float* p, std::int64_t n) {
    typename S::F largest = S::load(p);
    for (std::int64_t i = 16; i < n; i += 16) largest = S::max(largest, S::load(p + i));
    float lanes[16];
    S::store(lanes, largest);
    for (int i = 1; i < 16; ++i) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    return lanes[0];
}

template <typename S>
float expSum(float* p, std::int64_t n, float max) {
    using F = typename S::F;
    F total = S::zero();
    for (std::int64_t i = 0; i < n; i += 16) {
        const F e = expLanes<S>(S::sub(S::load(p + i), S::set1(max)));
        S::store(p + i, e);
        total = S::add(total, e);
    }
    return S::sum(total);
}

/// Each sum is one chain over the rows; `kQueries` x `kGroups` of them hide its latency.
template <typename S, int kQueries, int kGroups>
MOESCOPE_INLINE void weightedGroups(const float* p, std::int64_t stride, const float* v,
                                    std::int64_t rows, int headDim, float* out,
                                    std::int64_t outStride) {
    using F = typename S::F;
    F sum[kQueries][kGroups];
    unroll<kQueries>([&](auto i) {
        unroll<kGroups>([&](auto g) { sum[i][g] = S::load(out + i * outStride + 16 * g); });
    });
    for (std::int64_t r = 0; r < rows; ++r) {
        F value[kGroups];
        unroll<kGroups>([&](auto g) { value[g] = S::load(v + r * headDim + 16 * g); });
        unroll<kQueries>([&](auto i) {
            const F weight = S::set1(p[i * stride + r]);
            unroll<kGroups>([&](auto g) { sum[i][g] = S::fma(value[g], weight, sum[i][g]); });
        });
    }
    unroll<kQueries>([&](auto i) {
        unroll<kGroups>([&](auto g) { S::store(out + i * outStride + 16 * g, sum[i][g]); });
    });
}

template <typename S>
void weightedSum(const float* p, int nq, std::int64_t stride, const float* v, std::int64_t rows,
                 int headDim, float* out, std::int64_t outStride) {
    for (int i = 0; i < nq; i += S::kValueQueries) {
        dispatchCount<S::kValueQueries>(nq - i, [&](auto n) {
            const float* weights = p + i * stride;
            float* to = out + i * outStride;
            int d = 0;
            for (; d + 16 * S::kValueGroups <= headDim; d += 16 * S::kValueGroups)
                weightedGroups<S, n, S::kValueGroups>(weights, stride, v + d, rows, headDim, to + d,
                                                      outStride);
            for (; d < headDim; d += 16)
                weightedGroups<S, n, 1>(weights, stride, v + d, rows, headDim, to + d, outStride);
        });
    }
}

/// Also clears the padding: what another layout left there could be no number.
template <typename S>
MOESCOPE_INLINE void blockSums(const ActivationLayout& layout, std::byte* row) {
    float* x = reinterpret_cast<float*>(row);
    for (std::int32_t i = layout.cols; i < layout.blocks * kBlockCols; ++i) x[i] = 0.0F;
    float* sums = reinterpret_cast<float*>(row + layout.sums);
    for (std::int32_t b = 0; b < layout.blocks; ++b) {
        sums[b] = S::sum(S::add(S::load(x + 32 * b), S::load(x + 32 * b + 16)));
    }
}

template <typename S>
void finishF32(const ActivationLayout& layout, std::byte* row) {
    blockSums<S>(layout, row);
}

/// Everything in float32; other targets replace products afterwards.
template <typename S>
constexpr Kernels floatKernels(std::string_view name) {
    Kernels k{};
    k.name = name;
    k.finishActivation = finishF32<S>;
    useF32ForAll<S>(k);
    k.rmsNorm = rmsNorm<S>;
    k.activate = activate<S>;
    k.scores = scores<S>;
    k.maxOf = maxOf<S>;
    k.expSum = expSum<S>;
    k.weightedSum = weightedSum<S>;
    return k;
}

}  // namespace
}  // namespace moescope::cpu
