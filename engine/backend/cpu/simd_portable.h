// SPDX-License-Identifier: Apache-2.0
// Sixteen float32 lanes in plain C++. The other simd_*.h files offer the same members; kernels are
// templates over such a struct. Included by one kernels_*.cpp only, inside its unnamed namespace.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace moescope::cpu {
namespace {

struct SimdPortable {
    struct F {
        float v[16];
    };
    struct U {
        std::uint32_t v[16];
    };
    static constexpr int kTokens = 4;  ///< tokens per pass of the matrix-matrix kernel
    static constexpr int kChains = 2;  ///< blocks that the matrix-vector kernel interleaves
    static constexpr int kKeyGroups =
        1;  ///< of 16 keys that a query's scores are summed for at once
    static constexpr int kValueQueries = 4;  ///< queries that share a value
    static constexpr int kValueGroups = 1;   ///< of 16 elements of a value, summed at once

    template <typename Op>
    static F each(Op op) {
        F r;
        for (int i = 0; i < 16; ++i) r.v[i] = op(i);
        return r;
    }
    static float half(std::uint16_t h) {
        const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16;
        const std::uint32_t rest = h & 0x7fffU;
        if (rest < 0x400U) {  // subnormal: an integer times 2^-24
            const float f = static_cast<float>(rest) * 0x1p-24F;
            return sign != 0 ? -f : f;
        }
        const std::uint32_t bits = sign | (rest >= 0x7c00U ? 0x7f800000U | (rest & 0x3ffU) << 13
                                                           : (rest << 13) + 0x38000000U);
        return fromBits(bits);
    }
    static float fromBits(std::uint32_t bits) {
        float f;
        std::memcpy(&f, &bits, 4);
        return f;
    }

    static F zero() {
        return each([](int) { return 0.0F; });
    }
    static F set1(float x) {
        return each([&](int) { return x; });
    }
    static F load(const float* p) {
        F r;
        std::memcpy(r.v, p, 64);
        return r;
    }
    static void store(float* p, const F& a) { std::memcpy(p, a.v, 64); }
    static F add(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] + b.v[i]; });
    }
    static F sub(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] - b.v[i]; });
    }
    static F mul(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] * b.v[i]; });
    }
    static F div(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] / b.v[i]; });
    }
    static F fma(const F& a, const F& b, const F& c) {
        return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
    }
    /// min and max return b where either lane is no number, as minps and maxps do; the kernels rely
    /// on it.
    static F min(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
    }
    static F max(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
    }
    static float sum(const F& a) {
        float s = 0;
        for (int i = 0; i < 16; ++i) s += a.v[i];
        return s;
    }
    static F round(const F& a) {
        return each([&](int i) { return std::nearbyintf(a.v[i]); });
    }
    /// 2^n for integral n in [-126, 127], 0 for -127; anything finite where n is no number.
    static F pow2(const F& n) {
        return each([&](int i) {
            const int e = n.v[i] == n.v[i] ? static_cast<int>(n.v[i]) : 0;
            return fromBits(static_cast<std::uint32_t>(e + 127) << 23);
        });
    }

    static U loadBits(const std::byte* p) {
        U r;
        std::memcpy(r.v, p, 64);
        return r;
    }
    template <int kShift>
    static F e2m1(const U& u) {
        static constexpr float kTable[16] = {0, .5F,  1,  1.5F,  2,  3,  4,  6,
                                             0, -.5F, -1, -1.5F, -2, -3, -4, -6};
        return each([&](int i) { return kTable[u.v[i] >> kShift & 15]; });
    }
    template <int kShift>
    static F nibble(const U& u) {
        return each(
            [&](int i) { return static_cast<float>(static_cast<int>(u.v[i] >> kShift & 15)); });
    }
    /// Byte kByte of each lane as a signed integer times 1 / kByteScale.
    static constexpr float kByteScale = 1.0F;
    template <int kByte>
    static F signedByte(const U& u) {
        return each([&](int i) {
            return static_cast<float>(static_cast<std::int8_t>(u.v[i] >> 8 * kByte & 255));
        });
    }
    static F bf16Even(const U& u) {
        return each([&](int i) { return fromBits(u.v[i] << 16); });
    }
    static F bf16Odd(const U& u) {
        return each([&](int i) { return fromBits(u.v[i] & 0xffff0000U); });
    }
    static F loadHalf(const std::byte* p) {
        std::uint16_t h[16];
        std::memcpy(h, p, 32);
        return each([&](int i) { return half(h[i]); });
    }
    /// 2^(e - 127); e = 0 is the subnormal 2^-127.
    static F loadE8m0(const std::byte* p) {
        return each([&](int i) {
            const auto e = static_cast<std::uint32_t>(p[i]);
            return fromBits(e == 0 ? 0x00400000U : e << 23);
        });
    }
    static void prefetchToL2(const std::byte*) {}
    static void prefetch(const std::byte*) {}
};

}  // namespace
}  // namespace moescope::cpu
