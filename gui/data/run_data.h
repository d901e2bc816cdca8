// SPDX-License-Identifier: Apache-2.0
// Immutable snapshot of one run file, read once in a worker thread and shared by every view. What
// is too large for it (texts, routing of each token, counters) is read when a view asks for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gui/data/sample_curves.h"
#include "profiler/analysis/operation_columns.h"
#include "profiler/analysis/roofline.h"
#include "profiler/analysis/run_summary.h"

namespace moescope::gui {

/// Assignments of one sequence to one expert, both phases added.
struct RoutingCell {
    std::int64_t sequence = 0;
    std::int32_t layer = 0, expert = 0;
    std::int64_t count = 0;
};

struct SuiteData {
    SuiteRow suite;
    std::vector<MetricRow> metrics;
    std::vector<ItemRow> items;
};

/// What tells a run file from another that took its name.
struct FileStamp {
    std::uint64_t device = 0, inode = 0;
    std::string writer;  ///< process that wrote it
    /// 0 of a run that was still being written when it was read: those may change.
    std::uint64_t bytes = 0;
    std::int64_t modifiedNs = 0;
    bool operator==(const FileStamp&) const = default;
};

struct RunData {
    std::filesystem::path path;
    FileStamp stamp;
    RunSummary summary;
    std::vector<StepRow> steps;
    OperationColumns operations;
    OperationColumns device;            ///< work on devices; empty for runs on the CPU
    std::int64_t deviceInFile = 0;      ///< rows; more than device.size() at the limit
    Ceilings ceilings;                  ///< what the machine could do at most
    std::int64_t operationsInFile = 0;  ///< more than operations.size() when the limit was reached
    std::vector<SampleCurve> samples;   ///< counters over time
    std::vector<RoutingCell> routing;   ///< by sequence, layer, expert
    bool tokenRouting = false;          ///< the file has the experts of single tokens
    std::vector<SuiteData> suites;

    /// The file once more, for what the snapshot leaves out. Throws Error naming it when it is gone
    /// or damaged, or another run has its name now: two runs must not be mixed in one window.
    RunReader reopen(const StopFlag* stop = nullptr) const;
    std::string meta(const std::string& key) const;  ///< "" when absent
    const SequenceRow* sequence(std::int64_t id) const;
    std::string modelName() const;  ///< from meta "model"; "" when unknown
    std::int64_t endNs() const;     ///< end of the last step or operation
    /// What a table of kernels is made of: the device's where there are any.
    const OperationColumns& kernels() const noexcept {
        return device.size() > 0 ? device : operations;
    }
};
using RunPtr = std::shared_ptr<const RunData>;

/// Chosen experts of every token of a sequence in every layer that recorded them.
struct SequenceData {
    SequenceRow sequence;
    std::vector<TokenRow> tokens;  ///< by position
    std::vector<int> layers;       ///< layers that recorded routing, ascending
    int topK = 0;
    std::vector<std::int16_t> experts;  ///< (layers, tokens, top_k) int16; -1 where not recorded
    std::vector<float> weights;         ///< (layers, tokens, top_k) f32; NaN where not recorded

    std::size_t at(std::size_t layerIndex, std::size_t token) const noexcept {
        return (layerIndex * tokens.size() + token) * static_cast<std::size_t>(topK);
    }
    int layerIndex(int layer) const;  ///< -1 when the layer recorded nothing
};
using SequencePtr = std::shared_ptr<const SequenceData>;

/// 1 GB, of operations and of device work each; a larger run shows its beginning.
inline constexpr std::size_t kMaxOperations = 20'000'000;

/// `progress` gets a share 0..1 from the calling thread. Throws Error (file), Interrupted (`stop`).
RunPtr loadRun(const std::filesystem::path& path, const StopFlag* stop = nullptr,
               const std::function<void(double)>& progress = {});

/// Throws Error naming the file when it is damaged or the sequence is not in it.
SequencePtr loadSequence(const RunReader& reader, std::int64_t sequence);

/// Pads nothing and trusts nothing: rows that contradict their own sizes are an Error.
SequencePtr makeSequence(SequenceRow sequence, std::vector<TokenRow> tokens,
                         const std::vector<RoutingTokensRow>& routing, const std::string& origin);

}  // namespace moescope::gui
