// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/stacked_bars_widget.h"

#include <QMouseEvent>
#include <QPainter>
#include <algorithm>

#include "gui/data/colors.h"
#include "gui/data/format.h"

namespace moescope::gui {
namespace {

constexpr int kPad = 6, kSwatch = 10;

}  // namespace

StackedBarsWidget::StackedBarsWidget(const QString& accessibleName, QWidget* parent)
    : QWidget(parent) {
    setAccessibleName(accessibleName);
    setAccessibleDescription(tr("Shares of time; the table shows the same numbers."));
    setMouseTracking(true);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void StackedBarsWidget::setBars(StackedBars bars) {
    bars_ = std::move(bars);
    highlight_.reset();
    arrange();
    update();
}

void StackedBarsWidget::setHighlight(const QString& operation) {
    highlight_.reset();
    for (std::size_t p = 0; p < bars_.parts.size() && !operation.isEmpty(); ++p)
        if (bars_.parts[p].operation == operation) highlight_ = p;
    update();
}

bool StackedBarsWidget::faded(std::size_t part) const {
    return highlight_ && part != *highlight_;
}

/// The legend wraps, so that the height follows from the width.
void StackedBarsWidget::arrange() {
    const QFontMetrics metrics(font());
    const int row = metrics.height() + 10;
    int names = 0, totals = 0;
    for (const StackBar& bar : bars_.bars) {
        names = std::max(names, metrics.horizontalAdvance(bar.name));
        totals = std::max(totals, metrics.horizontalAdvance(formatDuration(bar.total())));
    }
    const int bars = static_cast<int>(bars_.bars.size());
    layout_.rowHeight = row;
    layout_.area =
        QRect(names + kPad, 0, std::max(1, width() - names - totals - 2 * kPad - 2), bars * row);
    legend_.clear();
    int x = layout_.area.left(), y = layout_.area.bottom() + 4;
    const int line = metrics.height() + 4;
    for (std::size_t p = 0; p < bars_.parts.size(); ++p) {
        if (std::none_of(bars_.bars.begin(), bars_.bars.end(),
                         [&](const StackBar& bar) { return bar.ns[p] > 0; }))
            continue;
        const int entry = kSwatch + 5 + metrics.horizontalAdvance(bars_.parts[p].name);
        if (x + entry > width() && x > layout_.area.left()) {
            x = layout_.area.left();
            y += line;
        }
        legend_.push_back({p, QRect(x, y, entry, line)});
        x += entry + 14;
    }
    setFixedHeight(legend_.empty() ? bars * row : y + line + 2);
}

void StackedBarsWidget::resizeEvent(QResizeEvent*) {
    arrange();
}

void StackedBarsWidget::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    const QFontMetrics metrics(font());
    const QColor ink = palette().color(QPalette::WindowText);
    const auto fill = [&](std::size_t part) {
        QColor color = bars_.parts[part].color;
        if (faded(part)) color.setAlphaF(0.25F);
        return color;
    };
    for (std::size_t b = 0; b < bars_.bars.size(); ++b) {
        const StackBar& bar = bars_.bars[b];
        const QRect rect = layout_.barRect(b);
        painter.setPen(ink);
        painter.drawText(QRect(0, rect.top(), rect.left() - kPad, rect.height()),
                         Qt::AlignRight | Qt::AlignVCenter, bar.name);
        painter.drawText(
            QRect(rect.right() + kPad, rect.top(), width() - rect.right() - kPad, rect.height()),
            Qt::AlignLeft | Qt::AlignVCenter, formatDuration(bar.total()));
        for (std::size_t p = 0; p < bars_.parts.size(); ++p) {
            const QRect segment = layout_.segmentRect(bars_, {b, p});
            if (segment.width() <= 0) continue;
            // A hairline of background keeps neighbours apart where it does not hide them.
            const bool wide = segment.width() >= 4;
            painter.fillRect(wide ? segment.adjusted(0, 0, -1, 0) : segment, fill(p));
            const QString label = formatPercent(bar.ns[p] / bar.total());
            if (segment.width() < metrics.horizontalAdvance(label) + 6) continue;
            painter.setPen(faded(p) ? ink : contrastText(bars_.parts[p].color));
            painter.drawText(segment, Qt::AlignCenter, label);
        }
    }
    for (const Entry& entry : legend_) {
        const QRect& rect = entry.rect;
        painter.fillRect(rect.left(), rect.center().y() - kSwatch / 2, kSwatch, kSwatch,
                         fill(entry.part));
        painter.setPen(ink);
        painter.drawText(rect.adjusted(kSwatch + 5, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter,
                         bars_.parts[entry.part].name);
    }
}

QString StackedBarsWidget::describe(StackSegment segment) const {
    const StackBar& bar = bars_.bars[segment.first];
    const double ns = bar.ns[segment.second];
    return tr("%1, %2: %3, %4")
        .arg(bar.name, bars_.parts[segment.second].name, formatDuration(ns),
             formatPercent(ns / bar.total()));
}

void StackedBarsWidget::mouseMoveEvent(QMouseEvent* event) {
    const auto segment = layout_.segmentAt(bars_, event->position().toPoint());
    const QString about = segment ? describe(*segment) : QString();
    setToolTip(about);
    emit hovered(about);
}

void StackedBarsWidget::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    const QPoint at = event->position().toPoint();
    std::optional<std::size_t> part;
    if (const auto segment = layout_.segmentAt(bars_, at)) part = segment->second;
    for (const Entry& entry : legend_)
        if (entry.rect.contains(at)) part = entry.part;
    if (part && !bars_.parts[*part].operation.isEmpty())
        emit operationActivated(bars_.parts[*part].operation);
}

void StackedBarsWidget::leaveEvent(QEvent*) {
    emit hovered(QString());
}

}  // namespace moescope::gui
