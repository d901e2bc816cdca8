// SPDX-License-Identifier: Apache-2.0
// One evaluation into one run file: of a sweep over efforts, one of its runs.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/options.h"
#include "datasets/suite.h"
#include "evals/engine_model.h"
#include "evals/runner.h"
#include "profiler/record/run_recorder.h"

namespace moescope::cli {

struct EvalRunPlan {
    std::string effort;             ///< "low", "medium", "high", which prompts state
    std::filesystem::path out;      ///< the run file
    std::optional<PriorRun> prior;  ///< what it holds, where it is to be continued
};

/// What --reasoning and --out ask for: one run, or one for each of several efforts, whose files are
/// `out` with the effort behind its stem ("r-low.moescope"). UsageError for efforts that are not
/// known or are named twice, and for several without --generate; Error for files that may not be
/// written, or not be resumed. Writes nothing.
std::vector<EvalRunPlan> planEvalRuns(const Options& options);

/// What `options` say of the evaluation itself, the same for all runs of a sweep.
EvalOptions evalOptions(const Options& options);

class EvalRun {
public:
    /// `suites` and `model` must outlive this.
    EvalRun(const Invocation& invocation, const Options& options, EvalRunPlan plan,
            const std::vector<SuiteData>& suites, const Model& model);
    ~EvalRun();
    EvalRun(const EvalRun&) = delete;
    EvalRun& operator=(const EvalRun&) = delete;

    /// Throws as moescope::requireResumable does. Of all runs before any begins: hours of the first
    /// must not end in a refusal of the second.
    void requireResumable() const;
    /// Throws Interrupted with a hint at --resume, and what `evaluate` throws. `label`: what
    /// progress tells of beside the suite; may be empty.
    void run(ProgressStyle style, const std::string& label);

    const EvalRunPlan& plan() const noexcept { return plan_; }
    const std::vector<SuiteResult>& results() const noexcept { return results_; }  ///< of `run`
    int context() const { return model_->maxContext(); }

private:
    EngineModelOptions engineOptions(const Options& options) const;

    EvalRunPlan plan_;
    const std::vector<SuiteData>& suites_;
    RunFacts facts_;
    std::unique_ptr<EngineModel> model_;
    EvalOptions eval_;
    bool overwrite_, trace_;
    std::vector<SuiteResult> results_;
};

}  // namespace moescope::cli
