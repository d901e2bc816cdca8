// SPDX-License-Identifier: Apache-2.0
// All operations of a run in memory, a column each: what the window and the analyses work on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "profiler/runfile/run_reader.h"

namespace moescope {

/// A part of a run, on its clock.
struct TimeRange {
    std::int64_t beginNs = 0, endNs = 0;  ///< half open, begin < end
    bool operator==(const TimeRange&) const = default;
};

/// In start order (1 M operations: 50 MB). Columns have equal length.
struct OperationColumns {
    std::vector<std::int64_t> startNs, endNs, bytes, flops;
    std::vector<std::int32_t> layer;     ///< -1 outside the layers
    std::vector<std::int32_t> step;      ///< index into the run's steps; -1 when the step is absent
    std::vector<std::int64_t> launchNs;  ///< host's launch, -1 unknown; empty: nothing is launched
    std::vector<std::uint16_t> op, kernel, phase;  ///< indices into the names below
    std::vector<std::string> opNames, kernelNames, phaseNames;

    std::size_t size() const noexcept { return startNs.size(); }
    std::int64_t durationNs(std::size_t i) const noexcept { return endNs[i] - startNs[i]; }
};

/// Fills columns row by row. A hostile file cannot make more than 65535 names of a kind: what
/// comes after gets the last one.
class OperationCollector {
public:
    /// `steps` by id, as RunReader::steps gives them; not kept.
    explicit OperationCollector(std::span<const StepRow> steps);

    void add(const OperationRow& row);
    const OperationColumns& columns() const noexcept { return columns_; }
    OperationColumns take() { return std::move(columns_); }

private:
    struct Names {
        std::unordered_map<std::string, std::uint16_t> index;
        std::uint16_t last = 0;  ///< of the row before: names repeat

        std::uint16_t of(const std::string& name, std::vector<std::string>& names);
    };

    struct Step {
        std::int32_t index = -1;
        std::uint16_t phase = 0;
    };

    OperationColumns columns_;
    Names ops_, kernels_;
    std::unordered_map<std::int64_t, Step> steps_;
    std::int64_t lastId_ = 0;
    Step last_;
    bool any_ = false;
};

/// Kernels, copies and sets on devices in the same form, by start; those without usable stamps are
/// left out. `kernel` is the kernel's name, of copies and sets "[CUDA memcpy HtoD]" and the like;
/// bytes are those copied or set, the work of kernels is known by operation only. At most `limit`,
/// from the first that arrived on. Empty for runs on the CPU. Throws Error naming the file when it
/// is damaged.
OperationColumns loadDeviceWork(const RunReader& run, std::span<const StepRow> steps,
                                std::size_t limit = SIZE_MAX);

/// At most `limit` operations, from the first on. Throws Error naming the file when it is damaged.
OperationColumns loadOperations(const RunReader& run, std::span<const StepRow> steps,
                                std::size_t limit = SIZE_MAX);

}  // namespace moescope
