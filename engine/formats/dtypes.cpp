// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/dtypes.h"

#include <cassert>
#include <limits>
#include <string>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::array<DTypeInfo, 14> kTypes{{
    {"F32", 1, 4, true},
    {"F16", 1, 2, true},
    {"BF16", 1, 2, true},
    {"Q8_0", 32, 34, true},
    {"Q4_0", 32, 18, true},
    {"Q4_1", 32, 20, true},
    {"Q4_K", 256, 144, true},
    {"Q5_K", 256, 176, true},
    {"Q6_K", 256, 210, true},
    {"MXFP4", 32, 17, true},
    {"MXFP4 (split)", 32, 16, true},
    {"U8", 1, 1, false},
    {"I32", 1, 4, false},
    {"I64", 1, 8, false},
}};
static_assert(kTypes.size() == static_cast<std::size_t>(DType::I64) + 1);

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
    view.data = data + index * stackStride;
    if (scales != nullptr) view.scales = scales + index * scaleStackStride;
    return view;
}

ScaleReport scanMxScales(const TensorView& t) {
    ScaleReport report;
    if (t.type != DType::MXFP4 && t.type != DType::MXFP4Split) return report;
    const bool split = t.type == DType::MXFP4Split;
    const std::int64_t step = split ? 1 : dtypeInfo(t.type).blockBytes;
    const std::int64_t blocks = t.cols() / dtypeInfo(t.type).blockWeights;
    for (std::int64_t s = 0; s < t.stack(); ++s) {
        for (std::int64_t r = 0; r < t.rows(); ++r) {
            const std::byte* scale = split ? t.scales + s * t.scaleStackStride + r * t.scaleStride
                                           : t.data + s * t.stackStride + r * t.rowStride;
            for (std::int64_t b = 0; b < blocks; ++b) {
                report.add(std::to_integer<std::uint8_t>(scale[b * step]));
            }
        }
    }
    return report;
}

void refuseNanScales(const std::string& tensorName, const ScaleReport& report) {
    if (report.nan == 0) return;
    throw Error("tensor '" + tensorName + "': " + std::to_string(report.nan) + " of " +
                    std::to_string(report.blocks) + " MXFP4 blocks have a NaN scale (255)",
                "The file is damaged: compare its checksum with the publisher's.");
}

}  // namespace moescope
