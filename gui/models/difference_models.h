// SPDX-License-Identifier: Apache-2.0
// The difference of the times of two runs as a table.
#pragma once

#include <QCoreApplication>

#include "gui/models/row_model.h"
#include "profiler/analysis/run_difference.h"

namespace moescope::gui {

class DifferenceModel : public RowModel<DifferenceRow> {
    Q_DECLARE_TR_FUNCTIONS(DifferenceModel)
public:
    explicit DifferenceModel(QObject* parent = nullptr);
};

}  // namespace moescope::gui
