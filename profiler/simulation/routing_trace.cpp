// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/routing_trace.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace moescope {
namespace {

/// Rows of one sequence to whole tokens: a position counts once every layer has a choice for it.
class TextBuilder {
public:
    TextBuilder(const RoutingTrace& trace, const std::vector<RoutingTokensRow>& rows)
        : trace_(trace), topK_(static_cast<std::size_t>(trace.topK)) {
        for (const RoutingTokensRow& row : rows) add(row);
    }

    /// Appends the tokens in [begin, end); returns how many of them were left out.
    std::int64_t build(TracedText& text, std::int64_t begin, std::int64_t end) const {
        std::int64_t leftOut = 0, last = -2;
        for (const auto& [position, choices] : tokens_) {
            if (position < begin || position >= end) continue;
            if (!whole(choices)) {
                ++leftOut;
                continue;
            }
            for (const std::int16_t* choice : choices)
                text.experts.insert(text.experts.end(), choice, choice + topK_);
            text.follows.push_back(position == last + 1);
            last = position;
            ++text.tokens;
        }
        return leftOut;
    }

private:
    void add(const RoutingTokensRow& row) {
        const auto layer = std::lower_bound(trace_.layers.begin(), trace_.layers.end(), row.layer) -
                           trace_.layers.begin();
        for (std::int32_t t = 0; t < row.tokens; ++t) {
            std::vector<const std::int16_t*>& choices = tokens_[row.firstPosition + t];
            choices.resize(trace_.layers.size());
            choices[static_cast<std::size_t>(layer)] =
                row.experts.data() + static_cast<std::size_t>(t) * topK_;
        }
    }

    bool whole(const std::vector<const std::int16_t*>& choices) const {
        return std::all_of(choices.begin(), choices.end(), [this](const std::int16_t* choice) {
            if (choice == nullptr) return false;
            for (std::size_t k = 0; k < topK_; ++k) {
                if (choice[k] < 0 || choice[k] >= trace_.experts) return false;
                if (std::find(choice, choice + k, choice[k]) != choice + k) return false;
            }
            return true;
        });
    }

    const RoutingTrace& trace_;
    std::size_t topK_;
    std::map<std::int64_t, std::vector<const std::int16_t*>> tokens_;  // by position, (n_layer)
};

/// Whether all rows have the trace's layers, each at least once, and its top-k.
bool fits(const RoutingTrace& trace, const std::vector<RoutingTokensRow>& rows) {
    std::set<int> layers;
    for (const RoutingTokensRow& row : rows) {
        if (row.topK != trace.topK) return false;
        layers.insert(row.layer);
    }
    return std::equal(layers.begin(), layers.end(), trace.layers.begin(), trace.layers.end());
}

void takeShape(RoutingTrace& trace, const std::vector<RoutingTokensRow>& rows) {
    std::set<int> layers;
    for (const RoutingTokensRow& row : rows) layers.insert(row.layer);
    trace.layers.assign(layers.begin(), layers.end());
    trace.topK = rows.front().topK;
}

}  // namespace

RoutingTrace routingTrace(const RunReader& run, int experts, TracePart part, const StopFlag* stop) {
    RoutingTrace trace;
    trace.experts = experts;
    std::size_t choices = 0;
    for (const SequenceRow& sequence : run.sequences()) {
        throwIfStopped(stop);
        const std::vector<RoutingTokensRow> rows = run.routingTokens(sequence.id);
        if (rows.empty()) continue;
        if (trace.layers.empty()) takeShape(trace, rows);
        if (!fits(trace, rows) || choices >= kMaxTraceChoices) {
            ++trace.textsLeftOut;
            continue;
        }
        TracedText text;
        text.sequence = sequence.id;
        text.group = sequence.group;
        const std::int64_t begin = part == TracePart::Generated ? sequence.promptTokens : 0;
        const std::int64_t end = part == TracePart::Prompt
                                     ? sequence.promptTokens
                                     : std::numeric_limits<std::int64_t>::max();
        trace.tokensLeftOut += TextBuilder(trace, rows).build(text, begin, end);
        if (text.tokens == 0) {
            ++trace.textsLeftOut;
            continue;
        }
        choices += text.experts.size();
        trace.tokens += text.tokens;
        trace.texts.push_back(std::move(text));
    }
    if (trace.texts.empty())
        trace.reason = trace.layers.empty()
                           ? "This run does not hold the experts of each token; 'moescope profile "
                             "--routing-tokens' records them."
                           : "No token of this part of the texts has its experts in all layers.";
    return trace;
}

}  // namespace moescope
