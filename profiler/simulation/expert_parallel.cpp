// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/expert_parallel.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "profiler/simulation/drawn.h"

namespace moescope {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
/// Choices looked at in all, a few seconds: a stranger's run file must not decide how long.
constexpr double kMaxWork = 4e8;
constexpr int kLeastSteps = 10;
constexpr std::size_t kMostGroups = 256;

/// Indices of the texts that judge a placement, which all others of a set of texts decide on.
using Part = std::vector<std::size_t>;

Part allOf(std::size_t texts) {
    Part all(texts);
    std::iota(all.begin(), all.end(), 0);
    return all;
}

std::vector<Part> halves(const Part& texts, int splits, std::uint64_t seed) {
    std::vector<Part> out;
    Part order = texts;
    Drawn draw(seed);
    for (int s = 0; s < splits; ++s) {
        draw.shuffle(order);
        const auto middle = order.begin() + std::ptrdiff_t(order.size() / 2);
        out.emplace_back(middle, order.end());
        out.emplace_back(order.begin(), middle);
    }
    return out;
}

std::vector<Part> groups(const std::vector<TracedText>& texts) {
    std::map<std::string, Part> byGroup;
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (!texts[i].group.empty()) byGroup[texts[i].group].push_back(i);
    std::vector<Part> out;
    for (auto& [name, members] : byGroup) out.push_back(std::move(members));
    return out;
}

/// (n_layer x n_expert) assignments of some texts.
std::vector<double> loadOf(const RoutingTrace& trace, const Part& texts) {
    const auto experts = std::size_t(trace.experts);
    std::vector<double> load(trace.layers.size() * experts);
    for (const std::size_t i : texts) {
        const TracedText& text = trace.texts[i];
        for (std::int64_t t = 0; t < text.tokens; ++t)
            for (std::size_t l = 0; l < trace.layers.size(); ++l)
                for (const std::int16_t expert : trace.choice(text, t, l))
                    ++load[l * experts + std::size_t(expert)];
    }
    return load;
}

std::span<const double> layerOf(const std::vector<double>& load, std::size_t layer, int experts) {
    return {load.data() + layer * std::size_t(experts), std::size_t(experts)};
}

double maxOverMean(const std::vector<double>& load) {
    const double sum = std::accumulate(load.begin(), load.end(), 0.0);
    if (!(sum > 0)) return kNan;
    return *std::max_element(load.begin(), load.end()) * double(load.size()) / sum;
}

struct TokenAt {
    std::size_t text = 0;
    std::int64_t token = 0;
};

/// The tokens of each step, drawn from the texts of one part.
class StepDrawer {
public:
    StepDrawer(const RoutingTrace& trace, Part texts, StepMix mix, std::uint64_t seed)
        : trace_(trace), texts_(std::move(texts)), mix_(mix), draw_(seed) {}

    void next(std::vector<TokenAt>& step) {
        if (mix_ == StepMix::Decode) {
            for (std::size_t b = 0; b < step.size(); ++b) {
                if (b < texts_.size()) draw_.place(texts_, b);
                const std::size_t text = texts_[b % texts_.size()];
                step[b] = {text, std::int64_t(draw_.below(std::uint64_t(tokensOf(text))))};
            }
            return;
        }
        std::size_t at = 0, placed = 1;
        draw_.place(texts_, 0);
        auto token = std::int64_t(draw_.below(std::uint64_t(tokensOf(texts_[0]))));
        for (TokenAt& slot : step) {
            while (token >= tokensOf(texts_[at])) {
                at = (at + 1) % texts_.size();
                if (at == placed && placed < texts_.size()) draw_.place(texts_, placed++);
                token = 0;
            }
            slot = {texts_[at], token++};
        }
    }

private:
    std::int64_t tokensOf(std::size_t text) const { return trace_.texts[text].tokens; }

    const RoutingTrace& trace_;
    Part texts_;
    StepMix mix_;
    Drawn draw_;
};

/// Sums of one layer's steps under one placement.
struct Sums {
    double steps = 0, imbalance = 0, busiestTokens = 0, busiestExperts = 0, activeExperts = 0,
           destinations = 0, arrivals = 0;
    std::vector<double> ranked, byGpu;  ///< (n_gpu)

    void add(const Sums& other) {
        steps += other.steps;
        imbalance += other.imbalance;
        busiestTokens += other.busiestTokens;
        busiestExperts += other.busiestExperts;
        activeExperts += other.activeExperts;
        destinations += other.destinations;
        arrivals += other.arrivals;
    }
};

/// Sends the tokens of one step to the GPUs of their experts. Token b of n lives on GPU b G / n,
/// as with attention that is parallel over sequences; of an expert's copies it takes number b mod
/// copies, so that copies share the load evenly without knowing it.
class Dispatcher {
public:
    Dispatcher(int gpus, int experts)
        : gpus_(std::size_t(gpus)), read_(std::size_t(gpus) * std::size_t(experts)) {
        for (auto* counts : {&tokens_, &reads_, &arrived_}) counts->resize(gpus_);
        sent_.resize(gpus_);
    }

    /// choice(b): the experts of token b.
    template <class Choice>
    void step(const ExpertPlacement& placement, std::size_t tokens, Choice choice, Sums& sums) {
        for (auto* counts : {&tokens_, &reads_, &arrived_})
            std::fill(counts->begin(), counts->end(), 0);
        ++stamp_;
        std::int64_t reached = 0;
        for (std::size_t b = 0; b < tokens; ++b) {
            ++token_;
            const std::size_t home = b * gpus_ / tokens;
            for (const std::int16_t expert : choice(b)) {
                const std::vector<int>& copies = placement.gpusOf[std::size_t(expert)];
                const auto gpu = std::size_t(copies[b % copies.size()]);
                ++tokens_[gpu];
                std::uint64_t& read = read_[std::size_t(expert) * gpus_ + gpu];
                if (std::exchange(read, stamp_) != stamp_) ++reads_[gpu];
                if (std::exchange(sent_[gpu], token_) == token_) continue;
                ++reached;
                if (gpu != home) ++arrived_[gpu];
            }
        }
        finish(tokens, double(reached), sums);
    }

private:
    void finish(std::size_t tokens, double reached, Sums& sums) {
        const auto total = double(std::accumulate(tokens_.begin(), tokens_.end(), std::int64_t{0}));
        const double mean = total / double(gpus_);
        sums.byGpu.resize(gpus_);
        for (std::size_t g = 0; g < gpus_; ++g) sums.byGpu[g] += double(tokens_[g]) / mean;
        std::sort(tokens_.begin(), tokens_.end(), std::greater<>());
        ++sums.steps;
        sums.imbalance += double(tokens_.front()) / mean;
        sums.busiestTokens += double(tokens_.front());
        sums.busiestExperts += double(*std::max_element(reads_.begin(), reads_.end()));
        sums.activeExperts +=
            double(std::accumulate(reads_.begin(), reads_.end(), std::int64_t{0}));
        sums.destinations += reached / double(tokens);
        sums.arrivals += double(*std::max_element(arrived_.begin(), arrived_.end()));
        sums.ranked.resize(gpus_);
        for (std::size_t g = 0; g < gpus_; ++g) sums.ranked[g] += double(tokens_[g]) / mean;
    }

    std::size_t gpus_;
    std::vector<std::int64_t> tokens_, reads_, arrived_;  // (n_gpu)
    std::vector<std::uint64_t> read_;  // (n_expert, n_gpu) the step that last read this copy
    std::vector<std::uint64_t> sent_;  // (n_gpu) the token that last came here
    std::uint64_t stamp_ = 0, token_ = 0;
};

/// One number of GPUs under one policy, judged on every split.
class Judge {
public:
    Judge(const RoutingTrace& trace, const ExpertParallelOptions& options, int gpus,
          PlacementPolicy policy)
        : trace_(trace), options_(options), dispatcher_(gpus, trace.experts) {
        figures_.gpus = gpus;
        figures_.policy = policy;
        layers_.resize(trace.layers.size());
        redundant_ = options.redundant < 0 ? gpus : options.redundant;
    }

    /// `decided`, `judged`: loads of the two sides; `seed` of the steps, the same for all policies,
    /// which are so compared on the same steps.
    void part(const std::vector<double>& decided, const std::vector<double>& judged,
              const Part& texts, std::uint64_t seed) {
        std::vector<ExpertPlacement> placements;
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            throwIfStopped(options_.stop);
            placements.push_back(placeExperts(layerOf(decided, l, trace_.experts), figures_.policy,
                                              figures_.gpus, redundant_));
            accumulate(placements.back(), layerOf(judged, l, trace_.experts), accumulated_);
            accumulate(placements.back(), layerOf(decided, l, trace_.experts), inSample_);
        }
        figures_.expertsPerGpu = placements.front().expertsPerGpu;
        StepDrawer drawer(trace_, texts, options_.mix, seed);
        std::vector<TokenAt> step(std::size_t(options_.tokens));
        Sums part;
        for (int s = 0; s < options_.steps; ++s) {
            throwIfStopped(options_.stop);
            drawer.next(step);
            for (std::size_t l = 0; l < layers_.size(); ++l) {
                const double before = layers_[l].imbalance;
                dispatcher_.step(
                    placements[l], step.size(),
                    [&](std::size_t b) {
                        return trace_.choice(trace_.texts[step[b].text], step[b].token, l);
                    },
                    layers_[l]);
                part.imbalance += layers_[l].imbalance - before;
                ++part.steps;
            }
        }
        partMeans_.push_back(part.imbalance / part.steps);
    }

    PlacementFigures figures() {
        Sums all;
        const auto gpus = std::size_t(figures_.gpus);
        for (const Sums& layer : layers_) {
            all.add(layer);
            figures_.layerImbalance.push_back(layer.imbalance / layer.steps);
            for (std::size_t g = 0; g < gpus; ++g) {
                figures_.rankedLoad.push_back(layer.ranked[g] / layer.steps);
                figures_.gpuLoad.push_back(layer.byGpu[g] / layer.steps);
            }
        }
        figures_.imbalance = all.imbalance / all.steps;
        figures_.busiestTokens = all.busiestTokens / all.steps;
        figures_.busiestExperts = all.busiestExperts / all.steps;
        figures_.activeExperts = all.activeExperts / all.steps;
        figures_.destinations = all.destinations / all.steps;
        figures_.arrivals = all.arrivals / all.steps;
        figures_.lowest = *std::min_element(partMeans_.begin(), partMeans_.end());
        figures_.highest = *std::max_element(partMeans_.begin(), partMeans_.end());
        figures_.accumulated = accumulated_.first / accumulated_.second;
        figures_.accumulatedInSample = inSample_.first / inSample_.second;
        return figures_;
    }

private:
    /// Adds the max/mean of one layer to a sum and its number.
    static void accumulate(const ExpertPlacement& placement, std::span<const double> load,
                           std::pair<double, double>& sum) {
        const double value = maxOverMean(placement.gpuLoad(load));
        if (std::isnan(value)) return;
        sum.first += value;
        ++sum.second;
    }

    const RoutingTrace& trace_;
    const ExpertParallelOptions& options_;
    Dispatcher dispatcher_;
    PlacementFigures figures_;
    int redundant_ = 0;
    std::vector<Sums> layers_;
    std::vector<double> partMeans_;
    std::pair<double, double> accumulated_, inSample_;
};

ParallelChance chanceFor(int gpus, int experts, int topK, int tokens, std::uint64_t seed) {
    constexpr double kChoices = 2e6;
    const int steps = std::clamp(int(kChoices / (double(tokens) * topK)), 50, 2000);
    const ExpertPlacement placement = placeExperts(std::vector<double>(std::size_t(experts), 1.0),
                                                   PlacementPolicy::Contiguous, gpus);
    Dispatcher dispatcher(gpus, experts);
    Drawn draw(seed);
    std::vector<std::int16_t> ids(static_cast<std::size_t>(experts));
    std::iota(ids.begin(), ids.end(), std::int16_t{0});
    Sums sums;
    for (int s = 0; s < steps; ++s)
        dispatcher.step(
            placement, std::size_t(tokens),
            [&](std::size_t) {
                for (std::size_t k = 0; k < std::size_t(topK); ++k)
                    std::swap(ids[k], ids[k + draw.below(ids.size() - k)]);
                return std::span<const std::int16_t>(ids.data(), std::size_t(topK));
            },
            sums);
    return {gpus, sums.imbalance / sums.steps, sums.busiestExperts / sums.steps,
            sums.destinations / sums.steps};
}

/// Texts that take part: with HeldOut::Groups those that have one.
Part takingPart(const RoutingTrace& trace, const ExpertParallelOptions& options) {
    Part all = allOf(trace.texts.size());
    if (options.history.empty() && options.heldOut == HeldOut::Groups)
        std::erase_if(all, [&](std::size_t i) { return trace.texts[i].group.empty(); });
    return all;
}

/// Parts to judge on, or none with the reason.
std::vector<Part> partsOf(const RoutingTrace& trace, const ExpertParallelOptions& options,
                          std::string& reason) {
    const Part all = allOf(trace.texts.size());
    if (!options.history.empty()) return {all};
    std::vector<Part> parts;
    if (options.heldOut == HeldOut::Groups) {
        parts = groups(trace.texts);
        if (parts.size() >= 2 && parts.size() <= kMostGroups) return parts;
        reason = parts.size() < 2
                     ? "The run has not two groups of texts, one of which could judge the "
                       "placement of the other."
                     : "The run has more than " + std::to_string(kMostGroups) +
                           " groups of texts, too many to judge each by all others.";
        return {};
    }
    if (all.size() >= 2) return halves(all, options.splits, options.seed);
    reason =
        "The run has one text: there is none to decide a placement on and another to judge it by.";
    return {};
}

int affordableSteps(const RoutingTrace& trace, const ExpertParallelOptions& options,
                    std::size_t parts, std::size_t cases) {
    const double step = double(options.tokens) * trace.topK * double(trace.layers.size());
    const double affordable = kMaxWork / (step * double(parts) * double(cases));
    return std::max(kLeastSteps, int(std::min(double(options.steps), affordable)));
}

}  // namespace

const PlacementFigures* ExpertParallel::find(int gpus, PlacementPolicy policy) const noexcept {
    const auto found = std::find_if(figures.begin(), figures.end(), [&](const auto& f) {
        return f.gpus == gpus && f.policy == policy;
    });
    return found == figures.end() ? nullptr : &*found;
}

const ParallelChance* ExpertParallel::chanceOf(int gpus) const noexcept {
    const auto found =
        std::find_if(chance.begin(), chance.end(), [&](const auto& c) { return c.gpus == gpus; });
    return found == chance.end() ? nullptr : &*found;
}

double ExpertParallel::excess(const PlacementFigures& of) const noexcept {
    const ParallelChance* null = chanceOf(of.gpus);
    return null == nullptr ? kNan : of.imbalance / null->imbalance;
}

double uniformDestinations(int experts, int topK, int gpus) noexcept {
    const int others = experts - experts / gpus;
    double missed = 1;  // C(others, k) / C(experts, k)
    for (int i = 0; i < topK; ++i)
        missed *= std::max(0.0, double(others - i)) / double(experts - i);
    return gpus * (1 - missed);
}

ExpertParallel expertParallel(const RoutingTrace& trace, const ExpertParallelOptions& options) {
    ExpertParallel out;
    out.options = options;
    out.reason = trace.reason;
    if (trace.empty()) return out;
    out.experts = trace.experts;
    out.topK = trace.topK;
    out.layers = trace.layers;
    out.texts = std::int64_t(trace.texts.size());
    out.tokensRouted = trace.tokens;

    if (trace.cells() > kMaxTraceCells || trace.experts > INT16_MAX) {
        out.reason = "The run has more than " + std::to_string(kMaxTraceCells) +
                     " experts in all its layers, too many to be placed.";
        return out;
    }
    std::vector<Part> parts = partsOf(trace, options, out.reason);
    const bool placed = !parts.empty();
    if (!placed) parts.push_back(allOf(trace.texts.size()));
    std::vector<std::pair<int, PlacementPolicy>> cases;
    for (const int gpus : options.gpus) {
        if (gpus > trace.experts) continue;
        for (const PlacementPolicy policy : kPlacementPolicies)
            if (policy == PlacementPolicy::Contiguous || (placed && gpus > 1))
                cases.emplace_back(gpus, policy);
    }
    out.parts = int(parts.size());
    out.options.steps = affordableSteps(trace, options, parts.size(), cases.size());

    std::vector<Judge> judges;
    for (const auto& [gpus, policy] : cases) judges.emplace_back(trace, out.options, gpus, policy);
    const std::vector<double> total = loadOf(trace, takingPart(trace, options));
    std::uint64_t seed = options.seed;
    for (const Part& part : parts) {
        throwIfStopped(options.stop);
        const std::vector<double> judged = loadOf(trace, part);
        std::vector<double> decided = options.history;
        if (decided.empty()) {
            decided = total;  // less what is judged: whole numbers, so exact
            for (std::size_t i = 0; i < decided.size(); ++i) decided[i] -= judged[i];
        }
        const auto texts = std::int64_t(part.size());
        out.textsOfSmallestPart =
            out.textsOfSmallestPart == 0 ? texts : std::min(out.textsOfSmallestPart, texts);
        ++seed;
        for (Judge& judge : judges) judge.part(decided, judged, part, seed);
    }
    for (Judge& judge : judges) out.figures.push_back(judge.figures());
    for (const int gpus : options.gpus)
        if (gpus <= trace.experts)
            out.chance.push_back(
                chanceFor(gpus, trace.experts, trace.topK, options.tokens, options.seed));
    return out;
}

std::vector<ExpertPlacement> placementsToUse(const RoutingTrace& trace,
                                             const ExpertParallelOptions& options,
                                             PlacementPolicy policy, int gpus) {
    const std::vector<double> load =
        options.history.empty() ? loadOf(trace, allOf(trace.texts.size())) : options.history;
    const int redundant = options.redundant < 0 ? gpus : options.redundant;
    std::vector<ExpertPlacement> out;
    for (std::size_t l = 0; l < trace.layers.size(); ++l)
        out.push_back(placeExperts(layerOf(load, l, trace.experts), policy, gpus, redundant));
    return out;
}

std::vector<std::vector<int>> physicalExperts(const RoutingTrace& trace,
                                              const ExpertParallelOptions& options,
                                              PlacementPolicy policy, int gpus, int modelLayers) {
    const std::vector<ExpertPlacement> placements = placementsToUse(trace, options, policy, gpus);
    std::vector<std::vector<int>> out;
    std::size_t places = 0;
    for (std::size_t l = 0; l < trace.layers.size(); ++l) {
        const ExpertPlacement& placed = placements[l];
        places = std::size_t(gpus) * std::size_t(placed.expertsPerGpu);
        const auto layer = std::size_t(trace.layers[l]);
        if (layer >= kMaxTraceLayers)
            throw Error("layer " + std::to_string(layer) + " is none that a model has");
        out.resize(std::max(out.size(), layer + 1));
        for (const std::vector<int>& held : placed.expertsOf)
            out[layer].insert(out[layer].end(), held.begin(), held.end());
        if (out[layer].size() != places)
            throw Error(std::to_string(trace.experts) + " experts of a layer do not fill " +
                            std::to_string(gpus) + " GPUs evenly, which servers ask for",
                        "Choose another number of GPUs or of redundant experts.");
    }
    out.resize(
        std::max(out.size(), std::min(kMaxTraceLayers, std::size_t(std::max(0, modelLayers)))));
    for (std::vector<int>& layer : out)
        for (std::size_t i = layer.size(); i < places; ++i)
            layer.push_back(int(i % std::size_t(trace.experts)));
    return out;
}

std::vector<double> historyLoad(const RunReader& run, const RoutingTrace& trace) {
    const auto experts = std::size_t(trace.experts);
    std::vector<double> load(trace.layers.size() * experts);
    std::vector<bool> seen(trace.layers.size());
    const std::string path = run.path().string();
    for (const RoutingCountRow& row : run.routingCounts()) {
        const auto layer = std::lower_bound(trace.layers.begin(), trace.layers.end(), row.layer);
        if (layer == trace.layers.end() || *layer != row.layer || row.expert >= trace.experts)
            throw Error(path + ": has layer " + std::to_string(row.layer) + ", expert " +
                            std::to_string(row.expert) + ", which the other run's model has not",
                        "A placement can be decided on a run of the same model only.");
        const auto at = std::size_t(layer - trace.layers.begin());
        load[at * experts + std::size_t(row.expert)] += double(row.count);
        seen[at] = true;
    }
    for (std::size_t l = 0; l < seen.size(); ++l)
        if (!seen[l])
            throw Error(path + ": holds no routing of layer " + std::to_string(trace.layers[l]),
                        "A placement can be decided on a run of the same model only.");
    return load;
}

}  // namespace moescope
