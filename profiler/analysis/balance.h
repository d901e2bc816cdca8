// SPDX-License-Identifier: Apache-2.0
// Load-balance metrics of one expert histogram, and what chance alone would show.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moescope {

/// All of one layer's histogram x (n_expert), T tokens with k distinct experts each; m = T k / E.
/// Empty layers (T = 0) give NaN, never 1. Sources: docs/metrics.md.
struct Balance {
    std::int64_t tokens = 0;
    std::int64_t assignments = 0;  ///< sum x = tokens * top_k
    double maxOverMean = 0;        ///< max x / m; 1 is ideal, E / k the worst
    double minOverMax = 0;
    double cv = 0;  ///< population standard deviation / mean
    double gini = 0;
    double entropyBits = 0;
    double normalizedEntropy = 0;  ///< H / log2 E; 1 is ideal
    double effectiveExperts = 0;   ///< 2^H
    double jain = 0;               ///< (sum x)^2 / (E sum x^2)
    std::int64_t deadExperts = 0;
};
Balance balance(std::span<const std::int64_t> counts, int topK);

/// What a perfectly uniform router (k of E experts without replacement, tokens independent) shows.
struct BalanceNull {
    double maxOverMean = 0;        ///< mean over simulations (exact for one token)
    double maxOverMean95 = 0;      ///< 95th percentile
    double normalizedEntropy = 0;  ///< mean
    double deadExperts = 0;        ///< E (1 - k/E)^T
};
/// Seeded simulation, cached per (tokens, experts, topK); normal approximation above 8192 tokens.
BalanceNull balanceNull(std::int64_t tokens, int experts, int topK);

}  // namespace moescope
