// SPDX-License-Identifier: Apache-2.0
// A column for each token, as high as it took, of what its time went to.
#pragma once

#include <QWidget>
#include <memory>

#include "gui/models/stacked_bars.h"
#include "gui/models/token_columns.h"

namespace moescope::gui {

class TokenChart : public QWidget {
    Q_OBJECT
public:
    explicit TokenChart(QWidget* parent = nullptr);

    /// First tokens or output tokens of it.
    void setLatency(std::shared_ptr<const TokenLatency> latency, bool first);
    void setHighlight(const QString& operation);  ///< others fade; empty: none does
    /// No signal. Without one, or with one that is not shown, no column is marked.
    void setCurrent(std::optional<std::int64_t> sequence, std::optional<std::int64_t> position);
    const TokenChartLayout& layout() const noexcept { return layout_; }

    QSize sizeHint() const override { return {420, 190}; }
    QSize minimumSizeHint() const override { return {240, 150}; }

signals:
    void hovered(const QString& text);  ///< empty when the pointer leaves the columns
    void tokenActivated(std::int64_t sequence, std::int64_t position);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    void arrange();
    void paintAxes(QPainter& painter) const;
    void paintCut(QPainter& painter, const QRect& slot) const;
    void paintLine(QPainter& painter, const QString& name, double ns, bool label) const;
    const TokenTime& token(std::size_t column) const;
    std::optional<std::size_t> currentColumn() const;
    QString describe(std::size_t column) const;
    void activate(std::size_t column);

    std::shared_ptr<const TokenLatency> latency_;
    bool first_ = false;
    std::vector<StackPart> parts_;
    std::vector<TokenColumn> columns_;
    TokenChartLayout layout_;
    QString highlight_;
    std::optional<std::int64_t> sequence_, position_;
};

}  // namespace moescope::gui
