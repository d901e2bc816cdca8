// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/timeline_widget.h"

#include <QCoreApplication>
#include <QEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>
#include <utility>

#include "gui/data/colors.h"
#include "gui/data/format.h"
#include "gui/widgets/sample_strip_painter.h"

namespace moescope::gui {
namespace {

constexpr int kLabelWidth = 160, kAxisHeight = 26, kLaneHeight = 46, kLaneGap = 10, kMargin = 8;
constexpr int kFaded = 45;  ///< alpha of what is not looked for
constexpr int kStripGap = 6, kStripHeight = 38, kMostStripHeight = 96;

}  // namespace

Timeline buildTimeline(RunPtr run) {
    TimelineData data = makeTimeline(*run);
    std::vector<SampleStrip> strips = sampleStrips(run->samples);
    return {std::move(run), std::move(data), std::move(strips)};
}

TimelineWidget::TimelineWidget(QWidget* parent) : QWidget(parent) {
    setAccessibleName(tr("Timeline"));
    setAccessibleDescription(
        tr("Steps, operations and sampled counters over time. W and S zoom, A and D move, drag "
           "selects a range, F "
           "shows all; the table below sums up the range."));
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAttribute(Qt::WA_OpaquePaintEvent);
}

void TimelineWidget::setTimeline(TimelinePtr timeline) {
    timeline_ = std::move(timeline);
    mapping_.beginNs = timeline_ ? static_cast<double>(timeline_->data.beginNs) : 0;
    mapping_.endNs = timeline_ ? static_cast<double>(timeline_->data.endNs) : 1;
    range_.reset();
    searching_ = false;
    found_.clear();
    selected_.clear();
    keepWanted();
    updateGeometry();
    fit();
}

void TimelineWidget::setSelectedRange(std::optional<TimeRange> range) {
    range_ = range;
    update();
}

void TimelineWidget::setHighlight(const QString& operation) {
    std::vector<bool> selected;
    if (timeline_ && !operation.isEmpty()) {
        for (const std::string& name : timeline_->run->operations.opNames)
            selected.push_back(text(name) == operation);
    }
    if (selected == selected_) return;
    selected_ = std::move(selected);
    keepWanted();
}

TimelineWidget::Hits TimelineWidget::setSearch(const QString& needle) {
    const QString wanted = needle.trimmed();
    searching_ = timeline_ && !wanted.isEmpty();
    found_.clear();
    Hits hits;
    if (searching_) {
        const OperationColumns& ops = timeline_->run->operations;
        for (const std::string& name : ops.opNames) {
            found_.push_back(text(name).contains(wanted, Qt::CaseInsensitive) ||
                             operationTitle(name).contains(wanted, Qt::CaseInsensitive));
        }
        hits.names = std::count(found_.begin(), found_.end(), true);
        hits.calls = std::count_if(ops.op.begin(), ops.op.end(),
                                   [&](std::uint16_t op) { return found_[op]; });
    }
    keepWanted();
    return hits;
}

bool TimelineWidget::isWanted(const TimelineLane::Event& event) const {
    return wanted().empty() || wanted()[timeline_->run->operations.op[event.id]];
}

void TimelineWidget::keepWanted() {
    kept_.clear();
    dirty_ = true;
    update();
    if (wanted().empty()) return;
    for (const TimelineLane& lane : timeline_->data.lanes) {
        std::vector<TimelineLane::Event> events;
        if (lane.showsOperations()) {
            std::copy_if(lane.events().begin(), lane.events().end(), std::back_inserter(events),
                         [this](const TimelineLane::Event& event) { return isWanted(event); });
        }
        kept_.emplace_back(lane.title(), lane.kind(), std::move(events));
    }
}

QColor TimelineWidget::fillOf(const TimelineLane& lane, std::uint8_t category) const {
    return lane.kind() == TimelineLane::Kind::Layers
               ? QColor(viridis(static_cast<double>(category) / (kMaxCategories - 1)))
               : categoryColor(category);
}

QRect TimelineWidget::laneRect(int lane) const {
    return {kLabelWidth, kAxisHeight + kMargin + lane * (kLaneHeight + kLaneGap),
            width() - kLabelWidth, kLaneHeight};
}

int TimelineWidget::lanesBottom() const {
    const auto lanes = timeline_ ? static_cast<int>(timeline_->data.lanes.size()) : 0;
    return kAxisHeight + kMargin + lanes * (kLaneHeight + kLaneGap);
}

int TimelineWidget::heightOf(int strip) const {
    const auto strips = timeline_ ? static_cast<int>(timeline_->strips.size()) : 0;
    // The label of a selected range lies below the strips, over none of them.
    return lanesBottom() + strips * (strip + kStripGap) + fontMetrics().height() + 12;
}

QRect TimelineWidget::stripRect(int strip) const {
    const auto strips = timeline_ ? static_cast<int>(timeline_->strips.size()) : 0;
    const int room = (height() - heightOf(0)) / std::max(1, strips);
    // Never more than is there, unless the labels would not fit.
    const int high = std::max(leastStripHeight(fontMetrics()), std::min(room, kMostStripHeight));
    return {kLabelWidth, lanesBottom() + strip * (high + kStripGap), width() - kLabelWidth, high};
}

QSize TimelineWidget::minimumSizeHint() const {
    constexpr int kLeast = 150;
    if (!timeline_ || timeline_->strips.empty()) return {320, kLeast};
    return {320, heightOf(leastStripHeight(fontMetrics()))};
}

QSize TimelineWidget::sizeHint() const {
    return {800, heightOf(std::max(kStripHeight, leastStripHeight(fontMetrics())))};
}

void TimelineWidget::invalidate() {
    dirty_ = true;
    update();
    emit viewChanged();
}

void TimelineWidget::fit() {
    mapping_.fit();
    invalidate();
}

void TimelineWidget::showRange(TimeRange range) {
    mapping_.show(static_cast<double>(range.beginNs), static_cast<double>(range.endNs));
    invalidate();
}

void TimelineWidget::resizeEvent(QResizeEvent*) {
    mapping_.left = kLabelWidth;
    mapping_.width = std::max(1, width() - kLabelWidth);
    invalidate();
}

void TimelineWidget::changeEvent(QEvent* event) {
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
        dirty_ = true;
    QWidget::changeEvent(event);
}

void TimelineWidget::paintAxis(QPainter& painter) const {
    const TimelineMapping::Axis axis = mapping_.axis(90);
    painter.setPen(palette().color(QPalette::Text));
    painter.drawText(QRect(kMargin, 0, kLabelWidth - kMargin, kAxisHeight),
                     Qt::AlignLeft | Qt::AlignVCenter,
                     axis.base.isEmpty() ? tr("Time since start") : axis.base);
    const QFontMetrics metrics(font());
    for (const TimelineMapping::Tick& tick : axis.ticks) {
        const int x = static_cast<int>(std::lround(tick.x));
        painter.setPen(palette().color(QPalette::Midlight));
        painter.drawLine(x, kAxisHeight, x, height());
        if (x + 4 + metrics.horizontalAdvance(tick.label) > width()) continue;
        painter.setPen(palette().color(QPalette::Text));
        painter.drawText(QPoint(x + 4, kAxisHeight - 8), tick.label);
        painter.setPen(palette().color(QPalette::Mid));
        painter.drawLine(x, kAxisHeight - 6, x, kAxisHeight);
    }
}

QString TimelineWidget::nameOf(const TimelineLane& lane, const TimelineLane::Event& event) const {
    const RunData& run = *timeline_->run;
    const OperationColumns& ops = run.operations;
    switch (lane.kind()) {
        case TimelineLane::Kind::Steps:
            return text(run.steps[event.id].kind);
        case TimelineLane::Kind::Layers:
            return tr("layer %1").arg(ops.layer[event.id]);
        case TimelineLane::Kind::Operations:
            break;
    }
    return operationTitle(ops.opNames[ops.op[event.id]]);
}

void TimelineWidget::paintBoxes(QPainter& painter, const TimelineLane& lane,
                                const QRect& rect) const {
    const auto events = lane.events();
    const QFontMetrics metrics(font());
    for (std::size_t i = lane.firstEndingAfter(static_cast<std::int64_t>(mapping_.startNs));
         i < events.size(); ++i) {
        const TimelineLane::Event& event = events[i];
        const double x0 = std::max(mapping_.xOf(static_cast<double>(event.startNs)), mapping_.left);
        if (x0 > rect.right()) break;
        const double x1 = std::min(mapping_.xOf(static_cast<double>(event.endNs)),
                                   mapping_.left + mapping_.width);
        // A gap of a pixel between neighbours, as long as both stay visible.
        const QRectF box(x0, rect.top(), std::max(1.0, x1 - x0 - (x1 - x0 > 3 ? 1 : 0)),
                         rect.height());
        QColor fill = fillOf(lane, event.category);
        if (lane.showsOperations() && !isWanted(event)) fill.setAlpha(kFaded);
        painter.fillRect(box, fill);
        if (box.width() < 28) continue;
        const QString name = nameOf(lane, event);
        painter.setPen(fill.alpha() < 255 ? palette().color(QPalette::Text) : contrastText(fill));
        painter.drawText(
            box.adjusted(5, 0, -3, 0), Qt::AlignLeft | Qt::AlignVCenter,
            metrics.elidedText(name, Qt::ElideRight, static_cast<int>(box.width()) - 8));
    }
}

void TimelineWidget::paintColumns(QPainter& painter, const TimelineLane& lane,
                                  const QRect& rect) const {
    const auto columns = lane.columns(mapping_, rect.width());
    const bool fades = lane.showsOperations() && !kept_.empty();
    const auto at = static_cast<std::size_t>(&lane - timeline_->data.lanes.data());
    const auto kept = fades ? kept_[at].columns(mapping_, rect.width()) : columns;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        double y = rect.bottom() + 1;
        const auto stack = [&](float share, const QColor& fill) {
            const double h = static_cast<double>(share) * rect.height();
            if (h <= 0) return;
            painter.fillRect(QRectF(rect.left() + static_cast<double>(i), y - h, 1, h), fill);
            y -= h;
        };
        for (std::size_t c = 0; c < kMaxCategories; ++c) {
            QColor fill = fillOf(lane, static_cast<std::uint8_t>(c));
            stack(kept[i][c], fill);
            fill.setAlpha(kFaded);
            stack(columns[i][c] - kept[i][c], fill);
        }
    }
}

void TimelineWidget::renderLanes() {
    const qreal ratio = devicePixelRatioF();
    lanes_ = QPixmap(size() * ratio);
    lanes_.setDevicePixelRatio(ratio);
    lanes_.fill(palette().color(QPalette::Base));
    dirty_ = false;
    if (!timeline_) return;
    QPainter painter(&lanes_);
    painter.setFont(font());
    paintAxis(painter);
    for (std::size_t i = 0; i < timeline_->data.lanes.size(); ++i) {
        const TimelineLane& lane = timeline_->data.lanes[i];
        const QRect rect = laneRect(static_cast<int>(i));
        if (rect.top() > height()) break;
        painter.setPen(palette().color(QPalette::Text));
        painter.drawText(QRect(kMargin, rect.top(), kLabelWidth - 2 * kMargin, rect.height()),
                         Qt::AlignLeft | Qt::AlignVCenter, lane.title());
        paintLane(painter, lane, rect);
    }
    for (std::size_t i = 0; i < timeline_->strips.size(); ++i) {
        const QRect rect = stripRect(static_cast<int>(i));
        if (rect.top() > height()) break;
        const QRect label(kMargin, rect.top(), kLabelWidth - 2 * kMargin, rect.height());
        paintSampleStrip(painter, timeline_->strips[i], timeline_->run->samples[i], mapping_, label,
                         rect, palette());
    }
}

void TimelineWidget::paintLane(QPainter& painter, const TimelineLane& lane,
                               const QRect& rect) const {
    const TimeRange visible{static_cast<std::int64_t>(mapping_.startNs),
                            static_cast<std::int64_t>(mapping_.startNs + mapping_.spanNs)};
    painter.setClipRect(rect);
    if (lane.statistics(visible).events > rect.width() / 2) {
        paintColumns(painter, lane, rect);
    } else {
        paintBoxes(painter, lane, rect);
    }
    painter.setClipping(false);
}

void TimelineWidget::paintSelection(QPainter& painter) const {
    if (!range_) return;
    const double x0 = std::clamp(mapping_.xOf(static_cast<double>(range_->beginNs)), mapping_.left,
                                 mapping_.left + mapping_.width);
    const double x1 = std::clamp(mapping_.xOf(static_cast<double>(range_->endNs)), mapping_.left,
                                 mapping_.left + mapping_.width);
    QColor tint = palette().color(QPalette::Highlight);
    painter.setPen(QPen(tint, 2));
    painter.drawLine(QPointF(x0, 0), QPointF(x0, height()));
    painter.drawLine(QPointF(x1, 0), QPointF(x1, height()));
    tint.setAlpha(38);
    painter.fillRect(QRectF(x0, 0, x1 - x0, height()), tint);
    RangeStatistics sum;
    for (const TimelineLane& lane : timeline_->data.lanes) {
        if (!lane.showsOperations()) continue;
        const RangeStatistics s = lane.statistics(*range_);
        sum.events += s.events;
        sum.busyNs += s.busyNs;
    }
    const double length = static_cast<double>(range_->endNs - range_->beginNs);
    const QString label = tr("%1  |  %2  |  busy %3")
                              .arg(formatDuration(length), formatCounted(sum.events, "operation"),
                                   formatPercent(static_cast<double>(sum.busyNs) / length));
    const QFontMetrics metrics(font());
    const int labelWidth = metrics.horizontalAdvance(label) + 12;
    const int x = std::clamp(static_cast<int>(x0) + 6, kLabelWidth,
                             std::max(kLabelWidth, width() - labelWidth - 4));
    const QRect box(x, height() - metrics.height() - 12, labelWidth, metrics.height() + 6);
    painter.fillRect(box, palette().color(QPalette::ToolTipBase));
    painter.setPen(palette().color(QPalette::ToolTipText));
    painter.drawText(box, Qt::AlignCenter, label);
}

QStringList TimelineWidget::describe(const Hit& hit) const {
    const RunData& run = *timeline_->run;
    const QString length =
        formatDuration(static_cast<double>(hit.event->endNs - hit.event->startNs));
    if (hit.lane->kind() == TimelineLane::Kind::Steps) {
        const StepRow& step = run.steps[hit.event->id];
        return {tr("%1 step %2, %3").arg(text(step.kind)).arg(step.id).arg(length),
                tr("sequence %1, position %2, %3")
                    .arg(step.sequence)
                    .arg(step.firstPosition)
                    .arg(formatCounted(step.tokens, "token"))};
    }
    const OperationColumns& ops = run.operations;
    const std::size_t i = hit.event->id;
    if (hit.lane->kind() == TimelineLane::Kind::Layers) {
        const std::int32_t step = ops.step[i];
        return {tr("layer %1, %2").arg(ops.layer[i]).arg(length),
                step < 0 ? QString()
                         : tr("of %1 step %2")
                               .arg(text(run.steps[static_cast<std::size_t>(step)].kind))
                               .arg(run.steps[static_cast<std::size_t>(step)].id)};
    }
    QStringList lines{tr("%1, %2").arg(operationTitle(ops.opNames[ops.op[i]]), length)};
    lines << (ops.layer[i] < 0 ? tr("outside the layers") : tr("layer %1").arg(ops.layer[i]));
    if (!ops.kernelNames[ops.kernel[i]].empty())
        lines << tr("kernel %1").arg(text(ops.kernelNames[ops.kernel[i]]));
    const double seconds =
        static_cast<double>(std::max<std::int64_t>(1, ops.endNs[i] - ops.startNs[i])) / 1e9;
    if (ops.bytes[i] > 0)
        lines << tr("%1 read, %2")
                     .arg(formatBytes(static_cast<double>(ops.bytes[i])),
                          formatPerSecond(static_cast<double>(ops.bytes[i]) / seconds, "B"));
    if (ops.flops[i] > 0)
        lines << formatPerSecond(static_cast<double>(ops.flops[i]) / seconds, "FLOP");
    return lines;
}

void TimelineWidget::paintCard(QPainter& painter) const {
    if (!pointer_ || dragFrom_) return;
    const QStringList lines = describeAt(*pointer_);
    if (lines.isEmpty()) return;
    const QFontMetrics metrics(font());
    int textWidth = 0;
    for (const QString& line : lines)
        textWidth = std::max(textWidth, metrics.horizontalAdvance(line));
    QRect card(pointer_->x() + 14, pointer_->y() + 14, textWidth + 16,
               static_cast<int>(lines.size()) * metrics.height() + 12);
    if (card.right() > width()) card.moveRight(pointer_->x() - 10);
    if (card.bottom() > height()) card.moveBottom(height() - 2);
    painter.setPen(palette().color(QPalette::Mid));
    painter.setBrush(palette().color(QPalette::ToolTipBase));
    painter.drawRect(card);
    painter.setPen(palette().color(QPalette::ToolTipText));
    painter.drawText(card.adjusted(8, 6, -8, -6), Qt::AlignLeft | Qt::AlignTop,
                     lines.join(QChar('\n')));
}

void TimelineWidget::paintEvent(QPaintEvent*) {
    if (dirty_ || lanes_.size() != size() * devicePixelRatioF()) renderLanes();
    QPainter painter(this);
    painter.drawPixmap(0, 0, lanes_);
    if (!timeline_) return;
    paintSelection(painter);
    if (pointer_ && pointer_->x() >= kLabelWidth) {
        painter.setPen(QPen(palette().color(QPalette::Mid), 1));
        painter.drawLine(pointer_->x(), 0, pointer_->x(), height());
    }
    paintCard(painter);
    if (hasFocus()) {
        painter.setPen(palette().color(QPalette::Highlight));
        painter.setBrush(Qt::NoBrush);
        painter.drawRect(rect().adjusted(0, 0, -1, -1));
    }
}

TimelineWidget::Hit TimelineWidget::hitAt(QPoint point) const {
    if (!timeline_ || point.x() < kLabelWidth) return {};
    for (std::size_t i = 0; i < timeline_->data.lanes.size(); ++i) {
        if (!laneRect(static_cast<int>(i)).contains(point)) continue;
        const TimelineLane& lane = timeline_->data.lanes[i];
        return {&lane, lane.eventAt(clampedTime(point.x()))};
    }
    return {};
}

std::optional<std::size_t> TimelineWidget::stripAt(QPoint point) const {
    if (!timeline_) return std::nullopt;
    for (std::size_t i = 0; i < timeline_->strips.size(); ++i)
        if (stripRect(static_cast<int>(i)).contains(point)) return i;
    return std::nullopt;
}

QStringList TimelineWidget::describeAt(QPoint point) const {
    if (const auto strip = stripAt(point)) {
        const int columns = width() - kLabelWidth;
        return describeSamples(timeline_->strips[*strip], timeline_->run->samples[*strip],
                               columnRange(mapping_, point.x() - kLabelWidth, columns));
    }
    const Hit hit = hitAt(point);
    return hit.event != nullptr ? describe(hit) : QStringList();
}

std::int64_t TimelineWidget::clampedTime(double x) const {
    return static_cast<std::int64_t>(
        std::llround(std::clamp(mapping_.timeAt(x), mapping_.beginNs, mapping_.endNs)));
}

void TimelineWidget::mousePressEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton && !event->modifiers().testFlag(Qt::ShiftModifier)) {
        dragFrom_ = event->position().toPoint().x();
        dragged_ = false;
    } else if (event->button() == Qt::MiddleButton || event->button() == Qt::LeftButton) {
        panFrom_ = event->position().toPoint().x();
    }
}

void TimelineWidget::mouseMoveEvent(QMouseEvent* event) {
    const QPoint at = event->position().toPoint();
    pointer_ = at;
    if (panFrom_) {
        mapping_.pan(*panFrom_ - at.x());
        panFrom_ = at.x();
        invalidate();
    } else if (dragFrom_ && (dragged_ || std::abs(at.x() - *dragFrom_) > 3)) {
        dragged_ = true;
        const std::int64_t a = clampedTime(*dragFrom_), b = clampedTime(at.x());
        if (a != b) range_ = TimeRange{std::min(a, b), std::max(a, b)};
    } else {
        emit hovered(describeAt(at).join(QStringLiteral(", ")));
    }
    update();
}

void TimelineWidget::mouseReleaseEvent(QMouseEvent* event) {
    panFrom_.reset();
    if (!dragFrom_ || event->button() != Qt::LeftButton) return;
    dragFrom_.reset();
    if (dragged_) {
        emit rangeSelected(range_);
        return;
    }
    const Hit hit = hitAt(event->position().toPoint());
    if (hit.event != nullptr && hit.lane->kind() != TimelineLane::Kind::Steps) {
        const OperationColumns& ops = timeline_->run->operations;
        const bool operation = hit.lane->showsOperations();
        emit operationActivated(operation ? text(ops.opNames[ops.op[hit.event->id]]) : QString(),
                                ops.layer[hit.event->id]);
    } else if (range_) {
        range_.reset();
        emit rangeSelected(std::nullopt);
    }
    update();
}

void TimelineWidget::mouseDoubleClickEvent(QMouseEvent* event) {
    const Hit hit = hitAt(event->position().toPoint());
    if (hit.event != nullptr)
        showRange({hit.event->startNs, std::max(hit.event->endNs, hit.event->startNs + 1)});
}

void TimelineWidget::wheelEvent(QWheelEvent* event) {
    const double notches = event->angleDelta().y() / 120.0;
    if (event->modifiers().testFlag(Qt::ShiftModifier) || event->angleDelta().y() == 0) {
        mapping_.pan(-(event->angleDelta().x() + event->angleDelta().y()) / 120.0 * mapping_.width /
                     10);
    } else {
        const double base =
            event->modifiers().testFlag(Qt::ControlModifier) ? 1.06 : 1.25;  // Ctrl: finer
        mapping_.zoom(std::max(event->position().x(), mapping_.left), std::pow(base, notches));
    }
    invalidate();
    event->accept();
}

void TimelineWidget::stepEvent(int direction) {
    if (!timeline_) return;
    const auto lane = std::find_if(timeline_->data.lanes.begin(), timeline_->data.lanes.end(),
                                   [](const TimelineLane& l) { return l.showsOperations(); });
    if (lane == timeline_->data.lanes.end()) return;
    const std::int64_t centre = range_ ? (range_->beginNs + range_->endNs) / 2
                                       : clampedTime(mapping_.left + mapping_.width / 2);
    const auto at =
        static_cast<std::ptrdiff_t>(lane->firstEndingAfter(centre)) + (range_ ? direction : 0);
    const auto i = static_cast<std::size_t>(
        std::clamp<std::ptrdiff_t>(at, 0, static_cast<std::ptrdiff_t>(lane->events().size()) - 1));
    const TimelineLane::Event& event = lane->events()[i];
    range_ = TimeRange{event.startNs, std::max(event.endNs, event.startNs + 1)};
    if (static_cast<double>(event.startNs) < mapping_.startNs ||
        static_cast<double>(event.endNs) > mapping_.startNs + mapping_.spanNs) {
        mapping_.show(static_cast<double>(event.startNs) - mapping_.spanNs / 2,
                      static_cast<double>(event.startNs) + mapping_.spanNs / 2);
        invalidate();
    }
    update();
    emit rangeSelected(range_);
    emit hovered(describe({&*lane, &event}).join(QStringLiteral(", ")));
}

void TimelineWidget::keyPressEvent(QKeyEvent* event) {
    const bool pointed = pointer_ && pointer_->x() > kLabelWidth;
    const double anchor = pointed ? pointer_->x() : mapping_.left + mapping_.width / 2;
    switch (event->key()) {
        case Qt::Key_W:
        case Qt::Key_Plus:
            mapping_.zoom(anchor, 1.25);
            break;
        case Qt::Key_S:
        case Qt::Key_Minus:
            mapping_.zoom(anchor, 0.8);
            break;
        case Qt::Key_A:
        case Qt::Key_Left:
            mapping_.pan(-mapping_.width / 10);
            break;
        case Qt::Key_D:
        case Qt::Key_Right:
            mapping_.pan(mapping_.width / 10);
            break;
        case Qt::Key_F:
            if (range_ &&
                mapping_.spanNs > 1.001 * static_cast<double>(range_->endNs - range_->beginNs)) {
                showRange(*range_);
            } else {
                fit();
            }
            return;
        case Qt::Key_Home:
        case Qt::Key_0:
            fit();
            return;
        case Qt::Key_Comma:
            stepEvent(-1);
            return;
        case Qt::Key_Period:
            stepEvent(1);
            return;
        default:
            QWidget::keyPressEvent(event);
            return;
    }
    invalidate();
}

void TimelineWidget::leaveEvent(QEvent*) {
    pointer_.reset();
    emit hovered(QString());
    update();
}

}  // namespace moescope::gui
