// SPDX-License-Identifier: Apache-2.0
// How weights lie in device memory, and how a lane finds its share of them. Plain arithmetic, the
// same on host and device: pack.cpp writes what the kernels read.
//
// A matrix (rows, cols) is cut into tiles of 8 rows, and a tile into chunks of columns. In a chunk
// lane l = 4 g + t of a warp holds 16 bytes of row g, so that a warp reads 512 consecutive bytes
// and has, without a shuffle, the operand B of mma.m16n8k16 (8 rows of weights as its 8 columns).
// Which columns those are is free, since activations can be put in the same order:
//
//   Bf16      chunk of 32 columns: 8 weights, columns 8 t .. 8 t + 7.
//   Bf16Pair  the same twice, 512 bytes of w rounded to bf16, then 512 of what is left: 16 bits of
//             mantissa (F32, F16 and the K quants).
//   Q8_0      chunk of 64 columns: 8 codes of columns 8 t .. of its first block of 32, then 8 of
//   the
//             second.
//   Mxfp4     chunk of 128 columns: the 16 bytes of block t. The bits of the codes are permuted:
//   see
//             mxfp4Word.
//
// So lane t multiplies in groups of 8 consecutive columns ("octets"): columnOf() says which.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/cuda/simt.h"

namespace moescope::cuda {

enum class WeightFormat : std::uint8_t { Bf16, Bf16Pair, Q8_0, Mxfp4 };

inline constexpr int kTileRows = 8;

/// Columns of a chunk.
__host__ __device__ constexpr int chunkColumns(WeightFormat format) {
    return format == WeightFormat::Mxfp4 ? 128 : format == WeightFormat::Q8_0 ? 64 : 32;
}
/// Octets that a lane multiplies in a chunk: chunkColumns / 32.
__host__ __device__ constexpr int chunkOctets(WeightFormat format) {
    return chunkColumns(format) / 32;
}
/// 16-byte units of a whole chunk.
__host__ __device__ constexpr int chunkUnits(WeightFormat format) {
    return format == WeightFormat::Bf16Pair ? 64 : 32;
}

/// First column, within its chunk, of lane t's octet `octet`.
__host__ __device__ constexpr int columnOf(WeightFormat format, int octet, int t) {
    return format == WeightFormat::Mxfp4 ? 32 * t + 8 * octet : 32 * octet + 8 * t;
}

/// Where octet `octet` of a chunk is kept for lane t among the octets of decoded activations:
/// beside those of the other lanes, so that the four of them read from different banks of shared
/// memory.
__host__ __device__ constexpr int octetSlot(WeightFormat format, int column) {
    const int octet = column / 8;
    if (format != WeightFormat::Mxfp4) return octet;
    return octet / 16 * 16 + octet % 4 * 4 + octet / 4 % 4;  // columnOf is 32 t + 8 octet
}

/// A matrix or a stack of them in device memory; passed to kernels by value.
struct DeviceMatrix {
    const uint4* codes = nullptr;           // (stack, tiles, tileUnits)
    const std::uint32_t* scales = nullptr;  // (stack, tiles, tileScales); null for Bf16, Bf16Pair
    std::int32_t rows = 0;                  ///< as stored; the last tile is filled up with zeros
    std::int32_t cols = 0;
    WeightFormat format = WeightFormat::Bf16;

    __host__ __device__ int tiles() const { return (rows + kTileRows - 1) / kTileRows; }
    __host__ __device__ int chunks() const {
        return (cols + chunkColumns(format) - 1) / chunkColumns(format);
    }
    /// Columns that a product touches; activations are filled up with zeros to as many.
    __host__ __device__ int paddedCols() const { return chunks() * chunkColumns(format); }
    /// Blocks of 32 that the last chunk of a Mxfp4 tile holds, 1 to 4; nothing pads a tile's codes.
    __host__ __device__ int lastChunkBlocks() const {
        return (cols + 31) / 32 - 4 * (chunks() - 1);
    }
    /// 16-byte units of a tile.
    __host__ __device__ std::int64_t tileUnits() const {
        if (format == WeightFormat::Mxfp4) return std::int64_t{(cols + 31) / 32} * kTileRows;
        return std::int64_t{chunks()} * chunkUnits(format);
    }
    /// 32-bit words of a tile's scales. Q8_0: (chunks, 4, 2): word (c, t, b) holds the halves of
    /// rows 2t and 2t + 1 in block b of the chunk. Mxfp4: (groups of 4 chunks, 32): byte i of word
    /// (q, l) is the E8M0 scale of lane l's block in chunk 4 q + i.
    __host__ __device__ std::int64_t tileScales() const {
        if (format == WeightFormat::Q8_0) return std::int64_t{chunks()} * 8;
        if (format == WeightFormat::Mxfp4) return std::int64_t{(chunks() + 3) / 4} * 32;
        return 0;
    }
    __host__ __device__ const uint4* tileCodes(std::int64_t matrix, int tile) const {
        return codes + (matrix * tiles() + tile) * tileUnits();
    }
    __host__ __device__ const std::uint32_t* tileScaleWords(std::int64_t matrix, int tile) const {
        return scales + (matrix * tiles() + tile) * tileScales();
    }
    /// Bytes of one matrix of the stack.
    std::uint64_t codeBytes() const {
        return 16 * static_cast<std::uint64_t>(tiles() * tileUnits());
    }
    std::uint64_t scaleBytes() const {
        return 4 * static_cast<std::uint64_t>(tiles() * tileScales());
    }
};

/// Unit of a Mxfp4 tile that lane l = 4 g + t reads for block t < blocks of a chunk (blocks: 4, or
/// lastChunkBlocks() in the last one).
__host__ __device__ constexpr int mxfp4Unit(int chunk, int blocks, int g, int t) {
    return chunk * 32 + g * blocks + t;
}

// ---- Operand order of activations
// ----------------------------------------------------------------
//
// Prefill kernels load activations with ldmatrix, which wants the 16 columns of each mma in order.
// Their producers therefore store row vectors in "operand order": position p of a padded vector
// holds the column operandColumn(format, p). A chunk's position 16 m + 8 h + 2 t + e is, of mma m,
// half h, lane t, element e: octet m / 2 of lane t, its element 4 (m % 2) + 2 h + e.

__host__ __device__ constexpr int operandColumn(WeightFormat format, int position) {
    const int within = position & (chunkColumns(format) - 1);
    const int m = within / 16;
    const int h = within / 8 % 2;
    const int t = within / 2 % 4;
    const int e = within % 2;
    return position - within + columnOf(format, m / 2, t) + 4 * (m % 2) + 2 * h + e;
}

/// The inverse: where a column goes.
__host__ __device__ constexpr int operandPosition(WeightFormat format, int column) {
    const int within = column & (chunkColumns(format) - 1);
    const int octet = format == WeightFormat::Mxfp4 ? within / 8 % 4 : within / 32;
    const int t = format == WeightFormat::Mxfp4 ? within / 32 : within / 8 % 4;
    const int element = within % 8;
    const int m = 2 * octet + element / 4;
    return column - within + 16 * m + 8 * (element / 2 % 2) + 2 * t + element % 2;
}

// ---- E2M1 codes
// ----------------------------------------------------------------------------------
//
// A word holds 8 codes (columns 8 octet .. + 7 of a block), as 4 pairs: an even column, whose code
// is put into the low half-word of bf16 numbers, and an odd one for the high one. What is to be a
// code's sign and its three bits of magnitude lies where one rotation and one mask put them on
// bf16's sign, lowest two exponent bits and highest mantissa bit: read as bf16 that is the code's
// value times 2^-126. Four such patterns do not fit into 32 bits; the last pair's bits are where a
// product with three powers of two puts them.
//
//   bit          15  14 13 12  11 10 9   8 7 6   5    4  3   2    1 0
//   of an even    s0  m2        m1        m0          a3 s3        c3 b3     m3 = c3 b3 a3
//   of an odd                                    s2           s1             and the reverse above

inline constexpr std::uint32_t kE2m1Mask = 0x81C081C0U;  // sign, two exponent bits, one of mantissa
inline constexpr std::uint32_t kLastPairMask = 0x001B001BU;  // of pair 3 in a word
/// Bits 3, 1, 0 and 4 to 15 (2^12), 8 and 7 (2^7), 6 (2^2); no other ones of the product meet.
inline constexpr std::uint32_t kLastPairFactor = 0x1084U;

/// Where an even column's code (sign, magnitude) of pair `pair` lies in a word; an odd one's bits
/// lie 16 further on, around the word's end.
__host__ __device__ constexpr std::uint32_t mxfp4Bits(int pair, std::uint32_t code) {
    const std::uint32_t sign = code >> 3U & 1U;
    const std::uint32_t magnitude = code & 7U;
    switch (pair) {
        case 0:
            return sign << 15U | magnitude << 6U;
        case 1:
            return sign << 18U | magnitude << 9U;
        case 2:
            return sign << 21U | magnitude << 12U;
        default:
            return sign << 3U | magnitude >> 1U | (magnitude & 1U) << 4U;
    }
}
/// Two codes' bits of a word.
__host__ __device__ constexpr std::uint32_t mxfp4PairBits(int pair, std::uint32_t even,
                                                          std::uint32_t odd) {
    const std::uint32_t bits = mxfp4Bits(pair, odd);
    return mxfp4Bits(pair, even) | bits << 16U | bits >> 16U;
}

/// Eight codes of consecutive columns as one word.
template <typename Code>
__host__ __device__ constexpr std::uint32_t mxfp4Word(const Code* codes) {
    std::uint32_t word = 0;
    for (int pair = 0; pair < 4; ++pair)
        word |= mxfp4PairBits(pair, static_cast<std::uint32_t>(codes[2 * pair]),
                              static_cast<std::uint32_t>(codes[2 * pair + 1]));
    return word;
}

/// Pair `pair` of a word as two bf16 numbers of 2^-126 of their value.
template <int kPair>
__host__ __device__ __forceinline__ std::uint32_t mxfp4Pair(std::uint32_t word) {
    if constexpr (kPair == 0) return word & kE2m1Mask;
    if constexpr (kPair == 1) return (word >> 3U | word << 29U) & kE2m1Mask;
    if constexpr (kPair == 2) return (word >> 6U | word << 26U) & kE2m1Mask;
    return (word & kLastPairMask) * kLastPairFactor & kE2m1Mask;
}

/// What turns such a pair into weights: the E8M0 scale e as bf16 2^(e - 1), twice. e <= 128.
__host__ __device__ __forceinline__ std::uint32_t mxfp4Scale(std::uint32_t e) {
    return ((e + 126U) << 7U) * 0x00010001U;
}
inline constexpr std::uint32_t kMaxMxfp4Scale = 128;

}  // namespace moescope::cuda
