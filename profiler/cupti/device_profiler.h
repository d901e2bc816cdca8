// SPDX-License-Identifier: Apache-2.0
// Watches a GPU through CUPTI and brings what it sees into the run file, beside the host's spans.
//
//   start (before the first CUDA call) -> load the model -> attach (to the open run) -> steps ->
//   finish
//
// It stands between the engine and the SpanTracer: the tracer keeps its rows, this replaces the
// times of operations that ran on the device by the device's, and adds a row for each kernel.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/launch_sink.h"
#include "profiler/cupti/availability.h"
#include "profiler/cupti/device_clock.h"
#include "profiler/cupti/device_quality.h"
#include "profiler/cupti/pipeline.h"
#include "profiler/record/run_clock.h"
#include "profiler/record/span_tracer.h"
#include "profiler/runfile/run_writer.h"

namespace moescope::cupti {

struct DeviceProfilerOptions {
    CollectorOptions collector;
    std::filesystem::path capture;  ///< also write a raw capture; empty: none
    bool syntheticCapture = false;  ///< said in its head: not recorded on a device
    /// Steps of one token are replayed graphs, as without a profiler, instead of single launches.
    bool wholeSteps = false;
    SystemClock system = &realtimeNs;  ///< the clock of CUPTI's stamps
};

class DeviceProfiler final : public TraceSink, public LaunchSink, private DeviceEventSink {
public:
    /// Finds CUPTI and the driver and starts. Without them, and when CUPTI refuses, it still works:
    /// the run then holds the host's spans, and reason() says why. Throws Error only when the
    /// capture cannot be written.
    static std::unique_ptr<DeviceProfiler> start(const DeviceProfilerOptions& options);
    /// The same with a given CUPTI. synchronize waits for the device.
    DeviceProfiler(const CuptiApi& api, std::function<void()> synchronize,
                   const DeviceProfilerOptions& options, nlohmann::json device = {});
    ~DeviceProfiler() override;

    bool recording() const noexcept { return collector_ && collector_->recording(); }
    const std::string& reason() const noexcept { return reason_; }  ///< "" while recording

    /// Everything that began before counts as loading. Writer, tracer and clock must live until
    /// finish.
    void attach(RunWriter& writer, SpanTracer& tracer, const RunClock& clock);

    // TraceSink and LaunchSink, on the thread that drives the session.
    void stepBegin(const StepInfo& step) override;
    void stepEnd() override;
    void opBegin(Op op, int layer) override;
    void opEnd(const OpWork& work) override;
    void launched(const LaunchCounts& counts) noexcept override;
    void captureBegin(std::uint64_t graph) noexcept override;
    void captureOp(Op op, int layer) noexcept override;
    void captureEnd() noexcept override;
    void replay(std::uint64_t graph) noexcept override;
    void replayed(Op op, int layer, const OpWork& work) noexcept override;
    bool takesWholeSteps() const noexcept override { return wholeSteps_ && recording(); }

    /// After SpanTracer::finish: waits for the device, fetches the last records, writes the last
    /// rows, the quality rows and `degradation`. Throws Error (disk full and the like). Once.
    void finish();
    /// Ends the watching when the run cannot be finished: from now on the writer is not touched.
    void abandon() noexcept;

    const DeviceCounts& counts() const noexcept { return counts_; }  ///< valid after finish

private:
    struct Interval {
        std::int64_t startNs = 0, endNs = 0;
        std::int32_t layer = -1;
        Op op = Op::Embed;
        bool graph = false;  ///< a graph as a whole: `op` says nothing
    };
    /// What a sampled quantity did during the run.
    struct Sampled {
        std::uint32_t least = 0, most = 0;
        std::int64_t samples = 0;
        void add(std::uint32_t value) noexcept;
    };
    DeviceProfiler(std::unique_ptr<CuptiLibrary> library, std::unique_ptr<DriverApi> driver,
                   const DeviceProfilerOptions& options, std::string reason, nlohmann::json device);
    void startCollector(const CuptiApi& api, const DeviceProfilerOptions& options);

    // On the decoding thread.
    void onEvent(const DeviceEvent& event) override;
    void onOther(const Record& record) override;
    void onBufferBegins() override;
    void onBufferEnds() override;
    bool attached() const noexcept;
    bool insideStep(std::int64_t launchNs) const;
    bool duringRun(std::int64_t ns) const noexcept;
    void addOverhead(const Record& record);
    void addSample(const Record& record);
    void count(const DeviceEvent& event);
    bool usable(const DeviceEvent& event) const noexcept;
    bool markTimed(std::int64_t id);
    void addRow(const DeviceEvent& event);
    void extendOperation(const DeviceEvent& event);
    void writeRows(bool last);
    OperationRow replayedRow(std::int64_t id, const Interval& interval);
    const std::string& kernelName(std::uint32_t id);

    QualityRow deviceTrace(bool ok, const char* note) const;
    LaunchOwner openOwner() const noexcept;
    void popScopes(int depth);
    void describeSamples();
    nlohmann::json tail() const;
    DeviceQualityFacts qualityFacts() const;

    std::unique_ptr<CuptiLibrary> library_;
    std::unique_ptr<DriverApi> driver_;
    std::function<void()> synchronize_;
    nlohmann::json device_;
    std::string reason_;
    TraceLevel level_ = TraceLevel::Node;
    bool wholeSteps_ = false;
    SystemClock system_;
    bool samples_ = false;  ///< clocks, temperature and power were asked for
    std::unique_ptr<Pipeline> pipeline_;

    RunWriter* writer_ = nullptr;
    SpanTracer* tracer_ = nullptr;
    const RunClock* clock_ = nullptr;
    std::int64_t offsetNs_ = 0;             ///< CLOCK_REALTIME minus the run's clock
    std::atomic<std::int64_t> attachedNs_;  ///< CLOCK_REALTIME; the greatest number before
    std::atomic<std::int64_t> endedNs_;     ///< likewise: when the last step had ended

    // The engine's thread.
    LaunchLedger ledger_;
    int depth_ = 0;          ///< scopes pushed
    Op openOp_ = Op::Embed;  ///< of the latest opBegin
    int openLayer_ = -1;
    bool workInGraph_ = false;  ///< the open operation's work ran in a graph recorded as a whole
    std::int64_t steps_ = 0, wallNs_ = 0, stepStartNs_ = 0;
    std::int64_t flushedNs_ = 0;  ///< of the run's clock

    LaunchBalance balance_;  ///< both threads'

    mutable std::mutex stepsMutex_;
    std::deque<std::pair<std::int64_t, std::int64_t>> stepTimes_;  ///< CLOCK_REALTIME begin, end

    /// Work of operations that graphs ran, by step, layer and operation, until their rows are
    /// written.
    std::mutex workMutex_;
    std::map<std::tuple<std::int64_t, std::int32_t, Op>, OpWork> replayedWork_;

    // The decoding thread; the engine's after finish has joined it.
    DeviceCounts counts_;
    std::vector<AnyRow> rows_;
    std::unordered_map<std::int64_t, Interval> intervals_;  ///< by operation, not yet written
    std::int64_t newestStep_ = -1;
    /// Operations whose rows have the device's time: by step, then by index in it.
    std::map<std::int64_t, std::vector<bool>> timed_;
    bool clockHolds_ = true;  ///< the system's clock was where it was at the beginning, last time
    bool stampsHold_ = true;  ///< so are the stamps of the buffer that is being decoded
    std::vector<std::string> kernelNames_;
    Sampled mhz_, celsius_, milliwatts_;
    std::uint32_t powerLimitMilliwatts_ = 0;
    bool finished_ = false;

    // Last, so that its thread ends before what it uses.
    std::unique_ptr<ActivityCollector> collector_;
};

}  // namespace moescope::cupti
