// SPDX-License-Identifier: Apache-2.0
// The table of operations or kernels, gathered as profiler/analysis/operation_table.h does.
#pragma once

#include <QCoreApplication>
#include <array>

#include "gui/models/row_model.h"
#include "profiler/analysis/operation_table.h"
#include "profiler/analysis/roofline.h"

namespace moescope::gui {

class OperationsModel : public RowModel<OperationGroupRow> {
    Q_DECLARE_TR_FUNCTIONS(OperationsModel)
public:
    explicit OperationsModel(QObject* parent = nullptr);
    /// What the share of the roof stands against; set before the rows.
    void setCeilings(const Ceilings& ceilings) { ceilings_ = ceilings; }
    /// Column of the total time, by which the table is sorted at first.
    static constexpr int kTotalColumn = 4;
    /// Min, max, arithmetic, mean, p99 and std dev: for a second look.
    static constexpr std::array kDetails{8, 9, 11, 12, 13, 14};

private:
    Ceilings ceilings_;
};

}  // namespace moescope::gui
