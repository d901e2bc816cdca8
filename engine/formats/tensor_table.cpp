// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/tensor_table.h"

#include <algorithm>
#include <limits>

#include "engine/core/error.h"
#include "engine/formats/dtypes.h"

namespace moescope {
namespace {

/// a * b, or -1 when it overflows or an operand is negative.
std::int64_t product(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t out = 0;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &out) ? -1 : out;
}

}  // namespace

std::string shapeText(const TensorView& t) {
    std::string text = "(";
    for (std::int32_t i = 0; i < t.rank; ++i) {
        text += (i > 0 ? ", " : "") + std::to_string(t.shape[static_cast<std::size_t>(i)]);
    }
    return text + ")";
}

std::uint64_t TensorTable::place(TensorView& t, std::uint64_t base, std::uint64_t offset) {
    const std::string what = origin_ + ": tensor '" + t.name + "'";
    const auto bytes = rowBytes(t.type, t.cols());
    if (!bytes) {
        throw Error(what + " has rows of " + std::to_string(t.cols()) +
                    " weights, not a multiple of " +
                    std::to_string(dtypeInfo(t.type).blockWeights) + " as " +
                    std::string(dtypeInfo(t.type).name) + " needs");
    }
    // stack() multiplies two stored numbers when there are four dimensions (MXFP4 blocks).
    if (t.rank == 4 && product(t.shape[0], t.shape[1]) < 0) {
        throw Error(what + " has the impossible shape " + shapeText(t));
    }
    const std::int64_t size = product(product(*bytes, t.rows()), t.stack());
    // The number of weights must fit as well: it exceeds the bytes for 4-bit formats.
    const std::int64_t weights = product(product(t.cols(), t.rows()), t.stack());
    if (size < 0 || weights < 0) throw Error(what + " has the impossible shape " + shapeText(t));
    const auto length = static_cast<std::uint64_t>(size);
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    if (__builtin_add_overflow(base, offset, &begin) ||
        __builtin_add_overflow(begin, length, &end)) {
        throw Error(what + " starts at the impossible offset " + std::to_string(offset));
    }
    if (end > file_.size()) {
        throw Error(what + " ends at byte " + std::to_string(end) + ", the file has " +
                    std::to_string(file_.size()) + " (truncated download?)");
    }
    t.data = file_.data() + begin;
    setContiguousStrides(t);
    if (length > 0) ranges_.push_back({begin, end, t.name});
    return length;
}

void TensorTable::refuseOverlaps() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < ranges_.size(); ++i) {
        if (ranges_[i].begin < ranges_[i - 1].end) {
            throw Error(origin_ + ": tensors '" + std::string(ranges_[i - 1].name) + "' and '" +
                        std::string(ranges_[i].name) + "' overlap at byte " +
                        std::to_string(ranges_[i].begin));
        }
    }
}

}  // namespace moescope
