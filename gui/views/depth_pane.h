// SPDX-License-Identifier: Apache-2.0
// A chosen figure of the layers of runs over relative depth, with a table of all figures as its
// twin.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QWidget>

#include "gui/models/depth_models.h"
#include "gui/widgets/curve_widget.h"
#include "gui/widgets/data_table.h"

namespace moescope::gui {

class DepthPane : public QWidget {
    Q_OBJECT
public:
    explicit DepthPane(QWidget* parent = nullptr);

    /// Hidden where none of them has routing. What single ones lack is said above the picture.
    void setRuns(std::vector<DepthRun> runs);
    DataTable* table() const noexcept { return table_; }  ///< every figure of every layer

signals:
    void hovered(const QString& text);

private:
    void draw();

    std::vector<DepthRun> runs_;
    DepthModel* model_;
    DataTable* table_;
    CurveWidget* curves_;
    QComboBox* figure_;
    QLabel* note_;
    QStackedWidget* stack_;
};

}  // namespace moescope::gui
