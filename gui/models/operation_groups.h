// SPDX-License-Identifier: Apache-2.0
// Operations gathered by kernel, operation, phase or layer, over the whole run or a time range.
#pragma once

#include <QCoreApplication>
#include <optional>
#include <vector>

#include "gui/data/run_data.h"
#include "gui/data/selection.h"
#include "gui/models/row_model.h"

namespace moescope::gui {

enum class GroupBy : std::uint8_t { Kernel, Operation, Phase, Layer };

struct OperationGroupRow {
    OperationGroup group;
    std::optional<int> layer;  ///< when grouped by layer
};

/// Largest total first. With a range only operations that begin in it count (whole, so that calls
/// and medians mean the same as without). O(n log n) at worst: call it in a worker.
std::vector<OperationGroupRow> groupOperations(
    const OperationColumns& operations, GroupBy by,
    const std::optional<TimeRange>& range = std::nullopt);

class OperationsModel : public RowModel<OperationGroupRow> {
    Q_DECLARE_TR_FUNCTIONS(OperationsModel)
public:
    explicit OperationsModel(QObject* parent = nullptr);
    /// Column of the total time, by which the table is sorted at first.
    static constexpr int kTotalColumn = 4;
};

}  // namespace moescope::gui
