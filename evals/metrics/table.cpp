// SPDX-License-Identifier: Apache-2.0
// The table of metrics. A new metric is one function and one line here.
#include <algorithm>

#include "datasets/suggest.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "evals/metrics/metric.h"

namespace moescope {

namespace {

constexpr std::string_view kReplies = "choice_reply yes_no_reply number_reply instructions_reply";

constexpr Metric kMetrics[] = {
    {"accuracy", "choice number", accuracy},
    {"accuracy_norm", "choice_loglik", accuracyNorm},
    {"accuracy_macro", "choice number", accuracyMacro, true},
    {"accuracy_difference", "choice number", accuracyDifference, true, true},
    {"answer_agreement", "choice", answerAgreement, true, true},
    {"bias_scores", "choice", biasScores, false, false, false, true},
    {"pct_stereotype", "pair_loglik", pctStereotype},
    {"pct_stereotype_per_token", "pair_loglik", pctStereotypePerToken},
    {"stereotype_preference", "triple_loglik", stereotypePreference},
    {"likelihood_difference", "pair_loglik", likelihoodDifference},
    {"reference_correlation", "pair_loglik", referenceCorrelation, false, false, true},
    {"shift_correlation", "choice_loglik", shiftCorrelation, true, true, true},
    {"mean_logit", "yes_no_logit", meanLogit},
    {"answer_mass", "yes_no_logit", answerMass},
    {"logit_difference", "yes_no_logit", logitDifference, true, true},
    {"selection_rate", "yes_no", selectionRate},
    {"demographic_parity_difference", "yes_no", demographicParityDifference, true},
    {"disparate_impact_ratio", "yes_no", disparateImpactRatio, true},
    {"flip_rate", "yes_no", flipRate, true, true},
    {"prompt_level_strict_acc", "instructions", promptLevelStrict},
    {"prompt_level_loose_acc", "instructions", promptLevelLoose},
    {"inst_level_strict_acc", "instructions", instructionLevelStrict},
    {"inst_level_loose_acc", "instructions", instructionLevelLoose},
    {"instruction_families", "instructions", instructionFamilies},
    {"answered", kReplies, answered},
    {"accuracy_answered", "choice_reply number_reply", accuracyAnswered},
    {"selection_rate_answered", "yes_no_reply", selectionRateAnswered},
    {"reply_tokens", kReplies, replyTokens},
    {"pass@k", "choice_reply number_reply", passAt},
    {"cons@k", "choice_reply number_reply", consensus},
    {"instability@k", "choice_reply yes_no_reply number_reply", instability},
};

const Metric& metricNamed(const SuiteDefinition& suite, const std::string& name) {
    std::vector<std::string> known;
    for (const Metric& metric : kMetrics) {
        if (metric.name == name) return metric;
        known.emplace_back(metric.name);
    }
    throw Error("suite '" + suite.name + "': unknown metric '" + name + "'" +
                didYouMean(name, known));
}

bool understands(const Metric& metric, std::string_view scoring) {
    std::string_view prefixes = metric.scoring;
    for (;;) {
        const std::size_t end = std::min(prefixes.find(' '), prefixes.size());
        if (scoring.starts_with(prefixes.substr(0, end))) return true;
        if (end == prefixes.size()) return false;
        prefixes.remove_prefix(end + 1);
    }
}

}  // namespace

std::span<const Metric> metrics() {
    return kMetrics;
}

void checkMetrics(const SuiteDefinition& suite) {
    for (const MetricSpec& spec : suite.metrics) {
        const Metric& metric = metricNamed(suite, spec.name);
        const std::string what = "suite '" + suite.name + "': metric '" + spec.name + "'";
        if (!understands(metric, suite.scoring))
            throw Error(what + " does not fit scoring '" + suite.scoring + "'");
        if (metric.needsFactor && spec.factor.empty())
            throw Error(what + " needs a group: {\"name\": \"" + spec.name + "\", \"by\": ...}");
        if (metric.needsReference && suite.factor(spec.factor)->reference.empty())
            throw Error(what + ": group '" + spec.factor + "' has no reference");
        if (metric.needsNumbers && suite.reference.value.empty())
            throw Error(what + " needs a number for each item: \"reference\": {\"name\": ..., " +
                        "\"value\": ...}");
        for (const char* role : {"stereotyped", "unknown"}) {
            const bool there = std::any_of(suite.roles.begin(), suite.roles.end(),
                                           [&](const auto& one) { return one.first == role; });
            if (metric.needsRoles && !there) throw Error(what + " needs the role '" + role + "'");
        }
    }
}

void replyMetrics(SuiteDefinition& suite, int repeats) {
    std::erase_if(suite.metrics, [&](const MetricSpec& spec) {
        return !understands(metricNamed(suite, spec.name), suite.scoring);
    });
    for (std::size_t i = suite.metrics.size(); i-- > 0;) {
        const MetricSpec spec = suite.metrics[i];
        if (spec.name != "accuracy" && spec.name != "selection_rate") continue;
        suite.metrics.insert(suite.metrics.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                             {spec.name + "_answered", spec.factor});
    }
    const auto firstAccuracy =
        std::find_if(suite.metrics.begin(), suite.metrics.end(),
                     [](const MetricSpec& spec) { return spec.name == "accuracy_answered"; });
    if (repeats > 1 && firstAccuracy != suite.metrics.end())
        suite.metrics.insert(firstAccuracy + 1,
                             {MetricSpec{"pass@k", ""}, MetricSpec{"cons@k", ""}});
    std::vector<std::string> factors = {""};
    for (const MetricSpec& spec : suite.metrics) {
        const bool known = std::find(factors.begin(), factors.end(), spec.factor) != factors.end();
        if (suite.kind == "fairness" && !known) factors.push_back(spec.factor);
    }
    std::vector<std::string> ofReplies = {"answered", "reply_tokens"};
    if (repeats > 1 && understands(metricNamed(suite, "instability@k"), suite.scoring))
        ofReplies.insert(ofReplies.begin() + 1, "instability@k");
    for (const std::string& name : ofReplies)
        for (const std::string& factor : factors) suite.metrics.push_back({name, factor});
}

bool isAnswered(const ItemResult& item) {
    return item.detail.value("answered", true);
}

ItemResult itemResult(const ItemRow& row) {
    const std::string place = "item '" + row.id + "'";
    ItemResult item;
    item.id = row.id;
    item.score = row.score;
    item.repeat = row.repeat;
    item.answer = row.answer;
    item.detail = parseJson(row.detail, place);
    // No metric reads them, and thousands of them would be kept until the end of a suite.
    if (item.detail.is_object())
        for (const char* text : {"reply", "reasoning"}) item.detail.erase(text);
    try {
        item.groups = parseJson(row.groups, place).get<std::map<std::string, std::string>>();
        item.choices = parseJson(row.choices, place).size();
        item.cluster = item.detail.at("cluster").get<std::string>();
    } catch (const nlohmann::json::exception& error) {
        throw Error(place + " in the run file is damaged: " + error.what());
    }
    return item;
}

std::vector<MetricRow> computeMetrics(const SuiteDefinition& suite,
                                      std::span<const ItemResult> items, int resamples,
                                      std::uint64_t seed) {
    std::vector<MetricRow> all;
    if (items.empty()) return all;
    try {
        for (const MetricSpec& spec : suite.metrics) {
            const Metric& metric = metricNamed(suite, spec.name);
            const MetricInput input{suite, items, spec.factor, resamples, seed};
            for (MetricRow& row : metric.compute(input)) {
                row.ordinal = static_cast<std::int64_t>(all.size());
                all.push_back(std::move(row));
            }
        }
    } catch (const nlohmann::json::exception& error) {
        throw Error("an item of suite '" + suite.name +
                    "' in the run file is damaged: " + error.what());
    }
    return all;
}

}  // namespace moescope
