// SPDX-License-Identifier: Apache-2.0
// Row by row, block by block; nibbles are moved eight at a time in one 64-bit word.
#include "engine/backend/cpu/pack.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "engine/core/arena.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/half.h"
#include "engine/formats/k_quants.h"

namespace moescope::cpu {
namespace {

constexpr std::uint64_t kLowNibbles = 0x0f0f0f0f0f0f0f0fULL;

/// Bytes 0, 2, 4, 6 of x (each below 16) as four nibbles.
std::uint32_t gatherEven(std::uint64_t x) {
    const std::uint64_t pairs = x | x >> 12;
    return static_cast<std::uint32_t>((pairs & 0xffU) | (pairs >> 24 & 0xff00U));
}

/// Eight codes, one per byte, in the dword order of the packed layout.
std::uint32_t packEight(std::uint64_t codes) {
    constexpr std::uint64_t kEvenBytes = 0x00ff00ff00ff00ffULL;
    return gatherEven(codes & kEvenBytes) | gatherEven(codes >> 8 & kEvenBytes) << 16;
}

/// Where row r of a group writes: code dword v of block b, and its scale bytes.
struct RowTarget {
    std::byte* codes;   // of the group
    std::byte* scales;  // of the group
    const PackedInfo* info;
    std::int64_t row;  // within the group

    void dword(std::int64_t block, std::int64_t v, std::uint32_t bits) const {
        std::memcpy(codes + block * info->blockBytes + 64 * v + 4 * row, &bits, 4);
    }
    void byteScale(std::int64_t block, std::byte scale) const {
        scales[block * info->scaleBytes + row] = scale;
    }
    /// `part` 0: scale, 1: minimum or second scale.
    void floatScale(std::int64_t block, float scale, int part) const {
        std::memcpy(scales + block * info->scaleBytes + 64 * part + 4 * row, &scale, 4);
    }
    /// `part` 0: scale, 1: minimum.
    void halfScale(std::int64_t block, const std::byte* from, int part = 0) const {
        std::memcpy(scales + block * info->scaleBytes + 32 * part + 2 * row, from, 2);
    }
};

/// ggml order: byte j holds element j low and element j + 16 high.
void packNibbles(const std::byte* q, std::int64_t block, const RowTarget& to) {
    std::uint64_t words[2];
    std::memcpy(words, q, 16);
    for (int half = 0; half < 2; ++half) {
        to.dword(block, half, packEight(words[half] & kLowNibbles));
        to.dword(block, 2 + half, packEight(words[half] >> 4 & kLowNibbles));
    }
}

/// Hugging Face order: byte i holds element 2i low and 2i + 1 high.
void packSplitNibbles(const std::byte* q, std::int64_t block, const RowTarget& to) {
    for (int v = 0; v < 4; ++v) {
        std::uint64_t codes = 0;
        for (int i = 3; i >= 0; --i) {
            const auto byte = std::to_integer<std::uint64_t>(q[4 * v + i]);
            codes = codes << 16 | (byte >> 4) << 8 | (byte & 15U);
        }
        to.dword(block, v, packEight(codes));
    }
}

/// 32 signed bytes: of four, the middle two change places.
void packBytes(const std::byte* q, std::int64_t block, const RowTarget& to) {
    for (int v = 0; v < 8; ++v) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, q + 4 * v, 4);
        const std::uint32_t middle = (bits >> 8 & 0xff00U) | (bits & 0xff00U) << 8;
        to.dword(block, v, (bits & 0xff0000ffU) | middle);
    }
}

/// A block of Q5_0 as bytes: its five bits less 16, with the same scale.
void packFiveBits(const std::byte* from, std::int64_t block, const RowTarget& to) {
    std::uint32_t fifths = 0;
    std::memcpy(&fifths, from + 2, 4);
    std::byte bytes[32];
    for (unsigned i = 0; i < 32; ++i) {
        const unsigned nibble = std::to_integer<unsigned>(from[6 + i % 16]) >> (i / 16 * 4) & 15U;
        bytes[i] = static_cast<std::byte>((nibble | (fifths >> i & 1U) << 4) - 16U);
    }
    packBytes(bytes, block, to);
}

/// Codes below 16, one a byte.
void packCodes(const std::uint8_t* codes, std::int64_t block, const RowTarget& to) {
    for (int v = 0; v < 4; ++v) {
        std::uint64_t word = 0;
        std::memcpy(&word, codes + 8 * v, 8);
        to.dword(block, v, packEight(word));
    }
}

/// Q4_K and Q5_K: eight blocks of 32 from one of 256.
void packAffine(const std::byte* from, bool fifthBits, std::int64_t first, const RowTarget& to) {
    for (int j = 0; j < 8; ++j) {
        const kquants::Affine sub = kquants::affine(from, fifthBits, j);
        to.floatScale(first + j, sub.scale, 0);
        to.floatScale(first + j, -sub.minimum, 1);
        if (fifthBits)
            packBytes(reinterpret_cast<const std::byte*>(sub.codes), first + j, to);
        else
            packCodes(sub.codes, first + j, to);
    }
}

/// Q6_K: likewise.
void packScaled(const std::byte* from, std::int64_t first, const RowTarget& to) {
    for (int j = 0; j < 8; ++j) {
        const kquants::Scaled sub = kquants::scaled(from, j);
        for (int part = 0; part < 2; ++part) to.floatScale(first + j, sub.scales[part], part);
        packBytes(reinterpret_cast<const std::byte*>(sub.codes), first + j, to);
    }
}

/// Plain types: element c of the row goes to its place.
template <typename Put>
void packElements(std::int64_t cols, Put put) {
    for (std::int64_t c = 0; c < cols; ++c) put(c, c / kBlockCols, c % kBlockCols);
}

void packHalves(const std::byte* from, std::int64_t cols, const RowTarget& to) {
    packElements(cols, [&](std::int64_t c, std::int64_t block, std::int64_t j) {
        std::memcpy(to.codes + block * to.info->blockBytes + 32 * j + 2 * to.row, from + 2 * c, 2);
    });
}

void packRow(const TensorView& source, std::int64_t row, const RowTarget& to) {
    refuseNotFinite(source, 0, row);
    const std::byte* from = source.data + row * source.rowStride;
    const std::int64_t cols = source.cols();
    const std::int64_t blocks = cols / kBlockCols;
    switch (source.type) {
        case DType::MXFP4:
            for (std::int64_t b = 0; b < blocks; ++b, from += 17) {
                to.byteScale(b, from[0]);
                packNibbles(from + 1, b, to);
            }
            return;
        case DType::MXFP4Split:
            for (std::int64_t b = 0; b < blocks; ++b, from += 16) {
                to.byteScale(b, source.scales[row * source.scaleStride + b]);
                packSplitNibbles(from, b, to);
            }
            return;
        case DType::Q4_0:
            for (std::int64_t b = 0; b < blocks; ++b, from += 18) {
                to.halfScale(b, from);
                packNibbles(from + 2, b, to);
            }
            return;
        case DType::Q4_1:
            for (std::int64_t b = 0; b < blocks; ++b, from += 20) {
                to.halfScale(b, from);
                to.halfScale(b, from + 2, 1);
                packNibbles(from + 4, b, to);
            }
            return;
        case DType::Q8_0:
            for (std::int64_t b = 0; b < blocks; ++b, from += 34) {
                to.halfScale(b, from);
                packBytes(from + 2, b, to);
            }
            return;
        case DType::Q5_0:
            for (std::int64_t b = 0; b < blocks; ++b, from += 22) {
                to.halfScale(b, from);
                packFiveBits(from, b, to);
            }
            return;
        case DType::Q4_K:
        case DType::Q5_K:
            for (std::int64_t b = 0; b < blocks; b += 8, from += dtypeInfo(source.type).blockBytes)
                packAffine(from, source.type == DType::Q5_K, b, to);
            return;
        case DType::Q6_K:
            for (std::int64_t b = 0; b < blocks; b += 8, from += dtypeInfo(source.type).blockBytes)
                packScaled(from, b, to);
            return;
        case DType::BF16:
            packElements(cols, [&](std::int64_t c, std::int64_t block, std::int64_t j) {
                std::memcpy(to.codes + block * to.info->blockBytes + 64 * (j / 2) + 4 * to.row +
                                2 * (j % 2),
                            from + 2 * c, 2);
            });
            return;
        case DType::F16:
            packHalves(from, cols, to);
            return;
        case DType::F32:
            packElements(cols, [&](std::int64_t c, std::int64_t block, std::int64_t j) {
                std::memcpy(to.codes + block * to.info->blockBytes + 64 * j + 4 * to.row,
                            from + 4 * c, 4);
            });
            return;
        default:
            assert(!"no weight format");
    }
}

}  // namespace

PackedFormat packedFormatOf(DType type) noexcept {
    switch (type) {
        case DType::MXFP4:
        case DType::MXFP4Split:
            return PackedFormat::Mxfp4;
        case DType::Q8_0:
        case DType::Q5_0:
            return PackedFormat::Q8_0;
        case DType::Q4_0:
            return PackedFormat::Q4_0;
        case DType::Q4_1:
            return PackedFormat::Q4_1;
        case DType::Q4_K:
            return PackedFormat::Q4_K;
        case DType::Q5_K:
            return PackedFormat::Q5_K;
        case DType::Q6_K:
            return PackedFormat::Q6_K;
        case DType::BF16:
            return PackedFormat::Bf16;
        case DType::F32:
            return PackedFormat::F32;
        default:
            return PackedFormat::F16;
    }
}

PackedMatrix PackedStack::matrix(std::int64_t index) const noexcept {
    PackedMatrix m = first;
    m.codes += static_cast<std::uint64_t>(index) * codeStride;
    m.scales += static_cast<std::uint64_t>(index) * scaleStride;
    return m;
}

PackedStack planStack(const TensorView& t) noexcept {
    PackedStack s;
    if (t.empty()) return s;
    s.first.format = packedFormatOf(t.type);
    s.first.rows = static_cast<std::int32_t>(t.rows());
    s.first.cols = static_cast<std::int32_t>(t.cols());
    s.first.blocks = static_cast<std::int32_t>((t.cols() + kBlockCols - 1) / kBlockCols);
    s.count = static_cast<std::int32_t>(t.stack());
    s.codeStride = Arena::aligned(s.first.codeBytes());
    s.scaleStride = Arena::aligned(s.first.scaleBytes());
    return s;
}

void packTile(const TensorView& source, std::int64_t tile, const PackedMatrix& to) {
    assert(source.rank <= 2 && source.cols() == to.cols && source.rows() == to.rows);
    const PackedInfo& info = packedInfo(to.format);
    const std::int64_t end = std::min<std::int64_t>(to.rows, (tile + 1) * kTileRows);
    for (std::int64_t row = tile * kTileRows; row < end; ++row) {
        const std::int64_t group = row / kGroupRows;
        packRow(source, row,
                {to.codes + group * to.blocks * info.blockBytes,
                 to.scales + group * to.blocks * info.scaleBytes, &info, row % kGroupRows});
    }
}

}  // namespace moescope::cpu
