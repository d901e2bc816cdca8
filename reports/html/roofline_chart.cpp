// SPDX-License-Identifier: Apache-2.0
// The roofline: arithmetic intensity to the right, operations per second upwards, both by decades.
#include <cmath>
#include <numbers>
#include <optional>
#include <vector>

#include "reports/axis_ticks.h"
#include "reports/html/figures.h"
#include "reports/html/svg.h"
#include "reports/label_placer.h"
#include "reports/numbers.h"
#include "reports/roofline_plane.h"

namespace moescope {
namespace {

constexpr double kWidth = 736, kHeight = 420, kLeft = 92, kRight = 14, kTop = 30, kBottom = 44;
constexpr double kLineHeight = 12, kCharacter = 6;  ///< of the page's 11 px text, about

/// Decades of both axes to pixels.
struct LogPlane : RooflinePlane {
    double x(double value) const { return kLeft + right(value) * (kWidth - kLeft - kRight); }
    double y(double value) const {
        return kHeight - kBottom - up(value) * (kHeight - kTop - kBottom);
    }
};

struct Dot {
    const RooflinePoint* point;
    double x = 0, y = 0, radius = 0;
    LabelBox box() const { return {x - radius, y - radius, x + radius, y + radius}; }
};

const char* svgAnchor(LabelAnchor anchor) {
    return anchor == LabelAnchor::Start ? "start" : anchor == LabelAnchor::End ? "end" : "middle";
}

double widthOf(const std::string& text) {
    return kCharacter * static_cast<double>(text.size());
}

/// The table has every point: a text without a place is left out.
void write(SvgCanvas& svg, const std::string& text, const std::optional<LabelPlace>& at) {
    if (at) svg.text(at->x, at->y + 4, text, svgAnchor(at->anchor));
}

void axes(SvgCanvas& svg, const LogPlane& plane) {
    for (const double tick : decadeTicks(plane.lowX, plane.highX)) {
        svg.line(plane.x(tick), kTop, plane.x(tick), kHeight - kBottom, "grid");
        svg.text(plane.x(tick), kHeight - kBottom + 15, formatSignificant(tick, 1), "middle");
    }
    for (const double tick : decadeTicks(plane.lowY, plane.highY)) {
        svg.line(kLeft, plane.y(tick), kWidth - kRight, plane.y(tick), "grid");
        svg.text(kLeft - 6, plane.y(tick) + 4, formatPerSecond(tick, "OP"), "end");
    }
    svg.line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "baseline");
    svg.text((kLeft + kWidth - kRight) / 2, kHeight - 8, "operations per byte", "middle", "axis");
}

/// The sloped roof up to the greatest peak, with its name along it.
void drawMemoryRoof(SvgCanvas& svg, const LogPlane& plane, const Ceilings& ceilings,
                    LabelPlacer& labels) {
    const auto roof = memoryRoof(plane, ceilings);
    if (!roof) return;
    const double x1 = plane.x(roof->fromX), y1 = plane.y(roof->fromY);
    const double x2 = plane.x(roof->toX), y2 = plane.y(roof->toY);
    svg.line(x1, y1, x2, y2, "roof");
    labels.avoidLine(x1, y1, x2, y2);
    const std::string text = "memory " + formatPerSecond(ceilings.bytesPerSecond, "B");
    const auto at = labels.placeAlong(widthOf(text), x1, y1, x2, y2, 10);
    if (!at) return;
    const double slope = std::atan2(y2 - y1, x2 - x1);
    const double x = std::lerp(x1, x2, *at), y = std::lerp(y1, y2, *at);
    svg.raw("<g transform=\"rotate(" + formatFixed(slope * 180 / std::numbers::pi, 1) + " " +
            formatFixed(x, 1) + " " + formatFixed(y, 1) + ")\">");
    svg.text(x, y - 6, text, "middle");
    svg.raw("</g>\n");
}

/// A level line for every kind of arithmetic from where memory could feed it; those that bound no
/// kernel of this run are dashed.
void drawComputeRoofs(SvgCanvas& svg, const LogPlane& plane, const Roofline& of,
                      LabelPlacer& labels) {
    const Ceilings& ceilings = of.ceilings;
    for (const auto& [name, peak] : ceilings.peaks) {
        const double left = plane.x(computeRoof(plane, ceilings, peak).fromX);
        const double y = plane.y(peak);
        svg.line(left, y, kWidth - kRight, y, of.bounds(name) ? "roof" : "roof-other");
        labels.avoidLine(left, y, kWidth - kRight, y);
    }
    for (const auto& [name, peak] : ceilings.peaks) {
        const std::string text = name + " " + formatPerSecond(peak, "OP");
        write(svg, text,
              labels.placeAtEnd(widthOf(text), kWidth - kRight - 2, plane.y(peak), 8, 9));
    }
}

/// Class of the page's style sheet.
const char* classOf(PointStyle style) {
    switch (style) {
        case PointStyle::Measured:
            return "measured";
        case PointStyle::Partly:
            return "partly";
        case PointStyle::Modelled:
            break;
    }
    return "modelled";
}

void legend(SvgCanvas& svg, const std::vector<RooflinePoint>& points) {
    double x = kLeft + 6;
    for (const auto& [style, text] : pointLegend(points)) {
        svg.circle(x, 12, 5, classOf(style));
        svg.text(x + 11, 16, text, "start");
        x += 30 + widthOf(text);
    }
    svg.text(kWidth - kRight, 16, kPointAreaNote, "end", "axis");
}

}  // namespace

std::string rooflineChart(const FigureText& text, const Roofline& of) {
    SvgCanvas svg(text, kWidth, kHeight);
    const LogPlane plane{RooflinePlane::of(of)};
    axes(svg, plane);
    std::vector<Dot> dots;
    LabelPlacer labels({kLeft, kTop, kWidth - kRight, kHeight - kBottom}, kLineHeight);
    for (const RooflinePoint& point : of.points) {
        dots.push_back({&point, plane.x(point.intensity), plane.y(point.operationsPerSecond),
                        pointRadius(point)});
        labels.avoid(dots.back().box());
    }
    drawMemoryRoof(svg, plane, of.ceilings, labels);
    drawComputeRoofs(svg, plane, of, labels);
    // By time, so that the small ones lie on top of the large and the large get their names first.
    for (const Dot& dot : dots)
        svg.circle(dot.x, dot.y, dot.radius, classOf(pointStyle(*dot.point)),
                   pointSentence(*dot.point));
    const std::vector<std::string> names = pointNames(of.points);
    for (std::size_t i = 0; i < dots.size(); ++i)
        write(svg, names[i], labels.place(widthOf(names[i]), dots[i].x, dots[i].y, dots[i].radius));
    legend(svg, of.points);
    return svg.html();
}

}  // namespace moescope
