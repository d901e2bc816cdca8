// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/specialization.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "profiler/analysis/statistics.h"

namespace moescope {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A stranger's run file must not decide how long we compute or how much we allocate.
constexpr std::size_t kMaxGroups = 256;
constexpr std::size_t kMaxCells = std::size_t{1} << 20U;  ///< groups x layers x experts
constexpr double kLogarithmCost = 16;                     ///< in additions
constexpr int kLeastPermutations = 99;

/// Sums of the same numbers in another order differ in the last bits; such permutations are ties
/// with what was observed, and ties count against it.
constexpr double kTie = 1e-9;

struct Entry {
    std::uint32_t cell = 0;  ///< layer index x experts + expert
    double count = 0;
};

/// The counts of the sequences that take part, those of one sequence side by side.
struct Counts {
    std::vector<int> layers;  ///< ascending
    std::size_t experts = 0, groups = 0;
    std::vector<std::size_t> begin;  ///< (n_sequence + 1) into entries
    std::vector<Entry> entries;
    std::vector<std::size_t> group;  ///< (n_sequence)
    std::vector<std::size_t> block;  ///< (n_sequence)

    std::size_t cells() const noexcept { return layers.size() * experts; }
};

/// What one assignment of names to sequences shows.
struct Observation {
    std::vector<double> probability;  ///< (n_group, n_layer x n_expert)
    std::vector<double> divergence;   ///< (n_layer); NaN with fewer than two groups in the layer
    std::vector<double> lift;         ///< (n_group, n_layer x n_expert)
    std::vector<double> topLift;      ///< (n_layer x n_expert); 0 where nobody chose the expert
    double meanDivergence = 0;
    double share = 0;  ///< of the cells with topLift above the threshold
};

class Observer {
public:
    Observer(const Counts& counts, double threshold) : counts_(counts), threshold_(threshold) {
        const std::size_t size = counts.groups * counts.cells();
        seen_.probability.resize(size);
        seen_.lift.resize(size);
        seen_.topLift.resize(counts.cells());
        seen_.divergence.resize(counts.layers.size());
        mixture_.resize(counts.experts);
    }

    /// group: (n_sequence)
    const Observation& observe(std::span<const std::size_t> group) {
        std::fill(seen_.probability.begin(), seen_.probability.end(), 0.0);
        for (std::size_t s = 0; s < group.size(); ++s) {
            double* row = seen_.probability.data() + group[s] * counts_.cells();
            for (std::size_t i = counts_.begin[s]; i < counts_.begin[s + 1]; ++i)
                row[counts_.entries[i].cell] += counts_.entries[i].count;
        }
        double sum = 0, layers = 0;
        for (std::size_t l = 0; l < counts_.layers.size(); ++l) {
            observeLayer(l);
            if (std::isnan(seen_.divergence[l])) continue;
            sum += seen_.divergence[l];
            ++layers;
        }
        seen_.meanDivergence = layers > 0 ? sum / layers : kNan;
        const auto above = std::count_if(seen_.topLift.begin(), seen_.topLift.end(),
                                         [this](double lift) { return lift > threshold_; });
        seen_.share = double(above) / double(seen_.topLift.size());
        return seen_;
    }

private:
    /// Makes counts shares, then D = mean over groups of sum_e P(e|g) log2 (P(e|g) / P(e)).
    void observeLayer(std::size_t layer) {
        const std::size_t first = layer * counts_.experts;
        std::fill(mixture_.begin(), mixture_.end(), 0.0);
        double present = 0;
        for (std::size_t g = 0; g < counts_.groups; ++g) {
            double* row = seen_.probability.data() + g * counts_.cells() + first;
            double total = 0;
            for (std::size_t e = 0; e < counts_.experts; ++e) total += row[e];
            if (total > 0) ++present;
            for (std::size_t e = 0; e < counts_.experts; ++e) {
                row[e] = total > 0 ? row[e] / total : kNan;
                if (total > 0) mixture_[e] += row[e];
            }
        }
        std::fill_n(seen_.topLift.begin() + std::ptrdiff_t(first), counts_.experts, 0.0);
        double divergence = 0;
        for (std::size_t g = 0; g < counts_.groups; ++g) {
            const std::size_t row = g * counts_.cells() + first;
            for (std::size_t e = 0; e < counts_.experts; ++e) {
                const double p = seen_.probability[row + e];
                const double lift = p * present / mixture_[e];  // NaN where 0 / 0
                seen_.lift[row + e] = lift;
                if (!(p > 0)) continue;
                divergence += p * std::log2(lift);
                seen_.topLift[first + e] = std::max(seen_.topLift[first + e], lift);
            }
        }
        // Rounding may leave equal groups a hair below zero.
        seen_.divergence[layer] = present > 1 ? std::max(0.0, divergence / present) : kNan;
    }

    const Counts& counts_;
    double threshold_;
    Observation seen_;
    std::vector<double> mixture_;  ///< (n_expert) sum of P(e|g)
};

/// Also where the shuffled value is NaN (the shuffle left a layer a single group): what cannot be
/// told must not speak for a difference.
bool reaches(double value, double observed) {
    return !(value < observed * (1 - kTie) - 1e-15);
}

double meanPairwise(const LayerSpecialization& layer, std::size_t groups, std::size_t experts) {
    double sum = 0, pairs = 0;
    for (std::size_t a = 0; a < groups; ++a) {
        for (std::size_t b = a + 1; b < groups; ++b) {
            const double* p = layer.probability.data() + a * experts;
            const double* q = layer.probability.data() + b * experts;
            if (std::isnan(p[0]) || std::isnan(q[0])) continue;
            double divergence = 0;
            for (std::size_t e = 0; e < experts; ++e) {
                const double m = (p[e] + q[e]) / 2;
                if (p[e] > 0) divergence += p[e] / 2 * std::log2(p[e] / m);
                if (q[e] > 0) divergence += q[e] / 2 * std::log2(q[e] / m);
            }
            sum += std::max(0.0, divergence);
            ++pairs;
        }
    }
    return pairs > 0 ? sum / pairs : kNan;
}

/// The part of an observation that is one layer's.
LayerSpecialization layerOf(const Observation& seen, const Counts& counts, std::size_t index) {
    LayerSpecialization layer;
    layer.layer = counts.layers[index];
    layer.divergence = seen.divergence[index];
    layer.dominant.assign(counts.experts, -1);
    layer.expertQ.assign(counts.experts, kNan);
    for (std::size_t g = 0; g < counts.groups; ++g) {
        const std::size_t row = g * counts.cells() + index * counts.experts;
        for (std::size_t e = 0; e < counts.experts; ++e) {
            layer.probability.push_back(seen.probability[row + e]);
            layer.lift.push_back(seen.lift[row + e]);
            const double top = seen.topLift[index * counts.experts + e];
            if (layer.dominant[e] < 0 && top > 0 && seen.lift[row + e] == top)
                layer.dominant[e] = int(g);
        }
    }
    layer.meanPairwise = meanPairwise(layer, counts.groups, counts.experts);
    return layer;
}

/// How often shuffled names reach what the true ones show.
struct Tally {
    std::vector<std::vector<double>> null;  ///< (n_layer, permutations) divergences
    std::vector<std::int64_t> layer, cell;  ///< (n_layer), (n_layer x n_expert)
    std::int64_t mean = 0, share = 0;
    double sumOfMeans = 0, sumOfShares = 0;

    void add(const Observation& shuffled, const Observation& truth) {
        for (std::size_t l = 0; l < layer.size(); ++l) {
            if (!std::isnan(shuffled.divergence[l])) null[l].push_back(shuffled.divergence[l]);
            layer[l] += reaches(shuffled.divergence[l], truth.divergence[l]) ? 1 : 0;
        }
        for (std::size_t c = 0; c < cell.size(); ++c)
            cell[c] += reaches(shuffled.topLift[c], truth.topLift[c]) ? 1 : 0;
        mean += reaches(shuffled.meanDivergence, truth.meanDivergence) ? 1 : 0;
        share += reaches(shuffled.share, truth.share) ? 1 : 0;
        if (!std::isnan(shuffled.meanDivergence)) sumOfMeans += shuffled.meanDivergence;
        sumOfShares += shuffled.share;
    }
};

double probabilityOf(std::int64_t hits, int permutations) {
    return double(hits + 1) / double(permutations + 1);
}

void judgeLayers(Specialization& result, Tally& tally) {
    std::vector<double> p;
    for (std::size_t l = 0; l < result.layers.size(); ++l) {
        LayerSpecialization& layer = result.layers[l];
        layer.p = std::isnan(layer.divergence) ? kNan
                                               : probabilityOf(tally.layer[l], result.permutations);
        p.push_back(layer.p);
        std::vector<double>& null = tally.null[l];
        layer.nullMean = layer.null95 = kNan;
        if (null.empty()) continue;
        std::sort(null.begin(), null.end());
        layer.null95 = null[std::size_t(std::ceil(0.95 * double(null.size()))) - 1];
        layer.nullMean = 0;
        for (const double value : null) layer.nullMean += value / double(null.size());
    }
    const std::vector<double> q = benjaminiHochberg(p);
    for (std::size_t l = 0; l < q.size(); ++l) result.layers[l].q = q[l];
}

void judgeExperts(Specialization& result, const Observation& truth, const Tally& tally) {
    std::vector<double> p;
    for (std::size_t c = 0; c < truth.topLift.size(); ++c)
        p.push_back(truth.topLift[c] > 0 ? probabilityOf(tally.cell[c], result.permutations)
                                         : kNan);
    const std::vector<double> q = benjaminiHochberg(p);
    const auto experts = std::size_t(result.experts);
    std::int64_t reliable = 0;
    for (std::size_t c = 0; c < q.size(); ++c) {
        result.layers[c / experts].expertQ[c % experts] = q[c];
        if (truth.topLift[c] > result.liftThreshold && q[c] < Specialization::kReliableQ)
            ++reliable;
    }
    result.reliableShare = double(reliable) / double(q.size());
}

void judge(Specialization& result, const Counts& counts, const StopFlag* stop) {
    Observer observer(counts, result.liftThreshold);
    const Observation truth = observer.observe(counts.group);
    for (std::size_t l = 0; l < counts.layers.size(); ++l)
        result.layers.push_back(layerOf(truth, counts, l));
    Tally tally;
    tally.null.resize(counts.layers.size());
    tally.layer.resize(counts.layers.size());
    tally.cell.resize(counts.cells());
    LabelShuffler shuffler(counts.group, counts.block, result.exchange, result.seed);
    for (int i = 0; i < result.permutations; ++i) {
        throwIfStopped(stop);
        tally.add(observer.observe(shuffler.next()), truth);
    }
    result.meanDivergence = truth.meanDivergence;
    result.meanNull = tally.sumOfMeans / result.permutations;
    result.p =
        std::isnan(truth.meanDivergence) ? kNan : probabilityOf(tally.mean, result.permutations);
    result.specializedShare = truth.share;
    result.chanceShare = tally.sumOfShares / result.permutations;
    result.shareP = probabilityOf(tally.share, result.permutations);
    judgeLayers(result, tally);
    judgeExperts(result, truth, tally);
}

/// Where a text takes part.
struct Place {
    std::size_t group = 0, block = 0;
};
using Places = std::unordered_map<std::int64_t, Place>;  ///< by sequence

/// Fills result.groups with those that have two texts (WholeBlocks: two blocks) with routing.
Places placesOf(std::span<const RoutingCountRow> rows, std::span<const GroupedText> texts,
                Specialization& result) {
    std::unordered_set<std::int64_t> routed;
    for (const RoutingCountRow& row : rows)
        if (row.count > 0) routed.insert(row.sequence);
    std::vector<const GroupedText*> kept;
    for (const GroupedText& text : texts)
        if (!text.group.empty() && routed.count(text.sequence) > 0) kept.push_back(&text);
    if (result.exchange == Exchange::WithinBlocks) {
        std::map<std::string_view, std::set<std::string_view>> groups;
        for (const GroupedText* text : kept) groups[text->block].insert(text->group);
        std::erase_if(kept, [&](const GroupedText* t) { return groups[t->block].size() < 2; });
    }
    struct Size {
        std::int64_t texts = 0;
        std::set<std::string_view> blocks;
    };
    std::map<std::string_view, Size> sizes;
    for (const GroupedText* text : kept) {
        Size& size = sizes[text->group];
        ++size.texts;
        size.blocks.insert(text->block);
    }
    std::map<std::string_view, std::size_t> groupIndex, blockIndex;
    for (const auto& [name, size] : sizes) {
        const auto units = result.exchange == Exchange::WholeBlocks
                               ? static_cast<std::int64_t>(size.blocks.size())
                               : size.texts;
        if (units < 2) continue;
        groupIndex[name] = result.groups.size();
        result.groups.push_back({std::string(name), size.texts, 0});
    }
    Places places;
    for (const GroupedText* text : kept) {
        const auto group = groupIndex.find(text->group);
        if (group == groupIndex.end()) continue;
        const auto block = blockIndex.emplace(text->block, blockIndex.size()).first;
        places[text->sequence] = {group->second, block->second};
    }
    result.sequencesLeftOut = static_cast<std::int64_t>(routed.size() - places.size());
    return places;
}

/// The rows that take part, by sequence.
std::vector<const RoutingCountRow*> rowsOf(std::span<const RoutingCountRow> rows,
                                           const Places& places) {
    std::vector<const RoutingCountRow*> kept;
    for (const RoutingCountRow& row : rows)
        if (row.count > 0 && row.layer >= 0 && row.expert >= 0 && places.count(row.sequence) > 0)
            kept.push_back(&row);
    const auto key = [](const RoutingCountRow* r) {
        return std::tuple(r->sequence, r->layer, r->expert);
    };
    std::sort(kept.begin(), kept.end(), [&](auto* a, auto* b) { return key(a) < key(b); });
    return kept;
}

Counts countsOf(const std::vector<const RoutingCountRow*>& rows, const Places& places,
                const std::map<int, std::size_t>& layers, Specialization& result) {
    Counts counts;
    counts.experts = std::size_t(result.experts);
    counts.groups = result.groups.size();
    for (const auto& [layer, index] : layers) counts.layers.push_back(layer);
    const RoutingCountRow* previous = nullptr;
    for (const RoutingCountRow* row : rows) {
        const Place& place = places.at(row->sequence);
        const bool same = previous != nullptr && previous->sequence == row->sequence;
        if (!same) {
            counts.begin.push_back(counts.entries.size());
            counts.group.push_back(place.group);
            counts.block.push_back(place.block);
        }
        const auto cell =
            std::uint32_t(layers.at(row->layer) * counts.experts + std::size_t(row->expert));
        if (same && counts.entries.back().cell == cell)
            counts.entries.back().count += double(row->count);  // the other phase
        else
            counts.entries.push_back({cell, double(row->count)});
        result.groups[place.group].assignments += double(row->count);
        previous = row;
    }
    counts.begin.push_back(counts.entries.size());
    if (result.exchange != Exchange::Texts)
        result.blocks = static_cast<std::int64_t>(
            std::set<std::size_t>(counts.block.begin(), counts.block.end()).size());
    return counts;
}

std::string tooLarge(const std::string& what) {
    return "This run has too many " + what + " to test them for specialisation.";
}

}  // namespace

double LayerSpecialization::topLift(std::size_t expert) const noexcept {
    const int group = dominant[expert];
    return group < 0 ? kNan : lift[std::size_t(group) * dominant.size() + expert];
}

Specialization specialization(std::span<const RoutingCountRow> rows,
                              std::span<const GroupedText> texts, Exchange exchange, int experts,
                              const SpecializationOptions& options) {
    Specialization result;
    result.exchange = exchange;
    result.seed = options.seed;
    result.liftThreshold = options.liftThreshold;
    result.experts = std::max(experts, 1);
    const Places places = placesOf(rows, texts, result);
    if (result.groups.size() < 2) {
        const std::string unit = exchange == Exchange::WholeBlocks ? "cases" : "texts";
        result.reason = "Specialisation needs at least two groups of texts with at least two " +
                        unit + " each; this run has " +
                        (result.groups.empty() ? std::string("none")
                                               : "only \"" + result.groups[0].name + "\"") +
                        ".";
        return result;
    }
    if (result.groups.size() > kMaxGroups) {
        result.reason = tooLarge("groups (" + std::to_string(result.groups.size()) + ")");
        return result;
    }
    const std::vector<const RoutingCountRow*> kept = rowsOf(rows, places);
    std::map<int, std::size_t> layers;
    for (const RoutingCountRow* row : kept) {
        layers[row->layer];
        result.experts = std::max(result.experts, row->expert + 1);
        if (layers.size() * std::size_t(result.experts) * result.groups.size() > kMaxCells) {
            result.reason = tooLarge("groups, layers and experts");
            return result;
        }
    }
    std::size_t index = 0;
    for (auto& [layer, position] : layers) position = index++;
    const std::size_t cells = layers.size() * std::size_t(result.experts);
    const double work = double(kept.size()) + kLogarithmCost * double(cells * result.groups.size());
    result.permutations = int(std::min(double(options.permutations), options.work / work));
    if (result.permutations < std::min(options.permutations, kLeastPermutations)) {
        result.reason = tooLarge("texts, groups and experts");
        return result;
    }
    judge(result, countsOf(kept, places, layers, result), options.stop);
    return result;
}

Specialization specialization(std::span<const RoutingCountRow> rows,
                              std::span<const SequenceRow> sequences, int experts,
                              const SpecializationOptions& options) {
    std::vector<GroupedText> texts;
    texts.reserve(sequences.size());
    for (const SequenceRow& sequence : sequences)
        texts.push_back({sequence.id, sequence.group, {}});
    return specialization(rows, texts, Exchange::Texts, experts, options);
}

int statedExperts(const RunReader& run) {
    const nlohmann::json routing = run.metaJson("routing");
    if (!routing.is_object() || !routing.contains("experts") ||
        !routing["experts"].is_number_integer())
        return 0;
    const auto stated = routing["experts"].get<std::int64_t>();
    return stated > 0 && stated <= INT16_MAX ? int(stated) : 0;
}

Specialization specialization(const RunReader& run, const SpecializationOptions& options) {
    return specialization(run.routingCounts(), run.sequences(), statedExperts(run), options);
}

std::vector<GroupExpert> leadingExperts(const Specialization& of, std::size_t group,
                                        std::size_t limit) {
    std::vector<GroupExpert> experts;
    for (const LayerSpecialization& layer : of.layers) {
        for (std::size_t e = 0; e < layer.dominant.size(); ++e) {
            if (layer.dominant[e] != int(group) || !of.reliable(layer, e)) continue;
            experts.push_back({layer.layer, int(e), layer.topLift(e),
                               layer.probability[group * layer.dominant.size() + e],
                               layer.expertQ[e]});
        }
    }
    std::stable_sort(experts.begin(), experts.end(),
                     [](const auto& a, const auto& b) { return a.lift > b.lift; });
    if (experts.size() > limit) experts.resize(limit);
    return experts;
}

}  // namespace moescope
