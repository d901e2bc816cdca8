// SPDX-License-Identifier: Apache-2.0
// A run's steps and operations as Chrome trace events, which the Perfetto UI and chrome://tracing
// open.
#pragma once

#include <filesystem>

#include "profiler/runfile/run_reader.h"

namespace moescope {

/// Streams {"traceEvents": [...]} to `path` (replacing it). Thread 1 shows steps and, nested in
/// them, operations, as complete ("X") events: ts and dur in microseconds, args with layer,
/// bytes, flops, GB/s. Throws Error (unwritable, disk full, damaged run).
void writeChromeTrace(const RunReader& run, const std::filesystem::path& path);

}  // namespace moescope
