// SPDX-License-Identifier: Apache-2.0
// How figures of the layers run over the depth of a model, so that models of different depth lie on
// one axis. Definitions: docs/metrics.md, By depth.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "profiler/analysis/run_summary.h"

namespace moescope {

/// One layer; what is not known of it is NaN.
struct DepthLayer {
    static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

    int layer = 0;
    double depth = 0;  ///< (layer + 0.5) / layers of the model: its middle, within 0..1
    double normalizedEntropy = kUnknown, chanceEntropy = kUnknown;
    double excess = kUnknown;          ///< max/mean over that of chance
    double effectiveShare = kUnknown;  ///< effective experts / experts of the layer
    double nsPerToken = kUnknown;      ///< of its operations, prompt and reply together
};

struct DepthProfile {
    std::string reason;          ///< why there are no layers, a sentence; empty when there are
    int layers = 0;              ///< of the model
    std::vector<DepthLayer> of;  ///< ascending: those with routing

    bool empty() const noexcept { return of.empty(); }
};

/// Layers of the model are as many as the run's meta "routing" says, or as it has rows of where
/// those are more.
DepthProfile depthProfile(const RunSummary& run);

}  // namespace moescope
