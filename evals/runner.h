// SPDX-License-Identifier: Apache-2.0
// Evaluates suites with a model into a run file. Each item is committed as soon as it is complete,
// so that a kill loses at most what was being worked on, and --resume continues.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/suite.h"
#include "engine/core/interrupt.h"
#include "evals/language_model.h"
#include "evals/metrics/metric.h"
#include "profiler/runfile/rows.h"
#include "profiler/runfile/run_writer.h"

namespace moescope {

struct EvalProgress {
    std::string_view suite;
    std::string_view unit = "items";   ///< "replies" where an item is asked several times
    std::int64_t done = 0, total = 0;  ///< units, those of an earlier run included
    std::int64_t resumed = 0;          ///< of `done`, taken from the earlier run
    std::int64_t tokens = 0;           ///< evaluated by this process, this suite
    std::int64_t elapsedNs = 0;        ///< this suite
};

struct EvalOptions {
    std::uint64_t seed = 1;  ///< of bootstraps and permutations, and of limitItems before
    /// Prompts as chat messages (not for whole-text suites). Replies are always asked for so.
    bool chat = false;
    /// How often each item of a suite that asks for replies is asked, each time with draws of its
    /// own: another word of the run's seed for each item and repeat. The first are those of a run
    /// with fewer.
    int repeats = 1;
    int resamples = 2000;
    const StopFlag* stop = nullptr;
    std::function<void(const EvalProgress&)>
        progress{};  ///< at a suite's begin and after each item
    /// Ends the item's sequence and hands over the rows of its routing, to be committed with the
    /// item (RoutingRecorder::drain). Those of an item that fails are discarded.
    std::function<std::vector<AnyRow>(std::int64_t sequence)> takeRouting{};
};

/// What an interrupted run holds. Read before the RunWriter opens the file to resume.
struct PriorRun {
    struct Suite {
        SuiteRow row;
        std::map<std::pair<std::string, std::int64_t>, ItemResult> items;  ///< by id and repeat
    };
    std::map<std::string, Suite> suites;  ///< by name
};
/// Throws Error when the file is not a run file, not a run of kind "eval", or damaged.
PriorRun readPriorRun(const std::filesystem::path& path);

struct SuiteResult {
    SuiteRow suite;
    std::vector<MetricRow> metrics;
    std::int64_t scored = 0;   ///< items with a score, or replies where each item has several
    std::int64_t resumed = 0;  ///< of those, taken from the earlier run
    std::int64_t tooLong = 0;  ///< that did not fit the context; in no metric
    std::int64_t tokens = 0;   ///< evaluated by this process
    std::int64_t durationNs = 0;
};

/// "written" or "by likelihood".
std::string answersOf(const SuiteData& data);

/// How often each item of the suite is asked.
int repeatsOf(const SuiteData& data, const EvalOptions& options) noexcept;
/// UsageError when a suite has more replies than a run has numbers for their sequences. `evaluate`
/// calls it; who loads a model first may call it before.
void requireRoom(const std::vector<SuiteData>& suites, const EvalOptions& options);

/// Sequence under which the routing of an item is recorded: suites do not collide. `place`: the
/// item's ordinal times the repeats, and the repeat.
std::int64_t itemSequence(std::int64_t suiteId, std::int64_t place) noexcept;

/// Throws the Error that `evaluate` would throw for suites, data, model or settings that differ
/// from the earlier run's. Call it before the file is opened for writing: opening begins the run
/// anew, and a refusal must leave a finished run as it is.
void requireResumable(const std::vector<SuiteData>& suites, const LanguageModel& model,
                      const EvalOptions& options, const PriorRun& prior);

/// Runs `suites` in order. Suites are numbered from 1 in that order (a resumed suite keeps its
/// number). Every item, and each repeat of it, is one transaction (ItemRow, SequenceRow and its
/// routing). Metrics are computed from the rows, so a resumed run gives the same numbers as an
/// uninterrupted one, durations aside. Throws: what requireRoom does; Error when `prior` holds
/// other suites, or a suite differs in definition, data, model, build or settings (naming what
/// differs); Interrupted when stopped (everything scored is flushed first); what the model or the
/// writer throws. The caller opens and finishes the writer.
std::vector<SuiteResult> evaluate(std::vector<SuiteData> suites, LanguageModel& model,
                                  RunWriter& writer, const EvalOptions& options,
                                  const PriorRun* prior = nullptr);

}  // namespace moescope
