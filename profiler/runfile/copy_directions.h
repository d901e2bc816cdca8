// SPDX-License-Identifier: Apache-2.0
// What the run file calls the directions of copies, and CUPTI's and Nsight Systems' numbers of them
// (CUpti_ActivityMemcpyKind, ENUM_CUDA_MEMCPY_OPER).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace moescope {

struct CopyDirection {
    std::int64_t kind;
    std::string_view name;
};
inline constexpr std::array<CopyDirection, 5> kCopyDirections{{{1, "host to device"},
                                                               {2, "device to host"},
                                                               {8, "device to device"},
                                                               {9, "host to host"},
                                                               {10, "device to another device"}}};

/// "copy" for a kind that is none of these.
constexpr std::string_view copyDirection(std::int64_t kind) noexcept {
    for (const CopyDirection& direction : kCopyDirections)
        if (direction.kind == kind) return direction.name;
    return "copy";
}

/// 0 for a name that is none of these.
constexpr std::int64_t copyKind(std::string_view name) noexcept {
    for (const CopyDirection& direction : kCopyDirections)
        if (direction.name == name) return direction.kind;
    return 0;
}

}  // namespace moescope
