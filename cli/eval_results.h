// SPDX-License-Identifier: Apache-2.0
// What `moescope eval` says of its results: tables for people, JSON for programs.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "evals/runner.h"

namespace moescope::cli {

/// Every metric of every suite, on stdout.
void printResults(const std::vector<SuiteResult>& results, bool synthetic);

/// "suites" of the JSON document (docs/reports.md).
nlohmann::json resultsJson(const std::vector<SuiteResult>& results);

/// An evaluation at one effort.
struct EffortResults {
    std::string effort;
    const std::vector<SuiteResult>* results = nullptr;
};
/// What changes with the effort, a line for each suite and effort, on stdout: the metric that says
/// most of the suite at the first effort, the length of replies, the shares of those without an
/// answer and of those that were cut off.
void printEfforts(std::span<const EffortResults> efforts);

}  // namespace moescope::cli
