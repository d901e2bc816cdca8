// SPDX-License-Identifier: Apache-2.0
// Two models on the same text: how much a change of number format (or of kernels) changes what is
// computed, from the routing of a layer to the perplexity.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/interrupt.h"
#include "engine/run/session.h"
#include "evals/stats/intervals.h"
#include "profiler/runfile/rows.h"

namespace moescope {

/// A figure with its 95 % interval: percentile bootstrap over blocks of text (NaN for fewer than
/// stats::kFewestClusters).
struct Estimate {
    double value = 0;
    stats::Interval interval;
};

struct LayerNumerics {
    /// Root of sum |h_B - h_A|^2 / sum |h_A|^2 over the hidden states that leave the layer.
    Estimate error;
    /// Share of tokens whose chosen experts are the same set; NaN for layers without experts.
    Estimate routing;
};

/// A is what B is compared with. All over the scored tokens, those that have one before them.
struct NumericsReport {
    std::int64_t tokens = 0;
    std::int64_t blocks = 0;
    Estimate perplexityA, perplexityB;
    Estimate nats;      ///< mean of log p_A(token) - log p_B(token): ln of the perplexities' ratio
    Estimate klMean;    ///< mean of KL(A || B) = sum_t p_A(t) ln(p_A(t) / p_B(t)), nats
    Estimate klP99;     ///< its 99th percentile
    Estimate sameTop1;  ///< share of tokens where both have the same likeliest token
    std::vector<LayerNumerics> layers;
    Estimate routing;            ///< share over tokens and layers; NaN without experts
    Estimate routingEverywhere;  ///< share of tokens whose experts are the same in every layer
};

struct NumericsOptions {
    int context = 512;           ///< tokens of a block, which starts a sequence of its own
    std::int64_t maxTokens = 0;  ///< 0: all of the texts
    int resamples = 1000;
    const StopFlag* stop = nullptr;
    std::function<void(std::int64_t done, std::int64_t total)> progress;  ///< blocks
};

/// Throws Error unless both models have the same layers, widths, experts and vocabulary and split
/// the texts into the same tokens, two at least. A's tokenizer is used; a model without one takes
/// what A's gives. Neither back end is touched: a `Model::Check` may call it.
void requireComparable(const Model& a, const Model& b, const std::vector<std::string>& texts,
                       const NumericsOptions& options);

/// Throws what requireComparable does.
NumericsReport compareNumerics(const Model& a, const Model& b,
                               const std::vector<std::string>& texts,
                               const NumericsOptions& options);

/// The report as rows of a run file; those of a layer are in the group "layer=NNN". Figures that
/// the models do not have (routing without experts) have no row.
std::vector<MetricRow> numericsMetrics(const NumericsReport& report, std::int64_t suite,
                                       int resamples);

}  // namespace moescope
