// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/token_chart.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "gui/data/format.h"
#include "gui/models/time_models.h"
#include "reports/axis_ticks.h"

namespace moescope::gui {

TokenChart::TokenChart(QWidget* parent) : QWidget(parent) {
    setAccessibleName(tr("Time of each token"));
    setAccessibleDescription(
        tr("A column for each token in order of time. Left and right move; the table shows the "
           "means."));
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
}

void TokenChart::setLatency(std::shared_ptr<const TokenLatency> latency, bool first) {
    latency_ = std::move(latency);
    first_ = first;
    parts_ = latency_ ? tokenParts(*latency_) : std::vector<StackPart>();
    arrange();
}

void TokenChart::setHighlight(const QString& operation) {
    highlight_.clear();
    for (const StackPart& part : parts_)
        if (part.operation == operation) highlight_ = operation;
    update();
}

void TokenChart::setCurrent(std::optional<std::int64_t> sequence,
                            std::optional<std::int64_t> position) {
    sequence_ = sequence;
    position_ = position;
    update();
}

const TokenTime& TokenChart::token(std::size_t column) const {
    return latency_->tokens[columns_[column].token];
}

void TokenChart::arrange() {
    const QFontMetrics metrics(font());
    const int left = metrics.horizontalAdvance(QStringLiteral("0000 ms")) + 8;
    const int right = metrics.horizontalAdvance(QStringLiteral("median")) + 8;
    layout_.area = rect().adjusted(left, metrics.height() / 2 + 2, -right, -2 * metrics.height());
    columns_ = latency_ && layout_.area.width() > 0
                   ? tokenColumns(*latency_, first_, layout_.area.width() / 2)
                   : std::vector<TokenColumn>();
    layout_.columns = columns_.size();
    if (latency_) layout_.highestNs = 1.04 * tokenScaleNs(first_ ? latency_->ttft : latency_->tpot);
    update();
}

void TokenChart::resizeEvent(QResizeEvent*) {
    arrange();
}

void TokenChart::paintAxes(QPainter& painter) const {
    const QRect& area = layout_.area;
    const QFontMetrics metrics(font());
    const QColor ink = palette().color(QPalette::Text);
    for (const double tick :
         axisTicks(0, layout_.highestNs, std::max(1, area.height() / (3 * metrics.height())))) {
        const int y = layout_.yOf(tick);
        painter.setPen(palette().color(QPalette::Midlight));
        painter.drawLine(area.left(), y, area.right(), y);
        painter.setPen(ink);
        painter.drawText(QRect(0, y - metrics.height(), area.left() - 5, 2 * metrics.height()),
                         Qt::AlignRight | Qt::AlignVCenter,
                         tick > 0 ? formatDuration(tick) : QStringLiteral("0"));
    }
    painter.setPen(ink);
    std::size_t all = 0;
    for (const TokenColumn& column : columns_) all += column.tokens;
    const QString name =
        first_ ? tr("first tokens, in order of time") : tr("output tokens, in order of time");
    QString axis = tr("%1 %2").arg(formatCount(std::int64_t(all)), name);
    if (all > columns_.size())
        axis += tr("; a column shows the slowest of about %1")
                    .arg((all + columns_.size() - 1) / columns_.size());
    if (std::any_of(columns_.begin(), columns_.end(), [&](const TokenColumn& column) {
            return double(latency_->tokens[column.token].ns()) > layout_.highestNs;
        }))
        axis += tr("; \u25B2 longer than the scale");
    painter.drawText(QRect(area.left(), area.bottom() + 2, width() - area.left(), height()),
                     Qt::AlignLeft | Qt::AlignTop,
                     metrics.elidedText(axis, Qt::ElideRight, width() - area.left()));
}

void TokenChart::paintLine(QPainter& painter, const QString& name, double ns, bool label) const {
    const int y = layout_.yOf(ns);
    painter.setPen(QPen(palette().color(QPalette::Text), 1, Qt::DashLine));
    painter.drawLine(layout_.area.left(), y, layout_.area.right(), y);
    if (!label) return;
    const int high = QFontMetrics(font()).height();
    painter.drawText(QRect(layout_.area.right() + 5, y - high, width(), 2 * high),
                     Qt::AlignLeft | Qt::AlignVCenter, name);
}

/// A triangle on top of a column that goes on.
void TokenChart::paintCut(QPainter& painter, const QRect& slot) const {
    const int x = slot.center().x(), y = slot.top();
    const QPolygon mark({QPoint(x - 4, y + 7), QPoint(x + 4, y + 7), QPoint(x, y)});
    painter.save();
    painter.setPen(QPen(palette().color(QPalette::Base), 1));
    painter.setBrush(palette().color(QPalette::Text));
    painter.drawPolygon(mark);
    painter.restore();
}

void TokenChart::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.fillRect(rect(), palette().color(QPalette::Base));
    if (columns_.empty() || layout_.area.height() <= 0) {
        painter.setPen(palette().color(QPalette::Text));
        painter.drawText(rect(), Qt::AlignCenter,
                         first_ ? tr("No first token here") : tr("No output token here"));
        return;
    }
    paintAxes(painter);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        const QRect slot = layout_.columnRect(c);
        const int gap = slot.width() >= 5 ? 1 : 0;
        double below = 0;
        for (std::size_t p = 0; p < parts_.size(); ++p) {
            const double ns = double(token(c).partsNs[p]);
            const int bottom = layout_.yOf(below), top = layout_.yOf(below + ns);
            below += ns;
            QColor color = parts_[p].color;
            if (!highlight_.isEmpty() && parts_[p].operation != highlight_) color.setAlphaF(0.25F);
            painter.fillRect(slot.left(), top, slot.width() - gap, bottom - top, color);
        }
        if (double(token(c).ns()) > layout_.highestNs) paintCut(painter, slot);
    }
    const Distribution& times = first_ ? latency_->ttft : latency_->tpot;
    const int apart = std::abs(layout_.yOf(times.median) - layout_.yOf(times.p99));
    paintLine(painter, tr("median"), times.median, true);
    if (times.count >= 100 && times.p99 <= layout_.highestNs)
        paintLine(painter, tr("p99"), times.p99, apart >= QFontMetrics(font()).height());
    if (const auto current = currentColumn()) {
        painter.setPen(QPen(palette().color(QPalette::Highlight), 2));
        painter.setBrush(Qt::NoBrush);
        const QRect slot = layout_.columnRect(*current);
        painter.drawRect(slot.adjusted(-2, 0, 1, 0));
    }
    if (hasFocus()) {
        painter.setPen(QPen(palette().color(QPalette::Highlight), 1));
        painter.drawRect(rect().adjusted(0, 0, -1, -1));
    }
}

std::optional<std::size_t> TokenChart::currentColumn() const {
    for (std::size_t c = 0; c < columns_.size() && sequence_ && position_; ++c)
        if (token(c).sequence == *sequence_ && token(c).position == *position_) return c;
    return std::nullopt;
}

QString TokenChart::describe(std::size_t column) const {
    const TokenTime& of = token(column);
    QString out = tr("Sequence %1, position %2: %3")
                      .arg(of.sequence)
                      .arg(of.position)
                      .arg(formatDuration(double(of.ns())));
    if (columns_[column].tokens > 1)
        out += tr(" (slowest of %1)").arg(formatCount(std::int64_t(columns_[column].tokens)));
    // The three that took longest say enough for one line.
    std::vector<std::size_t> order;
    for (std::size_t p = 0; p < of.partsNs.size(); ++p)
        if (of.partsNs[p] > 0) order.push_back(p);
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return of.partsNs[a] > of.partsNs[b]; });
    order.resize(std::min<std::size_t>(order.size(), 3));
    for (const std::size_t p : order)
        out += QStringLiteral(", %1 %2").arg(parts_[p].name, formatDuration(double(of.partsNs[p])));
    return out;
}

void TokenChart::activate(std::size_t column) {
    emit hovered(describe(column));
    emit tokenActivated(token(column).sequence, token(column).position);
}

void TokenChart::mouseMoveEvent(QMouseEvent* event) {
    const auto column = layout_.columnAt(event->position().toPoint());
    const QString about = column ? describe(*column) : QString();
    setToolTip(about);
    emit hovered(about);
}

void TokenChart::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    if (const auto column = layout_.columnAt(event->position().toPoint())) activate(*column);
}

void TokenChart::keyPressEvent(QKeyEvent* event) {
    const int step = event->key() == Qt::Key_Left ? -1 : event->key() == Qt::Key_Right ? 1 : 0;
    if (step == 0 || columns_.empty()) {
        QWidget::keyPressEvent(event);
        return;
    }
    const auto current = currentColumn();
    const int last = static_cast<int>(columns_.size()) - 1;
    activate(static_cast<std::size_t>(
        current ? std::clamp(static_cast<int>(*current) + step, 0, last) : 0));
}

void TokenChart::leaveEvent(QEvent*) {
    emit hovered(QString());
}

}  // namespace moescope::gui
