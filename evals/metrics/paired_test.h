// SPDX-License-Identifier: Apache-2.0
// Do counterfactual twins get other decisions? The test that several metrics end in.
#pragma once

#include <functional>
#include <string>

#include "evals/metrics/grouping.h"

namespace moescope {

struct PairedTest {
    std::int64_t forReference = 0;  ///< pairs decided yes for the reference only
    std::int64_t forLevel = 0;      ///< for the level only
    double p = 1;                   ///< not corrected for several levels
    std::string method;
};

/// Is the mean difference over pairs zero? Exact McNemar when every cluster has one pair. Pairs of
/// one cluster are not independent: otherwise the signs of the clusters' summed differences are
/// flipped (stats::signFlipTest), whose total is that mean times the pairs.
PairedTest pairedTest(const MetricInput& input, const PairedLevel& level,
                      const std::function<bool(const ItemResult&)>& decision);

/// Mean over the pairs of decision(item) - decision(reference), with a t interval over clusters;
/// none with fewer than stats::kFewestClusters or when all pairs agree.
MetricRow pairedDifferenceRow(const std::string& name, const MetricInput& input,
                              const PairedLevel& level,
                              const std::function<bool(const ItemResult&)>& decision);

}  // namespace moescope
