// SPDX-License-Identifier: Apache-2.0
// The step, layer and operation that a launch belongs to, packed into the 64 bits of one CUPTI
// external correlation id. Packed, not looked up: a capture replayed years later needs no table.
#pragma once

#include <cstdint>

#include "engine/trace.h"

namespace moescope::cupti {

/// Operation ids of the run file are step * 4096 + index within the step (SpanTracer). Indices from
/// 2048 on belong to operations that the host never announced: nodes of a replayed graph.
inline constexpr std::int64_t kOperationsPerStep = 4096;
inline constexpr std::int32_t kFirstGraphOperation = 2048;

struct Scope {
    std::int64_t step = -1;   ///< -1: none
    std::int32_t index = -1;  ///< within the step; -1: in the step, in no operation
    std::int32_t layer = -1;
    Op op = Op::Embed;

    bool hasStep() const noexcept { return step >= 0; }
    bool hasOperation() const noexcept { return index >= 0; }
    std::int64_t operation() const noexcept {
        return hasOperation() ? step * kOperationsPerStep + index : -1;
    }
    bool operator==(const Scope&) const = default;
};

// bit 63: always 1, so that no scope is 0 | 62..31 step | 30..18 index + 1 | 17..6 layer + 1 |
// 5..0 operation
constexpr std::uint64_t packScope(const Scope& scope) noexcept {
    return (1ULL << 63) | (std::uint64_t(scope.step & 0xFFFFFFFF) << 31) |
           (std::uint64_t((scope.index + 1) & 0x1FFF) << 18) |
           (std::uint64_t((scope.layer + 1) & 0xFFF) << 6) | (std::uint64_t(scope.op) & 0x3F);
}

/// An id that is none of ours gives a scope without a step.
constexpr Scope unpackScope(std::uint64_t id) noexcept {
    if ((id >> 63) == 0 || (id & 0x3F) >= std::uint64_t(kOpCount)) return {};
    return {std::int64_t((id >> 31) & 0xFFFFFFFF), std::int32_t((id >> 18) & 0x1FFF) - 1,
            std::int32_t((id >> 6) & 0xFFF) - 1, Op(id & 0x3F)};
}

}  // namespace moescope::cupti
