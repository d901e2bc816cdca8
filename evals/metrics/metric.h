// SPDX-License-Identifier: Apache-2.0
// Metrics of a suite: functions from scored items to values with intervals. Table in table.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/suite.h"
#include "profiler/runfile/rows.h"

namespace moescope {

/// What metrics look at: an ItemRow read back, so that a resumed run and an uninterrupted one go
/// through the same numbers.
struct ItemResult {
    std::string id, cluster;
    std::map<std::string, std::string> groups;
    std::size_t choices = 0;
    double score = 0;
    nlohmann::json detail;  ///< of the scorer, without what the model wrote
    /// Which of the replies to the item: it is in the list as often as it was asked, in the order
    /// of the repeats, so that the same id behind a smaller repeat is the same item.
    std::int64_t repeat = 0;
    std::string answer{};
};

/// Whether a written reply holds an answer; scores by likelihood always do.
bool isAnswered(const ItemResult& item);

/// Throws Error when the row's JSON is damaged. `excluded` items (too long) must be left out
/// before.
ItemResult itemResult(const ItemRow& row);

struct MetricInput {
    const SuiteDefinition& suite;
    std::span<const ItemResult> items;
    std::string factor;    ///< "" : all items
    int resamples = 2000;  ///< of bootstraps and permutations
    std::uint64_t seed = 1;
};

struct Metric {
    std::string_view name;
    /// Prefixes, by spaces, of the rules of scoring whose items it understands.
    std::string_view scoring;
    std::vector<MetricRow> (*compute)(const MetricInput& input);
    bool needsFactor = false;
    bool needsReference = false;
    bool needsNumbers = false;  ///< the suite's `reference`, a number for each item
    bool needsRoles = false;    ///< the roles "stereotyped" and "unknown"
};

std::span<const Metric> metrics();
/// Checks that every metric of the suite exists and fits its scoring and groups; Error otherwise.
void checkMetrics(const SuiteDefinition& suite);
/// The metrics of a suite that asks for replies: those of its list that need no likelihoods, and
/// what replies have of their own: beside accuracy and selection_rate those of the items with an
/// answer; `answered` and `reply_tokens` over all items and, of a fairness suite, by each factor
/// that the list names. With several `repeats`, too: `pass@k` and `cons@k` where there is an
/// accuracy, and `instability@k` as `answered`.
void replyMetrics(SuiteDefinition& suite, int repeats = 1);
/// All metrics the suite lists, in its order, which their ordinals tell. `suite` ids of the rows
/// are left 0.
std::vector<MetricRow> computeMetrics(const SuiteDefinition& suite,
                                      std::span<const ItemResult> items, int resamples,
                                      std::uint64_t seed);

std::vector<MetricRow> accuracy(const MetricInput& input);
std::vector<MetricRow> accuracyNorm(const MetricInput& input);
std::vector<MetricRow> accuracyMacro(const MetricInput& input);
std::vector<MetricRow> accuracyDifference(const MetricInput& input);
std::vector<MetricRow> answerAgreement(const MetricInput& input);
std::vector<MetricRow> biasScores(const MetricInput& input);
std::vector<MetricRow> pctStereotype(const MetricInput& input);
std::vector<MetricRow> pctStereotypePerToken(const MetricInput& input);
std::vector<MetricRow> stereotypePreference(const MetricInput& input);
std::vector<MetricRow> likelihoodDifference(const MetricInput& input);
std::vector<MetricRow> referenceCorrelation(const MetricInput& input);
std::vector<MetricRow> shiftCorrelation(const MetricInput& input);
std::vector<MetricRow> meanLogit(const MetricInput& input);
std::vector<MetricRow> answerMass(const MetricInput& input);
std::vector<MetricRow> logitDifference(const MetricInput& input);
std::vector<MetricRow> selectionRate(const MetricInput& input);
std::vector<MetricRow> demographicParityDifference(const MetricInput& input);
std::vector<MetricRow> disparateImpactRatio(const MetricInput& input);
std::vector<MetricRow> answered(const MetricInput& input);
std::vector<MetricRow> accuracyAnswered(const MetricInput& input);
std::vector<MetricRow> selectionRateAnswered(const MetricInput& input);
std::vector<MetricRow> replyTokens(const MetricInput& input);
std::vector<MetricRow> flipRate(const MetricInput& input);
std::vector<MetricRow> passAt(const MetricInput& input);
std::vector<MetricRow> consensus(const MetricInput& input);
std::vector<MetricRow> instability(const MetricInput& input);
std::vector<MetricRow> promptLevelStrict(const MetricInput& input);
std::vector<MetricRow> promptLevelLoose(const MetricInput& input);
std::vector<MetricRow> instructionLevelStrict(const MetricInput& input);
std::vector<MetricRow> instructionLevelLoose(const MetricInput& input);
std::vector<MetricRow> instructionFamilies(const MetricInput& input);

}  // namespace moescope
