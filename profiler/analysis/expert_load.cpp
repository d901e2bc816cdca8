// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/expert_load.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>

#include "profiler/analysis/routed_tokens.h"

namespace moescope {
namespace {

constexpr const char* kOperation = "experts";
constexpr std::size_t kHottest = 2;  ///< column of the regression that answers the question

/// Launches by (step, layer) with their times and no load yet.
using Launches = std::map<std::pair<int, int>, ExpertLaunch>;

Launches timedLaunches(const OperationColumns& ops) {
    Launches out;
    const auto name = std::find(ops.opNames.begin(), ops.opNames.end(), kOperation);
    if (name == ops.opNames.end()) return out;
    const auto wanted = static_cast<std::uint16_t>(name - ops.opNames.begin());
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (ops.op[i] != wanted || ops.step[i] < 0 || ops.layer[i] < 0) continue;
        ExpertLaunch& launch = out[{ops.step[i], ops.layer[i]}];
        launch.step = ops.step[i];
        launch.layer = ops.layer[i];
        launch.ns += ops.durationNs(i);
        launch.bytes += ops.bytes[i];
    }
    return out;
}

void setLoad(ExpertLaunch& launch, const StepRow& step, const std::vector<std::int64_t>& counts) {
    launch.tokens = step.tokens;
    for (std::size_t e = 0; e < counts.size(); ++e) {
        launch.assignments += counts[e];
        launch.activeExperts += counts[e] > 0 ? 1 : 0;
        if (counts[e] > launch.hottestLoad) {
            launch.hottestLoad = counts[e];
            launch.hottestExpert = static_cast<int>(e);
        }
    }
}

/// Quarters by how hot a launch is for its number of tokens: launches are ranked by max/mean among
/// those of the same power of two of tokens, since max/mean falls with the number of tokens.
std::vector<LoadQuarter> quartersOf(const std::vector<const ExpertLaunch*>& launches, int experts) {
    std::map<int, std::vector<const ExpertLaunch*>> bySize;
    for (const ExpertLaunch* launch : launches)
        bySize[static_cast<int>(std::log2(double(std::max<std::int64_t>(1, launch->tokens))))]
            .push_back(launch);
    std::vector<LoadQuarter> quarters(4);
    std::vector<std::int64_t> tokens(4, 0), ns(4, 0);
    for (auto& [size, same] : bySize) {
        if (same.size() < quarters.size()) continue;  // nothing of its own size to rank it among
        std::stable_sort(same.begin(), same.end(), [&](const auto* a, const auto* b) {
            return a->maxOverMean(experts) < b->maxOverMean(experts);
        });
        for (std::size_t i = 0; i < same.size(); ++i) {
            const std::size_t q = (2 * i + 1) * quarters.size() / (2 * same.size());
            LoadQuarter& quarter = quarters[q];
            ++quarter.launches;
            quarter.meanHottestLoad += double(same[i]->hottestLoad);
            quarter.meanActiveExperts += double(same[i]->activeExperts);
            quarter.meanMaxOverMean += same[i]->maxOverMean(experts);
            tokens[q] += same[i]->tokens;
            ns[q] += same[i]->ns;
        }
    }
    for (std::size_t q = 0; q < quarters.size(); ++q) {
        LoadQuarter& quarter = quarters[q];
        if (quarter.launches == 0) return {};
        for (double* value :
             {&quarter.meanHottestLoad, &quarter.meanActiveExperts, &quarter.meanMaxOverMean})
            *value /= double(quarter.launches);
        quarter.nsPerToken = tokens[q] > 0 ? double(ns[q]) / double(tokens[q]) : std::nan("");
    }
    return quarters;
}

std::string microseconds(double ns) {
    char text[48];
    std::snprintf(text, sizeof text, "%.3g µs", ns / 1000);
    return text;
}

std::string percentOf(double part, double whole) {
    char text[48];
    std::snprintf(text, sizeof text, "%.2g %%", 100 * part / whole);
    return text;
}

/// Why there is no interval.
std::string tooFewSteps(std::size_t steps, double degrees) {
    std::string out = "Too few steps for an interval: ";
    if (steps < 4) return out + "at least 4 are needed.";
    out += "what a hot expert costs rests on ";
    if (std::isnan(degrees)) return out + "one of the " + std::to_string(steps) + ".";
    char text[96];
    std::snprintf(text, sizeof text,
                  "few of the %zu (%.1f degrees of freedom, at least 3 are needed).", steps,
                  std::floor(10 * degrees) / 10);
    return out + text;
}

std::string verdictOf(const ExpertLoadPhase& phase) {
    const Coefficient& hottest = phase.fit.coefficients[kHottest];
    if (!hottest.estimated)
        return "In every layer the load on the hottest expert follows from how many tokens a "
               "launch "
               "has and how many experts they choose: nothing to compare.";
    if (!std::isfinite(hottest.low)) return tooFewSteps(phase.fit.clusters, hottest.degrees);
    const std::string interval = microseconds(hottest.value) + " (95 % interval " +
                                 microseconds(hottest.low) + " to " + microseconds(hottest.high) +
                                 ")";
    if (hottest.low > 0)
        return "A hot expert costs time: each further token in the hottest expert adds " +
               interval + " to a launch of " + microseconds(phase.meanNs) + " on average, " +
               percentOf(hottest.value, phase.meanNs) +
               " of it, at equal tokens and active experts.";
    if (hottest.high < 0)
        return "Concentration saves time here: each further token in the hottest expert changes a "
               "launch by " +
               interval + ", at equal tokens and active experts.";
    return "No cost of a hot expert is seen: a further token in the hottest expert changes a "
           "launch by " +
           interval + ", at equal tokens and active experts.";
}

ExpertLoadPhase phaseOf(const std::string& name, const std::vector<const ExpertLaunch*>& launches,
                        int experts) {
    ExpertLoadPhase out;
    out.phase = name;
    out.launches = static_cast<std::int64_t>(launches.size());
    std::vector<double> ns;
    std::vector<std::vector<double>> x(3);
    std::vector<int> layer, step;
    bool varies = false;
    for (const ExpertLaunch* launch : launches) {
        out.tokens += launch->tokens;
        ns.push_back(double(launch->ns));
        x[0].push_back(double(launch->tokens));
        x[1].push_back(double(launch->activeExperts));
        x[kHottest].push_back(double(launch->hottestLoad));
        layer.push_back(launch->layer);
        step.push_back(launch->step);
        varies = varies || launch->hottestLoad != launches.front()->hottestLoad;
    }
    out.meanNs = std::accumulate(ns.begin(), ns.end(), 0.0) / double(ns.size());
    out.fit = regress(ns, x, {"tokens", "active experts", "hottest expert's tokens"}, layer, step);
    constexpr std::size_t kLeast = 8;
    if (varies && experts > 0 && launches.size() >= kLeast)
        out.quarters = quartersOf(launches, experts);
    out.verdict = verdictOf(out);
    return out;
}

}  // namespace

std::string ExpertLoadPhase::basis() const {
    if (!fit.estimated()) return {};
    char text[320];
    std::snprintf(text, sizeof text,
                  "Within layers the load explains %.1f %% of the variation; errors clustered over "
                  "%zu step%s.",
                  100 * fit.r2, fit.clusters, fit.clusters == 1 ? "" : "s");
    std::string out = text;
    const std::size_t clipped = fit.clippedAbove + fit.clippedBelow;
    if (clipped == 0) return out;
    std::snprintf(text, sizeof text,
                  " %zu of %zu launches lie far from what their load explains and count less (%zu "
                  "above it, %zu below).",
                  clipped, fit.observations, fit.clippedAbove, fit.clippedBelow);
    return out + text;
}

double ExpertLaunch::maxOverMean(int experts) const noexcept {
    return assignments > 0 ? double(hottestLoad) * double(experts) / double(assignments)
                           : std::nan("");
}

std::vector<ExpertLoadPhase> expertLoadPhases(std::span<const ExpertLaunch> launches,
                                              std::span<const StepRow> steps, int experts) {
    std::vector<ExpertLoadPhase> out;
    for (const char* phase : {"prefill", "decode"}) {
        std::vector<const ExpertLaunch*> chosen;
        for (const ExpertLaunch& launch : launches)
            if (steps[static_cast<std::size_t>(launch.step)].kind == phase)
                chosen.push_back(&launch);
        if (!chosen.empty()) out.push_back(phaseOf(phase, chosen, experts));
    }
    return out;
}

ExpertLoad expertLoad(const RunReader& run, std::span<const StepRow> steps,
                      const OperationColumns& operations, int experts) {
    ExpertLoad out;
    Launches launches = timedLaunches(operations);
    if (launches.empty()) {
        out.reason = "This run timed no operation of experts.";
        return out;
    }
    std::map<std::int64_t, std::vector<Launches::iterator>> bySequence;
    for (auto it = launches.begin(); it != launches.end(); ++it)
        bySequence[steps[static_cast<std::size_t>(it->first.first)].sequence].push_back(it);
    for (const auto& [sequence, members] : bySequence) {
        const std::vector<RoutingTokensRow> rows = run.routingTokens(sequence);
        std::map<int, RoutedTokens> layers;
        for (const RoutingTokensRow& row : rows) layers[row.layer].add(row);
        for (const Launches::iterator& member : members) {
            ExpertLaunch& launch = member->second;
            const StepRow& step = steps[static_cast<std::size_t>(launch.step)];
            const auto layer = layers.find(launch.layer);
            std::vector<std::int64_t> counts;
            if (layer != layers.end() && step.tokens > 0 &&
                layer->second.count(step.firstPosition, step.tokens, counts))
                setLoad(launch, step, counts);
        }
    }
    for (const auto& [key, launch] : launches)
        if (launch.assignments > 0) out.launches.push_back(launch);
    if (out.launches.empty()) {
        out.reason =
            "This run does not hold the experts of each token; 'moescope profile "
            "--routing-tokens' records them.";
        return out;
    }
    out.phases = expertLoadPhases(out.launches, steps, experts);
    return out;
}

}  // namespace moescope
