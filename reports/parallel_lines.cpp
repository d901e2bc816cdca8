// SPDX-License-Identifier: Apache-2.0
#include "reports/parallel_lines.h"

#include <array>
#include <cmath>

#include "reports/json_number.h"
#include "reports/numbers.h"
#include "reports/terms.h"

namespace moescope {
namespace {

std::string times(double value) {
    return formatFixed(value, 2);
}

/// What one decides by first: a narrow window or terminal shows no more of them.
constexpr std::array<ParallelColumn, 16> kColumns{{
    {"GPUs", "that the experts of each layer are spread over", false,
     [](const ParallelLine& l) { return std::to_string(l.gpus); },
     [](const ParallelLine& l) { return double(l.gpus); }},
    {"placement",
     "contiguous: ids in order; packed: by load, one copy of each; replicated: with further copies "
     "of the experts of most load",
     false, [](const ParallelLine& l) { return l.policy; }, nullptr},
    {"imbalance",
     "assignments of the busiest GPU over the mean of all, within a step and layer. 1 is even. "
     "Where "
     "experts compute a step waits for it; where they are read, as in decoding, for experts read",
     false, [](const ParallelLine& l) { return times(l.figures->imbalance); },
     [](const ParallelLine& l) { return l.figures->imbalance; }},
    {kByChance, "the imbalance of a router without favourites, contiguous, same step", false,
     [](const ParallelLine& l) { return times(l.chance->imbalance); },
     [](const ParallelLine& l) { return l.chance->imbalance; }},
    {"excess", "imbalance over that of chance; below 1: better than no favourites", false,
     [](const ParallelLine& l) { return times(l.excess); },
     [](const ParallelLine& l) { return l.excess; }},
    {"tokens/s, at most", "of a step / both; attention and all else comes on top", true,
     [](const ParallelLine& l) { return formatRate(l.cost->tokensPerSecond(l.tokens)); },
     [](const ParallelLine& l) { return l.cost->tokensPerSecond(l.tokens); }},
    {"experts take", "of one step, all layers: the busiest GPU reads or computes. A model", true,
     [](const ParallelLine& l) { return formatDuration(l.cost->expertNs); },
     [](const ParallelLine& l) { return l.cost->expertNs; }},
    {"exchange takes", "tokens sent to the GPUs of their experts and back, all layers. A model",
     true, [](const ParallelLine& l) { return formatDuration(l.cost->exchangeNs); },
     [](const ParallelLine& l) { return l.cost->exchangeNs; }},
    {"waiting", "share of both that is waiting for the busiest GPU", true,
     [](const ParallelLine& l) { return formatPercent(l.cost->lostShare()); },
     [](const ParallelLine& l) { return l.cost->lostShare(); }},
    {"expert memory", "of the experts of all layers on each GPU", true,
     [](const ParallelLine& l) { return formatBytes(l.cost->slotBytes); },
     [](const ParallelLine& l) { return l.cost->slotBytes; }},
    {"experts a GPU", "of a layer that each GPU has room for", false,
     [](const ParallelLine& l) { return std::to_string(l.figures->expertsPerGpu); },
     [](const ParallelLine& l) { return double(l.figures->expertsPerGpu); }},
    {"experts read", "experts of a layer that the busiest GPU reads in a step", false,
     [](const ParallelLine& l) { return formatFixed(l.figures->busiestExperts, 1); },
     [](const ParallelLine& l) { return l.figures->busiestExperts; }},
    {"GPUs a token", "that hold the experts of one token in one layer", false,
     [](const ParallelLine& l) { return times(l.figures->destinations); },
     [](const ParallelLine& l) { return l.figures->destinations; }},
    {"range", "lowest and highest mean of the judged parts", false,
     [](const ParallelLine& l) {
         return times(l.figures->lowest) + " to " + times(l.figures->highest);
     },
     [](const ParallelLine& l) { return l.figures->highest; }},
    {"all together",
     "imbalance of all judged tokens taken together: what it would be if no step had to wait",
     false, [](const ParallelLine& l) { return times(l.figures->accumulated); },
     [](const ParallelLine& l) { return l.figures->accumulated; }},
    {"in sample", "the same, judged by the texts that the placement was decided on: flatters",
     false, [](const ParallelLine& l) { return times(l.figures->accumulatedInSample); },
     [](const ParallelLine& l) { return l.figures->accumulatedInSample; }},
}};

std::string stepText(const ExpertParallelOptions& options) {
    return options.mix == StepMix::Decode
               ? formatCounted(options.tokens, "sequence") + " decoded side by side"
               : "prompts evaluated " + formatCounted(options.tokens, "token") + " at a time";
}

std::string judgedText(const ExpertParallel& of) {
    if (!of.options.history.empty())
        return "placements decided on another run and judged on the texts of this one";
    if (of.options.heldOut == HeldOut::Groups)
        return "placements of each group of texts decided on all other groups";
    return "placements decided on one half of the texts and judged on the other, " +
           formatCounted(of.parts / 2, "random split") + " both ways";
}

/// What placing by load brings on most GPUs, and what it seems to bring in sample.
std::string gainSentence(const ExpertParallel& of) {
    const PlacementFigures& last = of.figures.back();
    const PlacementFigures* plain = of.find(last.gpus, PlacementPolicy::Contiguous);
    std::string out = "On " + formatCounted(last.gpus, "GPU") + " the busiest has " +
                      times(plain->imbalance) + " times its share of a step's assignments";
    if (const ParallelChance* chance = of.chanceOf(last.gpus))
        out += " (" + times(chance->imbalance) + " by chance)";
    if (last.policy == PlacementPolicy::Contiguous) return out + ".";
    const PlacementFigures* packed = of.find(last.gpus, PlacementPolicy::Packed);
    return out + "; placed by load " + times(packed->imbalance) + ", with copies " +
           times(last.imbalance) + ". With copies it would be " + times(last.accumulated) +
           " if the tokens of all steps came at once, and " + times(last.accumulatedInSample) +
           " if the placement were judged by the texts that it was decided on.";
}

/// Of copies that were asked for and not made; empty where all were.
std::string cappedSentence(const ExpertParallel& of) {
    std::string out;
    for (const PlacementFigures& figures : of.figures) {
        const std::int64_t most = std::int64_t{of.experts} * (figures.gpus - 1);
        if (figures.policy != PlacementPolicy::Replicated || of.options.redundant <= most) continue;
        out += (out.empty() ? "on " : ", on ") + formatCounted(figures.gpus, "GPU") + " " +
               formatCount(most);
    }
    if (out.empty()) return out;
    return "Fewer than the " + formatCount(of.options.redundant) +
           " further copies asked for are made, since no GPU holds an expert twice: " + out + ".";
}

/// Which of the lines is fastest by the model of times, and what bounds it.
std::string fastestSentence(const std::vector<ParallelLine>& lines) {
    const ParallelLine* best = &lines.front();
    for (const ParallelLine& line : lines)
        if (line.cost->stepNs() < best->cost->stepNs()) best = &line;
    const ParallelCost& cost = *best->cost;
    std::string out = "Fastest of these by the model of times is " +
                      formatCounted(best->gpus, "GPU") + ", " + best->policy + ": " +
                      formatRate(cost.tokensPerSecond(best->tokens)) + " tokens/s at most, " +
                      formatPercent(cost.exchangeNs / cost.stepNs()) + " of a step being exchange";
    for (const ParallelLine& line : lines)
        if (line.gpus == best->gpus && line.policy != best->policy)
            out += "; " + line.policy + " " + formatRate(line.cost->tokensPerSecond(line.tokens));
    const auto one = std::find_if(lines.begin(), lines.end(),
                                  [](const ParallelLine& line) { return line.gpus == 1; });
    if (best->gpus > 1 && one != lines.end())
        out += ". For " + std::to_string(best->gpus) + " times the GPUs that is " +
               formatFixed(one->cost->stepNs() / cost.stepNs(), 2) + " times what one does";
    return out + ".";
}

/// Where a layer takes no longer than starting a kernel does; empty elsewhere.
std::string tooSmallSentence(const std::vector<ParallelLine>& lines, int layers) {
    constexpr double kLaunchNs = 5e3;
    for (const ParallelLine& line : lines) {
        const double layerNs = line.cost->expertNs / layers;
        if (line.gpus == 1 && layerNs < kLaunchNs)
            return "The experts of a layer take " + formatDuration(layerNs) +
                   " on one GPU, less than launching a kernel does: of so small a model the times "
                   "say nothing.";
    }
    return {};
}

nlohmann::json costJson(const ParallelLine& line) {
    const ParallelCost& cost = *line.cost;
    return {{"expert_bytes_per_gpu", cost.slotBytes},
            {"expert_ns", jsonNumber(cost.expertNs)},
            {"even_expert_ns", jsonNumber(cost.evenNs)},
            {"bound_by", cost.readingBound ? "memory" : "compute"},
            {"exchange_ns", jsonNumber(cost.exchangeNs)},
            {"waiting_share", jsonNumber(cost.lostShare())},
            {"tokens_per_second", jsonNumber(cost.tokensPerSecond(line.tokens))}};
}

nlohmann::json lineJson(const ParallelLine& line) {
    const PlacementFigures& f = *line.figures;
    nlohmann::json layers = nlohmann::json::array();
    for (const double value : f.layerImbalance) layers.push_back(jsonNumber(value));
    return {{"gpus", line.gpus},
            {"placement", line.policy},
            {"experts_per_gpu", f.expertsPerGpu},
            {"imbalance", jsonNumber(f.imbalance)},
            {"imbalance_lowest", jsonNumber(f.lowest)},
            {"imbalance_highest", jsonNumber(f.highest)},
            {"chance_imbalance", jsonNumber(line.chance->imbalance)},
            {"excess", jsonNumber(line.excess)},
            {"accumulated_imbalance", jsonNumber(f.accumulated)},
            {"in_sample_imbalance", jsonNumber(f.accumulatedInSample)},
            {"busiest_assignments", jsonNumber(f.busiestTokens)},
            {"busiest_experts", jsonNumber(f.busiestExperts)},
            {"chance_busiest_experts", jsonNumber(line.chance->busiestExperts)},
            {"active_copies", jsonNumber(f.activeExperts)},
            {"destinations", jsonNumber(f.destinations)},
            {"chance_destinations", jsonNumber(line.chance->destinations)},
            {"busiest_arrivals", jsonNumber(f.arrivals)},
            {"layer_imbalance", std::move(layers)},
            {"cost", line.cost ? costJson(line) : nlohmann::json()}};
}

}  // namespace

ParallelForecast parallelForecast(const RunReader& run, const RoutingTrace& trace) {
    return {expertParallel(trace), expertShapeOf(run, static_cast<int>(trace.layers.size())),
            &gpuHardware().front()};
}

std::vector<ParallelLine> parallelLines(const ParallelForecast& forecast) {
    std::vector<ParallelLine> out;
    const ExpertParallel& of = forecast.of;
    for (const PlacementFigures& figures : of.figures) {
        ParallelLine line;
        line.gpus = figures.gpus;
        line.policy = placementPolicyName(figures.policy);
        line.figures = &figures;
        line.chance = of.chanceOf(figures.gpus);
        line.excess = of.excess(figures);
        line.tokens = of.options.tokens;
        if (forecast.shape.known() && forecast.hardware != nullptr)
            line.cost = parallelCost(figures, of.topK, of.options.tokens, forecast.shape,
                                     *forecast.hardware);
        out.push_back(std::move(line));
    }
    return out;
}

std::vector<ParallelColumn> parallelColumns(const ParallelForecast& forecast) {
    const bool costs = forecast.shape.known() && forecast.hardware != nullptr;
    std::vector<ParallelColumn> out;
    for (const ParallelColumn& column : kColumns)
        if (costs || !column.cost) out.push_back(column);
    return out;
}

std::vector<std::string> parallelSentences(const ParallelForecast& forecast) {
    const ExpertParallel& of = forecast.of;
    if (of.empty()) return {of.reason};
    std::vector<std::string> out;
    out.push_back("Simulated from the routing of " + formatCounted(of.tokensRouted, "token") +
                  " in " + formatCounted(of.texts, "text") + ": " + stepText(of.options) +
                  (of.reason.empty() ? "; " + judgedText(of) : std::string()) + ".");
    if (!of.reason.empty()) out.push_back(of.reason);
    out.push_back(gainSentence(of));
    if (const std::string capped = cappedSentence(of); !capped.empty()) out.push_back(capped);
    if (of.options.mix == StepMix::Decode && of.textsOfSmallestPart < of.options.tokens)
        out.push_back("Steps were drawn from " + formatCounted(of.textsOfSmallestPart, "text") +
                      ", fewer than the sequences of a step: tokens of one text are alike, so that "
                      "as many different texts would be more even.");
    if (forecast.shape.known() && forecast.hardware != nullptr) {
        const std::vector<ParallelLine> lines = parallelLines(forecast);
        out.push_back(fastestSentence(lines));
        if (std::string small = tooSmallSentence(lines, forecast.shape.layers); !small.empty())
            out.push_back(std::move(small));
        out.push_back("Times are those of a model and of the experts alone, on " +
                      std::string(forecast.hardware->description) + "; an exchange begins with " +
                      formatDuration(kDispatchLatencyNs) + " to dispatch and " +
                      formatDuration(kCombineLatencyNs) +
                      " to combine, fitted to 8 and more GPUs and taken for fewer as well.");
    } else
        out.emplace_back(
            "No times are told: the run does not say how large an expert is (expert_bytes, "
            "d_model, ffn).");
    return out;
}

nlohmann::json parallelJson(const ParallelForecast& forecast) {
    const ExpertParallel& of = forecast.of;
    if (of.empty()) return {{"reason", of.reason}};
    nlohmann::json lines = nlohmann::json::array();
    for (const ParallelLine& line : parallelLines(forecast)) lines.push_back(lineJson(line));
    const ExpertParallelOptions& options = of.options;
    return {{"reason", of.reason.empty() ? nlohmann::json() : nlohmann::json(of.reason)},
            {"experts", of.experts},
            {"top_k", of.topK},
            {"layers", of.layers},
            {"texts", of.texts},
            {"routed_tokens", of.tokensRouted},
            {"step", options.mix == StepMix::Decode ? "decode" : "prefill"},
            {"step_tokens", options.tokens},
            {"held_out", !options.history.empty()             ? "another run"
                         : options.heldOut == HeldOut::Groups ? "groups"
                                                              : "halves"},
            {"parts", of.parts},
            {"texts_of_smallest_part", of.textsOfSmallestPart},
            {"steps_per_part", options.steps},
            {"seed", options.seed},
            {"gpu", forecast.hardware != nullptr ? nlohmann::json(forecast.hardware->name)
                                                 : nlohmann::json()},
            {"placements", std::move(lines)}};
}

}  // namespace moescope
