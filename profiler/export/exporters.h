// SPDX-License-Identifier: Apache-2.0
// What `moescope export RUN` can write. A new format is one file and one line in the table.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "profiler/runfile/run_reader.h"

namespace moescope {

struct Exporter {
    std::string_view format;       ///< as given to --format
    std::string_view extension;    ///< of its files, with the dot: chooses the format without one
    std::string_view description;  ///< one line for the help text
    std::string_view opens;        ///< what to do with the file, for the message at the end
    bool times;                    ///< is of timed operations, without which there is nothing
    /// Writes `path`, replacing it. Throws Error (unwritable, disk full, damaged run).
    void (*write)(const RunReader& run, const std::filesystem::path& path);
};

std::span<const Exporter> exporters() noexcept;

/// By name, or by the extension of `out` when `format` is empty. Throws UsageError listing the
/// formats with their extensions.
const Exporter& exporterFor(std::string_view format, const std::filesystem::path& out);

// The formats. Each but the last starts with the quality of the measurement
// (profiler/analysis/quality_block.h).

/// Chrome trace events in Kineto's flavour (Perfetto UI, chrome://tracing, TensorBoard):
/// {"schemaVersion", "baseTimeNanoseconds", "moescope_quality", ..., "traceEvents": [...]}; steps
/// and operations as complete ("X") events, ts and dur in microseconds since baseTimeNanoseconds,
/// args with layer, bytes, flops, GB/s. Operations that overlap go to further threads. Refuses
/// what would be over 1 GB, which no viewer opens.
void writeChromeTrace(const RunReader& run, const std::filesystem::path& path);

/// Perfetto's protobuf (perfetto_trace.proto: Trace of TracePackets), half the size of the JSON and
/// faster to open. Timestamps are the run's nanoseconds.
void writePerfettoTrace(const RunReader& run, const std::filesystem::path& path);

/// The tables of Nsight Systems' SQLite export, for scripts that read those: StringIds,
/// CUPTI_ACTIVITY_KIND_KERNEL, _MEMCPY, _MEMSET, NVTX_EVENTS (steps and operations as push/pop
/// ranges), TARGET_INFO_GPU, TARGET_INFO_SESSION_START_TIME, META_DATA_EXPORT. Whether `nsys stats`
/// itself accepts it could not be tried. CPU operations stand in the kernel table too, and
/// TARGET_INFO_GPU says that they ran on the CPU.
void writeNsysSqlite(const RunReader& run, const std::filesystem::path& path);

/// One line an operation, or in runs on a GPU one a kernel, copy or set; RFC 4180, after comment
/// lines ("# dropped: 0 records") with the quality.
void writeOperationsCsv(const RunReader& run, const std::filesystem::path& path);

/// A JSON object a line for each text that has its tokens' experts, as 'import routed-experts'
/// reads it: "routed_experts" is base64 of an .npy file of (n_token, n_layer, top_k) int16, as vLLM
/// returns it, with -1 in layers without experts; from position "first_position" on. "tokens",
/// "prompt_tokens" and "completion_tokens" where the run knows them. Gate weights are left out.
void writeRoutedExperts(const RunReader& run, const std::filesystem::path& path);

}  // namespace moescope
