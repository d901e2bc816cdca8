// SPDX-License-Identifier: Apache-2.0
// moescope routing: load balance of the experts, layer by layer, beside what chance would show.
#include <algorithm>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "profiler/analysis/run_summary.h"

namespace moescope::cli {
namespace {

constexpr const char* kExplanation =
    "\nmax/mean: busiest expert over the fair share tokens * top_k / experts. by chance: the "
    "mean,\n"
    "and the 95th percentile, that a perfectly uniform router shows for as many independent "
    "tokens.\n"
    "excess: max/mean over that mean. Tokens of one text are alike, so an excess somewhat above 1 "
    "is\n"
    "no defect by itself: compare runs of the same text.\n";

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

}  // namespace

int runRouting(const Invocation& invocation) {
    Options options("routing");
    options.positional("run", 1, "a run file that holds routing");
    options.add("fail-on", po::value<double>()->value_name("X"),
                "exit with 3 if any layer's excess (max/mean over its chance value) is above X");
    options.flag("json", "print one JSON document");
    if (!options.parse(invocation)) return kDone;

    const RunSummary run =
        summarize(RunReader(options.get<std::vector<std::string>>("run").front()));
    if (run.routing.empty()) {
        throw Error(options.get<std::vector<std::string>>("run").front() + ": holds no routing",
                    "'moescope profile' on a mixture-of-experts model records it");
    }
    double worst = 0;
    for (const LayerRouting& layer : run.routing) worst = std::max(worst, layer.excess);
    if (options.isSet("json")) {
        nlohmann::json layers = nlohmann::json::array();
        for (const LayerRouting& layer : run.routing) layers.push_back(layerJson(layer));
        printJson("routing", {{"experts", run.experts},
                              {"top_k", run.topK},
                              {"layers", std::move(layers)},
                              {"worst_excess", worst}});
    } else {
        std::cout << run.experts << " experts, top-" << run.topK
                  << ", per expert, per layer, accumulated over "
                  << run.routing.front().balance.tokens << " routed tokens of all phases\n\n";
        TextTable table({"layer", "max/mean", "by chance", "95 %", "excess", "entropy/max",
                         "effective", "Gini", "dead"});
        for (const LayerRouting& layer : run.routing) {
            const Balance& b = layer.balance;
            table.row({std::to_string(layer.layer), formatFixed(b.maxOverMean, 2),
                       formatFixed(layer.null.maxOverMean, 2),
                       formatFixed(layer.null.maxOverMean95, 2), formatFixed(layer.excess, 2),
                       formatFixed(b.normalizedEntropy, 4), formatFixed(b.effectiveExperts, 1),
                       formatFixed(b.gini, 3), std::to_string(b.deadExperts)});
        }
        std::cout << table.text() << kExplanation;
    }
    return options.has("fail-on") && worst > options.get<double>("fail-on") ? kThreshold : kDone;
}

}  // namespace moescope::cli
