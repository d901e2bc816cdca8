// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/roofline_widget.h"

#include <QMouseEvent>
#include <QPainter>
#include <cmath>
#include <numbers>

#include "gui/data/colors.h"
#include "gui/data/format.h"
#include "reports/axis_ticks.h"

namespace moescope::gui {
namespace {

constexpr double kReach = 5;  ///< pixels from a point that still mean it

}  // namespace

RooflineWidget::RooflineWidget(QWidget* parent) : QWidget(parent) {
    setAccessibleName(tr("Roofline"));
    setAccessibleDescription(
        tr("Operations per second of each kernel against its operations per byte, under the roofs "
           "of memory and arithmetic; the table shows the same numbers."));
    setMouseTracking(true);
}

void RooflineWidget::setRoofline(Roofline roofline) {
    roofline_ = std::move(roofline);
    arrange();
}

void RooflineWidget::setHighlight(const QString& operation) {
    highlight_ = operation;
    update();
}

void RooflineWidget::arrange() {
    const QFontMetrics metrics(font());
    const int left = metrics.horizontalAdvance(QStringLiteral("000 GOP/s")) + 12;
    layout_ = {rect().adjusted(left, metrics.height() + 14, -12, -2 * metrics.height() - 10),
               RooflinePlane::of(roofline_)};
    update();
}

void RooflineWidget::resizeEvent(QResizeEvent*) {
    arrange();
}

void RooflineWidget::paintAxes(QPainter& painter) const {
    const QRect& area = layout_.area;
    const RooflinePlane& plane = layout_.plane;
    const int high = QFontMetrics(font()).height();
    const QColor ink = palette().color(QPalette::Text), grid = palette().color(QPalette::Midlight);
    for (const double tick : decadeTicks(plane.lowX, plane.highX)) {
        const int x = static_cast<int>(layout_.at(tick, plane.lowY).x());
        painter.setPen(grid);
        painter.drawLine(x, area.top(), x, area.bottom());
        painter.setPen(ink);
        painter.drawText(QRect(x - 60, area.bottom() + 2, 120, high), Qt::AlignCenter,
                         formatNumber(tick));
    }
    for (const double tick : decadeTicks(plane.lowY, plane.highY)) {
        const int y = static_cast<int>(layout_.at(plane.lowX, tick).y());
        painter.setPen(grid);
        painter.drawLine(area.left(), y, area.right(), y);
        painter.setPen(ink);
        painter.drawText(QRect(0, y - high, area.left() - 6, 2 * high),
                         Qt::AlignRight | Qt::AlignVCenter, formatPerSecond(tick, "OP"));
    }
    painter.drawText(QRect(area.left(), area.bottom() + 4 + high, area.width(), high),
                     Qt::AlignHCenter | Qt::AlignVCenter, tr("Operations per byte"));
}

/// The roofs, and for all of `labels` where they run.
void RooflineWidget::paintRoofs(QPainter& painter, LabelPlacer& labels) const {
    const Ceilings& ceilings = roofline_.ceilings;
    const QColor ink = palette().color(QPalette::Text);
    const auto draw = [&](const RoofLine& line, const QPen& pen) {
        const QPointF from = layout_.at(line.fromX, line.fromY);
        const QPointF to = layout_.at(line.toX, line.toY);
        painter.setPen(pen);
        painter.drawLine(from, to);
        labels.avoidLine(from.x(), from.y(), to.x(), to.y());
    };
    for (const auto& [name, peak] : ceilings.peaks) {
        const bool bounds = roofline_.bounds(name);
        draw(computeRoof(layout_.plane, ceilings, peak),
             QPen(ink, bounds ? 2 : 1, bounds ? Qt::SolidLine : Qt::DashLine));
    }
    if (const auto roof = memoryRoof(layout_.plane, ceilings)) draw(*roof, QPen(ink, 2));
}

void RooflineWidget::nameRoofs(QPainter& painter, LabelPlacer& labels) const {
    const QFontMetrics metrics(font());
    const Ceilings& ceilings = roofline_.ceilings;
    if (const auto roof = memoryRoof(layout_.plane, ceilings)) {
        const QString name = tr("memory %1").arg(formatPerSecond(ceilings.bytesPerSecond, "B"));
        const QPointF from = layout_.at(roof->fromX, roof->fromY);
        const QPointF to = layout_.at(roof->toX, roof->toY);
        const int width = metrics.horizontalAdvance(name), high = metrics.height();
        if (const auto at =
                labels.placeAlong(width, from.x(), from.y(), to.x(), to.y(), high / 2.0 + 3)) {
            painter.save();
            painter.translate(from + *at * (to - from));
            painter.rotate(std::atan2(to.y() - from.y(), to.x() - from.x()) * 180 /
                           std::numbers::pi);
            painter.drawText(QRectF(-width / 2.0 - 2, -high - 3, width + 4, high), Qt::AlignCenter,
                             name);
            painter.restore();
        }
    }
    const double edge = layout_.area.right() - 2, away = metrics.height() / 2.0 + 2;
    for (const auto& [kind, peak] : ceilings.peaks) {
        const double y = layout_.at(layout_.plane.highX, peak).y();
        const QString name = text(kind) + QChar(' ') + formatPerSecond(peak, "OP");
        draw(painter, name,
             labels.placeAtEnd(metrics.horizontalAdvance(name), edge, y, away, away));
    }
}

void RooflineWidget::paintPoint(QPainter& painter, QPointF at, double radius, PointStyle style,
                                QColor color) const {
    painter.setPen(style == PointStyle::Measured ? QPen(palette().color(QPalette::Base), 1)
                                                 : QPen(color, 2));
    QColor fill = style == PointStyle::Modelled ? palette().color(QPalette::Base) : color;
    fill.setAlphaF(style == PointStyle::Measured ? 1.0F : 0.45F);
    painter.setBrush(fill);
    painter.drawEllipse(at, radius, radius);
}

void RooflineWidget::paintPoints(QPainter& painter, LabelPlacer& labels) const {
    // By time, so that the small ones lie on top of the large.
    for (const RooflinePoint& point : roofline_.points) {
        QColor color = categoryColor(categoryOf(point.op));
        if (!highlight_.isEmpty() && text(point.op) != highlight_)
            color = palette().color(QPalette::Mid);
        const QPointF at = layout_.at(point);
        const double r = pointRadius(point);
        paintPoint(painter, at, r, pointStyle(point), color);
        labels.avoid({at.x() - r, at.y() - r, at.x() + r, at.y() + r});
    }
}

void RooflineWidget::namePoints(QPainter& painter, LabelPlacer& labels) const {
    const QFontMetrics metrics(font());
    const std::vector<std::string> names = pointNames(
        roofline_.points, [](std::string_view op) { return operationTitle(op).toStdString(); });
    for (std::size_t i = 0; i < names.size(); ++i) {
        const RooflinePoint& point = roofline_.points[i];
        const QString name = text(names[i]);
        const QPointF at = layout_.at(point);
        draw(painter, name,
             labels.place(metrics.horizontalAdvance(name), at.x(), at.y(), pointRadius(point)));
    }
}

/// A name that finds no place is left out: pointer and table tell it.
void RooflineWidget::draw(QPainter& painter, const QString& name,
                          const std::optional<LabelPlace>& at) const {
    if (!at) return;
    const QFontMetrics metrics(font());
    const LabelBox box = at->box(metrics.horizontalAdvance(name), metrics.height());
    painter.drawText(QPointF(box.left, box.top + metrics.ascent()), name);
}

void RooflineWidget::paintLegend(QPainter& painter) const {
    const QFontMetrics metrics(font());
    const QColor color = palette().color(QPalette::Link);
    double x = layout_.area.left() + 6;
    const double y = metrics.height() / 2.0 + 4;
    for (const auto& [style, words] : pointLegend(roofline_.points)) {
        paintPoint(painter, {x, y}, 5, style, color);
        painter.setPen(palette().color(QPalette::Text));
        const QString title = text(words);
        painter.drawText(QPointF(x + 11, y + metrics.ascent() / 2.0 - 1), title);
        x += 30 + metrics.horizontalAdvance(title);
    }
    const QString area = text(kPointAreaNote);
    const int width = metrics.horizontalAdvance(area);
    if (x + width < layout_.area.right())
        painter.drawText(QPointF(layout_.area.right() - width, y + metrics.ascent() / 2.0 - 1),
                         area);
}

void RooflineWidget::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.fillRect(rect(), palette().color(QPalette::Base));
    if (roofline_.points.empty() || layout_.area.width() <= 0 || layout_.area.height() <= 0) return;
    paintAxes(painter);
    painter.setRenderHint(QPainter::Antialiasing);
    const QRectF area(layout_.area);
    LabelPlacer labels({area.left(), area.top(), area.right(), area.bottom()},
                       QFontMetrics(font()).height());
    paintRoofs(painter, labels);
    paintPoints(painter, labels);
    painter.setPen(palette().color(QPalette::Text));
    nameRoofs(painter, labels);
    namePoints(painter, labels);
    paintLegend(painter);
}

void RooflineWidget::mouseMoveEvent(QMouseEvent* event) {
    const auto point = layout_.hit(roofline_.points, event->position(), kReach);
    const QString about = point ? text(pointSentence(roofline_.points[*point])) : QString();
    setToolTip(about);
    emit hovered(about);
}

void RooflineWidget::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    if (const auto point = layout_.hit(roofline_.points, event->position(), kReach))
        emit pointActivated(static_cast<int>(*point));
}

void RooflineWidget::leaveEvent(QEvent*) {
    emit hovered(QString());
}

}  // namespace moescope::gui
