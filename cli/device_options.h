// SPDX-License-Identifier: Apache-2.0
// Options of commands that can watch a GPU while they run a model.
#pragma once

#include <memory>

#include "cli/options.h"
#include "profiler/cupti/counter_session.h"
#include "profiler/cupti/device_profiler.h"
#include "profiler/cupti/sampling_session.h"

namespace moescope::cli {

/// --trace, --counters, --sample-counters, --graphs, --sample-power, --capture.
void addDeviceOptions(Options& options);

/// Starts watching when the back end is one of a device and --trace is not off; else null. Call
/// before the model is loaded: CUPTI must be there before CUDA. Says on stderr when it cannot.
/// UsageError for these options with a back end on the CPU.
std::unique_ptr<cupti::DeviceProfiler> startDevice(const Options& options);

/// A session that counts by operation or one that samples over time, with the libraries that it
/// calls.
struct Counters {
    std::unique_ptr<cupti::CuptiLibrary> library;
    std::unique_ptr<cupti::DriverApi> driver;
    std::unique_ptr<cupti::CounterApi> api;
    std::unique_ptr<cupti::CounterSession> session;    ///< --counters
    std::unique_ptr<cupti::SamplingSession> sampling;  ///< --sample-counters
};

/// When --counters or --sample-counters asks for them, else null. Call after the model was loaded:
/// it needs the GPU's context. Throws Error with the cause when they cannot be had.
std::unique_ptr<Counters> startCounters(const Options& options);

}  // namespace moescope::cli
