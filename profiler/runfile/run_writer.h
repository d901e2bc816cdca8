// SPDX-License-Identifier: Apache-2.0
// Writes one run file. A background thread commits in batches, so that a kill at any moment loses
// at most the last `kFlushInterval`; everything committed is readable and status stays "running".
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "profiler/runfile/rows.h"

namespace moescope {

using AnyRow = std::variant<SequenceRow, TokenRow, StepRow, OperationRow, RoutingCountRow,
                            RoutingTokensRow, QualityRow, MemoryRow, SuiteRow, ItemRow, MetricRow,
                            DeviceEventRow, OperationTimeRow, CounterRow, SampleRow>;

/// Thread-safe. `add` never blocks on the disk unless the queue exceeds its bound (then it waits:
/// nothing is ever dropped). A failing disk is reported by the next add, flush or finish (Error
/// naming file and cause); rows already committed stay.
class RunWriter {
public:
    enum class Mode : std::uint8_t {
        Create,  ///< refuses an existing file unless `overwrite`
        Resume,  ///< opens an existing run of the same kind and continues it
    };

    /// Writes `<path>` at once with status "running". Throws Error (unwritable folder, full disk,
    /// existing file, not a run file, newer schema).
    RunWriter(std::filesystem::path path, Mode mode, bool overwrite = false);
    /// Commits what is queued; status stays "running" if finish was not called.
    ~RunWriter();
    RunWriter(const RunWriter&) = delete;
    RunWriter& operator=(const RunWriter&) = delete;

    /// Run facts, replaced when set again. Keys are listed in docs/run-file.md: "kind" (profile,
    /// eval, import, bench), "command" (JSON array), "machine", "build", "model", "settings" (JSON
    /// objects), "degradation", "synthetic" ("true"/"false"), "logits_hash", "started_utc", ...
    void setMeta(const std::string& key, const std::string& value);
    void setMeta(const std::string& key, const char* value) { setMeta(key, std::string(value)); }
    void setMeta(const std::string& key, const nlohmann::json& value);

    /// Rows with a primary key replace the earlier row of the same key (sequence, step, item,
    /// metric, quality, memory, routing_count), so a repeated item is never counted twice.
    void add(AnyRow row);
    void add(std::vector<AnyRow> rows);  ///< committed in one transaction: all or nothing

    /// Blocks until everything added so far is on disk.
    void flush();
    /// Flush, set the final status ("error" in meta when given), checkpoint the WAL into the file.
    void finish(RunStatus status, const std::string& error = {});

    const std::filesystem::path& path() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace moescope
