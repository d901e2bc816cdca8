// SPDX-License-Identifier: Apache-2.0
// The roofline: operations per byte to the right, operations per second upwards, both by decades.
#pragma once

#include <QWidget>
#include <optional>

#include "gui/models/roofline_models.h"
#include "reports/label_placer.h"

namespace moescope::gui {

class RooflineWidget : public QWidget {
    Q_OBJECT
public:
    explicit RooflineWidget(QWidget* parent = nullptr);

    void setRoofline(Roofline roofline);
    void setHighlight(const QString& operation);  ///< its points stand out; "": none; no signal
    const RooflineLayout& layout() const noexcept { return layout_; }

    QSize sizeHint() const override { return {640, 360}; }
    QSize minimumSizeHint() const override { return {320, 200}; }

signals:
    void hovered(const QString& text);  ///< empty when the pointer leaves the points
    void pointActivated(int index);     ///< of Roofline::points

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    void arrange();
    void paintAxes(QPainter& painter) const;
    void paintRoofs(QPainter& painter, LabelPlacer& labels) const;
    void paintPoints(QPainter& painter, LabelPlacer& labels) const;
    void nameRoofs(QPainter& painter, LabelPlacer& labels) const;
    void namePoints(QPainter& painter, LabelPlacer& labels) const;
    void draw(QPainter& painter, const QString& name, const std::optional<LabelPlace>& at) const;
    void paintLegend(QPainter& painter) const;
    void paintPoint(QPainter& painter, QPointF at, double radius, PointStyle style,
                    QColor color) const;

    Roofline roofline_;
    RooflineLayout layout_;
    QString highlight_;
};

}  // namespace moescope::gui
