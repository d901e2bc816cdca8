// SPDX-License-Identifier: Apache-2.0
// Checks that every reader makes before a TensorView points into a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/tensor.h"

namespace moescope {

/// Collects the byte ranges of one file's tensors. Messages begin with `origin`.
class TensorTable {
public:
    TensorTable(std::string origin, std::span<const std::byte> file)
        : origin_(std::move(origin)), file_(file) {}

    /// From name, type, shape and rank of `t`: checks that the size does not overflow, that rows
    /// are whole blocks and that [base + offset, + size) lies inside the file; then fills data and
    /// strides. Returns the size in bytes. Throws Error.
    std::uint64_t place(TensorView& t, std::uint64_t base, std::uint64_t offset);

    /// Throws Error naming the first two tensors that share bytes.
    void refuseOverlaps();

private:
    struct Range {
        std::uint64_t begin, end;
        std::string_view name;  ///< of a tensor that the caller keeps
    };
    std::string origin_;
    std::span<const std::byte> file_;
    std::vector<Range> ranges_;
};

/// "(32, 2880, 2880)", outermost dimension first.
std::string shapeText(const TensorView& t);

}  // namespace moescope
