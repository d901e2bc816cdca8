// SPDX-License-Identifier: Apache-2.0
// The rows of a run file, as plain structs. The schema is documented in docs/run-file.md.
// Times are nanoseconds of the steady clock since the run began.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moescope {

inline constexpr int kRunSchemaVersion = 5;

enum class RunStatus : std::uint8_t { Running, Done, Failed, Interrupted };
std::string_view runStatusName(
    RunStatus status) noexcept;  ///< "running", "done", "failed", "interrupted"

struct SequenceRow {
    std::int64_t id = 0;
    std::string label;  ///< what a person would call it: prompt 3, item "hiring-0012", file name
    std::string group;  ///< workload category, suite name or group of people; may be empty
    std::int64_t promptTokens = 0;
    std::int64_t generatedTokens = 0;
};

struct TokenRow {
    std::int64_t sequence = 0;
    std::int64_t position = 0;
    std::int32_t token = 0;  ///< -1 when the source has only text
    std::string text;        ///< raw bytes of the token
    bool prompt = false;
    std::optional<double> logProbability;  ///< nats, of this token given those before it
};

struct StepRow {
    std::int64_t id = 0;
    std::int64_t sequence = 0;
    std::string kind;  ///< "prefill", "decode"
    std::int64_t firstPosition = 0;
    std::int64_t tokens = 0;
    std::int64_t startNs = 0, endNs = 0;
};

struct OperationRow {
    std::int64_t id = 0;
    std::int64_t step = 0;
    std::int32_t layer = -1;  ///< -1 outside the layers
    std::string op;           ///< engine/trace.h opName
    std::string kernel;       ///< implementing kernel; may be empty
    std::int64_t startNs = 0, endNs = 0;
    std::int64_t bytes = 0, flops = 0;
    std::int32_t threads = 1;
};

/// How a kernel was launched. Few differ in a run: stored once each.
struct LaunchShapeRow {
    std::array<std::int32_t, 3> grid{}, block{};
    std::array<std::int32_t, 3> cluster{};             ///< zeros: none
    std::int32_t registers = 0;                        ///< of one thread
    std::int32_t staticShared = 0, dynamicShared = 0;  ///< bytes
    // clang-tidy 14 takes the 0 that the compiler makes up here for ours.
    // NOLINTNEXTLINE(modernize-use-nullptr)
    auto operator<=>(const LaunchShapeRow&) const = default;
};

/// One piece of work on a device, as its own clock saw it.
struct DeviceEventRow {
    std::int64_t step = -1;       ///< -1: in no step
    std::int32_t layer = -1;      ///< -1 outside the layers
    std::string op;               ///< engine/trace.h opName; "" when not attributed
    std::int64_t operation = -1;  ///< id of its operation; -1 when not attributed
    std::string kind;             ///< "kernel", "copy", "set", "graph"
    std::string name;             ///< of the kernel, demangled; direction of a copy
    LaunchShapeRow shape;
    std::int32_t device = 0, stream = 0;
    std::int64_t startNs = 0, endNs = 0;  ///< as they came; use only when `valid`
    bool valid = true;                    ///< the device stamped both, in order
    std::optional<std::int64_t> launchStartNs, launchEndNs;  ///< the host's API call
    std::int64_t correlation = 0;      ///< the launch: all nodes of a graph replay share one
    std::int64_t graph = 0, node = 0;  ///< 0 outside graphs
    std::int64_t bytes = 0;            ///< copied or set
};

/// The device's time of an operation that was written before with the host's: replaces it, or,
/// where the device's time is there already and more of it came late, extends it.
struct OperationTimeRow {
    std::int64_t id = 0;
    std::int64_t startNs = 0, endNs = 0;
    bool extend = false;
};

/// A hardware counter, read over one operation.
struct CounterRow {
    std::int64_t operation = -1;
    std::string metric;  ///< NVIDIA's name: "dram__bytes_read.sum"
    double value = 0;
};

/// A hardware counter over a short time, whatever ran in it.
struct SampleRow {
    std::int64_t startNs = 0, endNs = 0;
    std::string metric;  ///< NVIDIA's name
    double value = 0;
};

/// Assignments (a token choosing an expert counts one) of one sequence.
struct RoutingCountRow {
    std::int64_t sequence = 0;
    std::string phase;  ///< "prefill", "decode"
    std::int32_t layer = 0;
    std::int32_t expert = 0;
    std::int64_t count = 0;
};

/// Per-token routing of a run of consecutive tokens in one layer.
struct RoutingTokensRow {
    std::int64_t sequence = 0;
    std::int32_t layer = 0;
    std::int64_t firstPosition = 0;
    std::int32_t tokens = 0;
    std::int32_t topK = 0;
    std::vector<std::int16_t> experts;  ///< (tokens, top_k)
    std::vector<float> weights;         ///< (tokens, top_k); empty when the source has none
};

/// Completeness of the measurement; shown first in every report.
struct QualityRow {
    std::string name;  ///< "dropped_records", "unattributed_kernels", "op_time_share", ...
    double value = 0;
    std::string unit;
    bool ok = true;
    std::string note;  ///< one sentence for a person
};

struct MemoryRow {
    std::string name;  ///< "model_file", "session_state", "peak_rss"
    std::int64_t bytes = 0;
};

/// SuiteRow::kind of what `moescope compare-numerics` writes: metrics of two models, no items.
inline constexpr std::string_view kNumericsKind = "numerics";

struct SuiteRow {
    std::int64_t id = 0;
    std::string name;  ///< "crows_pairs"
    std::string version;
    std::string title;
    std::string kind;        ///< "capability", "fairness", kNumericsKind
    std::string source;      ///< file and its SHA-256
    std::int64_t items = 0;  ///< planned, after --limit
    std::string settings;    ///< JSON: prompt template, reasoning, scoring, seed
};

struct ItemRow {
    std::int64_t suite = 0;
    std::string id;            ///< with `repeat` unique within the suite
    std::int64_t ordinal = 0;  ///< of the item: the same for all its repeats
    std::string groups;        ///< JSON object: {"gender": "female", "bias_type": "age"}
    std::string prompt;
    std::string choices;         ///< JSON array of strings
    std::string logLikelihoods;  ///< JSON array of nats, same order
    std::string answer;          ///< the model's choice or text
    std::string target;
    double score = 0;         ///< suite's per-item score (1 correct, 0 wrong, ...); NaN: none
    std::int64_t tokens = 0;  ///< tokens evaluated for this item
    std::int64_t durationNs = 0;
    std::int64_t sequence = -1;  ///< sequence whose routing belongs to it; -1 none
    std::string detail;          ///< JSON, suite-specific
    std::int64_t repeat = 0;     ///< which of the item's replies this is, from 0
};

/// Of the items of a suite those in the file, and those of them that have a score: the others did
/// not fit the context.
struct ItemCounts {
    std::int64_t done = 0, scored = 0;
};

/// Every suite's count of items that did not fit the context.
inline constexpr char kItemsTooLong[] = "items_too_long";
/// Key of SuiteRow::settings: the items of the data, before --limit.
inline constexpr char kAvailableItems[] = "available_items";
/// Key of SuiteRow::settings of written replies: how many rows each item has.
inline constexpr char kRepeats[] = "repeats";

struct MetricRow {
    std::int64_t suite = 0;
    std::string name;   ///< "accuracy", "pct_stereotype"
    std::string group;  ///< "" for all, else "bias_type=age"
    double value = 0;
    std::optional<double> low, high;  ///< 95 % interval
    std::optional<double> standardError;
    std::optional<double> chance;  ///< what a model that knows nothing would score
    std::string method;            ///< "Wilson", "clustered bootstrap, 2000 resamples, seed 1"
    std::int64_t n = 0;
    std::int64_t clusters = 0;  ///< independent groups among the n; 0: not known
    std::int64_t ordinal = -1;  ///< place in the suite's order; -1: after those that have one
};

}  // namespace moescope
