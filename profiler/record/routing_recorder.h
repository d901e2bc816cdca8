// SPDX-License-Identifier: Apache-2.0
// Counts every routing decision per sequence, phase, layer and expert; ids and weights on request.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_set>
#include <vector>

#include "engine/trace.h"
#include "profiler/runfile/run_writer.h"

namespace moescope {

struct RoutingOptions {
    int experts = 0;        ///< routed experts of a layer
    int topK = 0;           ///< experts a token chooses
    int layers = 0;         ///< layers of the model, MoE or not
    int expertLayers = 0;   ///< those with experts: RunRecorder expects each to be heard of
    bool perToken = false;  ///< also keep each token's expert ids
    bool weights = false;   ///< and their gate weights
    /// Several sequences at a time: each ends when it is drained, not when another begins.
    bool interleaved = false;
};

/// Counts are kept per sequence because tests between groups of texts are only valid when whole
/// sequences are resampled. A sequence ends when another begins (unless interleaved), at drain() or
/// at finish(); one that comes back after that throws Error, since its rows would replace the
/// earlier ones.
class RoutingRecorder final : public RoutingSink {
public:
    /// The writer must outlive the recorder. Throws Error for options outside [1, 32767].
    RoutingRecorder(RunWriter& writer, RoutingOptions options);

    void onRouting(const StepInfo& step, int layer, int topK, std::span<const std::int32_t> experts,
                   std::span<const float> weights) override;

    /// Ends a sequence and returns its rows instead of writing them, so that a caller can commit
    /// them together with what they belong to (an evaluation item). Empty for one that is not open.
    std::vector<AnyRow> drain(std::int64_t sequence);

    /// Writes what is left. Whether it is all of the run's is told by RunRecorder.
    void finish();

    std::int64_t rejected() const noexcept { return rejected_; }  ///< ids outside the experts

private:
    struct Open {
        std::vector<std::int64_t> counts;       // (2 phases, n_layer, n_expert)
        std::vector<RoutingTokensRow> pending;  // (n_layer) per-token rows being filled
        std::vector<AnyRow> tokenRows;          // full per-token rows
        std::int64_t callsSinceWrite = 0;
    };

    Open& open(std::int64_t sequence);
    void countIds(Open& open, std::size_t phase, int layer, std::span<const std::int32_t> experts);
    void keepTokens(Open& open, const StepInfo& step, int layer, int topK,
                    std::span<const std::int32_t> experts, std::span<const float> weights) const;
    std::vector<AnyRow> countRows(std::int64_t sequence, const Open& open) const;

    RunWriter& writer_;
    RoutingOptions options_;
    std::map<std::int64_t, Open> open_;
    std::unordered_set<std::int64_t> ended_;  // sequences whose counts are final
    std::int64_t rejected_ = 0;
};

}  // namespace moescope
