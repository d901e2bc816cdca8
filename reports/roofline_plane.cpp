// SPDX-License-Identifier: Apache-2.0
#include "reports/roofline_plane.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "reports/numbers.h"

namespace moescope {
namespace {

struct Range {
    double low = INFINITY, high = 0;
    void cover(double value) {
        if (!(value > 0) || !std::isfinite(value)) return;
        low = std::min(low, value);
        high = std::max(high, value);
    }
};

std::string nameOf(std::string op, const std::string& kernel, const std::string& phase) {
    return std::move(op) + (kernel.empty() ? "" : " (" + kernel + ")") + ", " + phase;
}

}  // namespace

RooflinePlane RooflinePlane::of(const Roofline& roofline) {
    Range x, y;
    for (const RooflinePoint& point : roofline.points) {
        x.cover(point.intensity);
        y.cover(point.operationsPerSecond);
        y.cover(point.roof);
    }
    x.cover(roofline.ceilings.ridge());
    for (const auto& [name, peak] : roofline.ceilings.peaks) y.cover(peak);
    if (x.high == 0 || y.high == 0) return {};
    return {x.low / 2.5, x.high * 4, y.low / 2.5, y.high * 2};
}

double RooflinePlane::right(double intensity) const noexcept {
    return std::log10(intensity / lowX) / std::log10(highX / lowX);
}

double RooflinePlane::up(double operationsPerSecond) const noexcept {
    return std::log10(operationsPerSecond / lowY) / std::log10(highY / lowY);
}

std::optional<RoofLine> memoryRoof(const RooflinePlane& plane, const Ceilings& ceilings) {
    const double bandwidth = ceilings.bytesPerSecond;
    if (!(bandwidth > 0)) return std::nullopt;
    const double top =
        std::isnan(ceilings.operationsPerSecond) ? plane.highY : ceilings.operationsPerSecond;
    const double left = std::max(plane.lowX, plane.lowY / bandwidth);
    const double right = std::min(plane.highX, top / bandwidth);
    if (left >= right) return std::nullopt;
    return RoofLine{left, left * bandwidth, right, right * bandwidth};
}

RoofLine computeRoof(const RooflinePlane& plane, const Ceilings& ceilings, double peak) {
    const double feed = peak / ceilings.bytesPerSecond;
    const double left = std::isnan(feed) ? plane.lowX : std::clamp(feed, plane.lowX, plane.highX);
    return {left, peak, plane.highX, peak};
}

PointStyle pointStyle(const RooflinePoint& point) noexcept {
    if (point.bytesMeasured && point.operationsMeasured) return PointStyle::Measured;
    return point.modelled() ? PointStyle::Modelled : PointStyle::Partly;
}

double pointRadius(const RooflinePoint& point) noexcept {
    constexpr double kLeast = 4, kWhole = 14;
    const double share = point.timeShare > 0 ? std::min(point.timeShare, 1.0) : 0;  // NaN: 0
    return kLeast + (kWhole - kLeast) * std::sqrt(share);
}

std::vector<std::pair<PointStyle, const char*>> pointLegend(
    const std::vector<RooflinePoint>& points) {
    std::vector<std::pair<PointStyle, const char*>> legend{
        {PointStyle::Measured, "bytes and operations measured"},
        {PointStyle::Partly, "one of them measured"},
        {PointStyle::Modelled, "modelled: the engine's count"}};
    std::erase_if(legend, [&](const auto& entry) {
        return std::none_of(points.begin(), points.end(), [&](const RooflinePoint& point) {
            return pointStyle(point) == entry.first;
        });
    });
    return legend;
}

std::vector<std::string> pointNames(const std::vector<RooflinePoint>& points,
                                    const std::function<std::string(std::string_view)>& title) {
    std::map<std::pair<std::string_view, std::string_view>, int> count;
    for (const RooflinePoint& point : points) ++count[{point.op, point.phase}];
    std::vector<std::string> names;
    for (const RooflinePoint& point : points) {
        const bool unique = count[{point.op, point.phase}] == 1;
        names.push_back(nameOf(title(point.op), unique ? "" : point.kernel, point.phase));
    }
    return names;
}

std::string ceilingsSentence(const Ceilings& ceilings) {
    if (!(ceilings.bytesPerSecond > 0))
        return "What the memory can deliver was not measured on what this run ran on, so that "
               "there is no roof to compare with. On a GPU the counters tell it: moescope profile "
               "--counters roofline.";
    std::string out =
        (ceilings.counted ? "Ceilings of the device at the clocks of this run, by its counters: "
                            "memory "
                          : "Ceilings measured before this run: memory ") +
        formatPerSecond(ceilings.bytesPerSecond, "B");
    for (const auto& [name, peak] : ceilings.peaks)
        out += ", " + name + " " + formatPerSecond(peak, "OP");
    return out + ".";
}

std::string aboveRoofNote(std::span<const RoofShare> shares, const Ceilings& ceilings) {
    const auto above = [&](std::string_view bound) {
        return std::any_of(shares.begin(), shares.end(), [&](const RoofShare& of) {
            return of.bound != nullptr && of.bound == bound && of.share > 1;
        });
    };
    std::string out;
    if (above("memory"))
        out = "Above 100 % of a memory roof the data came from a cache, which is faster than the " +
              formatPerSecond(ceilings.bytesPerSecond, "B") + " of the memory.";
    if (above("compute"))
        out += std::string(out.empty() ? "" : " ") +
               "Above 100 % of a compute roof the machine was faster than when its ceilings were "
               "measured: clocks, and neighbours on a virtual machine, move.";
    return out;
}

std::string aboveRoofNote(const Roofline& roofline) {
    std::vector<RoofShare> shares;
    for (const RooflinePoint& point : roofline.points) shares.push_back(point.shareOfRoof());
    return aboveRoofNote(shares, roofline.ceilings);
}

std::string pointSentence(const RooflinePoint& point) {
    return nameOf(point.op, point.kernel, point.phase) + ": " + formatSignificant(point.intensity) +
           " operations per byte, " + formatPerSecond(point.operationsPerSecond, "OP") + ", " +
           formatPercent(point.share) + " of the roof, " + formatPercent(point.timeShare) +
           " of the time, " + point.origin();
}

}  // namespace moescope
