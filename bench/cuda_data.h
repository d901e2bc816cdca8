// SPDX-License-Identifier: Apache-2.0
// Data of the benchmarks of kernels: device memory, random weights as they lie there, one weight as
// plain arithmetic reads it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/layout.h"
#include "engine/backend/cuda/tensor_core.h"

namespace moescope::cuda::bench {

/// Filled with 0xFF: floats are NaN.
template <typename T>
T* allocate(std::size_t count) {
    void* at = nullptr;
    check(cudaMalloc(&at, count * sizeof(T)), "cudaMalloc");
    check(cudaMemset(at, 0xFF, count * sizeof(T)), "cudaMemset");
    return static_cast<T*>(at);
}

template <typename T>
std::vector<T> read(const T* from, std::size_t count) {
    std::vector<T> to(count);
    check(cudaMemcpy(to.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return to;
}

__device__ inline std::uint32_t hash(std::uint64_t x) {
    x = (x ^ x >> 31) * 0x7FB5D329728EA185ULL;
    x = (x ^ x >> 27) * 0x81DADEF4BC2DD44DULL;
    return static_cast<std::uint32_t>(x >> 32);
}

/// Nearly normal, standard deviation 1.
__device__ inline float randomFloat(std::uint64_t i) {
    float sum = -2.0F;
    for (int k = 0; k < 4; ++k) sum += static_cast<float>(hash(4 * i + k) & 0xFFFFU) / 65536.0F;
    return sum * 1.7320508F;
}

enum class Fill { Bits, Bf16, Half, Float, E8m0, HalfScales };

static __global__ void fillKernel(std::uint32_t* words, std::size_t count, Fill kind,
                                  unsigned seed) {
    const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
    for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
        const std::uint64_t at = i + (std::uint64_t{seed} << 40);
        const std::uint32_t bits = hash(at);
        const float x = randomFloat(2 * at);
        const float y = randomFloat(2 * at + 1);
        switch (kind) {
            case Fill::Bits:
                words[i] = bits;
                break;
            case Fill::Bf16:
                words[i] = packBf16(x, y);
                break;
            case Fill::Half:
                words[i] = packHalf(x, y);
                break;
            case Fill::Float:
                words[i] = floatToBits(x);
                break;
            case Fill::E8m0:  // 119 to 122
                words[i] = 0x77777777U + (bits & 0x03030303U);
                break;
            case Fill::HalfScales:
                words[i] = packHalf(0.01F + 0.001F * fabsf(x), 0.01F + 0.001F * fabsf(y));
                break;
        }
    }
}

inline void fill(void* at, std::size_t bytes, Fill kind, unsigned seed) {
    launch({dim3(1024), dim3(256)}, fillKernel, static_cast<std::uint32_t*>(at), bytes / 4, kind,
           seed);
}

inline DeviceMatrix randomMatrix(WeightFormat format, int rows, int cols, int stack,
                                 unsigned seed) {
    DeviceMatrix m;
    m.rows = rows;
    m.cols = cols;
    m.format = format;
    auto* const codes = allocate<std::uint8_t>(m.codeBytes() * stack);
    fill(codes, m.codeBytes() * stack, format == WeightFormat::Bf16 ? Fill::Bf16 : Fill::Bits,
         seed);
    m.codes = reinterpret_cast<const uint4*>(codes);
    if (m.scaleBytes() != 0) {
        auto* const scales = allocate<std::uint8_t>(m.scaleBytes() * stack);
        fill(scales, m.scaleBytes() * stack,
             format == WeightFormat::Mxfp4 ? Fill::E8m0 : Fill::HalfScales, seed + 1);
        m.scales = reinterpret_cast<const std::uint32_t*>(scales);
    }
    return m;
}

/// The number at `place` of the 8 of a word: by the table of bits in layout.h and the definition of
/// E2M1 (OCP MX v1.0), not by the functions that products use.
__device__ inline float e2m1At(std::uint32_t word, int place) {
    // Where an even place's sign and bits of magnitude lie, the highest first.
    constexpr std::uint8_t kBits[4][4] = {
        {15, 8, 7, 6}, {18, 11, 10, 9}, {21, 14, 13, 12}, {3, 1, 0, 4}};
    const auto bit = [&](int i) {
        return static_cast<int>(word >> (kBits[place / 2][i] + place % 2 * 16) % 32 & 1U);
    };
    const int exponent = 2 * bit(1) + bit(2);
    const float mantissa = 0.5F * static_cast<float>(bit(3)) + (exponent != 0 ? 1.0F : 0.0F);
    const float magnitude = ldexpf(mantissa, exponent != 0 ? exponent - 1 : 0);
    return bit(0) != 0 ? -magnitude : magnitude;
}

/// What a product multiplies with at (row, col) of a matrix of the stack.
__device__ inline float weightAt(const DeviceMatrix& m, int stack, int row, int col) {
    const int g = row % 8;
    const int chunk = col / chunkColumns(m.format);
    const auto* const tile =
        reinterpret_cast<const std::uint8_t*>(m.tileCodes(stack, row / kTileRows));
    if (m.format == WeightFormat::Mxfp4) {
        const int t = col / 32 % 4;
        const int blocks = chunk + 1 < m.chunks() ? 4 : m.lastChunkBlocks();
        if (t >= blocks) return 0.0F;
        const auto* const words =
            reinterpret_cast<const std::uint32_t*>(tile + 16 * mxfp4Unit(chunk, blocks, g, t));
        const std::uint32_t e =
            m.tileScaleWords(stack, row / kTileRows)[chunk / 4 * 32 + 4 * g + t] >>
                8 * (chunk % 4) &
            0xFFU;
        return ldexpf(e2m1At(words[col / 8 % 4], col % 8), static_cast<int>(e) - 127);
    }
    const int lane = 4 * g + col % 32 / 8;
    if (m.format == WeightFormat::Q8_0) {
        const int block = col % 64 / 32;
        const auto code =
            static_cast<std::int8_t>(tile[16 * (chunk * 32 + lane) + 8 * block + col % 8]);
        const std::uint32_t word =
            m.tileScaleWords(stack, row / kTileRows)[chunk * 8 + g / 2 * 2 + block];
        return code *
               fromHalf(static_cast<std::uint16_t>(g % 2 != 0 ? word >> 16 : word & 0xFFFFU));
    }
    const auto* const halves = reinterpret_cast<const std::uint16_t*>(tile) +
                               std::size_t{8} * (chunk * chunkUnits(m.format) + lane) + col % 8;
    return fromBf16(halves[0]);
}

}  // namespace moescope::cuda::bench
