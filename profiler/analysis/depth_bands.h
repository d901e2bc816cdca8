// SPDX-License-Identifier: Apache-2.0
// Load balance by relative depth, so that models of 4 and of 48 layers can stand side by side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moescope {

/// Means over the layers whose middle lies in [from, to) of the model's depth; NaN without layers.
/// None of them grows with the number of experts or shrinks with that of tokens by itself, as raw
/// max/mean does (docs/metrics.md).
struct DepthBand {
    double from = 0, to = 1;
    int layers = 0;
    double excess = 0;             ///< max/mean over what a uniform router shows by chance
    double normalizedEntropy = 0;  ///< H / log2 E
    double effectiveShare = 0;     ///< effective experts 2^H / E
};

/// counts: (n_layer), of each layer its histogram (n_expert); empty: the layer has no experts.
/// Layer i of L lies at (i + 0.5) / L. The last band of the result is all layers.
std::vector<DepthBand> depthBands(std::span<const std::vector<std::int64_t>> counts, int topK,
                                  int bands);

}  // namespace moescope
