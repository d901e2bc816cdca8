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
        // Room for all layers only where as many rows have the position: a file of many layers with
        // a token each would take gigabytes.
        std::map<std::int64_t, std::size_t> rowsAt;
        for (const RoutingTokensRow& row : rows)
            for (std::int32_t t = 0; t < row.tokens; ++t) ++rowsAt[row.firstPosition + t];
        for (const auto& [position, count] : rowsAt)
            tokens_[position].resize(count >= trace.layers.size() ? trace.layers.size() : 0);
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
            if (choices.empty()) continue;
            choices[static_cast<std::size_t>(layer)] =
                row.experts.data() + static_cast<std::size_t>(t) * topK_;
        }
    }

    bool whole(const std::vector<const std::int16_t*>& choices) const {
        return !choices.empty() &&
               std::all_of(choices.begin(), choices.end(), [this](const std::int16_t* choice) {
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

/// Layers and top-k of a text; no layers where its rows differ in top-k or are of too many layers.
struct Shape {
    std::vector<int> layers;
    int topK = 0;
    // clang-tidy 14 takes the 0 that the compiler makes up here for ours.
    // NOLINTNEXTLINE(modernize-use-nullptr)
    auto operator<=>(const Shape&) const = default;
};

Shape shapeOf(const std::vector<RoutingTokensRow>& rows) {
    std::set<int> layers;
    int topK = 0;
    for (const RoutingTokensRow& row : rows) {
        if (row.tokens == 0) continue;
        if (topK != 0 && row.topK != topK) return {};
        topK = row.topK;
        layers.insert(row.layer);
        if (layers.size() > kMaxTraceLayers) return {};
    }
    return {{layers.begin(), layers.end()}, topK};
}

/// The shape that most tokens have, so that one damaged text does not decide for all.
Shape commonShape(const RunReader& run, const std::vector<SequenceRow>& sequences,
                  const StopFlag* stop) {
    std::map<Shape, std::int64_t> tokens;
    for (const SequenceRow& sequence : sequences) {
        throwIfStopped(stop);
        const std::vector<RoutingTokensRow> rows = run.routingTokens(sequence.id);
        const Shape shape = shapeOf(rows);
        if (shape.layers.empty()) continue;
        std::int64_t& count = tokens[shape];
        for (const RoutingTokensRow& row : rows) count += row.tokens;
    }
    const auto most =
        std::max_element(tokens.begin(), tokens.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == tokens.end() ? Shape() : most->first;
}

}  // namespace

RoutingTrace routingTrace(const RunReader& run, int experts, TracePart part, const StopFlag* stop) {
    RoutingTrace trace;
    trace.experts = experts;
    const std::vector<SequenceRow> sequences = run.sequences();
    const Shape shape = commonShape(run, sequences, stop);
    trace.layers = shape.layers;
    trace.topK = shape.topK;
    std::size_t choices = 0;
    for (const SequenceRow& sequence : sequences) {
        throwIfStopped(stop);
        const std::vector<RoutingTokensRow> rows = run.routingTokens(sequence.id);
        if (rows.empty()) continue;
        if (shape.layers.empty() || shapeOf(rows) != shape || choices >= kMaxTraceChoices) {
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
        trace.reason =
            trace.layers.empty()
                ? "This run does not hold the experts of each token; 'moescope profile or eval "
                  "--routing-tokens' records them."
                : "No token of this part of the texts has its experts in all layers.";
    return trace;
}

}  // namespace moescope
