// SPDX-License-Identifier: Apache-2.0
// moescope routing: load balance of the experts, layer by layer, beside what chance would show; and
// whether groups of texts use different experts.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "profiler/analysis/item_groups.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/analysis/specialization.h"
#include "reports/item_comparisons.h"
#include "reports/numbers.h"
#include "reports/specialization_json.h"
#include "reports/specialization_text.h"
#include "reports/terms.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

constexpr const char* kExplanation =
    "\nmax/mean: busiest expert over the fair share tokens * top_k / experts. by chance: the "
    "mean,\n"
    "and the 95th percentile, that a perfectly uniform router shows for as many independent "
    "tokens.\n"
    "excess: max/mean over that mean. Tokens of one text are alike, so an excess somewhat above 1 "
    "is\n"
    "no defect by itself: compare runs of the same text. entropy: over that of an even load.\n";

nlohmann::json layerJson(const LayerRouting& layer) {
    const Balance& b = layer.balance;
    return {{"layer", layer.layer},
            {"tokens", b.tokens},
            {"counts", layer.counts},
            {"max_over_mean", b.maxOverMean},
            {"chance_max_over_mean", layer.null.maxOverMean},
            {"chance_max_over_mean_p95", layer.null.maxOverMean95},
            {"excess", layer.excess},
            {"normalized_entropy", b.normalizedEntropy},
            {"chance_normalized_entropy", layer.null.normalizedEntropy},
            {"effective_experts", b.effectiveExperts},
            {"cv", b.cv},
            {"gini", b.gini},
            {"dead_experts", b.deadExperts},
            {"chance_dead_experts", layer.null.deadExperts}};
}

/// "e12"; "-" where no expert was chosen.
std::string busiestExpert(const LayerRouting& layer) {
    const auto most = std::max_element(layer.counts.begin(), layer.counts.end());
    if (most == layer.counts.end() || *most == 0) return "-";
    return "e" + std::to_string(most - layer.counts.begin());
}

constexpr const char* kGroupsExplanation =
    "\ndivergence: Jensen-Shannon, between the groups' shares of the experts, in bits; 0: all "
    "groups "
    "alike.\n"
    "by chance, 95 %, p: the same with the groups' names shuffled over whole texts; q: p adjusted "
    "for the\n"
    "number of layers. pairwise: mean over pairs of groups, as papers give it. lift: an expert's "
    "share of\n"
    "a group's choices over its mean share in all groups.\n";

void printGroups(const Specialization& of) {
    if (of.empty()) {
        std::cout << '\n' << of.reason << '\n';
        return;
    }
    std::int64_t texts = 0;
    for (const TextGroup& group : of.groups) texts += group.sequences;
    std::cout << '\n'
              << countText(of.groups.size(), "group") << " of texts, " << countText(texts, "text")
              << " in all, " << countText(of.permutations, "permutation") << "\n\n";
    TextTable layers(
        {"layer", "divergence", "by chance", "95 %", "above chance", "pairwise", "p", "q"});
    for (const LayerSpecialization& layer : of.layers)
        layers.row({std::to_string(layer.layer), formatSignificant(layer.divergence),
                    formatSignificant(layer.nullMean), formatSignificant(layer.null95),
                    formatSignificant(layer.excess()), formatSignificant(layer.meanPairwise),
                    formatFixed(layer.p, 3), formatFixed(layer.q, 3)});
    layers.row({"mean", formatSignificant(of.meanDivergence), formatSignificant(of.meanNull), "",
                formatSignificant(of.meanDivergence - of.meanNull), "", formatFixed(of.p, 3), ""});
    TextTable groups({"group", "texts", kLeadingExpertsTitle});
    for (std::size_t g = 0; g < of.groups.size(); ++g)
        groups.row({groupTitle(of.groups[g]), std::to_string(of.groups[g].sequences),
                    leadingExpertsText(of, g, 5)});
    std::cout << layers.text() << '\n';
    for (const std::string& sentence : specializationSentences(of)) std::cout << sentence << '\n';
    std::cout << '\n' << groups.text() << kGroupsExplanation;
}

constexpr const char* kPeopleExplanation =
    "\ndivergence: Jensen-Shannon, mean of the layers, in bits. by chance, p: with the names of a "
    "case's groups\nswapped, or those of whole cases where a case has one group; q: p adjusted for "
    "the number of rows.\n";

void printItemGroups(const std::vector<ItemComparison>& comparisons) {
    TextTable table({"suite", "by", "groups", "tokens", "exchanged", "divergence", "p", "q"});
    for (const ItemComparison& one : comparisons)
        table.row({visibleLine(one.suite), visibleLine(one.key), levelsText(one.of),
                   tokensText(one), exchangeText(one.of), divergenceText(one),
                   formatFixed(one.of.empty() ? std::nan("") : one.of.p, 4),
                   formatFixed(one.q, 4)});
    std::cout << '\n' << table.text() << '\n';
    for (const std::string& sentence : itemComparisonSentences(comparisons))
        std::cout << sentence << '\n';
    std::cout << kPeopleExplanation;
    // Of one grouping also where the difference lies: by the same words, where they were compared.
    const auto other = [&](const ItemComparison& one) {
        return one.suite != comparisons.front().suite || one.key != comparisons.front().key;
    };
    if (!comparisons.empty() && std::none_of(comparisons.begin(), comparisons.end(), other)) {
        std::cout << "\ntokens: " << tokensText(comparisons.front()) << '\n';
        printGroups(comparisons.front().of);
    }
}

std::string keysOf(const std::vector<ItemGrouping>& groupings) {
    std::set<std::string> keys;
    for (const ItemGrouping& grouping : groupings) keys.insert(visibleLine(grouping.key));
    std::string text;
    for (const std::string& key : keys) text += (text.empty() ? "" : ", ") + key;
    return text;
}

/// Those that --by names; UsageError for a key that no suite of the run has.
std::vector<ItemGrouping> chosenGroupings(std::vector<ItemGrouping> groupings,
                                          const std::string& by) {
    // A key may hold a comma itself.
    const bool whole =
        std::any_of(groupings.begin(), groupings.end(),
                    [&](const ItemGrouping& grouping) { return grouping.key == by; });
    const std::vector<std::string> keys = whole ? std::vector<std::string>{by} : splitList(by);
    if (keys.empty()) throw UsageError("--by takes keys of the suites, or all");
    if (keys == std::vector<std::string>{"all"} && !groupings.empty()) return groupings;
    for (const std::string& key : keys) {
        const auto has = [&](const ItemGrouping& grouping) { return grouping.key == key; };
        if (std::none_of(groupings.begin(), groupings.end(), has))
            throw UsageError("no items of this run can be compared by '" + key + "'",
                             groupings.empty() ? "evaluations of suites with groups can be compared"
                                               : "it has: " + keysOf(groupings));
    }
    std::erase_if(groupings, [&](const ItemGrouping& grouping) {
        return std::find(keys.begin(), keys.end(), grouping.key) == keys.end();
    });
    return groupings;
}

SpecializationOptions groupOptions(const Options& options) {
    SpecializationOptions result;
    result.liftThreshold = options.get<double>("lift-threshold");
    result.permutations = options.get<int>("permutations");
    result.seed = options.get<std::uint64_t>("seed");
    if (!std::isfinite(result.liftThreshold) || result.liftThreshold < 1)
        throw UsageError("--lift-threshold takes a number from 1: at 1 an expert is like the mean");
    if (result.permutations < 19 || result.permutations > 1'000'000)
        throw UsageError("--permutations takes a number from 19 to 1000000");
    return result;
}

}  // namespace

int runRouting(const Invocation& invocation) {
    Options options("routing");
    options.positional("run", 1, "a run file that holds routing");
    options.add("fail-on", po::value<double>()->value_name("X"),
                "exit with 3 if any layer's excess (max/mean over its chance value) is above X");
    options.add("lift-threshold", po::value<double>()->default_value(1.5)->value_name("X"),
                "an expert is specialised where a group's lift is above X");
    options.add("permutations", po::value<int>()->default_value(999)->value_name("N"),
                "shuffles of the groups' names that chance is told from");
    options.add("seed", po::value<std::uint64_t>()->default_value(1)->value_name("N"),
                "of the shuffles");
    options.add("by", po::value<std::string>()->value_name("KEY,..|all"),
                "of an evaluation: are items about these groups routed otherwise? What a suite "
                "says of its items (\"gender\"), or \"outcome\": right and wrong");
    options.flag("json", "print one JSON document");
    options.epilog(
        "Where the texts of the run have groups (\"group\" in a workload, the suites of an "
        "evaluation),\nwhether the groups use different experts is told too: two groups of two "
        "texts are the least,\ntwenty texts a group are good.");
    if (!options.parse(invocation)) return kDone;
    SpecializationOptions grouping = groupOptions(options);
    grouping.stop = invocation.stop;
    if (options.has("fail-on") && !std::isfinite(options.get<double>("fail-on")))
        throw UsageError("--fail-on takes a number, which an excess can be above");

    const RunReader reader(options.get<std::vector<std::string>>("run").front(), invocation.stop);
    const RunSummary run = summarize(reader);
    if (run.routing.empty()) {
        throw Error(options.get<std::vector<std::string>>("run").front() + ": holds no routing",
                    "'moescope profile' on a mixture-of-experts model records it");
    }
    const std::vector<ItemGrouping> groupings = itemGroupings(reader);
    std::vector<ItemComparison> people;
    if (options.has("by"))
        people = compareItemGroups(
            reader, chosenGroupings(groupings, options.get<std::string>("by")), grouping);
    // Beside --by it is in the document alone.
    const bool groupsShown = !options.has("by") || options.isSet("json");
    const Specialization groups = groupsShown ? specialization(reader, grouping) : Specialization();
    const double worst = worstExcess(run.routing);
    if (options.has("fail-on") && std::isnan(worst))
        throw Error(options.get<std::vector<std::string>>("run").front() +
                    ": no layer's excess can be told, so --fail-on has nothing to judge");
    if (options.isSet("json")) {
        nlohmann::json layers = nlohmann::json::array();
        for (const LayerRouting& layer : run.routing) layers.push_back(layerJson(layer));
        printJson("routing",
                  {{"experts", run.experts},
                   {"top_k", run.topK},
                   {"layers", std::move(layers)},
                   {"worst_excess", std::isnan(worst) ? nlohmann::json() : nlohmann::json(worst)},
                   {"specialization", specializationJson(groups)},
                   {"item_groups", itemComparisonsJson(people)}});
    } else {
        std::cout << run.experts << " experts, top-" << run.topK
                  << ", per expert, per layer, accumulated over "
                  << formatCounted(run.routing.front().balance.tokens, "routed token")
                  << " of all phases\n\n";
        TextTable table({"layer", "busiest", "max/mean", kByChance, "95 % of chance", "excess",
                         "entropy", kEffectiveExperts, "Gini", kDeadExperts});
        for (const LayerRouting& layer : run.routing) {
            const Balance& b = layer.balance;
            table.row({std::to_string(layer.layer), busiestExpert(layer),
                       formatFixed(b.maxOverMean, 2), formatFixed(layer.null.maxOverMean, 2),
                       formatFixed(layer.null.maxOverMean95, 2), formatFixed(layer.excess, 2),
                       formatFixed(b.normalizedEntropy, 3), formatFixed(b.effectiveExperts, 1),
                       formatFixed(b.gini, 3), std::to_string(b.deadExperts)});
        }
        std::cout << table.text() << kExplanation;
        if (options.has("by"))
            printItemGroups(people);
        else
            printGroups(groups);
        if (!options.has("by") && !groupings.empty())
            std::cout << "\nIts items can be compared, too: --by all, or of " << keysOf(groupings)
                      << '\n';
    }
    return options.has("fail-on") && worst > options.get<double>("fail-on") ? kThreshold : kDone;
}

}  // namespace moescope::cli
