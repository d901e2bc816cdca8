// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/curve_widget.h"

#include <QMouseEvent>
#include <QPainter>
#include <algorithm>
#include <array>
#include <cmath>

#include "gui/data/format.h"
#include "reports/axis_ticks.h"
#include "reports/colors.h"

namespace moescope::gui {
namespace {

constexpr int kSample = 34;  ///< pixels of a line in the legend

/// Colour is never all that tells two curves apart. Lengths in widths of the pen; the first is
/// solid.
const std::array<QList<qreal>, kChanceStyle + 1> kDashes{
    {{}, {4, 2}, {8, 2}, {1, 1.5}, {6, 2, 1, 2}, {0.5, 2.5}}};

}  // namespace

CurveWidget::CurveWidget(const QString& accessibleName, QWidget* parent) : QWidget(parent) {
    setAccessibleName(accessibleName);
    setAccessibleDescription(tr("A line for each; the table shows the same numbers."));
    setMouseTracking(true);
}

void CurveWidget::setCurves(CurveSet set) {
    set_ = std::move(set);
    hover_.reset();
    arrange();
}

void CurveWidget::setMarked(std::optional<double> x) {
    marked_ = x;
    update();
}

int CurveWidget::legendRows(int width) const {
    const QFontMetrics metrics(font());
    int rows = 1, x = 0;
    for (const Curve& curve : set_.curves) {
        const int needed = kSample + 22 + metrics.horizontalAdvance(text(curve.title));
        if (x > 0 && x + needed > width) {
            ++rows;
            x = 0;
        }
        x += needed;
    }
    return rows;
}

void CurveWidget::arrange() {
    const QFontMetrics metrics(font());
    int left = metrics.horizontalAdvance(QStringLiteral("100.0 %"));
    for (const double value : {set_.low, set_.high})
        left = std::max(left, metrics.horizontalAdvance(text(set_.format(value))));
    left += 12;
    int right = 12;
    for (const Curve& curve : set_.curves)
        if (!curve.label.empty())
            right = std::max(right, metrics.horizontalAdvance(text(curve.label)) + 16);
    const int top = legendRows(width() - left - right) * (metrics.height() + 2) + 10;
    layout_ = CurveLayout::of(set_, rect().adjusted(left, top, -right, -2 * metrics.height() - 10));
    update();
}

void CurveWidget::resizeEvent(QResizeEvent*) {
    arrange();
}

QPen CurveWidget::penOf(std::size_t curve) const {
    const std::size_t style = curveStyle(set_, curve);
    QColor color = palette().color(QPalette::PlaceholderText);
    if (style < kCurveColors.size()) {
        const Rgb of = kCurveColors[style];
        color = QColor(of.red, of.green, of.blue);
    }
    QPen pen(color, style == 0 ? 2.6 : 2);
    pen.setCapStyle(Qt::FlatCap);
    if (!kDashes[style].empty()) pen.setDashPattern(kDashes[style]);
    return pen;
}

void CurveWidget::paintAxes(QPainter& painter) const {
    const QRect& area = layout_.area;
    const int high = QFontMetrics(font()).height();
    const QColor ink = palette().color(QPalette::Text), grid = palette().color(QPalette::Midlight);
    for (const double tick :
         axisTicks(layout_.low, layout_.high, std::max(2, area.height() / (3 * high)))) {
        const int y = static_cast<int>(layout_.at(layout_.lowX, tick).y());
        painter.setPen(grid);
        painter.drawLine(area.left(), y, area.right(), y);
        painter.setPen(ink);
        painter.drawText(QRect(0, y - high, area.left() - 6, 2 * high),
                         Qt::AlignRight | Qt::AlignVCenter, text(set_.format(tick)));
    }
    for (const double tick :
         axisTicks(layout_.lowX, layout_.highX, std::max(2, area.width() / 60))) {
        if (set_.whole && tick != std::round(tick)) continue;
        const int x = static_cast<int>(layout_.at(tick, layout_.low).x());
        painter.setPen(grid);
        painter.drawLine(x, area.top(), x, area.bottom());
        painter.setPen(ink);
        painter.drawText(QRect(x - 40, area.bottom() + 2, 80, high), Qt::AlignCenter,
                         text(horizontalText(set_, tick)));
    }
    painter.drawText(QRect(area.left(), area.bottom() + 4 + high, area.width(), high),
                     Qt::AlignHCenter | Qt::AlignVCenter, heading(set_.horizontal));
}

void CurveWidget::paintCurve(QPainter& painter, std::size_t index) const {
    const Curve& curve = set_.curves[index];
    QPolygonF line, band;
    for (std::size_t i = 0; i < set_.x.size(); ++i)
        if (std::isfinite(curve.values[i])) line << layout_.at(set_.x[i], curve.values[i]);
    for (std::size_t i = 0; i < curve.low.size(); ++i)
        if (std::isfinite(curve.low[i])) band << layout_.at(set_.x[i], curve.low[i]);
    for (std::size_t i = curve.high.size(); i-- > 0;)
        if (std::isfinite(curve.high[i])) band << layout_.at(set_.x[i], curve.high[i]);
    if (!band.isEmpty()) {
        QColor fill = penOf(index).color();
        fill.setAlphaF(0.22F);
        painter.setPen(Qt::NoPen);
        painter.setBrush(fill);
        painter.drawPolygon(band);
        painter.setBrush(Qt::NoBrush);
    }
    painter.setPen(penOf(index));
    painter.drawPolyline(line);
    if (set_.whole || curve.chance) return;
    painter.setPen(Qt::NoPen);
    painter.setBrush(penOf(index).color());
    for (const QPointF& point : line) painter.drawEllipse(point, 3, 3);
    painter.setBrush(Qt::NoBrush);
}

void CurveWidget::paintLabels(QPainter& painter) const {
    const QFontMetrics metrics(font());
    const QRect& area = layout_.area;
    std::vector<CurveLabel> ends;
    for (std::size_t c = 0; c < set_.curves.size(); ++c) {
        const Curve& curve = set_.curves[c];
        const auto end = std::find_if(curve.values.rbegin(), curve.values.rend(),
                                      [](double value) { return std::isfinite(value); });
        if (!curve.label.empty() && end != curve.values.rend())
            ends.push_back({c, layout_.at(layout_.lowX, *end).y()});
    }
    painter.setPen(palette().color(QPalette::Text));
    for (const CurveLabel& end :
         spreadLabels(std::move(ends), metrics.height(), area.top(), area.bottom()))
        painter.drawText(
            QPointF(area.right() + 8, end.y + (metrics.ascent() - metrics.descent()) / 2.0),
            text(set_.curves[end.curve].label));
}

void CurveWidget::paintLegend(QPainter& painter) const {
    const QFontMetrics metrics(font());
    const int left = layout_.area.left(), right = layout_.area.right();
    int x = left, y = 4;
    for (std::size_t c = 0; c < set_.curves.size(); ++c) {
        const QString title = text(set_.curves[c].title);
        const int needed = kSample + 22 + metrics.horizontalAdvance(title);
        if (x > left && x + needed > right) {
            x = left;
            y += metrics.height() + 2;
        }
        painter.setPen(penOf(c));
        painter.drawLine(x, y + metrics.height() / 2, x + kSample, y + metrics.height() / 2);
        painter.setPen(palette().color(QPalette::Text));
        painter.drawText(x + kSample + 6, y + metrics.ascent(), title);
        x += needed;
    }
}

void CurveWidget::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.fillRect(rect(), palette().color(QPalette::Base));
    if (set_.x.empty() || layout_.area.width() <= 0 || layout_.area.height() <= 0) return;
    paintAxes(painter);
    painter.setRenderHint(QPainter::Antialiasing);
    for (std::size_t c = set_.curves.size(); c-- > 0;) paintCurve(painter, c);
    for (const auto& [x, ink] :
         {std::pair(marked_, QPalette::Link),
          std::pair(hover_ ? std::optional(set_.x[*hover_]) : std::nullopt, QPalette::Mid)}) {
        if (!x) continue;
        painter.setPen(QPen(palette().color(ink), 1));
        painter.drawLine(layout_.at(*x, layout_.low), layout_.at(*x, layout_.high));
    }
    paintLabels(painter);
    paintLegend(painter);
}

/// The value of a curve that has none at this x is that of its nearest point.
QString CurveWidget::describe(std::size_t index) const {
    QString out = text(horizontalText(set_, set_.x[index])) + QChar(' ') + text(set_.horizontal);
    for (std::size_t c = 0; c < set_.curves.size(); ++c) {
        const std::vector<double>& values = set_.curves[c].values;
        std::optional<std::size_t> at;
        for (std::size_t i = 0; i < values.size(); ++i)
            if (std::isfinite(values[i]) && (!at || std::abs(set_.x[i] - set_.x[index]) <
                                                        std::abs(set_.x[*at] - set_.x[index])))
                at = i;
        if (at)
            out += (c == 0 ? QStringLiteral(": ") : QStringLiteral(", ")) +
                   text(set_.curves[c].title) + QChar(' ') + text(set_.format(values[*at]));
    }
    return out;
}

void CurveWidget::mouseMoveEvent(QMouseEvent* event) {
    hover_ = layout_.nearest(set_, event->position());
    const QString about = hover_ ? describe(*hover_) : QString();
    setToolTip(about);
    emit hovered(about);
    update();
}

void CurveWidget::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    if (const auto index = layout_.nearest(set_, event->position()))
        emit activated(static_cast<int>(*index));
}

void CurveWidget::leaveEvent(QEvent*) {
    hover_.reset();
    emit hovered(QString());
    update();
}

}  // namespace moescope::gui
