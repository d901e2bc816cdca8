// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/pack.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/half.h"

namespace moescope::cuda {
namespace {

/// Two codes (low and high nibble) as pair `p` of a word.
using PairTable = std::array<std::array<std::uint32_t, 256>, 4>;
constexpr PairTable makePairTable() {
    PairTable table{};
    for (int pair = 0; pair < 4; ++pair) {
        for (std::uint32_t byte = 0; byte < 256; ++byte) {
            table[static_cast<std::size_t>(pair)][byte] =
                mxfp4PairBits(pair, byte & 15U, byte >> 4U);
        }
    }
    return table;
}
constexpr PairTable kPairs = makePairTable();

std::uint32_t byteAt(const std::byte* at, std::int64_t i) {
    return std::to_integer<std::uint32_t>(at[i]);
}

/// The 16 bytes of a block in the order of the file as ours. `interleaved`: low nibble = element
/// 2i.
uint4 mxfp4Unit(const std::byte* codes, bool interleaved) {
    std::array<std::uint32_t, 4> words{};
    for (int w = 0; w < 4; ++w) {
        for (int pair = 0; pair < 4; ++pair) {
            std::uint32_t both = 0;
            if (interleaved) {
                both = byteAt(codes, 4 * w + pair);
            } else {
                const int column = 8 * w + 2 * pair;  // byte j: element j low, j + 16 high
                const unsigned shift = column >= 16 ? 4U : 0U;
                both = (byteAt(codes, column % 16) >> shift & 15U) |
                       (byteAt(codes, column % 16 + 1) >> shift & 15U) << 4U;
            }
            words[static_cast<std::size_t>(w)] |= kPairs[static_cast<std::size_t>(pair)][both];
        }
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
}

struct Mxfp4Row {
    const std::byte* codes;   // block b at codes + b * codeStride
    const std::byte* scales;  // scale of block b at scales + b * scaleStride
    std::int64_t codeStride;
    std::int64_t scaleStride;
    bool interleaved;
};

Mxfp4Row mxfp4Row(const SourceRow& r) {
    const TensorView& t = *r.tensor;
    const std::byte* row = t.matrixData(r.stackIndex) + r.row * t.rowStride;
    if (t.type == DType::MXFP4) return {row + 1, row, 17, 17, false};
    return {row, t.scales + r.stackIndex * t.scaleStackStride + r.row * t.scaleStride, 16, 1, true};
}

/// A tile being written: `rows` of its 8 exist.
struct Tile {
    const DeviceMatrix& shape;
    std::array<SourceRow, kTileRows> row;
    int rows;
    uint4* codes;
    std::uint32_t* scales;
};

void packMxfp4(const Tile& tile) {
    const int chunks = tile.shape.chunks();
    auto* bytes = reinterpret_cast<std::uint8_t*>(tile.scales);
    for (int g = 0; g < tile.rows; ++g) {
        const SourceRow& source = tile.row[static_cast<std::size_t>(g)];
        const Mxfp4Row row = mxfp4Row(source);
        for (int chunk = 0; chunk < chunks; ++chunk) {
            const int blocks = chunk + 1 < chunks ? 4 : tile.shape.lastChunkBlocks();
            for (int t = 0; t < blocks; ++t) {
                const std::int64_t block = 4 * chunk + t;
                const std::uint32_t e = byteAt(row.scales, block * row.scaleStride);
                if (e > kMaxMxfp4Scale) {
                    throw Error("tensor '" + source.tensor->name + "': row " +
                                std::to_string(source.row) + " has a MXFP4 scale of 2^" +
                                std::to_string(static_cast<int>(e) - 127) +
                                "; the cuda back end takes scales up to 2");
                }
                tile.codes[cuda::mxfp4Unit(chunk, blocks, g, t)] =
                    mxfp4Unit(row.codes + block * row.codeStride, row.interleaved);
                bytes[(chunk / 4 * 32 + 4 * g + t) * 4 + chunk % 4] = static_cast<std::uint8_t>(e);
            }
        }
    }
}

void packQ8(const Tile& tile) {
    const int blocks = (tile.shape.cols + 31) / 32;
    auto* codes = reinterpret_cast<std::byte*>(tile.codes);
    auto* halves = reinterpret_cast<std::uint16_t*>(tile.scales);
    for (int g = 0; g < tile.rows; ++g) {
        const SourceRow& source = tile.row[static_cast<std::size_t>(g)];
        const std::byte* row =
            source.tensor->matrixData(source.stackIndex) + source.row * source.tensor->rowStride;
        for (int b = 0; b < blocks; ++b) {
            const std::byte* block = row + std::ptrdiff_t{b} * 34;
            const int chunk = b / 2;
            std::memcpy(&halves[((chunk * 4 + g / 2) * 2 + b % 2) * 2 + g % 2], block, 2);
            for (int t = 0; t < 4; ++t) {
                std::memcpy(codes + (chunk * 32 + 4 * g + t) * 16 + b % 2 * 8, block + 2 + 8 * t,
                            8);
            }
        }
    }
}

void packBf16(const Tile& tile) {
    const bool pair = tile.shape.format == WeightFormat::Bf16Pair;
    const auto cols = static_cast<std::size_t>(tile.shape.cols);
    std::vector<float> values(cols);
    auto* out = reinterpret_cast<std::uint16_t*>(tile.codes);
    for (int g = 0; g < tile.rows; ++g) {
        const SourceRow& source = tile.row[static_cast<std::size_t>(g)];
        dequantizeRow(*source.tensor, source.stackIndex, source.row, values);
        for (std::size_t c = 0; c < cols; ++c) {
            const auto chunk = static_cast<std::int64_t>(c / 32);
            const auto within = static_cast<std::int64_t>(c % 32);
            const std::int64_t lane = 4 * g + within / 8;
            const std::int64_t unit = chunk * chunkUnits(tile.shape.format) + lane;
            const std::uint16_t high = floatToBf16(values[c]);
            out[unit * 8 + within % 8] = high;
            if (!pair) continue;
            out[(unit + 32) * 8 + within % 8] = floatToBf16(values[c] - bf16ToFloat(high));
        }
    }
}

}  // namespace

WeightFormat formatOf(DType type) noexcept {
    switch (type) {
        case DType::MXFP4:
        case DType::MXFP4Split:
            return WeightFormat::Mxfp4;
        case DType::Q8_0:
            return WeightFormat::Q8_0;
        case DType::BF16:
            return WeightFormat::Bf16;
        default:
            return WeightFormat::Bf16Pair;
    }
}

MatrixSource MatrixSource::concatenated(std::vector<const TensorView*> tensors) {
    MatrixSource source;
    for (const TensorView* t : tensors) {
        if (!t->empty()) source.tensors_.push_back(t);
    }
    return source;
}

MatrixSource MatrixSource::interleaved(const TensorView& first, const TensorView& second) {
    MatrixSource source = concatenated({&first, &second});
    assert(source.tensors_.size() != 2 || first.rows() == second.rows());
    source.interleaved_ = source.tensors_.size() == 2;
    return source;
}

SourceRow MatrixSource::at(std::int64_t matrix, std::int64_t row) const noexcept {
    if (interleaved_) return {tensors_[static_cast<std::size_t>(row % 2)], matrix, row / 2};
    for (const TensorView* t : tensors_) {
        if (row < t->rows()) return {t, matrix, row};
        row -= t->rows();
    }
    return {};
}

DeviceMatrix MatrixSource::shape() const {
    DeviceMatrix m;
    if (empty()) return m;
    m.cols = static_cast<std::int32_t>(tensors_.front()->cols());
    m.format = formatOf(tensors_.front()->type);
    for (const TensorView* t : tensors_) {
        assert(t->cols() == m.cols && t->stack() == tensors_.front()->stack());
        m.rows += static_cast<std::int32_t>(t->rows());
        if (formatOf(t->type) != m.format) m.format = WeightFormat::Bf16Pair;
    }
    return m;
}

void packTile(const MatrixSource& source, const DeviceMatrix& shape, std::int64_t matrix, int tile,
              uint4* codes, std::uint32_t* scales) {
    Tile t{shape, {}, std::min(kTileRows, shape.rows - tile * kTileRows), codes, scales};
    for (int g = 0; g < t.rows; ++g) {
        const SourceRow row = source.at(matrix, std::int64_t{tile} * kTileRows + g);
        refuseNotFinite(*row.tensor, row.stackIndex, row.row);
        t.row[static_cast<std::size_t>(g)] = row;
    }
    // What no weight fills is zero: rows past the last, columns past the last, scales of neither.
    std::memset(codes, 0, 16 * static_cast<std::size_t>(shape.tileUnits()));
    if (shape.tileScales() > 0)
        std::memset(scales, 0, 4 * static_cast<std::size_t>(shape.tileScales()));
    switch (shape.format) {
        case WeightFormat::Mxfp4:
            packMxfp4(t);
            break;
        case WeightFormat::Q8_0:
            packQ8(t);
            break;
        case WeightFormat::Bf16:
        case WeightFormat::Bf16Pair:
            packBf16(t);
            break;
    }
}

}  // namespace moescope::cuda
