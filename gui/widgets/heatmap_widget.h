// SPDX-License-Identifier: Apache-2.0
// Layer x expert heat map: one image pixel a cell, scaled without smoothing; legend, hover, cursor.
#pragma once

#include <QAbstractScrollArea>
#include <QImage>
#include <optional>

#include "gui/models/heatmap_data.h"

namespace moescope::gui {

class HeatmapWidget : public QAbstractScrollArea {
    Q_OBJECT
public:
    explicit HeatmapWidget(QWidget* parent = nullptr);

    void setData(HeatmapData data);
    void setCurrent(std::optional<HeatmapCell> cell);  ///< no signal
    std::optional<HeatmapCell> current() const noexcept { return current_; }
    const HeatmapLayout& layout() const noexcept { return layout_; }
    void fit();

    QSize minimumSizeHint() const override { return {260, 220}; }

signals:
    void currentChanged(moescope::gui::HeatmapCell cell);
    void hovered(const QString& text);  ///< empty when the pointer leaves the cells

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void scrollContentsBy(int dx, int dy) override;
    bool viewportEvent(QEvent* event) override;

private:
    void rebuildImage();
    void updateLayout();
    void choose(HeatmapCell cell);
    void paintLabels(QPainter& painter) const;
    void paintLegend(QPainter& painter) const;

    HeatmapData data_;
    HeatmapLayout layout_;
    QImage image_;
    std::optional<HeatmapCell> current_;
};

}  // namespace moescope::gui
