// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/heatmap_widget.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>
#include <cmath>
#include <utility>

#include "gui/data/colors.h"

namespace moescope::gui {
namespace {

constexpr int kLegendHeight = 34;

/// Labels every 1, 2, 5, 10, ... rows so that they keep `minPixels` apart.
int labelStep(double cellPixels, int minPixels) {
    for (int step = 1;; step *= 10) {
        for (const int multiple : {1, 2, 4, 8}) {
            if (cellPixels * step * multiple >= minPixels) return step * multiple;
        }
    }
}

QRgb color(Ramp ramp, double at) {
    return ramp == Ramp::Diverging ? diverging(at) : viridis(at);
}

}  // namespace

HeatmapWidget::HeatmapWidget(QWidget* parent) : QAbstractScrollArea(parent) {
    setAccessibleName(tr("Heat map of the experts"));
    setAccessibleDescription(
        tr("Rows are layers, columns are experts. Arrow keys move; the table shows the same "
           "numbers."));
    setFocusPolicy(Qt::StrongFocus);
    setFrameShape(NoFrame);
    viewport()->setMouseTracking(true);
}

void HeatmapWidget::setData(HeatmapData data) {
    data_ = std::move(data);
    if (current_ && (current_->row >= data_.rows() || current_->column >= data_.experts))
        current_.reset();
    rebuildImage();
    updateLayout();
}

void HeatmapWidget::setCurrent(std::optional<HeatmapCell> cell) {
    current_ = cell;
    viewport()->update();
}

void HeatmapWidget::fit() {
    layout_.cellSize = 0;
    updateLayout();
}

void HeatmapWidget::rebuildImage() {
    image_ = QImage(std::max(data_.experts, 1), std::max(data_.rows(), 1), QImage::Format_RGB32);
    image_.fill(palette().color(QPalette::Mid));
    for (int row = 0; row < data_.rows(); ++row) {
        auto* line = reinterpret_cast<QRgb*>(image_.scanLine(row));
        for (int expert = 0; expert < data_.experts; ++expert) {
            const double at = rampPosition(data_.value({row, expert}), data_.range);
            if (!std::isnan(at)) line[expert] = color(data_.ramp, at);
        }
    }
}

void HeatmapWidget::updateLayout() {
    layout_.rows = data_.rows();
    layout_.columns = data_.experts;
    const QFontMetrics metrics(font());
    const int left = metrics.horizontalAdvance(QStringLiteral("000")) + 14;
    const int top = metrics.height() + 6;
    layout_.area = viewport()->rect().adjusted(left, top, -12, -kLegendHeight);
    const QSize over = layout_.contentSize() - layout_.area.size();
    horizontalScrollBar()->setRange(0, layout_.cellSize > 0 ? std::max(0, over.width()) : 0);
    verticalScrollBar()->setRange(0, layout_.cellSize > 0 ? std::max(0, over.height()) : 0);
    horizontalScrollBar()->setPageStep(layout_.area.width());
    verticalScrollBar()->setPageStep(layout_.area.height());
    layout_.scroll = {horizontalScrollBar()->value(), verticalScrollBar()->value()};
    viewport()->update();
}

void HeatmapWidget::resizeEvent(QResizeEvent*) {
    updateLayout();
}

void HeatmapWidget::scrollContentsBy(int, int) {
    layout_.scroll = {horizontalScrollBar()->value(), verticalScrollBar()->value()};
    viewport()->update();
}

void HeatmapWidget::paintLabels(QPainter& painter) const {
    painter.setPen(palette().color(QPalette::Text));
    const QFontMetrics metrics(font());
    const QSize size = layout_.contentSize();
    const int rowStep =
        labelStep(static_cast<double>(size.height()) / layout_.rows, metrics.height());
    for (int row = 0; row < layout_.rows; row += rowStep) {
        const QRect cell = layout_.cellRect({row, 0});
        if (cell.center().y() < layout_.area.top() || cell.center().y() > layout_.area.bottom())
            continue;
        painter.drawText(QRect(0, cell.center().y() - metrics.height(), layout_.area.left() - 6,
                               2 * metrics.height()),
                         Qt::AlignRight | Qt::AlignVCenter,
                         QString::number(data_.layers[static_cast<std::size_t>(row)]));
    }
    const int columnStep = labelStep(static_cast<double>(size.width()) / layout_.columns,
                                     metrics.horizontalAdvance(QStringLiteral("0000")) + 4);
    for (int column = 0; column < layout_.columns; column += columnStep) {
        const QRect cell = layout_.cellRect({0, column});
        if (cell.center().x() < layout_.area.left() || cell.center().x() > layout_.area.right())
            continue;
        painter.drawText(QRect(cell.center().x() - 40, 0, 80, layout_.area.top() - 3),
                         Qt::AlignHCenter | Qt::AlignBottom, QString::number(column));
    }
}

void HeatmapWidget::paintLegend(QPainter& painter) const {
    const int y = viewport()->height() - kLegendHeight + 10;
    const QFontMetrics metrics(font());
    const QRect line(layout_.area.left(), y, layout_.area.width(), metrics.height() + 2);
    painter.setPen(palette().color(QPalette::Text));
    if (!data_.format) return;
    const QString high = data_.format(data_.range.high) + QChar(' ') + data_.unit;
    const QString low = data_.format(data_.range.low);
    const int rampWidth = std::min(160, line.width() / 4);
    const int right = metrics.horizontalAdvance(high) + 6;
    const QRect ramp(line.right() - right - rampWidth, y + 1, rampWidth, line.height() - 2);
    for (int i = 0; i < ramp.width(); ++i) {
        painter.fillRect(ramp.left() + i, ramp.top(), 1, ramp.height(),
                         QColor(color(data_.ramp, i / double(ramp.width() - 1))));
    }
    painter.drawText(line, Qt::AlignRight | Qt::AlignVCenter, high);
    painter.drawText(QRect(line.left(), y, ramp.left() - line.left() - 6, line.height()),
                     Qt::AlignRight | Qt::AlignVCenter, low);
    const QString axes = data_.column.isEmpty() ? tr("rows: layer, columns: expert")
                                                : tr("rows: layer, columns: %1").arg(data_.column);
    if (metrics.horizontalAdvance(axes) + metrics.horizontalAdvance(low) + 24 <
        ramp.left() - line.left()) {
        painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, axes);
    }
}

void HeatmapWidget::paintEvent(QPaintEvent*) {
    QPainter painter(viewport());
    painter.fillRect(viewport()->rect(), palette().color(QPalette::Base));
    if (layout_.rows == 0 || layout_.columns == 0 || layout_.area.width() <= 0 ||
        layout_.area.height() <= 0)
        return;
    painter.save();
    painter.setClipRect(layout_.area);
    const QSize size = layout_.contentSize();
    painter.drawImage(QRect(layout_.area.topLeft() - layout_.scroll, size), image_);
    if (current_) {
        const QRect cell = layout_.cellRect(*current_);
        // Two frames, dark within light, show on every colour of the ramp.
        painter.setPen(QPen(Qt::white, 2));
        painter.drawRect(cell.adjusted(-1, -1, 1, 1));
        painter.setPen(QPen(Qt::black, 1));
        painter.drawRect(cell.adjusted(0, 0, -1, -1));
    }
    painter.restore();
    paintLabels(painter);
    paintLegend(painter);
    if (hasFocus()) {
        painter.setPen(QPen(palette().color(QPalette::Highlight), 1));
        painter.drawRect(layout_.area.adjusted(-2, -2, 1, 1));
    }
}

void HeatmapWidget::choose(HeatmapCell cell) {
    cell.row = std::clamp(cell.row, 0, std::max(0, layout_.rows - 1));
    cell.column = std::clamp(cell.column, 0, std::max(0, layout_.columns - 1));
    if (layout_.rows == 0 || layout_.columns == 0) return;
    const bool changed = current_ != cell;
    setCurrent(cell);
    emit hovered(data_.describe(cell));
    if (changed) emit currentChanged(cell);
}

void HeatmapWidget::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    if (const auto cell = layout_.cellAt(event->position().toPoint())) choose(*cell);
}

void HeatmapWidget::mouseMoveEvent(QMouseEvent* event) {
    const auto cell = layout_.cellAt(event->position().toPoint());
    emit hovered(cell ? data_.describe(*cell) : QString());
    if (cell && event->buttons().testFlag(Qt::LeftButton)) choose(*cell);
}

void HeatmapWidget::keyPressEvent(QKeyEvent* event) {
    HeatmapCell cell = current_.value_or(HeatmapCell{0, 0});
    switch (event->key()) {
        case Qt::Key_Left:
            --cell.column;
            break;
        case Qt::Key_Right:
            ++cell.column;
            break;
        case Qt::Key_Up:
            --cell.row;
            break;
        case Qt::Key_Down:
            ++cell.row;
            break;
        case Qt::Key_Home:
            cell.column = 0;
            break;
        case Qt::Key_End:
            cell.column = layout_.columns - 1;
            break;
        case Qt::Key_0:
            fit();
            return;
        default:
            QAbstractScrollArea::keyPressEvent(event);
            return;
    }
    choose(cell);
}

void HeatmapWidget::wheelEvent(QWheelEvent* event) {
    if (!event->modifiers().testFlag(Qt::ControlModifier)) {
        QAbstractScrollArea::wheelEvent(event);
        return;
    }
    const int fitted =
        layout_.columns > 0 ? std::max(2, layout_.area.width() / layout_.columns) : 8;
    const int size =
        (layout_.cellSize > 0 ? layout_.cellSize : fitted) + (event->angleDelta().y() > 0 ? 2 : -2);
    layout_.cellSize = size <= 2 ? 0 : std::min(size, 64);
    updateLayout();
}

bool HeatmapWidget::viewportEvent(QEvent* event) {
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        if (const auto cell = layout_.cellAt(help->pos()))
            QToolTip::showText(help->globalPos(), data_.describe(*cell), viewport());
        return true;
    }
    if (event->type() == QEvent::Leave) emit hovered(QString());
    return QAbstractScrollArea::viewportEvent(event);
}

}  // namespace moescope::gui
