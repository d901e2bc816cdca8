// SPDX-License-Identifier: Apache-2.0
// What a picture of the roofline shows, for pages and for the window: the part of the plane, where
// the roofs run in it, and the words for roofs and points.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profiler/analysis/roofline.h"

namespace moescope {

/// Operations per byte to the right, operations per second upwards, both logarithmic.
struct RooflinePlane {
    double lowX = 1, highX = 10, lowY = 1, highY = 10;

    /// Room for all points, the ridge and every peak.
    static RooflinePlane of(const Roofline& roofline);
    double right(double intensity) const noexcept;         ///< 0 at the left edge, 1 at the right
    double up(double operationsPerSecond) const noexcept;  ///< 0 at the lower edge, 1 at the upper
};

/// A straight piece between two places of the plane: (operations per byte, operations per second).
struct RoofLine {
    double fromX = 0, fromY = 0, toX = 0, toY = 0;
};
/// The slope of the bandwidth up to the peak that bounds the run; empty when it was not measured or
/// lies outside the plane.
std::optional<RoofLine> memoryRoof(const RooflinePlane& plane, const Ceilings& ceilings);
/// The level of one of `ceilings.peaks`, from where memory could feed it.
RoofLine computeRoof(const RooflinePlane& plane, const Ceilings& ceilings, double peak);

/// How a point is drawn: filled where counters saw bytes and operations, half where they saw one of
/// them, hollow where both are the engine's count.
enum class PointStyle { Measured, Partly, Modelled };
PointStyle pointStyle(const RooflinePoint& point) noexcept;
/// Pixels: the area of a point grows with its share of the time, from a least that can be seen.
double pointRadius(const RooflinePoint& point) noexcept;
inline constexpr char kPointAreaNote[] = "area: share of time";
/// The styles that `points` have, each with its text, in the order of the legend.
std::vector<std::pair<PointStyle, const char*>> pointLegend(
    const std::vector<RooflinePoint>& points);
/// "experts, decode" for each of `points`, in their order; "experts (matvec), decode" where several
/// kernels share operation and phase. `title` names the operations; by default they name
/// themselves.
std::vector<std::string> pointNames(
    const std::vector<RooflinePoint>& points,
    const std::function<std::string(std::string_view)>& title = [](std::string_view op) {
        return std::string(op);
    });

/// "Ceilings measured before this run: memory 37.1 GB/s, bf16 1.2 TOP/s"; without a bandwidth what
/// is missing and what would tell it.
std::string ceilingsSentence(const Ceilings& ceilings);
/// What it means that some of `shares` are above 100 %, a sentence for memory and one for
/// arithmetic; empty where none is.
std::string aboveRoofNote(std::span<const RoofShare> shares, const Ceilings& ceilings);
std::string aboveRoofNote(const Roofline& roofline);
/// For a picture that holds such points.
inline constexpr char kModelledNote[] =
    "Modelled points: times are measured, bytes and operations are the engine's count of what must "
    "be read and done, not what counters saw.";
/// "experts (matvec), decode: 2.1 operations per byte, 40 GOP/s, 80 % of the roof, ...".
std::string pointSentence(const RooflinePoint& point);

}  // namespace moescope
