// SPDX-License-Identifier: Apache-2.0
// Stacked horizontal bars with names, totals and a legend, as high as they need.
#pragma once

#include <QWidget>

#include "gui/models/stacked_bars.h"

namespace moescope::gui {

class StackedBarsWidget : public QWidget {
    Q_OBJECT
public:
    /// A table beside it must show the same numbers.
    explicit StackedBarsWidget(const QString& accessibleName, QWidget* parent = nullptr);

    void setBars(StackedBars bars);
    /// The other parts fade; empty or unknown: none does.
    void setHighlight(const QString& operation);
    const StackedBarsLayout& layout() const noexcept { return layout_; }

signals:
    void hovered(const QString& text);  ///< empty when the pointer leaves the segments
    void operationActivated(const QString& operation);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    struct Entry {
        std::size_t part;
        QRect rect;  ///< of swatch and name
    };
    void arrange();
    QString describe(StackSegment segment) const;
    bool faded(std::size_t part) const;

    StackedBars bars_;
    StackedBarsLayout layout_;
    std::vector<Entry> legend_;
    std::optional<std::size_t> highlight_;  ///< part
};

}  // namespace moescope::gui
