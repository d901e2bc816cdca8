// SPDX-License-Identifier: Apache-2.0
// The roofline: arithmetic intensity to the right, operations per second upwards, both by decades.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "reports/axis_ticks.h"
#include "reports/html/figures.h"
#include "reports/html/svg.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

constexpr double kWidth = 736, kHeight = 420, kLeft = 92, kRight = 14, kTop = 30, kBottom = 44;
constexpr double kLineHeight = 12, kCharacter = 6;  ///< of the page's 11 px text, about

struct Box {
    double left = 0, top = 0, right = 0, bottom = 0;
    bool touches(const Box& other) const {
        return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
    }
    bool within(const Box& other) const {
        return left >= other.left && right <= other.right && top >= other.top &&
               bottom <= other.bottom;
    }
};

/// Decades of both axes to pixels.
struct LogPlane {
    double lowX = 1, highX = 10, lowY = 1, highY = 10;

    double x(double value) const {
        return kLeft +
               std::log10(value / lowX) / std::log10(highX / lowX) * (kWidth - kLeft - kRight);
    }
    double y(double value) const {
        return kHeight - kBottom -
               std::log10(value / lowY) / std::log10(highY / lowY) * (kHeight - kTop - kBottom);
    }
};

struct Dot {
    const RooflinePoint* point;
    double x = 0, y = 0, radius = 0;
    Box box() const { return {x - radius, y - radius, x + radius, y + radius}; }
};

/// Room for all points, the ridge and the roofs at both ends.
LogPlane planeOf(const Roofline& of) {
    double lowX = INFINITY, highX = 0, lowY = INFINITY, highY = 0;
    const auto coverX = [&](double value) {
        if (!(value > 0) || !std::isfinite(value)) return;
        lowX = std::min(lowX, value);
        highX = std::max(highX, value);
    };
    const auto coverY = [&](double value) {
        if (!(value > 0) || !std::isfinite(value)) return;
        lowY = std::min(lowY, value);
        highY = std::max(highY, value);
    };
    for (const RooflinePoint& point : of.points) {
        coverX(point.intensity);
        coverY(point.operationsPerSecond);
        coverY(point.roof);
    }
    coverX(of.ceilings.ridge());
    for (const auto& [name, peak] : of.ceilings.peaks) coverY(peak);
    return {lowX / 2.5, highX * 4, lowY / 2.5, highY * 2};
}

/// Where a text goes: its left, middle or right at x, its middle at y.
struct Place {
    double x, y;
    const char* anchor;
    Box box(double width) const {
        const double left = anchor[0] == 's' ? x : anchor[0] == 'e' ? x - width : x - width / 2;
        return {left, y - kLineHeight / 2, left + width, y + kLineHeight / 2};
    }
};

/// Texts that touch neither one another nor a point, and no roof where they can help it. A text
/// that finds no place is left out: the table has every point.
class Labels {
public:
    explicit Labels(SvgCanvas& svg) : svg_(svg) {}

    void avoid(const Box& box) { taken_.push_back(box); }
    void avoidLine(double x1, double y1, double x2, double y2) {
        constexpr int kPieces = 60;
        for (int i = 0; i <= kPieces; ++i) {
            const double x = std::lerp(x1, x2, i / double(kPieces));
            const double y = std::lerp(y1, y2, i / double(kPieces));
            const double half = std::abs(x2 - x1) / kPieces / 2 + 1;
            lines_.push_back({x - half, y - 1, x + half, y + 1});
        }
    }
    bool free(const Box& box, bool lines) const {
        const auto touches = [&](const Box& other) { return box.touches(other); };
        return box.within({kLeft, kTop, kWidth - kRight, kHeight - kBottom}) &&
               std::none_of(taken_.begin(), taken_.end(), touches) &&
               (!lines || std::none_of(lines_.begin(), lines_.end(), touches));
    }
    void place(const std::string& text, std::span<const Place> places) {
        const double width = kCharacter * static_cast<double>(text.size());
        for (const bool lines : {true, false}) {
            for (const Place& at : places) {
                if (!free(at.box(width), lines)) continue;
                avoid(at.box(width));
                svg_.text(at.x, at.y + 4, text, at.anchor);
                return;
            }
        }
    }
    void place(const std::string& text, const Dot& dot) {
        const double away = dot.radius + 4, up = dot.radius + kLineHeight / 2 + 2;
        const Place places[] = {{dot.x + away, dot.y, "start"},
                                {dot.x - away, dot.y, "end"},
                                {dot.x + away, dot.y - kLineHeight, "start"},
                                {dot.x + away, dot.y + kLineHeight, "start"},
                                {dot.x - away, dot.y - kLineHeight, "end"},
                                {dot.x - away, dot.y + kLineHeight, "end"},
                                {dot.x, dot.y - up, "middle"},
                                {dot.x, dot.y + up, "middle"}};
        place(text, places);
    }

private:
    SvgCanvas& svg_;
    std::vector<Box> taken_, lines_;
};

void axes(SvgCanvas& svg, const LogPlane& plane) {
    for (const double tick : decadeTicks(plane.lowX, plane.highX)) {
        svg.line(plane.x(tick), kTop, plane.x(tick), kHeight - kBottom, "grid");
        svg.text(plane.x(tick), kHeight - kBottom + 15, formatSignificant(tick, 1), "middle");
    }
    for (const double tick : decadeTicks(plane.lowY, plane.highY)) {
        svg.line(kLeft, plane.y(tick), kWidth - kRight, plane.y(tick), "grid");
        svg.text(kLeft - 6, plane.y(tick) + 4, formatPerSecond(tick, "FLOP"), "end");
    }
    svg.line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "baseline");
    svg.text((kLeft + kWidth - kRight) / 2, kHeight - 8, "operations per byte", "middle", "axis");
}

/// The sloped roof up to the greatest peak, with its name along it.
void memoryRoof(SvgCanvas& svg, const LogPlane& plane, const Ceilings& ceilings, Labels& labels) {
    const double bandwidth = ceilings.bytesPerSecond;
    const double top =
        std::isnan(ceilings.operationsPerSecond) ? plane.highY : ceilings.operationsPerSecond;
    const double left = std::max(plane.lowX, plane.lowY / bandwidth);
    const double right = std::min(plane.highX, top / bandwidth);
    if (left >= right) return;
    const double x1 = plane.x(left), y1 = plane.y(left * bandwidth);
    const double x2 = plane.x(right), y2 = plane.y(right * bandwidth);
    svg.line(x1, y1, x2, y2, "roof");
    labels.avoidLine(x1, y1, x2, y2);
    const std::string text = "memory " + formatPerSecond(bandwidth, "B");
    const double slope = std::atan2(y2 - y1, x2 - x1);
    const double half = kCharacter * static_cast<double>(text.size()) / 2;
    // Pieces of the turned text, 10 px above the roof.
    const auto pieces = [&](double at) {
        std::vector<Box> boxes;
        const int last = static_cast<int>(2 * half / kLineHeight);
        for (int piece = 0; piece <= last; ++piece) {
            const double along = piece * kLineHeight - half;
            const double x = std::lerp(x1, x2, at) + along * std::cos(slope) + 10 * std::sin(slope);
            const double y = std::lerp(y1, y2, at) + along * std::sin(slope) - 10 * std::cos(slope);
            boxes.push_back({x - 6, y - 6, x + 6, y + 6});
        }
        return boxes;
    };
    for (const double at : {0.5, 0.35, 0.65, 0.2, 0.8}) {
        const std::vector<Box> boxes = pieces(at);
        if (!std::all_of(boxes.begin(), boxes.end(),
                         [&](const Box& box) { return labels.free(box, false); }))
            continue;
        for (const Box& box : boxes) labels.avoid(box);
        const double x = std::lerp(x1, x2, at), y = std::lerp(y1, y2, at);
        svg.raw("<g transform=\"rotate(" + formatFixed(slope * 180 / std::numbers::pi, 1) + " " +
                formatFixed(x, 1) + " " + formatFixed(y, 1) + ")\">");
        svg.text(x, y - 6, text, "middle");
        svg.raw("</g>\n");
        return;
    }
}

/// A level line for every kind of arithmetic from where memory could feed it; all but the one that
/// bounds this run are dashed.
void computeRoofs(SvgCanvas& svg, const LogPlane& plane, const Ceilings& ceilings, Labels& labels) {
    for (const auto& [name, peak] : ceilings.peaks) {
        const double feed = peak / ceilings.bytesPerSecond;
        const double left = plane.x(std::clamp(feed, plane.lowX, plane.highX));
        const double y = plane.y(peak);
        svg.line(left, y, kWidth - kRight, y,
                 name == ceilings.operationKind ? "roof" : "roof-other");
        labels.avoidLine(left, y, kWidth - kRight, y);
    }
    for (const auto& [name, peak] : ceilings.peaks) {
        std::vector<Place> places;
        for (int shift = 0; shift < 8; ++shift)
            for (const double away : {-8.0, 9.0})
                places.push_back({kWidth - kRight - 2 - 40.0 * shift, plane.y(peak) + away, "end"});
        labels.place(name + " " + formatPerSecond(peak, "OP"), places);
    }
}

std::string styleOf(const RooflinePoint& point) {
    if (point.bytesMeasured && point.operationsMeasured) return "measured";
    return point.modelled() ? "modelled" : "partly";
}

void legend(SvgCanvas& svg, const std::vector<Dot>& dots) {
    double x = kLeft + 6;
    struct Kind {
        std::string style, text;
    };
    for (const Kind& kind :
         {Kind{"measured", "bytes and operations measured"}, Kind{"partly", "one of them measured"},
          Kind{"modelled", "modelled: the engine's count"}}) {
        if (std::none_of(dots.begin(), dots.end(),
                         [&](const Dot& dot) { return styleOf(*dot.point) == kind.style; }))
            continue;
        svg.circle(x, 12, 5, kind.style);
        svg.text(x + 11, 16, kind.text, "start");
        x += 30 + kCharacter * static_cast<double>(kind.text.size());
    }
    svg.text(kWidth - kRight, 16, "area: share of time", "end", "axis");
}

std::string hover(const RooflinePoint& point) {
    return point.op + (point.kernel.empty() ? "" : " (" + point.kernel + ")") + ", " + point.phase +
           ": " + formatSignificant(point.intensity) + " operations per byte, " +
           formatPerSecond(point.operationsPerSecond, "FLOP") + ", " + formatPercent(point.share) +
           " of the roof, " + formatPercent(point.timeShare) + " of the time, " + point.origin();
}

}  // namespace

std::string rooflineChart(const FigureText& text, const Roofline& of) {
    SvgCanvas svg(text, kWidth, kHeight);
    const LogPlane plane = planeOf(of);
    axes(svg, plane);
    std::vector<Dot> dots;
    Labels labels(svg);
    for (const RooflinePoint& point : of.points) {
        dots.push_back(
            {&point, plane.x(point.intensity), plane.y(point.operationsPerSecond),
             4 + 10 * std::sqrt(point.timeShare > 0 ? std::min(point.timeShare, 1.0) : 0)});
        labels.avoid(dots.back().box());
    }
    memoryRoof(svg, plane, of.ceilings, labels);
    computeRoofs(svg, plane, of.ceilings, labels);
    // By time, so that the small ones lie on top of the large and the large get their names first.
    for (const Dot& dot : dots)
        svg.circle(dot.x, dot.y, dot.radius, styleOf(*dot.point), hover(*dot.point));
    for (const Dot& dot : dots) labels.place(dot.point->op + ", " + dot.point->phase, dot);
    legend(svg, dots);
    return svg.html();
}

}  // namespace moescope
