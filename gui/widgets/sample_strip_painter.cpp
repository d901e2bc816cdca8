// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/sample_strip_painter.h"

#include <QFontMetrics>
#include <QPainter>
#include <algorithm>
#include <cmath>
#include <optional>

namespace moescope::gui {
namespace {

constexpr int kAreaAlpha = 45, kRangeAlpha = 110;  ///< of 255, under the opaque mean

void paintLabel(QPainter& painter, const SampleStrip& strip, const QRect& label,
                const QPalette& palette) {
    const QFontMetrics metrics = painter.fontMetrics();
    QRect line(label.left(), label.center().y() + 1 - metrics.height(), label.width(),
               metrics.height());
    painter.setPen(palette.color(QPalette::Text));
    painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter,
                     metrics.elidedText(strip.title, Qt::ElideMiddle, line.width()));
    line.translate(0, metrics.height());
    painter.setPen(palette.color(QPalette::PlaceholderText));
    painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter,
                     metrics.elidedText(strip.scale, Qt::ElideRight, line.width()));
}

}  // namespace

int leastStripHeight(const QFontMetrics& metrics) {
    return 2 * metrics.height();
}

void paintSampleStrip(QPainter& painter, const SampleStrip& strip, const SampleCurve& curve,
                      const TimelineMapping& mapping, const QRect& label, const QRect& area,
                      const QPalette& palette) {
    paintLabel(painter, strip, label, palette);
    painter.setPen(palette.color(QPalette::Midlight));
    painter.drawLine(area.topLeft(), area.topRight());
    painter.setPen(palette.color(QPalette::Mid));
    painter.drawLine(area.bottomLeft(), area.bottomRight());
    const auto yOf = [&](float value) {
        const double share = (static_cast<double>(value) - strip.low) / (strip.high - strip.low);
        return area.bottom() -
               static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * (area.height() - 1)));
    };
    const QColor line = palette.color(QPalette::Link);
    QColor below = line, range = line;
    below.setAlpha(kAreaAlpha);
    range.setAlpha(kRangeAlpha);
    std::optional<int> before;  ///< y of the mean in the column before, unless it is a gap
    const std::vector<SampleSpread> columns = sampleColumns(curve, mapping, area.width());
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const SampleSpread& column = columns[i];
        if (!column.sampled) {
            before.reset();
            continue;
        }
        const int x = area.left() + static_cast<int>(i);
        const int top = yOf(column.high), bottom = yOf(column.low), mean = yOf(column.mean);
        // An area says "from zero", which a scale that begins elsewhere does not.
        if (strip.low <= 0) painter.fillRect(x, bottom, 1, area.bottom() + 1 - bottom, below);
        painter.fillRect(x, top, 1, bottom + 1 - top, range);
        const int from = std::min(mean, before.value_or(mean));
        painter.fillRect(x, from, 1, std::max(mean, before.value_or(mean)) + 1 - from, line);
        before = mean;
    }
}

}  // namespace moescope::gui
