// SPDX-License-Identifier: Apache-2.0
// Reads one set of hardware counters for each operation of each step, through CUPTI's range
// profiler: one range an operation, kernels inside it as concurrent as they always are, one pass.
//
// A run of its own: counting slows kernels down and excludes tracing. Its rows are joined with a
// traced run by layer and operation. Operations that a graph runs as a whole cannot be told apart,
// so that a back end must launch eagerly in such a run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/trace.h"
#include "profiler/cupti/driver_api.h"
#include "profiler/cupti/metric_plan.h"
#include "profiler/record/span_tracer.h"
#include "profiler/runfile/run_writer.h"

namespace moescope::cupti {

/// Driven by the engine's thread, which holds the CUDA context. A failure in the middle of the run
/// ends the counting, not the run: quality says so.
class CounterSession final : public TraceSink {
public:
    static constexpr std::size_t kMaxRanges = 1024;  ///< operations of a step

    /// After the model was loaded, so that there is a context. Throws Error with the cause: no
    /// rights, no device, another tool, a set that this chip cannot count in one pass. Call only
    /// when Availability says that counters are there. References must outlive the session.
    CounterSession(const CuptiApi& api, const CounterApi& counters, void* context,
                   const MetricSet& set);
    ~CounterSession() override;
    CounterSession(const CounterSession&) = delete;
    CounterSession& operator=(const CounterSession&) = delete;

    void attach(RunWriter& writer, SpanTracer& tracer);

    void stepBegin(const StepInfo& step) override;
    void stepEnd() override;
    void opBegin(Op op, int layer) override;
    void opEnd(const OpWork& work) override;

    /// After SpanTracer::finish: the quality rows.
    void finish();

    const std::string& chip() const noexcept { return chip_; }
    const std::string& failure() const noexcept { return failure_; }  ///< "" while it counts

private:
    bool ok(std::uint32_t result, const char* what);
    bool configure();
    void readRanges();
    /// False when it failed: then nothing of the range is in `rows`.
    bool readRange(std::size_t range, std::vector<AnyRow>& rows);

    const CuptiApi& api_;
    const CounterApi& counters_;
    const MetricSet& set_;
    std::string chip_;
    std::vector<std::uint8_t> availability_;
    std::unique_ptr<CounterHost> host_;
    MetricPlan plan_;  ///< CUPTI points into it until Disable
    std::vector<const char*> names_;
    std::vector<std::uint8_t> data_;
    std::vector<double> values_;  ///< (n_metrics) of the range that is being read
    RangeObject* object_ = nullptr;

    RunWriter* writer_ = nullptr;
    SpanTracer* tracer_ = nullptr;
    std::string failure_;
    bool started_ = false, open_ = false;
    std::int64_t wanted_ = 0, read_ = 0, dropped_ = 0;  ///< ranges
};

}  // namespace moescope::cupti
