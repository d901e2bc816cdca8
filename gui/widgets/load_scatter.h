// SPDX-License-Identifier: Apache-2.0
// Launches of the experts as points, tokens of the busiest expert to the right, time upwards, with
// the fitted line and its interval.
#pragma once

#include <QWidget>

#include "gui/models/load_models.h"

namespace moescope::gui {

class LoadScatterWidget : public QWidget {
    Q_OBJECT
public:
    explicit LoadScatterWidget(QWidget* parent = nullptr);
    QString axisTitle() const;  ///< what is drawn, and where points lie off its scale

    /// `points` are of `launches`, one each.
    void setPoints(std::vector<ExpertLaunch> launches, LoadScatter points);
    void setLayer(std::optional<int> layer);  ///< stands out; no signal
    const ScatterLayout& layout() const noexcept { return layout_; }

    QSize sizeHint() const override { return {420, 300}; }
    QSize minimumSizeHint() const override { return {260, 160}; }

signals:
    void hovered(const QString& text);  ///< empty when the pointer leaves the points
    void launchActivated(const moescope::ExpertLaunch& launch);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    void arrange();
    void paintAxes(QPainter& painter) const;
    void paintPoints(QPainter& painter) const;
    void paintLine(QPainter& painter) const;
    QString describe(std::size_t launch) const;

    std::vector<ExpertLaunch> launches_;
    LoadScatter points_;
    ScatterLayout layout_;
    std::optional<int> layer_;
};

}  // namespace moescope::gui
