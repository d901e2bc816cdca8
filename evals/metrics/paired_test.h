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
    std::int64_t replies = 0;       ///< pairs of replies that these are of; 0 without repeats
    double p = 1;                   ///< not corrected for several levels
    std::string method;
};

/// Is the mean difference over pairs zero? Exact McNemar when every cluster has one pair. Pairs of
/// one cluster are not independent, nor are the replies to one pair: otherwise the signs of the
/// clusters' summed differences are flipped (stats::signFlipTest), whose total is that mean times
/// the pairs.
PairedTest pairedTest(const MetricInput& input, const PairedLevel& level,
                      const std::function<bool(const ItemResult&)>& decision);

/// The row of a test beside the row `of` the figure; `counts`: which pairs speak for whom.
MetricRow pairedTestRow(const std::string& name, const MetricRow& of, const PairedTest& test,
                        const std::string& counts);

/// Adds the row `name`, the mean over the pairs of decision(item) - decision(reference) with a t
/// interval over clusters (withheldInterval), and `name`_p, its pairedTest. `what`: the decision in
/// words.
void addPairedDifference(std::vector<MetricRow>& rows, const std::string& name,
                         const MetricInput& input, const PairedLevel& level,
                         const std::function<bool(const ItemResult&)>& decision,
                         const std::string& what);

/// For each of the `levels` of the factor the row `name`: the mean over bases of value(item) -
/// value(reference), which on a balanced design is the fixed effect of the level; standard error =
/// sd over bases / sqrt(bases). Behind them the rows `name`_p: sign flips by base, Holm over the
/// levels.
std::vector<MetricRow> meanDifferences(const std::string& name, const MetricInput& input,
                                       const std::vector<PairedLevel>& levels,
                                       const std::function<double(const ItemResult&)>& value);

}  // namespace moescope
