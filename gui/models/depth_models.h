// SPDX-License-Identifier: Apache-2.0
// The layers of several runs with every figure that is drawn over their depth.
#pragma once

#include <QCoreApplication>
#include <span>

#include "gui/models/row_model.h"
#include "reports/depth_curves.h"

namespace moescope::gui {

struct DepthRow {
    QString run;
    DepthLayer of;
};
std::vector<DepthRow> depthRows(std::span<const DepthRun> runs);

class DepthModel : public RowModel<DepthRow> {
    Q_DECLARE_TR_FUNCTIONS(DepthModel)
public:
    explicit DepthModel(QObject* parent = nullptr);
};

}  // namespace moescope::gui
