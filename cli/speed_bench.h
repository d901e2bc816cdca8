// SPDX-License-Identifier: Apache-2.0
// Timing of prefill and decode, for commands that compare speeds: the work of a pass is counted in
// one that is not timed, and the read bandwidth is measured beside each that is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/run/session.h"

namespace moescope::cli {

/// Passes of one task. Rates follow from tokens * sequences.
struct SpeedRow {
    std::string phase;                   ///< "prefill", "decode"
    int tokens = 0;                      ///< of each sequence
    int sequences = 1;                   ///< at a time
    int depth = 0;                       ///< tokens of each sequence that were there before
    std::vector<double> seconds;         ///< one a repetition
    std::uint64_t bytes = 0, flops = 0;  ///< one repetition
    double bandwidth = 0;                ///< best read bandwidth seen beside it, bytes per second

    double best() const;
    double median() const;
};

/// A damaged model is as fast as a whole one, but its speed must not be reported: passes throw
/// Error for logits that are not finite, and Interrupted when `stop` is set before one.
class SpeedBench {
public:
    /// All outlive it; the sinks and the flag may be null.
    SpeedBench(const Model& model, Session& session, TraceSink* trace, RoutingSink* routing,
               const StopFlag* stop)
        : model_(model), session_(session), trace_(trace), routing_(routing), stop_(stop) {}

    /// repeat 0: the task, warmed up and its work counted, for again().
    SpeedRow prefill(int tokens, int repeat);
    /// Decodes greedily after a prompt of `depth` tokens; 0: the first step has nothing before it.
    SpeedRow decode(int depth, int tokens, int repeat);
    /// The same for several sequences at a time, in steps of one token each.
    SpeedRow decodeMany(int sequences, int depth, int tokens, int repeat);

    /// One more repetition of a row of prefill() or decode().
    void again(SpeedRow& row) { pass(row, Pass::Timed); }

private:
    /// The first pass of a row warms up and counts the work, which a timed one leaves alone.
    enum class Pass : std::uint8_t { Counted, Timed };

    SpeedRow repeated(SpeedRow row, int repeat);
    void pass(SpeedRow& row, Pass kind);
    void decodeStep(ForwardPass& pass, const std::vector<std::shared_ptr<KvCache>>& caches,
                    std::vector<TokenId>& next, std::span<const std::int32_t> rows,
                    int position) const;
    void chooseHere(ForwardPass& pass, std::span<const std::int32_t> rows,
                    std::span<TokenId> tokens) const;
    double readBandwidth() const;

    const Model& model_;
    Session& session_;
    TraceSink* trace_;
    RoutingSink* routing_;
    const StopFlag* stop_;
    std::int64_t nextSequence_ = 0;
};

}  // namespace moescope::cli
