// SPDX-License-Identifier: Apache-2.0
// The few figures of a run that a reader wants first, computed in one place so that page, JSON,
// Markdown and terminal cannot disagree.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/run_summary.h"

namespace moescope {

struct HeadlineFigure {
    std::string id;     ///< stable: "decode_tokens_per_second"
    std::string label;  ///< "Decode"
    double value = 0;   ///< in the unit that the id or `unit` names; NaN where `text` says why
    std::string unit;   ///< "tok/s"; empty for ratios and scores
    std::string text;   ///< value as a person reads it, with unit
    std::string group;  ///< of a score that only groups have; also in `note`
    std::string note;   ///< what it is compared with or accumulated over; may be empty
    std::optional<double> low, high;  ///< 95 % interval
    /// That the figure is of, so that figures of runs of other lengths can be told; 0: of none.
    std::int64_t tokens = 0;
    bool raw = false;    ///< grows as tokens become fewer, by chance alone
    bool score = false;  ///< of a suite: may be 0 or below, so that its changes are no shares
};

/// Figures that the run did not measure are left out. The share of the bandwidth ceiling needs
/// `read_bandwidth_bytes_per_second` (measured stream read) in the "machine" meta object, and is
/// NaN
/// ("in cache") where the model fits the last-level cache. A score that only groups have is of the
/// group furthest from even: in the first of `earlier` that has the suite, so that runs that are
/// compared show the same group, else in the run itself.
std::vector<HeadlineFigure> headline(const RunSummary& run,
                                     std::span<const RunSummary* const> earlier = {});

/// Means over layers of the balance numbers; `layers` is 0 without routing.
struct BalanceHeadline {
    int layers = 0;
    std::int64_t tokens = 0;  ///< per layer (the least over layers)
    double maxOverMean = 0, nullMaxOverMean = 0, excess = 0, normalizedEntropy = 0;
    std::int64_t deadExperts = 0;  ///< summed over layers
    int worstLayer = -1;           ///< greatest excess
    double worstExcess = 0;
    int aboveChance = 0;  ///< layers whose max/mean exceeds the 95th percentile of chance
};
BalanceHeadline balanceHeadline(std::span<const LayerRouting> routing);

/// "per expert, per layer, accumulated over 1,024 tokens": says over what a balance number counts.
std::string balanceBasis(std::int64_t tokens);

/// The metrics that say most of one suite, best first: over all items where there is such a value,
/// else the group with the greatest deviation (control groups and p values aside).
struct TellingMetric {
    MetricRow metric;
    std::int64_t groups = 0;  ///< among how many it is the greatest; 0: over all items
};
std::vector<TellingMetric> tellingMetrics(const RunSummary& run, std::int64_t suite,
                                          std::size_t limit);

/// Sentences without a full stop: suites that were not finished, and those whose model hardly gives
/// the answers that count (littleMass).
std::vector<std::string> scoreWarnings(const RunSummary& run);
/// The same, what was left out when a suite's data was read, and items that did not fit the
/// context.
std::vector<std::string> evaluationWarnings(const RunSummary& run);

/// Of the suite's data, before --limit; `items` in runs that do not say.
std::int64_t availableItems(const SuiteRow& suite);

/// Rows that each item has: how often it was asked; 1 in runs that do not say.
std::int64_t repeatsOf(const SuiteRow& suite);

/// Of all items together, in a run that ended.
std::int64_t plannedRows(const SuiteRow& suite);

/// Rows: one an item, or a reply.
ItemCounts itemCounts(const RunSummary& run, const SuiteRow& suite);
/// Whether the run has fewer rows of the suite than it was to have: it has no metrics of it yet.
bool isUnfinished(const SuiteRow& suite, const ItemCounts& counts);

/// "20 of 144 items evaluated", of items with repeats "80 of 576 replies evaluated, 4 to each of
/// 144 items" ("planned for each of" where it is not finished), ", chosen by --limit out of 11,956"
/// where the suite has more, and ": NOT FINISHED" where it is.
std::string evaluatedItems(const SuiteRow& suite, const ItemCounts& counts);

/// "0.412 (95 % interval 0.371 to 0.453)"
std::string metricText(const MetricRow& metric);

}  // namespace moescope
