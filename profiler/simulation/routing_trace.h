// SPDX-License-Identifier: Apache-2.0
// Every token's experts of a run in memory: what simulations of other machines are fed with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profiler/runfile/run_reader.h"

namespace moescope {

/// One text with its tokens in order of position; those that lack a layer are not among them.
struct TracedText {
    std::int64_t sequence = 0;
    std::string group;                  ///< may be empty
    std::int64_t tokens = 0;            ///< n_token
    std::vector<std::int16_t> experts;  ///< (n_token, n_layer, top_k) distinct within a choice
    std::vector<bool> follows;          ///< (n_token) its position is next to the one before it
};

struct RoutingTrace {
    std::string reason;  ///< why there are no texts, a sentence; empty when there are
    int experts = 0;     ///< of a layer
    int topK = 0;
    std::vector<int> layers;  ///< n_layer, ascending: the model's layers with experts
    std::vector<TracedText> texts;
    std::int64_t tokens = 0;         ///< of all texts
    std::int64_t tokensLeftOut = 0;  ///< without all layers, or with a choice that is none
    std::int64_t textsLeftOut = 0;   ///< of other layers or top-k, or behind kMaxTraceChoices

    bool empty() const noexcept { return texts.empty(); }
    /// Experts in all layers.
    std::size_t cells() const noexcept { return layers.size() * static_cast<std::size_t>(experts); }
    /// Experts of one token in one layer, by the index of each.
    std::span<const std::int16_t> choice(const TracedText& text, std::int64_t token,
                                         std::size_t layer) const noexcept {
        const auto k = static_cast<std::size_t>(topK);
        return {text.experts.data() + (static_cast<std::size_t>(token) * layers.size() + layer) * k,
                k};
    }
};

/// 512 MiB: 2.8 million tokens of gpt-oss-20b.
inline constexpr std::size_t kMaxTraceChoices = std::size_t{1} << 28U;
/// More layers than any model has: texts with more are left out.
inline constexpr std::size_t kMaxTraceLayers = 4096;
/// Experts in all layers: simulations of more give a reason instead of figures.
inline constexpr std::size_t kMaxTraceCells = std::size_t{1} << 20U;

/// Which tokens of a text: what a token is routed to depends on the text before it and not on
/// whether it was given or written, but prompts and replies are different texts.
enum class TracePart : std::uint8_t { All, Prompt, Generated };

/// `experts` as RunSummary has it; ids beyond it leave their token out. Layers and top-k are those
/// that most tokens have. Where a rewind left two rows for a position the one that begins later
/// counts. Throws Error naming the file when it is damaged.
RoutingTrace routingTrace(const RunReader& run, int experts, TracePart part = TracePart::All,
                          const StopFlag* stop = nullptr);

}  // namespace moescope
