// SPDX-License-Identifier: Apache-2.0
// The evaluations of two runs beside each other as a table.
#pragma once

#include <QCoreApplication>

#include "gui/models/row_model.h"
#include "reports/suite_comparison.h"

namespace moescope::gui {

class SuiteChangeModel : public RowModel<MetricChange> {
    Q_DECLARE_TR_FUNCTIONS(SuiteChangeModel)
public:
    explicit SuiteChangeModel(QObject* parent = nullptr);
    static constexpr int kNoteColumn = 9;
};

}  // namespace moescope::gui
