// SPDX-License-Identifier: Apache-2.0
// Opens a run file read-only. Also opens runs that are still being written or were killed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/core/interrupt.h"
#include "profiler/runfile/rows.h"

namespace moescope {

/// Not thread-safe; open one reader per thread. Every method throws Error naming the file when the
/// file is damaged. Row vectors are ordered by primary key.
class RunReader {
public:
    /// Throws Error: absent, not SQLite, not a run file, schema newer than ours (says which). Once
    /// `stop` is set, every method throws Interrupted soon; it outlives the reader.
    explicit RunReader(const std::filesystem::path& path, const StopFlag* stop = nullptr);
    ~RunReader();
    RunReader(RunReader&&) noexcept;
    RunReader& operator=(RunReader&&) noexcept;

    const std::filesystem::path& path() const noexcept;
    /// As recorded, but a run that is "running" while its writer is dead (killed, or on another
    /// machine or before the last boot) is Interrupted.
    RunStatus status() const;
    std::map<std::string, std::string> meta() const;
    std::string meta(const std::string& key) const;         ///< "" when absent
    nlohmann::json metaJson(const std::string& key) const;  ///< null when absent or not JSON

    std::vector<SequenceRow> sequences() const;
    std::vector<TokenRow> tokens(std::int64_t sequence) const;
    std::vector<StepRow> steps() const;
    /// Streams operations in start order; return false to stop early.
    void operations(const std::function<bool(const OperationRow&)>& visit) const;
    std::int64_t operationCount() const;
    /// Streams work on devices in the order of arrival, which is not that of time; none in runs on
    /// the CPU and in files of schema version 1. Return false to stop early.
    void deviceEvents(const std::function<bool(const DeviceEventRow&)>& visit) const;
    std::int64_t deviceEventCount() const;
    /// By operation and then by the name's id; none in files of schema version 1.
    std::vector<CounterRow> counters() const;
    /// Streams samples of hardware counters in the order of arrival; none in files of a schema
    /// version before 3. Return false to stop early.
    void samples(const std::function<bool(const SampleRow&)>& visit) const;
    std::int64_t sampleCount() const;
    std::vector<RoutingCountRow> routingCounts() const;
    std::vector<RoutingTokensRow> routingTokens(
        std::int64_t sequence) const;  ///< all layers, by position
    bool hasRoutingTokens() const;     ///< of any sequence
    std::vector<QualityRow> quality() const;
    std::vector<MemoryRow> memory() const;
    std::vector<SuiteRow> suites() const;
    std::vector<ItemRow> items(std::int64_t suite) const;
    ItemCounts itemCounts(std::int64_t suite) const;
    std::vector<MetricRow> metrics() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace moescope
