// SPDX-License-Identifier: Apache-2.0
// Column chart, balance against chance, curves, and interval plot.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "reports/axis_ticks.h"
#include "reports/html/escape.h"
#include "reports/html/figures.h"
#include "reports/html/svg.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

/// Linear map of values to a stretch of the canvas.
struct Axis {
    double low = 0, high = 1;
    double from = 0, to = 1;
    double operator()(double value) const {
        return from + (value - low) / (high - low) * (to - from);
    }
};

constexpr double kWidth = 736, kLeft = 62, kRight = 8;

void verticalAxis(SvgCanvas& svg, const Axis& y, double right, std::string (*format)(double)) {
    for (const double tick : axisTicks(y.low, y.high, 4)) {
        svg.line(kLeft, y(tick), right, y(tick), "grid");
        svg.text(kLeft - 6, y(tick) + 4, format(tick), "end");
    }
}

/// Every label that fits without touching its neighbour.
std::size_t labelStep(double slot) {
    return std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(20.0 / slot)));
}

std::string shortNumber(double value) {
    return formatSignificant(value, 2);
}
std::string timesNumber(double value) {
    return formatFixed(value, 1) + " x";
}

}  // namespace

std::string columnChart(const FigureText& text, const ColumnChart& chart) {
    constexpr double kHeight = 200, kTop = 26, kBottom = 36;
    SvgCanvas svg(text, kWidth, kHeight);
    const double greatest =
        chart.values.empty() ? 0 : *std::max_element(chart.values.begin(), chart.values.end());
    const Axis y{0, greatest > 0 ? greatest * 1.02 : 1, kHeight - kBottom, kTop};
    verticalAxis(svg, y, kWidth - kRight, chart.format);
    const double slot = (kWidth - kLeft - kRight) /
                        static_cast<double>(std::max<std::size_t>(1, chart.values.size()));
    const std::size_t step = labelStep(slot);
    for (std::size_t i = 0; i < chart.values.size(); ++i) {
        const double x = kLeft + slot * static_cast<double>(i);
        svg.rect(x + slot * 0.12, y(chart.values[i]), slot * 0.76, y(0) - y(chart.values[i]),
                 "fill",
                 chart.horizontal + " " + chart.labels[i] + ": " + chart.format(chart.values[i]));
        if (i % step == 0)
            svg.text(x + slot / 2, kHeight - kBottom + 14, chart.labels[i], "middle");
    }
    svg.line(kLeft, y(0), kWidth - kRight, y(0), "baseline");
    svg.text((kLeft + kWidth - kRight) / 2, kHeight - 6, chart.horizontal, "middle", "axis");
    return svg.html();
}

std::string balanceChart(const FigureText& text, std::span<const LayerRouting> routing) {
    constexpr double kHeight = 250, kTop = 46, kBottom = 36;
    SvgCanvas svg(text, kWidth, kHeight);
    double greatest = 1.2;
    for (const LayerRouting& layer : routing) {
        for (const double value : {layer.balance.maxOverMean, layer.null.maxOverMean95}) {
            if (std::isfinite(value)) greatest = std::max(greatest, value);
        }
    }
    const Axis y{0, greatest * 1.05, kHeight - kBottom, kTop};
    verticalAxis(svg, y, kWidth - kRight, timesNumber);
    const double slot =
        (kWidth - kLeft - kRight) / static_cast<double>(std::max<std::size_t>(1, routing.size()));
    const std::size_t step = labelStep(slot);
    for (std::size_t i = 0; i < routing.size(); ++i) {
        const LayerRouting& layer = routing[i];
        const double x = kLeft + slot * (static_cast<double>(i) + 0.5);
        if (i % step == 0)
            svg.text(x, kHeight - kBottom + 14, std::to_string(layer.layer), "middle");
        if (!std::isfinite(layer.balance.maxOverMean) || !std::isfinite(layer.null.maxOverMean))
            continue;
        const double half = std::min(9.0, slot * 0.35);
        svg.rect(x - half, y(layer.null.maxOverMean95), 2 * half,
                 std::max(1.5, y(layer.null.maxOverMean) - y(layer.null.maxOverMean95)), "chance",
                 "layer " + std::to_string(layer.layer) + ", chance: mean " +
                     formatFixed(layer.null.maxOverMean, 2) + ", 95th percentile " +
                     formatFixed(layer.null.maxOverMean95, 2));
        svg.circle(x, y(layer.balance.maxOverMean), 4, "dot",
                   "layer " + std::to_string(layer.layer) +
                       ", observed: " + formatFixed(layer.balance.maxOverMean, 2));
    }
    svg.line(kLeft, y(0), kWidth - kRight, y(0), "baseline");
    svg.text((kLeft + kWidth - kRight) / 2, kHeight - 6, "layer", "middle", "axis");
    svg.circle(kLeft + 8, 14, 4, "dot");
    svg.text(kLeft + 18, 18, "observed max/mean", "start");
    svg.rect(kLeft + 150, 9, 18, 10, "chance");
    svg.text(kLeft + 174, 18,
             "what a uniform router shows by chance: mean (lower edge) to 95th percentile",
             "start");
    return svg.html();
}

namespace {

constexpr double kLabelRoom = 110;  ///< of labels behind the ends of curves

/// Classes "curve0" and so on of the page's style.
std::string curveClass(const CurveSet& set, std::size_t curve) {
    return "curve curve" + std::to_string(curveStyle(set, curve));
}

void drawCurve(SvgCanvas& svg, const CurveSet& set, std::size_t index, const Axis& x,
               const Axis& y) {
    const Curve& curve = set.curves[index];
    std::vector<std::pair<double, double>> line, band;
    for (std::size_t i = 0; i < set.x.size(); ++i)
        if (std::isfinite(curve.values[i])) line.emplace_back(x(set.x[i]), y(curve.values[i]));
    for (std::size_t i = 0; i < curve.low.size(); ++i)
        if (std::isfinite(curve.low[i])) band.emplace_back(x(set.x[i]), y(curve.low[i]));
    for (std::size_t i = curve.high.size(); i-- > 0;)
        if (std::isfinite(curve.high[i])) band.emplace_back(x(set.x[i]), y(curve.high[i]));
    if (!band.empty()) svg.polyline(band, "band");
    svg.polyline(line, curveClass(set, index));
}

void labelCurves(SvgCanvas& svg, const CurveSet& set, const Axis& x, const Axis& y) {
    constexpr double kLine = 13;
    std::vector<CurveLabel> ends;
    for (std::size_t c = 0; c < set.curves.size(); ++c) {
        if (set.curves[c].label.empty()) continue;
        for (std::size_t i = set.x.size(); i-- > 0;) {
            if (!std::isfinite(set.curves[c].values[i])) continue;
            ends.push_back({c, y(set.curves[c].values[i])});
            break;
        }
    }
    for (const CurveLabel& end : spreadLabels(std::move(ends), kLine, y.to, y.from))
        svg.text(x.to + 8, end.y + 4, shorten(set.curves[end.curve].label, 18), "start");
}

}  // namespace

std::string curveChart(const FigureText& text, const CurveSet& set,
                       std::span<const std::size_t> marked) {
    constexpr double kHeight = 340, kBottom = 36, kSample = 30, kRow = 17;
    constexpr std::size_t kColumns = 3;
    const double top =
        14 + kRow * std::ceil(static_cast<double>(set.curves.size()) / double(kColumns));
    SvgCanvas svg(text, kWidth, kHeight);
    const bool labels = std::any_of(set.curves.begin(), set.curves.end(),
                                    [](const Curve& curve) { return !curve.label.empty(); });
    const double right = kWidth - kRight - (labels ? kLabelRoom : 0);
    const Axis x{set.x.front(), std::max(set.x.back(), set.x.front() + 1), kLeft + 8, right - 8};
    const Axis y{set.low, set.high, kHeight - kBottom, top};
    verticalAxis(svg, y, right, set.format);
    for (const double tick : axisTicks(x.low, x.high, 8)) {
        if (set.whole && tick != std::round(tick)) continue;
        svg.line(x(tick), y.from, x(tick), y.from + 4, "tick");
        svg.text(x(tick), kHeight - kBottom + 16, horizontalText(set, tick), "middle");
    }
    for (std::size_t c = set.curves.size(); c-- > 0;) drawCurve(svg, set, c, x, y);
    for (std::size_t c = 0; c < set.curves.size(); ++c) {
        const Curve& curve = set.curves[c];
        for (const std::size_t i : marked)
            if (std::isfinite(curve.values[i]))
                svg.circle(x(set.x[i]), y(curve.values[i]), 3,
                           "point" + std::to_string(curveStyle(set, c)),
                           curve.title + ", " + horizontalText(set, set.x[i]) + ": " +
                               set.format(curve.values[i]));
        const std::size_t row = c / kColumns;
        const double left = kLeft + (kWidth - kLeft) / double(kColumns) * double(c % kColumns);
        const double middle = 8 + kRow * double(row);
        svg.polyline(std::array{std::pair(left, middle), std::pair(left + kSample, middle)},
                     curveClass(set, c));
        svg.text(left + kSample + 6, middle + 4,
                 shorten(curve.title, 30) + (curve.low.empty() || !std::isfinite(curve.low.front())
                                                 ? ""
                                                 : ", with its 95 % interval"),
                 "start");
    }
    labelCurves(svg, set, x, y);
    svg.line(kLeft, y.from, right, y.from, "baseline");
    svg.text((kLeft + right) / 2, kHeight - 6, set.horizontal, "middle", "axis");
    return svg.html();
}

std::string intervalPlot(const FigureText& text, std::span<const Interval> intervals,
                         const char* legend) {
    constexpr double kLabels = 250, kRow = 22, kTop = 30;
    const double height = kTop + kRow * static_cast<double>(intervals.size()) + 26;
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (const Interval& interval : intervals) {
        for (const auto& value :
             {std::optional(interval.value), interval.low, interval.high, interval.chance}) {
            if (!value || !std::isfinite(*value)) continue;
            low = std::min(low, *value);
            high = std::max(high, *value);
        }
    }
    if (!(low <= high)) low = 0, high = 1;
    const double margin = std::max((high - low) * 0.06, std::max(std::abs(high), 1.0) * 1e-3);
    const Axis x{low - margin, high + margin, kLabels, kWidth - kRight};
    SvgCanvas svg(text, kWidth, height);
    const double bottom = height - 24;
    for (const double tick : axisTicks(x.low, x.high, 6)) {
        svg.line(x(tick), kTop - 4, x(tick), bottom, "grid");
        svg.text(x(tick), bottom + 14, shortNumber(tick), "middle");
    }
    for (std::size_t i = 0; i < intervals.size(); ++i) {
        const Interval& row = intervals[i];
        const double y = kTop + kRow * (static_cast<double>(i) + 0.5);
        svg.text(kLabels - 8, y + 4, shorten(row.label, 40), "end");
        if (!std::isfinite(row.value)) continue;
        if (row.chance) svg.line(x(*row.chance), y - 8, x(*row.chance), y + 8, "chance-tick");
        if (row.low && row.high) {
            svg.line(x(*row.low), y, x(*row.high), y, "whisker");
            svg.line(x(*row.low), y - 4, x(*row.low), y + 4, "whisker");
            svg.line(x(*row.high), y - 4, x(*row.high), y + 4, "whisker");
        }
        svg.circle(x(row.value), y, 4, "dot", row.label + ": " + formatSignificant(row.value));
    }
    svg.circle(kLabels + 6, 12, 4, "dot");
    svg.line(kLabels - 4, 12, kLabels + 16, 12, "whisker");
    svg.text(kLabels + 24, 16, legend, "start");
    svg.line(kLabels + 180, 4, kLabels + 180, 20, "chance-tick");
    svg.text(kLabels + 188, 16, "chance", "start");
    return svg.html();
}

}  // namespace moescope
