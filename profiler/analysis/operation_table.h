// SPDX-License-Identifier: Apache-2.0
// Operations gathered by kernel, operation, phase, layer or step, over the whole run or a part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/analysis/operation_columns.h"
#include "profiler/analysis/run_summary.h"

namespace moescope {

enum class GroupBy : std::uint8_t { Kernel, Operation, Phase, Layer, Step };

struct OperationGroupRow {
    OperationGroup group;
    std::optional<int> layer = {};  ///< when grouped by layer
    std::optional<int> step = {};   ///< when grouped by step: index into the run's steps, -1 absent
};

/// Largest total first; shares are of the rows returned. With a range only operations that begin
/// in it count (whole, so that calls and medians mean the same as without), with a phase only those
/// of its steps. O(n log n) at worst: call it in a worker.
std::vector<OperationGroupRow> groupOperations(const OperationColumns& operations, GroupBy by,
                                               const std::optional<TimeRange>& range = std::nullopt,
                                               std::string_view phase = {});

}  // namespace moescope
