// SPDX-License-Identifier: Apache-2.0
#include "profiler/record/routing_recorder.h"

#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr int kTokensPerRow = 256;  ///< a kill loses at most this many tokens' ids
constexpr std::int64_t kSnapshot =
    1024;  ///< calls between two writings of a long sequence's counts
constexpr const char* kPhases[] = {"prefill", "decode"};

}  // namespace

RoutingRecorder::RoutingRecorder(RunWriter& writer, RoutingOptions options)
    : writer_(writer), options_(options) {
    constexpr int kMost = std::numeric_limits<std::int16_t>::max();  // ids are stored as int16
    for (const int value : {options.experts, options.topK, options.layers, options.expertLayers}) {
        if (value < 1 || value > kMost || options.expertLayers > options.layers) {
            throw Error("routing cannot be recorded: " + std::to_string(options.layers) +
                        " layers, " + std::to_string(options.experts) + " experts, top-" +
                        std::to_string(options.topK));
        }
    }
}

RoutingRecorder::Open& RoutingRecorder::open(std::int64_t sequence) {
    if (const auto found = open_.find(sequence); found != open_.end()) return found->second;
    while (!options_.interleaved && !open_.empty()) writer_.add(drain(open_.begin()->first));
    if (ended_.contains(sequence)) {
        throw Error(writer_.path().string() + ": sequence " + std::to_string(sequence) +
                    " was routed again after it had ended");
    }
    Open& fresh = open_[sequence];
    fresh.counts.resize(std::size_t(2) * std::size_t(options_.layers) *
                        std::size_t(options_.experts));
    fresh.pending.resize(std::size_t(options_.layers));
    return fresh;
}

void RoutingRecorder::onRouting(const StepInfo& step, int layer, int topK,
                                std::span<const std::int32_t> experts,
                                std::span<const float> weights) {
    Open& own = open(step.sequence);
    const bool sized = std::int64_t(experts.size()) == std::int64_t{step.tokens} * topK;
    if (layer < 0 || layer >= options_.layers || topK != options_.topK || !sized) {
        throw Error("routing of layer " + std::to_string(layer) + " came with " +
                    std::to_string(experts.size()) + " expert ids for " +
                    std::to_string(step.tokens) + " tokens");
    }
    countIds(own, step.kind == StepKind::Decode ? 1 : 0, layer, experts);
    if (options_.perToken) keepTokens(own, step, layer, topK, experts, weights);
    // Of several at a time none is in the file before it is drained, with what it belongs to.
    if (!options_.interleaved && ++own.callsSinceWrite >= kSnapshot &&
        layer == options_.layers - 1) {
        own.callsSinceWrite = 0;
        std::vector<AnyRow> rows = countRows(step.sequence, own);
        std::move(own.tokenRows.begin(), own.tokenRows.end(), std::back_inserter(rows));
        own.tokenRows.clear();
        writer_.add(std::move(rows));
    }
}

void RoutingRecorder::countIds(Open& open, std::size_t phase, int layer,
                               std::span<const std::int32_t> experts) {
    const std::size_t row = phase * std::size_t(options_.layers) + std::size_t(layer);
    std::int64_t* counts = open.counts.data() + row * std::size_t(options_.experts);
    for (const std::int32_t expert : experts) {
        if (expert < 0 || expert >= options_.experts) {
            ++rejected_;
            continue;
        }
        ++counts[expert];
    }
}

void RoutingRecorder::keepTokens(Open& open, const StepInfo& step, int layer, int topK,
                                 std::span<const std::int32_t> experts,
                                 std::span<const float> weights) const {
    RoutingTokensRow& row = open.pending[std::size_t(layer)];
    const bool follows = row.firstPosition + row.tokens == step.firstPosition;
    if (row.tokens > 0 && (!follows || row.tokens >= kTokensPerRow)) {
        open.tokenRows.emplace_back(std::exchange(row, {}));
    }
    if (row.tokens == 0) {
        row.sequence = step.sequence;
        row.layer = layer;
        row.firstPosition = step.firstPosition;
        row.topK = topK;
    }
    row.tokens += step.tokens;
    for (const std::int32_t expert : experts) {
        const bool valid = expert >= 0 && expert < options_.experts;
        row.experts.push_back(valid ? std::int16_t(expert) : std::int16_t{-1});
    }
    if (options_.weights) row.weights.insert(row.weights.end(), weights.begin(), weights.end());
}

std::vector<AnyRow> RoutingRecorder::countRows(std::int64_t sequence, const Open& open) const {
    std::vector<AnyRow> rows;
    std::size_t cell = 0;
    for (const char* phase : kPhases) {
        for (int layer = 0; layer < options_.layers; ++layer) {
            for (int expert = 0; expert < options_.experts; ++expert, ++cell) {
                if (open.counts[cell] == 0)
                    continue;  // absent rows are zeros, as docs/run-file.md says
                rows.emplace_back(
                    RoutingCountRow{sequence, phase, layer, expert, open.counts[cell]});
            }
        }
    }
    return rows;
}

std::vector<AnyRow> RoutingRecorder::drain(std::int64_t sequence) {
    const auto found = open_.find(sequence);
    if (found == open_.end()) return {};
    Open own = std::move(found->second);
    open_.erase(found);
    ended_.insert(sequence);
    std::vector<AnyRow> rows = countRows(sequence, own);
    std::move(own.tokenRows.begin(), own.tokenRows.end(), std::back_inserter(rows));
    for (RoutingTokensRow& row : own.pending) {
        if (row.tokens > 0) rows.emplace_back(std::move(row));
    }
    return rows;
}

void RoutingRecorder::finish() {
    while (!open_.empty()) writer_.add(drain(open_.begin()->first));
}

}  // namespace moescope
