// SPDX-License-Identifier: Apache-2.0
#include "gui/models/sample_strips.h"

#include <QCoreApplication>
#include <algorithm>
#include <cmath>

#include "gui/data/format.h"
#include "reports/axis_ticks.h"
#include "reports/counter_names.h"
#include "reports/numbers.h"

namespace moescope::gui {
namespace {

/// "1.20 to 3.45 TB/s": the unit once where both have the same.
QString rangeText(const std::string& metric, double low, double high) {
    QString from = text(formatCounter(metric, low));
    const QString to = text(formatCounter(metric, high));
    const auto unitAt = [](const QString& t) { return t.lastIndexOf(QChar(' ')); };
    if (low == 0) {
        from = QStringLiteral("0");
    } else if (unitAt(from) > 0 && unitAt(to) > 0 && from.mid(unitAt(from)) == to.mid(unitAt(to))) {
        from.truncate(unitAt(from));
    }
    return QCoreApplication::translate("Timeline", "%1 to %2").arg(from, to);
}

SampleStrip stripOf(const SampleCurve& curve) {
    const bool share = curve.metric.find(".pct_of_peak") != std::string::npos;
    const bool clock = curve.metric.find("cycles_elapsed") != std::string::npos &&
                       curve.metric.find(".per_second") != std::string::npos;
    double low = static_cast<double>(curve.points.front().low), high = low;
    for (const SamplePoint& point : curve.points) {
        low = std::min(low, static_cast<double>(point.low));
        high = std::max(high, static_cast<double>(point.high));
    }
    SampleStrip strip;
    strip.title = text(counterName(curve.metric));
    if (!clock) low = std::min(low, 0.0);
    if (share) high = std::max(high, 100.0);
    // A curve without variation lies at the bottom of a clock's strip, else at the top.
    if (high <= low) high = low + std::max(1.0, std::abs(low) / 100);
    if (!share) {
        // Round ends: the ticks next to the extremes, outside of them.
        constexpr int kTicks = 5;
        const std::vector<double> ticks = axisTicks(low, high, kTicks);
        const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : high - low;
        low = std::floor(low / step + 1e-9) * step;
        high = std::ceil(high / step - 1e-9) * step;
    }
    strip.low = low;
    strip.high = high;
    strip.scale = share && low == 0 && high == 100
                      ? QCoreApplication::translate("Timeline", "0 to 100 %")
                      : rangeText(curve.metric, low, high);
    return strip;
}

}  // namespace

std::vector<SampleStrip> sampleStrips(const std::vector<SampleCurve>& curves) {
    std::vector<SampleStrip> strips;
    for (const SampleCurve& curve : curves) strips.push_back(stripOf(curve));
    return strips;
}

SampleSpread sampleSpread(const SampleCurve& curve, TimeRange range) {
    SampleSpread spread;
    double sum = 0, time = 0;
    for (auto point =
             std::partition_point(curve.points.begin(), curve.points.end(),
                                  [&](const SamplePoint& p) { return p.endNs <= range.beginNs; });
         point != curve.points.end() && point->startNs < range.endNs; ++point) {
        spread.low = spread.sampled ? std::min(spread.low, point->low) : point->low;
        spread.high = spread.sampled ? std::max(spread.high, point->high) : point->high;
        spread.sampled = true;
        const auto overlap = static_cast<double>(std::min(point->endNs, range.endNs) -
                                                 std::max(point->startNs, range.beginNs));
        sum += overlap * static_cast<double>(point->mean);
        time += overlap;
    }
    if (spread.sampled) spread.mean = static_cast<float>(sum / time);
    return spread;
}

TimeRange columnRange(const TimelineMapping& mapping, int column, int columns) {
    const double step = mapping.spanNs / std::max(columns, 1);
    const std::int64_t begin = std::llround(mapping.startNs + step * column);
    return {begin,
            std::max<std::int64_t>(begin + 1, std::llround(mapping.startNs + step * (column + 1)))};
}

std::vector<SampleSpread> sampleColumns(const SampleCurve& curve, const TimelineMapping& mapping,
                                        int columns) {
    std::vector<SampleSpread> out;
    for (int i = 0; i < columns; ++i)
        out.push_back(sampleSpread(curve, columnRange(mapping, i, columns)));
    return out;
}

QStringList describeSamples(const SampleStrip& strip, const SampleCurve& curve, TimeRange range) {
    const SampleSpread spread = sampleSpread(curve, range);
    if (!spread.sampled) return {};
    const auto value = [&](float v) {
        return text(formatCounter(curve.metric, static_cast<double>(v)));
    };
    QStringList lines{
        QCoreApplication::translate("Timeline", "%1: %2").arg(strip.title, value(spread.mean))};
    if (value(spread.low) != value(spread.high))
        lines << QCoreApplication::translate("Timeline", "samples from %1")
                     .arg(rangeText(curve.metric, static_cast<double>(spread.low),
                                    static_cast<double>(spread.high)));
    if (strip.title != text(curve.metric)) lines << text(curve.metric);
    return lines;
}

}  // namespace moescope::gui
