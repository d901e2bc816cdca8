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

template <typename S, int kQueries>
void scoresOf(const float* q, std::int64_t qStride, const float* k, std::int64_t groups,
              int headDim, int headWidth, float scale, float* scores, std::int64_t stride) {
    using F = typename S::F;
    for (std::int64_t g = 0; g < groups; ++g, k += 16 * headWidth) {
        F even[kQueries];
        F odd[kQueries];
        unroll<kQueries>([&](auto i) { even[i] = odd[i] = S::zero(); });
        for (int d = 0; d < headDim; d += 2) {  // rotary heads have an even width
            const F a = S::load(k + 16 * d);
            const F b = S::load(k + 16 * d + 16);
            unroll<kQueries>([&](auto i) {
                even[i] = S::fma(a, S::set1(q[i * qStride + d]), even[i]);
                odd[i] = S::fma(b, S::set1(q[i * qStride + d + 1]), odd[i]);
            });
        }
        unroll<kQueries>([&](auto i) {
            S::store(scores + i * stride + 16 * g, S::mul(S::add(even[i], odd[i]), S::set1(scale)));
        });
    }
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

template <typename S, int kQueries>
void weightedSumOf(const float* p, std::int64_t stride, const float* v, std::int64_t rows,
                   int headDim, float* out, std::int64_t outStride) {
    using F = typename S::F;
    for (int d = 0; d < headDim; d += 16) {
        F sum[kQueries];
        unroll<kQueries>([&](auto i) { sum[i] = S::load(out + i * outStride + d); });
        for (std::int64_t r = 0; r < rows; ++r) {
            const F value = S::load(v + r * headDim + d);
            unroll<kQueries>(
                [&](auto i) { sum[i] = S::fma(value, S::set1(p[i * stride + r]), sum[i]); });
        }
        unroll<kQueries>([&](auto i) { S::store(out + i * outStride + d, sum[i]); });
    }
}

template <typename S>
void weightedSum(const float* p, int nq, std::int64_t stride, const float* v, std::int64_t rows,
                 int headDim, float* out, std::int64_t outStride) {
    for (int i = 0; i < nq; i += 4) {
        dispatchCount<4>(nq - i, [&](auto n) {
            weightedSumOf<S, n>(p + i * stride, stride, v, rows, headDim, out + i * outStride,
                                outStride);
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
