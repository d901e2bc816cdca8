// SPDX-License-Identifier: Apache-2.0
// Times every operation of every step on the CPU and writes them to the run file between steps.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/trace.h"
#include "profiler/record/run_clock.h"
#include "profiler/runfile/run_writer.h"

namespace moescope {

/// Driven by one thread, as TraceSink says. opBegin and opEnd read the clock and write into a
/// preallocated buffer; only stepEnd hands rows to the writer (and may throw its Error).
class SpanTracer final : public TraceSink {
public:
    /// Operation ids are step * kOperationsPerStep + index: unique without a look at the file.
    static constexpr std::int64_t kOperationsPerStep = 4096;

    /// The writer must outlive the tracer.
    SpanTracer(RunWriter& writer, RunClock clock, std::int64_t firstStep = 0);

    void stepBegin(const StepInfo& step) override;
    void stepEnd() override;
    void opBegin(Op op, int layer) override;
    void opEnd(const OpWork& work) override;

    /// Writes what is buffered and, when there was any step, the quality rows; call once, after the
    /// last step.
    void finish();

    /// Id of the open operation; -1 when none is, or when it was not kept.
    std::int64_t openOperation() const noexcept {
        return opOpen_ ? spans_.back().step * kOperationsPerStep + spans_.back().index : -1;
    }
    /// Id of the open step; -1 between two steps.
    std::int64_t openStep() const noexcept { return inStep_ ? nextStep_ : -1; }
    /// Every operation up to this id that was kept has been given to the writer. Any thread.
    std::int64_t writtenThrough() const noexcept { return writtenThrough_; }

    std::int64_t steps() const noexcept { return nextStep_ - firstStep_; }
    std::int64_t dropped() const noexcept { return dropped_; }
    std::int64_t unattributed() const noexcept { return unattributed_; }
    /// Operation time inside steps over the wall time of the steps, of the kind of step that is
    /// covered least: a long prefill must not hide what decoding misses. 1 when there was no step.
    double operationShare() const noexcept;

private:
    struct StepTime {
        std::int64_t wallNs = 0, operationNs = 0;
        double share() const noexcept {
            return wallNs > 0 ? double(operationNs) / double(wallNs) : 1.0;
        }
    };
    struct Span {
        std::int64_t step = 0;
        std::int64_t index = 0;
        std::int64_t startNs = 0, endNs = 0;
        OpWork work;
        std::int32_t layer = -1;
        Op op = Op::Embed;
    };

    StepTime& timeOf(StepKind kind) noexcept { return times_[kind == StepKind::Decode ? 1 : 0]; }
    std::string shareNote() const;
    void drain();
    void addQuality(const char* name, double value, const char* unit, bool ok, std::string note);

    RunWriter& writer_;
    RunClock clock_;
    std::vector<Span> spans_;
    std::vector<AnyRow> stepRows_;
    StepInfo step_;
    std::int64_t firstStep_, nextStep_;
    std::int64_t stepStartNs_ = 0;
    std::int64_t opIndex_ = 0;  ///< within the current or latest step
    std::int64_t lastDrainNs_ = 0;
    bool inStep_ = false;
    bool opOpen_ = false;
    bool anyStep_ = false;

    std::int64_t operations_ = 0, dropped_ = 0, unattributed_ = 0, unbalanced_ = 0;
    std::array<StepTime, 2> times_;  ///< prefill, decode
    std::atomic<std::int64_t> writtenThrough_{-1};
    std::int64_t systemMinusSteadyNs_ = 0;  ///< changes when somebody sets the system clock
};

}  // namespace moescope
