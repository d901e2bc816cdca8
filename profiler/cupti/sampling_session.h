// SPDX-License-Identifier: Apache-2.0
// Samples hardware counters at equal intervals of time, whatever runs, through CUPTI's PM sampling:
//
//   chip -> counters there are -> plan -> enable -> configure -> room for samples -> start
//   -> a thread of ours decodes every 10 ms -> stop -> decode the rest -> disable
//
// A run of its own: it excludes tracing and counting by ranges, and holds the GPU's clocks while it
// is on. A sample belongs to a step by its time, not to an operation.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "profiler/cupti/device_clock.h"
#include "profiler/cupti/metric_plan.h"
#include "profiler/record/run_clock.h"
#include "profiler/runfile/run_writer.h"

namespace moescope::cupti {

class SamplingSession {
public:
    static constexpr std::uint32_t kSamplesAtOnce = 256;           ///< decoded in one call
    static constexpr std::size_t kBufferBytes = 64 * 1024 * 1024;  ///< of the hardware

    /// After the model was loaded. Throws Error that names the function of CUPTI and its code: no
    /// rights, another tool, metrics that this chip cannot sample in one pass. Call only when
    /// Availability says that sampling is there. References must outlive the session.
    /// intervalNs: > 0. system: the clock that samples are stamped with.
    SamplingSession(const CuptiApi& api, const CounterApi& counters, std::int64_t intervalNs,
                    SystemClock system = &realtimeNs);
    ~SamplingSession();
    SamplingSession(const SamplingSession&) = delete;
    SamplingSession& operator=(const SamplingSession&) = delete;

    /// Begins to sample. A failure from here on ends the sampling, not the run: quality says so.
    /// Writer and clock must live until finish or abandon.
    void attach(RunWriter& writer, const RunClock& clock);

    /// Stops, decodes what is left and writes the quality rows. Throws Error (disk full and the
    /// like). Once.
    void finish();
    /// Ends the sampling when the run cannot be finished: from now on the writer is not touched.
    void abandon() noexcept;

    const std::string& chip() const noexcept { return chip_; }

private:
    /// What of one decoding the next step depends on.
    struct Decoded {
        bool good = false;  ///< no function failed
        bool more = false;  ///< samples wait for which there was no room
    };

    bool ok(std::uint32_t result, const char* function);
    void configure();
    bool emptyData();
    bool start();
    bool stop();
    void disable() noexcept;
    void joinThread() noexcept;
    void poll();
    bool drain();
    Decoded decode();
    bool readSample(std::size_t sample, std::vector<AnyRow>& rows);
    void judge(std::int64_t start, std::int64_t end);
    void countGap(std::int64_t ns, std::int64_t slackNs);
    std::vector<QualityRow> quality() const;

    const CuptiApi& api_;
    const CounterApi& counters_;
    std::int64_t intervalNs_;
    SystemClock system_;
    std::string chip_;
    std::vector<std::uint8_t> availability_;
    std::unique_ptr<CounterHost> host_;
    MetricPlan plan_;
    std::vector<const char*> names_;
    std::vector<std::uint8_t> data_;  ///< samples as CUPTI decodes them
    std::vector<double> values_;      ///< (n_metrics) of the sample that is being read
    SamplingObject* object_ = nullptr;

    RunWriter* writer_ = nullptr;
    const RunClock* clock_ = nullptr;
    std::int64_t offsetNs_ = 0;  ///< CLOCK_REALTIME minus the run's clock

    std::mutex mutex_;
    std::condition_variable wake_;
    bool ending_ = false;  ///< guarded by mutex_
    std::thread thread_;

    // The decoding thread's; the engine's before it begins and after it was joined.
    std::string failure_;  ///< "" while it samples
    bool sampling_ = false, first_ = true, finished_ = false;
    bool unread_ = false;                       ///< samples were left when it ended
    std::int64_t startedNs_ = 0, begunNs_ = 0;  ///< before and after CUPTI began, system's clock
    std::int64_t lastStartNs_ = 0, lastEndNs_ = 0;
    std::int64_t samples_ = 0, lost_ = 0, disordered_ = 0, foreign_ = 0, empty_ = 0;
    std::int64_t overflows_ = 0, skipped_ = 0, lengthNs_ = 0;
    std::string foreignStamps_;  ///< the first of them, for a person
};

}  // namespace moescope::cupti
