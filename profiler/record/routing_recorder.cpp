// SPDX-License-Identifier: Apache-2.0
#include "profiler/record/routing_recorder.h"

#include <algorithm>
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
    for (const int value : {options.experts, options.topK, options.layers}) {
        if (value < 1 || value > kMost) {
            throw Error("routing cannot be recorded: " + std::to_string(options.layers) +
                        " layers, " + std::to_string(options.experts) + " experts, top-" +
                        std::to_string(options.topK));
        }
    }
    counts_.resize(std::size_t(2) * std::size_t(options.layers) * std::size_t(options.experts));
    layerTokens_.resize(std::size_t(options.layers));
    pending_.resize(std::size_t(options.layers));
}

void RoutingRecorder::beginSequence(std::int64_t sequence) {
    if (open_ && sequence == sequence_) return;
    if (open_) writer_.add(drain());
    if (ended_.contains(sequence)) {
        throw Error(writer_.path().string() + ": sequence " + std::to_string(sequence) +
                    " was routed again after it had ended");
    }
    sequence_ = sequence;
    open_ = true;
}

void RoutingRecorder::onRouting(const StepInfo& step, int layer, int topK,
                                std::span<const std::int32_t> experts,
                                std::span<const float> weights) {
    beginSequence(step.sequence);
    const bool sized = std::int64_t(experts.size()) == std::int64_t{step.tokens} * topK;
    if (layer < 0 || layer >= options_.layers || topK != options_.topK || !sized) {
        throw Error("routing of layer " + std::to_string(layer) + " came with " +
                    std::to_string(experts.size()) + " expert ids for " +
                    std::to_string(step.tokens) + " tokens");
    }
    layerTokens_[std::size_t(layer)] += step.tokens;
    countIds(step.kind == StepKind::Decode ? 1 : 0, layer, experts);
    if (options_.perToken) keepTokens(step, layer, topK, experts, weights);
    if (++callsSinceWrite_ >= kSnapshot && layer == options_.layers - 1) {
        callsSinceWrite_ = 0;
        std::vector<AnyRow> rows = countRows();
        std::move(tokenRows_.begin(), tokenRows_.end(), std::back_inserter(rows));
        tokenRows_.clear();
        writer_.add(std::move(rows));
    }
}

void RoutingRecorder::countIds(std::size_t phase, int layer,
                               std::span<const std::int32_t> experts) {
    const std::size_t row = phase * std::size_t(options_.layers) + std::size_t(layer);
    std::int64_t* counts = counts_.data() + row * std::size_t(options_.experts);
    for (const std::int32_t expert : experts) {
        if (expert < 0 || expert >= options_.experts) {
            ++rejected_;
            continue;
        }
        ++counts[expert];
        ++assignments_;
    }
}

void RoutingRecorder::keepTokens(const StepInfo& step, int layer, int topK,
                                 std::span<const std::int32_t> experts,
                                 std::span<const float> weights) {
    RoutingTokensRow& row = pending_[std::size_t(layer)];
    const bool follows = row.firstPosition + row.tokens == step.firstPosition;
    if (row.tokens > 0 && (!follows || row.tokens >= kTokensPerRow)) {
        tokenRows_.emplace_back(std::exchange(row, {}));
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

std::vector<AnyRow> RoutingRecorder::countRows() const {
    std::vector<AnyRow> rows;
    std::size_t cell = 0;
    for (const char* phase : kPhases) {
        for (int layer = 0; layer < options_.layers; ++layer) {
            for (int expert = 0; expert < options_.experts; ++expert, ++cell) {
                if (counts_[cell] == 0)
                    continue;  // absent rows are zeros, as docs/run-file.md says
                rows.emplace_back(RoutingCountRow{sequence_, phase, layer, expert, counts_[cell]});
            }
        }
    }
    return rows;
}

std::vector<AnyRow> RoutingRecorder::drain() {
    if (!open_) return {};
    std::vector<AnyRow> rows = countRows();
    std::move(tokenRows_.begin(), tokenRows_.end(), std::back_inserter(rows));
    tokenRows_.clear();
    for (RoutingTokensRow& row : pending_) {
        if (row.tokens > 0) rows.emplace_back(std::exchange(row, {}));
    }
    std::fill(counts_.begin(), counts_.end(), 0);
    ended_.insert(sequence_);
    open_ = false;
    return rows;
}

std::int64_t RoutingRecorder::expectedAssignments() const noexcept {
    std::int64_t moeLayers = 0, tokens = 0;
    for (const std::int64_t count : layerTokens_) {
        moeLayers += count > 0 ? 1 : 0;
        tokens = std::max(tokens, count);
    }
    return tokens * options_.topK * moeLayers;
}

void RoutingRecorder::finish() {
    writer_.add(drain());
    const std::int64_t expected = expectedAssignments();
    const std::int64_t difference = assignments_ - expected;
    writer_.add(QualityRow{"routing_sum", double(difference), "assignments", difference == 0,
                           "Routing counts add up to " + std::to_string(assignments_) +
                               "; tokens x top-k x MoE layers is " + std::to_string(expected) +
                               "; " + std::to_string(rejected_) +
                               " ids were outside the model's experts."});
}

}  // namespace moescope
