// SPDX-License-Identifier: Apache-2.0
#include "engine/trace.h"

#include <array>
#include <cassert>

namespace moescope {

std::string_view opName(Op op) noexcept {
    static constexpr std::array<std::string_view, kOpCount> kNames{
        "embed", "attention_input", "attention", "attention_output", "router", "experts", "mlp",
        "head",  "sample"};
    const auto index = static_cast<std::size_t>(op);
    assert(index < kNames.size());
    return kNames[index];
}

}  // namespace moescope
