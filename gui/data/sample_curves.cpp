// SPDX-License-Identifier: Apache-2.0
#include "gui/data/sample_curves.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace moescope::gui {
namespace {

SamplePoint joined(const SamplePoint& a, const SamplePoint& b) {
    SamplePoint out;
    out.startNs = std::min(a.startNs, b.startNs);
    out.endNs = std::max(a.endNs, b.endNs);
    out.low = std::min(a.low, b.low);
    out.high = std::max(a.high, b.high);
    const double share = b.length() / (a.length() + b.length());
    out.mean = static_cast<float>((1 - share) * static_cast<double>(a.mean) +
                                  share * static_cast<double>(b.mean));
    return out;
}

/// `b` begins where `a` ends, or after a gap no longer than both: joining them hides no pause.
bool neighbours(const SamplePoint& a, const SamplePoint& b) {
    return b.startNs >= a.endNs &&
           static_cast<double>(b.startNs) - static_cast<double>(a.endNs) <= a.length() + b.length();
}

/// Sorts by time and joins what overlaps.
void separate(std::vector<SamplePoint>& points) {
    std::stable_sort(points.begin(), points.end(), [](const SamplePoint& a, const SamplePoint& b) {
        return a.startNs < b.startNs;
    });
    std::size_t kept = 0;
    for (const SamplePoint& point : points) {
        if (kept > 0 && point.startNs < points[kept - 1].endNs) {
            points[kept - 1] = joined(points[kept - 1], point);
        } else {
            points[kept++] = point;
        }
    }
    points.resize(kept);
}

void joinPairs(std::vector<SamplePoint>& points, bool acrossPauses) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
        SamplePoint point = points[i];
        if (i + 1 < points.size() && (acrossPauses || neighbours(point, points[i + 1])))
            point = joined(point, points[++i]);
        points[kept++] = point;
    }
    points.resize(kept);
}

}  // namespace

void SampleCurveCollector::add(const SampleRow& row) {
    const auto value = static_cast<float>(row.value);
    if (row.endNs <= row.startNs || !std::isfinite(value)) return;
    auto found = std::find_if(growing_.begin(), growing_.end(),
                              [&](const Growing& g) { return g.curve.metric == row.metric; });
    if (found == growing_.end()) {
        if (growing_.size() == kMaxSampleCurves) return;
        found = growing_.insert(growing_.end(), {{row.metric, {}}});
    }
    std::vector<SamplePoint>& points = found->curve.points;
    const SamplePoint point{row.startNs, row.endNs, value, value, value};
    if (found->filled < found->grain && neighbours(points.back(), point)) {
        points.back() = joined(points.back(), point);
        ++found->filled;
        return;
    }
    points.push_back(point);
    found->filled = 1;
    if (points.size() <= maxPoints_) return;
    separate(points);
    // Below the limit by a quarter, so that this is rare whatever the order of the samples.
    while (points.size() > maxPoints_ - maxPoints_ / 4) {
        const std::size_t before = points.size();
        joinPairs(points, false);
        if (points.size() > before - before / 4) joinPairs(points, true);
        found->grain *= 2;
    }
}

std::vector<SampleCurve> SampleCurveCollector::take() {
    std::vector<SampleCurve> curves;
    for (Growing& growing : growing_) {
        separate(growing.curve.points);
        curves.push_back(std::move(growing.curve));
    }
    growing_.clear();
    return curves;
}

}  // namespace moescope::gui
