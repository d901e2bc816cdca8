// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/load_scatter.h"

#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <cmath>

#include "gui/data/format.h"
#include "reports/axis_ticks.h"

namespace moescope::gui {
namespace {

constexpr double kReach = 8;  ///< pixels from a point that still mean it

}  // namespace

LoadScatterWidget::LoadScatterWidget(QWidget* parent) : QWidget(parent) {
    setAccessibleName(tr("Time of the experts against their load"));
    setAccessibleDescription(tr("A point for each launch; the table shows the same numbers."));
    setMouseTracking(true);
}

void LoadScatterWidget::setPoints(std::vector<ExpertLaunch> launches, LoadScatter points) {
    launches_ = std::move(launches);
    points_ = std::move(points);
    arrange();
}

void LoadScatterWidget::setLayer(std::optional<int> layer) {
    layer_ = layer;
    update();
}

void LoadScatterWidget::arrange() {
    const QFontMetrics metrics(font());
    const int left = metrics.horizontalAdvance(QStringLiteral("-0000 ms")) + 8;
    layout_ = ScatterLayout::of(
        points_, rect().adjusted(left, metrics.height() / 2 + 4, -10, -2 * metrics.height() - 10));
    update();
}

void LoadScatterWidget::resizeEvent(QResizeEvent*) {
    arrange();
}

void LoadScatterWidget::paintAxes(QPainter& painter) const {
    const QRect& area = layout_.area;
    const QFontMetrics metrics(font());
    const int high = metrics.height();
    const QColor ink = palette().color(QPalette::Text), grid = palette().color(QPalette::Midlight);
    for (const double tick :
         axisTicks(layout_.lowY, layout_.highY, std::max(2, area.height() / (3 * high)))) {
        const int y = static_cast<int>(layout_.at(layout_.lowX, tick).y());
        painter.setPen(grid);
        painter.drawLine(area.left(), y, area.right(), y);
        painter.setPen(ink);
        painter.drawText(QRect(0, y - high, area.left() - 5, 2 * high),
                         Qt::AlignRight | Qt::AlignVCenter,
                         std::abs(tick) < 1e-6 ? QStringLiteral("0") : formatDuration(tick));
    }
    for (const double tick :
         axisTicks(layout_.lowX, layout_.highX, std::max(2, area.width() / 90))) {
        if (tick != std::round(tick)) continue;  // tokens are whole
        const int x = static_cast<int>(layout_.at(tick, layout_.lowY).x());
        painter.setPen(grid);
        painter.drawLine(x, area.top(), x, area.bottom());
        painter.setPen(ink);
        painter.drawText(QRect(x - 60, area.bottom() + 2, 120, high), Qt::AlignCenter,
                         formatCount(std::llround(tick)));
    }
    painter.drawText(QRect(area.left(), area.bottom() + 4 + high, area.width(), high),
                     Qt::AlignHCenter | Qt::AlignVCenter,
                     metrics.elidedText(axisTitle(), Qt::ElideRight, area.width()));
}

QString LoadScatterWidget::axisTitle() const {
    QString axis = points_.line ? tr("Time of a launch at equal tokens and active experts")
                                : tr("Time of a launch as measured");
    axis += tr(", against tokens of the busiest expert");
    const auto any = [this](auto beyond) {
        return std::any_of(points_.ns.begin(), points_.ns.end(), beyond);
    };
    if (any([this](double ns) { return ns > layout_.highY; }))
        axis += tr("; on the upper edge: longer");
    if (any([this](double ns) { return ns < layout_.lowY; }))
        axis += tr("; on the lower edge: shorter");
    return axis;
}

void LoadScatterWidget::paintPoints(QPainter& painter) const {
    QPolygonF plain, chosen;
    for (std::size_t i = 0; i < launches_.size(); ++i)
        (layer_ == launches_[i].layer ? chosen : plain)
            << layout_.shown(points_.load[i], points_.ns[i]);
    // Many points on one place add up to a darker one.
    QColor color = palette().color(QPalette::Link);
    color.setAlphaF(launches_.size() > 2000 ? 0.25F : 0.55F);
    if (!chosen.isEmpty()) color = palette().color(QPalette::Mid);
    painter.setPen(QPen(color, 5, Qt::SolidLine, Qt::RoundCap));
    painter.drawPoints(plain);
    painter.setPen(QPen(palette().color(QPalette::Link), 7, Qt::SolidLine, Qt::RoundCap));
    painter.drawPoints(chosen);
}

void LoadScatterWidget::paintLine(QPainter& painter) const {
    if (!points_.line) return;
    const LoadLine& line = *points_.line;
    const auto [least, most] = std::minmax_element(points_.load.begin(), points_.load.end());
    const auto point = [&](double x, double slope) { return layout_.at(x, line.at(x, slope)); };
    const QColor color(0xD5, 0x5E, 0x00);
    painter.setClipRect(layout_.area);
    if (std::isfinite(line.low)) {
        QPainterPath band(point(*least, line.low));
        for (const QPointF& corner :
             {point(line.load, line.low), point(*most, line.high), point(*most, line.low),
              point(line.load, line.low), point(*least, line.high)})
            band.lineTo(corner);
        QColor fill = color;
        fill.setAlphaF(0.25F);
        painter.fillPath(band, fill);
    }
    painter.setPen(QPen(color, 2));
    painter.drawLine(point(*least, line.slope), point(*most, line.slope));
}

void LoadScatterWidget::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.fillRect(rect(), palette().color(QPalette::Base));
    if (launches_.empty() || layout_.area.width() <= 0 || layout_.area.height() <= 0) {
        painter.setPen(palette().color(QPalette::Text));
        painter.drawText(rect(), Qt::AlignCenter, tr("No launch here"));
        return;
    }
    paintAxes(painter);
    painter.setRenderHint(QPainter::Antialiasing);
    paintPoints(painter);
    paintLine(painter);
}

QString LoadScatterWidget::describe(std::size_t index) const {
    const ExpertLaunch& launch = launches_[index];
    return tr("Step %1, layer %2: %3 for %4, %5, %6 in expert %7")
        .arg(launch.step)
        .arg(launch.layer)
        .arg(formatDuration(double(launch.ns)), formatCounted(launch.tokens, "token"),
             formatCounted(launch.activeExperts, "active expert"), formatCount(launch.hottestLoad))
        .arg(launch.hottestExpert);
}

void LoadScatterWidget::mouseMoveEvent(QMouseEvent* event) {
    const auto launch = layout_.nearest(points_, event->position(), kReach);
    const QString about = launch ? describe(*launch) : QString();
    setToolTip(about);
    emit hovered(about);
}

void LoadScatterWidget::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    if (const auto launch = layout_.nearest(points_, event->position(), kReach))
        emit launchActivated(launches_[*launch]);
}

void LoadScatterWidget::leaveEvent(QEvent*) {
    emit hovered(QString());
}

}  // namespace moescope::gui
