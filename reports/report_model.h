// SPDX-License-Identifier: Apache-2.0
// What one report shows of one run, read once; every format draws from this and from nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "profiler/analysis/item_groups.h"
#include "profiler/analysis/run_analysis.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/analysis/specialization.h"
#include "profiler/simulation/offload_cost.h"
#include "reports/parallel_lines.h"

namespace moescope {

/// A stretch of one sequence with the experts of each of its tokens: from its start, or from
/// shortly before the first routed token where the source has no routing of the prompt.
struct RoutingSample {
    SequenceRow sequence;
    std::vector<TokenRow> tokens;      ///< (n_tokens) by position, at most kSampleTokens
    std::int64_t availableTokens = 0;  ///< before the cut
    std::int64_t skippedTokens = 0;    ///< before the first one shown
    std::vector<int> layers;           ///< (n_layers) that recorded routing, ascending
    int topK = 0;
    std::vector<std::int16_t>
        experts;                 ///< (n_layers, n_tokens, top_k); -1 where nothing was recorded
    std::vector<float> weights;  ///< same shape; empty when the source has none

    std::size_t index(std::size_t layer, std::size_t token, std::size_t rank) const noexcept {
        return (layer * tokens.size() + token) * static_cast<std::size_t>(topK) + rank;
    }
};
inline constexpr std::size_t kSampleTokens = 240;

struct ReportRun {
    std::string source;  ///< path of the run file as given
    std::string sha256;  ///< of that file; empty when the run is not from a file
    RunSummary summary;
    RunAnalysis analysis;  ///< of times; empty when nothing was timed
    std::optional<RoutingSample> sample;
    Specialization specialization;
    std::vector<ItemComparison> itemGroups;  ///< of evaluations of suites that say groups of items
    ParallelForecast parallel;  ///< of the default numbers of GPUs; empty without routing by token
    ExpertCache cache;          ///< cold, a token's experts together
    ExpertBytes expertBytes;    ///< of `cache`
    std::map<std::int64_t, std::vector<ItemRow>> items;  ///< by suite id

    /// Meta value as JSON; null when absent or not JSON.
    nlohmann::json metaJson(const std::string& key) const;
    /// Short name of the model, or of the run file when the run does not name one.
    std::string modelName() const;
    std::string kind() const;   ///< "profile", "eval", ...; empty when the run does not say
    std::string title() const;  ///< "demo: profile"; of a run without kind its modelName
    /// As one would paste it into a shell; empty when the run does not say.
    std::string commandLine() const;
    /// Label and value of kind, status, command, machine, threads and date, those that are known.
    std::vector<std::pair<std::string, std::string>> whatRan() const;
    bool synthetic() const;  ///< random or untrained weights: scores mean nothing
    bool imported() const;   ///< recorded by another tool
};

/// "Run 2: demo: profile", from 0: the heading of one of several runs.
std::string runTitle(const ReportRun& run, std::size_t index);

/// As one would write it in a shell: quoted where it must be.
std::string shellWord(const std::string& word);

/// Version of the program that draws the report, "0.1.0".
std::string toolVersion();

/// Throws Error naming the file when it is absent, damaged or not a run.
ReportRun loadReportRun(const std::filesystem::path& path);

/// The first sequence of the run that has per-token routing; nothing when none has.
std::optional<RoutingSample> routingSample(const RunReader& run);

}  // namespace moescope
