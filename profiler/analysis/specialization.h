// SPDX-License-Identifier: Apache-2.0
// Do groups of texts (domains, suites, groups of people) use different experts, and more than
// chance would have it? Definitions and their sources: docs/metrics.md, Specialisation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/label_shuffler.h"
#include "profiler/runfile/run_reader.h"

namespace moescope {

struct SpecializationOptions {
    double liftThreshold = 1.5;  ///< above it an expert counts as specialised in a group
    int permutations = 999;      ///< fewer where a run is so large that they would take minutes
    std::uint64_t seed = 1;
    double work = 2e9;               ///< additions at most, about a second or three
    const StopFlag* stop = nullptr;  ///< set: throws Interrupted
};

/// A text that may take part.
struct GroupedText {
    std::int64_t sequence = 0;
    std::string group;  ///< empty: of none
    std::string block;  ///< of those that Exchange speaks of; unused for Exchange::Texts
};

struct TextGroup {
    std::string name;
    std::int64_t sequences = 0;
    double assignments = 0;  ///< over all layers; exact below 2^53
};

/// One layer. P(e|g) is the share of group g's assignments that went to expert e, and P(e) the mean
/// of P(e|g) over the groups: every group weighs the same, however much text it has.
/// Figures that the run cannot tell are NaN.
struct LayerSpecialization {
    int layer = 0;
    std::vector<double> probability;  ///< (n_group, n_expert) P(e|g); NaN: no token of g here
    std::vector<double> lift;         ///< (n_group, n_expert) P(e|g) / P(e), 0..n_group
    /// Jensen-Shannon divergence of all groups with equal weights (Lin 1991), bits: 0..log2
    /// n_group. Also the mutual information of expert and group: what one choice tells about the
    /// group.
    double divergence = 0;
    double meanPairwise = 0;      ///< mean of the divergences of two groups, 0..1 bit
    double nullMean = 0;          ///< of `divergence`, with the groups' names shuffled
    double null95 = 0;            ///< its 95th percentile
    double p = 0;                 ///< (permutations at or above + 1) / (permutations + 1)
    double q = 0;                 ///< p adjusted over the layers (Benjamini and Hochberg 1995)
    std::vector<int> dominant;    ///< (n_expert) group of the greatest lift; -1: nobody chose it
    std::vector<double> expertQ;  ///< (n_expert) of the greatest lift, adjusted over all pairs

    double excess() const noexcept { return divergence - nullMean; }
    double topLift(std::size_t expert) const noexcept;  ///< NaN when nobody chose it
};

struct Specialization {
    std::string reason;             ///< why there are no figures, a sentence; empty when there are
    std::vector<TextGroup> groups;  ///< by name
    Exchange exchange = Exchange::Texts;
    std::int64_t blocks = 0;  ///< that the names were shuffled within, or whole; 0 for Texts
    /// Without a group, alone in theirs, or in a block that has a single group (WithinBlocks).
    std::int64_t sequencesLeftOut = 0;
    int experts = 0;
    int permutations = 0;
    std::uint64_t seed = 0;
    double liftThreshold = 0;
    std::vector<LayerSpecialization> layers;         ///< ascending
    double meanDivergence = 0, meanNull = 0, p = 0;  ///< of the mean over the layers
    /// Of all (layer, expert) pairs, those whose greatest lift is above the threshold ...
    double specializedShare = 0;
    double chanceShare = 0;    ///< ... mean of the same share with shuffled names
    double shareP = 0;         ///< ... is the share more than shuffling gives
    double reliableShare = 0;  ///< ... and expertQ is below kReliableQ

    static constexpr double kReliableQ = 0.05;
    bool empty() const noexcept { return layers.empty(); }
    /// The greatest lift is above the threshold, and more than chance would have it.
    bool reliable(const LayerSpecialization& layer, std::size_t expert) const noexcept {
        return layer.topLift(expert) > liftThreshold && layer.expertQ[expert] < kReliableQ;
    }
};

/// `rows` in any order, phases added up; `texts`: at most one of a sequence; `experts` 0: the
/// greatest id that occurs. Deterministic. Never throws for what a file may hold: too many groups
/// or cells give a `reason`.
Specialization specialization(std::span<const RoutingCountRow> rows,
                              std::span<const GroupedText> texts, Exchange exchange, int experts,
                              const SpecializationOptions& options = {});
/// The same of sequences by their groups.
Specialization specialization(std::span<const RoutingCountRow> rows,
                              std::span<const SequenceRow> sequences, int experts,
                              const SpecializationOptions& options = {});

/// Experts of a layer as the run's "routing" states them; 0 where it does not.
int statedExperts(const RunReader& run);

/// Of a run file; throws Error naming the file when it is damaged.
Specialization specialization(const RunReader& run, const SpecializationOptions& options = {});

struct GroupExpert {
    int layer = 0, expert = 0;
    double lift = 0;
    double share = 0;  ///< P(e|g)
    double q = 0;
};
/// At most `limit` experts that this group dominates reliably (expertQ < kReliableQ, lift above the
/// threshold), greatest lift first.
std::vector<GroupExpert> leadingExperts(const Specialization& of, std::size_t group,
                                        std::size_t limit);

}  // namespace moescope
