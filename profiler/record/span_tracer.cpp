// SPDX-License-Identifier: Apache-2.0
#include "profiler/record/span_tracer.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>

namespace moescope {
namespace {

constexpr std::size_t kDrainSpans = 2048;
constexpr std::int64_t kDrainIntervalNs = 200'000'000;
constexpr double kGoodShare = 0.95;
constexpr double kGoodOverhead = 0.02;
constexpr std::int64_t kClockStepNs = 10'000'000;

std::int64_t systemMinusSteady() {
    const auto system = std::chrono::system_clock::now().time_since_epoch();
    const auto steady = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(system - steady).count();
}

}  // namespace

TimerFacts measureTimer() {
    constexpr int kReadings = 4000;
    const RunClock clock;
    std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
    const std::int64_t begin = clock.now();
    std::int64_t previous = begin;
    for (int i = 0; i < kReadings; ++i) {
        const std::int64_t now = clock.now();
        if (now > previous) smallest = std::min(smallest, now - previous);
        previous = now;
    }
    return {double(smallest), double(previous - begin) / kReadings};
}

SpanTracer::SpanTracer(RunWriter& writer, RunClock clock, std::int64_t firstStep)
    : writer_(writer),
      clock_(clock),
      firstStep_(firstStep),
      nextStep_(firstStep),
      systemMinusSteadyNs_(systemMinusSteady()) {
    // drain() empties at kDrainSpans, so this holds any single step on top of that.
    spans_.reserve(kDrainSpans + std::size_t(2 * kOperationsPerStep));
}

void SpanTracer::stepBegin(const StepInfo& step) {
    if (inStep_ || opOpen_) ++unbalanced_;
    opOpen_ = false;
    step_ = step;
    inStep_ = anyStep_ = true;
    opIndex_ = 0;
    stepStartNs_ = clock_.now();
}

void SpanTracer::opBegin(Op op, int layer) {
    if (opOpen_) ++unbalanced_;
    opOpen_ = false;
    if (!anyStep_) {
        ++unattributed_;
        return;
    }
    if (opIndex_ >= kOperationsPerStep || spans_.size() == spans_.capacity()) {
        ++dropped_;
        return;
    }
    opOpen_ = true;
    // Operations between two steps (sampling) belong to the step before them.
    const std::int64_t step = inStep_ ? nextStep_ : nextStep_ - 1;
    spans_.push_back({step, opIndex_++, 0, 0, {}, layer, op});
    spans_.back().startNs = clock_.now();  // last, so that our own work is outside the span
}

void SpanTracer::opEnd(const OpWork& work) {
    if (!opOpen_) return;  // its begin was dropped or unattributed, and counted there
    Span& span = spans_.back();
    span.endNs = clock_.now();
    span.work = work;
    opOpen_ = false;
    ++operations_;
    if (inStep_) timeOf(step_.kind).operationNs += span.endNs - span.startNs;
}

void SpanTracer::stepEnd() {
    const std::int64_t end = clock_.now();
    if (!inStep_) {
        ++unbalanced_;
        return;
    }
    inStep_ = false;
    timeOf(step_.kind).wallNs += end - stepStartNs_;
    stepRows_.emplace_back(StepRow{nextStep_, step_.sequence,
                                   step_.kind == StepKind::Decode ? "decode" : "prefill",
                                   step_.firstPosition, step_.tokens, stepStartNs_, end});
    ++nextStep_;
    if (spans_.size() >= kDrainSpans || end - lastDrainNs_ > kDrainIntervalNs) drain();
}

void SpanTracer::drain() {
    // An operation that an exception cut short has no end: it is not a measurement.
    if (opOpen_) {
        spans_.pop_back();
        opOpen_ = false;
        ++unbalanced_;
    }
    std::vector<AnyRow> rows = std::exchange(stepRows_, {});
    rows.reserve(rows.size() + spans_.size());
    for (const Span& span : spans_) {
        rows.emplace_back(OperationRow{
            span.step * kOperationsPerStep + span.index, span.step, span.layer,
            std::string(opName(span.op)), std::string(span.work.kernel), span.startNs, span.endNs,
            std::int64_t(span.work.bytes), std::int64_t(span.work.flops), span.work.threads});
    }
    const std::int64_t last =
        spans_.empty() ? -1 : spans_.back().step * kOperationsPerStep + spans_.back().index;
    spans_.clear();
    writer_.add(std::move(rows));
    if (last >= 0) writtenThrough_ = last;
    lastDrainNs_ = clock_.now();
}

double SpanTracer::operationShare() const noexcept {
    double least = 1;
    for (const StepTime& time : times_) least = std::min(least, time.share());
    return least;
}

void SpanTracer::addQuality(const char* name, double value, const char* unit, bool ok,
                            std::string note) {
    writer_.add(QualityRow{name, value, unit, ok, std::move(note)});
}

std::string SpanTracer::shareNote() const {
    const auto [prefill, decode] = times_;
    std::string note =
        "Operation time over the wall time of the steps; below 95 % time is missing.";
    if (prefill.wallNs > 0 && decode.wallNs > 0)
        note += std::string(" The smaller share counts: of ") +
                (decode.share() < prefill.share() ? "decode." : "prefill.");
    return note;
}

void SpanTracer::finish() {
    if (inStep_) stepEnd();  // an exception ended the step: keep the operations that completed
    drain();
    if (!anyStep_) return;  // nothing was watched, so nothing can be said of how well
    addQuality("dropped_records", double(dropped_), "records", dropped_ == 0,
               "Operations that did not fit into the trace buffer.");
    addQuality("unattributed_operations", double(unattributed_), "operations", unattributed_ == 0,
               "Operations that ran before any step began.");
    addQuality("unbalanced_scopes", double(unbalanced_), "scopes", unbalanced_ == 0,
               "Steps or operations that began or ended out of order, or were cut short.");
    const double share = operationShare();
    addQuality("op_time_share", share, "ratio", share >= kGoodShare, shareNote());
    const TimerFacts timer = measureTimer();
    addQuality("timer_resolution", timer.resolutionNs, "ns", timer.resolutionNs <= 1000,
               "Smallest step of the clock that times operations.");
    const std::int64_t wallNs = times_[0].wallNs + times_[1].wallNs;
    const double overhead =
        wallNs > 0 ? 2 * timer.costNs * double(operations_) / double(wallNs) : 0;
    addQuality("timer_overhead", overhead, "ratio", overhead <= kGoodOverhead,
               "Estimated share of step time spent reading the clock (two readings an operation); "
               "what else the tracer does is not in it.");
    const std::int64_t moved = std::abs(systemMinusSteady() - systemMinusSteadyNs_);
    addQuality("clock_step", double(moved), "ns", moved < kClockStepNs,
               "How far the system clock was set during the run; span times are not affected.");
}

}  // namespace moescope
