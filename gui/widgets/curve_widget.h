// SPDX-License-Identifier: Apache-2.0
// Curves over a common axis, told apart by colour and dashes, with the values under the
// pointer.
#pragma once

#include <QPen>
#include <QWidget>
#include <optional>

#include "gui/models/cache_models.h"

namespace moescope::gui {

class CurveWidget : public QWidget {
    Q_OBJECT
public:
    explicit CurveWidget(const QString& accessibleName, QWidget* parent = nullptr);

    void setCurves(CurveSet set);
    void setMarked(std::optional<double> x);  ///< a line at it; no signal
    const CurveLayout& layout() const noexcept { return layout_; }

    QSize sizeHint() const override { return {560, 360}; }
    QSize minimumSizeHint() const override { return {280, 180}; }

signals:
    void hovered(const QString& text);  ///< empty when the pointer leaves the curves
    void activated(int index);          ///< of CurveSet::x

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    void arrange();
    int legendRows(int width) const;
    QPen penOf(std::size_t curve) const;
    void paintAxes(QPainter& painter) const;
    void paintCurve(QPainter& painter, std::size_t curve) const;
    void paintLabels(QPainter& painter) const;
    void paintLegend(QPainter& painter) const;
    QString describe(std::size_t index) const;

    CurveSet set_;
    CurveLayout layout_;
    std::optional<double> marked_;
    std::optional<std::size_t> hover_;
};

}  // namespace moescope::gui
