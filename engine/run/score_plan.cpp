// SPDX-License-Identifier: Apache-2.0
// A prefix tree over the sorted sequences.
#include "engine/run/score_plan.h"

#include <algorithm>
#include <numeric>

namespace moescope {
namespace {

/// Fewer tokens are evaluated again rather than shared: a node costs a cache of its own.
constexpr std::size_t kWorthSharing = 4;

class Planner {
public:
    Planner(std::span<const ScoreSequence> sequences, const ScorePlanOptions& options)
        : sequences_(sequences), options_(options) {
        plan_.order.resize(sequences.size());
        std::iota(plan_.order.begin(), plan_.order.end(), std::size_t{0});
    }

    ScorePlan make() {
        if (options_.share) {
            std::stable_sort(
                plan_.order.begin(), plan_.order.end(), [&](std::size_t a, std::size_t b) {
                    return std::ranges::lexicographical_compare(evaluated(a), evaluated(b));
                });
            if (!plan_.order.empty()) build(0, plan_.order.size(), {});
        } else {
            for (std::size_t k = 0; k < plan_.order.size(); ++k) leaf(k, k + 1, {});
        }
        return std::move(plan_);
    }

private:
    /// Where a group of sequences goes on.
    struct Place {
        std::ptrdiff_t parent = ScorePlan::kFresh;
        std::size_t depth = 0;
        int lineage = 0;
    };

    std::span<const TokenId> evaluated(std::size_t sequence) const {
        const auto& tokens = sequences_[sequence].tokens;
        return std::span(tokens).first(tokens.size() - 1);
    }
    std::span<const TokenId> at(std::size_t k) const { return evaluated(plan_.order[k]); }

    static std::size_t common(std::span<const TokenId> a, std::span<const TokenId> b) {
        return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
    }

    /// Of a fresh group that shares `shared` tokens: behind what is held of them.
    Place fromHeld(std::size_t first, std::size_t last, std::size_t shared) const {
        std::size_t kept = std::min(common(options_.held, at(first)), shared);
        for (std::size_t k = first; k < last; ++k) {
            const ScoreSequence& s = sequences_[plan_.order[k]];
            kept = std::min({kept, s.reportFrom - 1, s.tokens.size() - 2});
        }
        // Room for a node that the group shares, and for the leaves.
        while (kept > 0 && options_.heldLineage[kept - 1] > options_.maxLineage - 2) --kept;
        if (kept < kWorthSharing) return {};
        return {ScorePlan::kHeld, kept, options_.heldLineage[kept - 1]};
    }

    Place add(std::size_t first, std::size_t last, std::size_t end, const Place& place) {
        ScorePlan::Node node{place.parent, place.depth, end, first, last, plan_.nodes.size() + 1};
        plan_.nodes.push_back(node);
        return {static_cast<std::ptrdiff_t>(plan_.nodes.size()) - 1, end, place.lineage + 1};
    }

    void leaf(std::size_t first, std::size_t last, Place place) {
        add(first, last, at(first).size(), place);
    }

    /// order[first, last) share what is before place.depth.
    void build(std::size_t first, std::size_t last, Place place) {
        const std::size_t shared = common(at(first), at(last - 1));
        // A part of the group may have more in common with what is held than the group has.
        if (place.parent < 0) place = fromHeld(first, last, shared);
        if (at(first).size() == shared && at(last - 1).size() == shared) {
            leaf(first, last, place);  // all the same
            return;
        }
        const bool worth = shared >= place.depth + kWorthSharing;
        const std::size_t index = plan_.nodes.size();
        // The last place of a lineage is the leaves'.
        const bool deep = place.lineage + 1 >= options_.maxLineage;
        if (worth && !deep) place = add(first, last, shared, place);
        for (std::size_t begin = first; begin < last;) {
            std::size_t end = begin + 1;
            const auto groupOf = [&](std::size_t k) {  // by the token behind what is shared
                return at(k).size() == shared ? -1 : at(k)[shared];
            };
            while (end < last && groupOf(end) == groupOf(begin)) ++end;
            if (at(begin).size() == shared) {
                // Ends where the others go on: by the node before, or evaluated again.
                if (!worth || deep) leaf(begin, end, place);
            } else {
                build(begin, end, place);
            }
            begin = end;
        }
        if (worth && !deep) plan_.nodes[index].subtreeEnd = plan_.nodes.size();
    }

    std::span<const ScoreSequence> sequences_;
    const ScorePlanOptions& options_;
    ScorePlan plan_;
};

}  // namespace

ScorePlan planScoring(std::span<const ScoreSequence> sequences, const ScorePlanOptions& options) {
    return Planner(sequences, options).make();
}

}  // namespace moescope
