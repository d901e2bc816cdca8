// SPDX-License-Identifier: Apache-2.0
// Hardware counters sampled over time, as curves whose size is bounded and that keep every extreme.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "profiler/runfile/rows.h"

namespace moescope::gui {

/// One sample, or several neighbours that were joined.
struct SamplePoint {
    std::int64_t startNs = 0, endNs = 0;
    float low = 0, high = 0;  ///< least and greatest value of a sample
    float mean = 0;           ///< weighted by the samples' times

    double length() const noexcept {
        return static_cast<double>(endNs) - static_cast<double>(startNs);
    }
};

struct SampleCurve {
    std::string metric;               ///< NVIDIA's name
    std::vector<SamplePoint> points;  ///< by time; none overlap; gaps are times without samples
};

inline constexpr std::size_t kMaxSamplePoints = 262'144;  ///< of a metric: 8 MB
inline constexpr std::size_t kMaxSampleCurves = 16;       ///< further metrics are left out

/// Collects samples in the order in which they arrived. A sample that takes no time or has no
/// finite value is left out; samples that overlap are joined; beyond the limit each two neighbours
/// are joined, and so are later ones, so that a long run is shown whole but less finely. Pauses
/// stay, as long as there are far fewer of them than points.
class SampleCurveCollector {
public:
    explicit SampleCurveCollector(std::size_t maxPoints = kMaxSamplePoints)
        : maxPoints_(maxPoints) {}

    void add(const SampleRow& row);
    /// In the order in which the metrics were sampled; only those with points.
    std::vector<SampleCurve> take();

private:
    struct Growing {
        SampleCurve curve;
        std::size_t grain = 1;   ///< samples that a point is to hold
        std::size_t filled = 1;  ///< samples in the last point
    };

    std::size_t maxPoints_;  ///< at least 2
    std::vector<Growing> growing_;
};

}  // namespace moescope::gui
