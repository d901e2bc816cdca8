// SPDX-License-Identifier: Apache-2.0
// One recorded run from start to finish: the file, its facts, the tracer and the routing recorder.
#pragma once

#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/launch_sink.h"
#include "profiler/cupti/counter_session.h"
#include "profiler/cupti/device_profiler.h"
#include "profiler/cupti/sampling_session.h"
#include "profiler/record/routing_recorder.h"
#include "profiler/record/span_tracer.h"
#include "profiler/runfile/run_writer.h"

namespace moescope {

struct RunFacts {
    std::string kind;                       ///< "profile", "eval", "bench", "numerics"
    std::vector<std::string> command;       ///< argv
    nlohmann::json model;                   ///< identity: name, files, hash, ...
    nlohmann::json settings;                ///< every option that changes the result
    bool synthetic = false;                 ///< the model's weights are random
    std::optional<RoutingOptions> routing;  ///< absent for models without experts
    int bandwidthThreads = 0;               ///< > 0: measure the read bandwidth first (below 1 s)
};

/// Created before the model runs; `record` runs the work and writes the right ending. When it is
/// destroyed without finish(), the run is marked failed.
class RunRecorder {
public:
    /// Throws Error as RunWriter does; Resume also when the run is of another kind.
    RunRecorder(const std::filesystem::path& path, const RunFacts& facts,
                RunWriter::Mode mode = RunWriter::Mode::Create, bool overwrite = false);
    ~RunRecorder();
    RunRecorder(const RunRecorder&) = delete;
    RunRecorder& operator=(const RunRecorder&) = delete;

    /// Watches a device too: its profiler, started before the model was loaded, stands in front of
    /// the tracer from now on and is finished with the run. It must outlive the recorder.
    void setDevice(cupti::DeviceProfiler& device);

    /// Counts instead of traces; a run of its own. It must outlive the recorder.
    void setCounters(cupti::CounterSession& counters);

    /// Samples counters over time from now on; a run of its own. It must outlive the recorder.
    void setSampling(cupti::SamplingSession& sampling);

    RunWriter& writer() noexcept { return writer_; }
    TraceSink* trace() noexcept;
    /// Null without a device, as Session::setLaunches expects.
    LaunchSink* launches() noexcept;
    /// Null for models without experts, as Session::setRouting expects.
    RoutingSink* routing() noexcept { return routing_.get(); }
    RoutingRecorder* routingRecorder() noexcept { return routing_.get(); }
    const SpanTracer& tracer() const noexcept { return *tracer_; }
    const RunClock& clock() const noexcept { return clock_; }

    /// Runs `body`, then finish(Done). Interrupted and every other exception finish the run with
    /// that status and pass on.
    template <typename Body>
    void record(Body&& body) {
        try {
            body();
        } catch (...) {
            finishAfter(std::current_exception());
            throw;
        }
        finish(RunStatus::Done);
    }

    /// Writes the last rows, the quality of the measurement, peak memory and the status.
    void finish(RunStatus status, const std::string& error = {});

private:
    struct Start {
        std::int64_t step = 0, ns = 0;
        std::vector<QualityRow> quality;  ///< of the processes that wrote the file before
        std::int64_t peakRss = 0;
        bool killed = false;      ///< the process before was, and what it had not written is lost
        double killedBefore = 0;  ///< processes
        nlohmann::json resumptions = nlohmann::json::array();
    };
    static Start startOf(const std::filesystem::path& path, const RunFacts& facts,
                         RunWriter::Mode mode);
    RunRecorder(const std::filesystem::path& path, const RunFacts& facts, RunWriter::Mode mode,
                bool overwrite, Start start);
    void writeFacts(const RunFacts& facts);
    void writeResumption(const RunFacts& facts, nlohmann::json earlier);
    void addRoutingSum();
    void mergeEarlierQuality();
    void finishAfter(const std::exception_ptr& cause) noexcept;

    RunWriter writer_;
    RunClock clock_;
    std::unique_ptr<SpanTracer> tracer_;
    std::unique_ptr<RoutingRecorder> routing_;
    cupti::DeviceProfiler* device_ = nullptr;
    cupti::CounterSession* counters_ = nullptr;
    cupti::SamplingSession* sampling_ = nullptr;
    Start start_;
    int routingTopK_ = 0, expertLayers_ = 0;
    bool finished_ = false;
};

}  // namespace moescope
