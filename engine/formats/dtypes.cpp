// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/dtypes.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <string>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::array<DTypeInfo, 31> kTypes{{
    {"F32", 1, 4, true},      {"F16", 1, 2, true},          {"BF16", 1, 2, true},
    {"Q8_0", 32, 34, true},   {"Q4_0", 32, 18, true},       {"Q4_1", 32, 20, true},
    {"Q5_0", 32, 22, true},   {"Q4_K", 256, 144, true},     {"Q5_K", 256, 176, true},
    {"Q6_K", 256, 210, true}, {"MXFP4", 32, 17, true},      {"MXFP4 (split)", 32, 16, true},
    {"U8", 1, 1, false},      {"I32", 1, 4, false},         {"I64", 1, 8, false},
    {"BOOL", 1, 1, false},    {"I8", 1, 1, false},          {"I16", 1, 2, false},
    {"U16", 1, 2, false},     {"U32", 1, 4, false},         {"U64", 1, 8, false},
    {"F64", 1, 8, false},     {"F8_E4M3", 1, 1, false},     {"F8_E5M2", 1, 1, false},
    {"F8_E8M0", 1, 1, false}, {"F8_E4M3FNUZ", 1, 1, false}, {"F8_E5M2FNUZ", 1, 1, false},
    {"C64", 1, 8, false},     {"F4", 2, 1, false},          {"F6_E2M3", 4, 3, false},
    {"F6_E3M2", 4, 3, false},
}};
static_assert(kTypes.size() == static_cast<std::size_t>(DType::F6_E3M2) + 1);

/// Numbers of type T, `stride` bytes apart, whose exponent is all ones are NaN or infinite.
template <typename T, T kExponent>
bool allFinite(const std::byte* from, std::int64_t count, std::int64_t stride) noexcept {
    bool finite = true;  // no early exit, so that the loop can be vectorised
    for (std::int64_t i = 0; i < count; ++i) {
        T bits;
        std::memcpy(&bits, from + i * stride, sizeof bits);
        finite &= (bits & kExponent) != kExponent;
    }
    return finite;
}

/// MXFP4 blocks: no scale is NaN (255), and no weight is above the largest float32. Strides in
/// bytes, from one block's scale or codes to the next's.
bool mxfp4Finite(const std::byte* scales, std::int64_t scaleStride, const std::byte* codes,
                 std::int64_t codeStride, std::int64_t blocks) noexcept {
    for (std::int64_t b = 0; b < blocks; ++b) {
        const int scale = std::to_integer<int>(scales[b * scaleStride]);
        if (scale < 253) continue;
        if (scale == 255) return false;
        const int least = scale == 253 ? 6 : 4;  // codes of 4 * 2^126 and 2 * 2^127
        for (int i = 0; i < 16; ++i) {
            const int byte = std::to_integer<int>(codes[b * codeStride + i]);
            if ((byte & 7) >= least || (byte >> 4 & 7) >= least) return false;
        }
    }
    return true;
}

}  // namespace

const DTypeInfo& dtypeInfo(DType type) noexcept {
    return kTypes[static_cast<std::size_t>(type)];
}

std::optional<std::int64_t> rowBytes(DType type, std::int64_t cols) noexcept {
    const DTypeInfo& info = dtypeInfo(type);
    if (cols < 0 || cols % info.blockWeights != 0) return std::nullopt;
    const std::int64_t blocks = cols / info.blockWeights;
    if (blocks > std::numeric_limits<std::int64_t>::max() / info.blockBytes) return std::nullopt;
    return blocks * info.blockBytes;
}

std::uint64_t storedBytes(const TensorView& t) noexcept {
    if (t.empty()) return 0;
    const DTypeInfo& type = dtypeInfo(t.type);
    const int scaleBytes = t.type == DType::MXFP4Split ? 1 : 0;
    return static_cast<std::uint64_t>(t.elements() / type.blockWeights) *
           static_cast<std::uint64_t>(type.blockBytes + scaleBytes);
}

void setContiguousStrides(TensorView& t) noexcept {
    const std::int64_t bytes = rowBytes(t.type, t.cols()).value_or(0);
    t.rowStride = bytes;
    t.stackStride = bytes * t.rows();
}

TensorView TensorView::matrix(std::int64_t index) const {
    assert(index >= 0 && index < stack());
    TensorView view = *this;
    view.rank = 2;
    view.shape = {rows(), cols(), 1, 1};
    view.data = matrixData(index);
    view.matrices = nullptr;
    if (scales != nullptr) view.scales = scales + index * scaleStackStride;
    return view;
}

bool rowIsFinite(const TensorView& t, std::int64_t stackIndex, std::int64_t row) noexcept {
    assert(dtypeInfo(t.type).isWeight);
    const std::byte* from = t.matrixData(stackIndex) + row * t.rowStride;
    const std::int64_t stride = dtypeInfo(t.type).blockBytes;
    const std::int64_t blocks = t.cols() / dtypeInfo(t.type).blockWeights;
    const auto halves = [&](std::int64_t offset) {
        return allFinite<std::uint16_t, 0x7C00>(from + offset, blocks, stride);
    };
    switch (t.type) {
        case DType::F32:
            return allFinite<std::uint32_t, 0x7F800000>(from, blocks, 4);
        case DType::BF16:
            return allFinite<std::uint16_t, 0x7F80>(from, blocks, 2);
        case DType::MXFP4:
            return mxfp4Finite(from, stride, from + 1, stride, blocks);
        case DType::MXFP4Split:
            return mxfp4Finite(t.scales + stackIndex * t.scaleStackStride + row * t.scaleStride, 1,
                               from, stride, blocks);
        case DType::Q4_1:
        case DType::Q4_K:
        case DType::Q5_K:
            return halves(0) && halves(2);
        case DType::Q6_K:
            return halves(208);
        default:  // F16, Q8_0, Q4_0, Q5_0
            return halves(0);
    }
}

void refuseNotFinite(const TensorView& t, std::int64_t stackIndex, std::int64_t row) {
    if (rowIsFinite(t, stackIndex, row)) return;
    const bool scaled = t.type == DType::MXFP4 || t.type == DType::MXFP4Split;
    throw WeightError("tensor '" + t.name + "': row " + std::to_string(row) +
                          " holds a number that is not finite" +
                          (scaled ? " (an MXFP4 scale of 255, NaN, or too large for float32)" : ""),
                      "The file is damaged: compare its checksum with the publisher's.");
}

Mxfp4Edges& Mxfp4Edges::operator+=(const Mxfp4Edges& other) noexcept {
    smallest += other.smallest;
    next += other.next;
    largest += other.largest;
    return *this;
}

Mxfp4Edges mxfp4Edges(const TensorView& t, std::int64_t stackIndex, std::int64_t row) noexcept {
    Mxfp4Edges edges;
    const bool split = t.type == DType::MXFP4Split;
    if (!split && t.type != DType::MXFP4) return edges;
    const std::int64_t stride = dtypeInfo(t.type).blockBytes;
    const std::byte* codes = t.matrixData(stackIndex) + row * t.rowStride + (split ? 0 : 1);
    const std::byte* scales =
        split ? t.scales + stackIndex * t.scaleStackStride + row * t.scaleStride : codes - 1;
    const std::int64_t scaleStep = split ? 1 : stride;
    for (std::int64_t b = 0; b < t.cols() / dtypeInfo(t.type).blockWeights; ++b) {
        const int scale = std::to_integer<int>(scales[b * scaleStep]);
        if (scale > 1 && scale < 254) continue;
        const std::byte* block = codes + b * stride;
        // Quantisers give blocks of zeros the smallest scale: nothing to report.
        const bool zeros = std::all_of(block, block + 16, [](std::byte c) {
            return std::to_integer<int>(c & std::byte{0x77}) == 0;
        });
        if (zeros) continue;
        ++(scale == 0 ? edges.smallest : scale == 1 ? edges.next : edges.largest);
    }
    return edges;
}

void refuseNotFinite(const TensorView& t) {
    if (t.empty()) return;
    for (std::int64_t s = 0; s < t.stack(); ++s) {
        for (std::int64_t r = 0; r < t.rows(); ++r) refuseNotFinite(t, s, r);
    }
}

}  // namespace moescope
