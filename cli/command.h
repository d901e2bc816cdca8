// SPDX-License-Identifier: Apache-2.0
// What a command of the program is, and the table of them all.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/interrupt.h"

namespace moescope::cli {

/// Exit codes, the same for every command.
enum ExitCode : int {
    kDone = 0,
    kFailed = 1,
    kUsage = 2,
    kThreshold = 3,      ///< a --fail-on threshold was crossed
    kInterrupted = 130,  ///< what was measured has been kept
};

/// What a command is given. `arguments` excludes the program and the command's name.
struct Invocation {
    std::vector<std::string> arguments;
    std::vector<std::string> commandLine;  ///< the whole of it, for the run file
    const StopFlag* stop = nullptr;        ///< set by SIGINT and SIGTERM
};

struct Command {
    std::string_view name;
    std::string_view synopsis;                 ///< "MODEL --prompt T | --chat T"
    std::string_view summary;                  ///< one line for the list of commands
    int (*run)(const Invocation& invocation);  ///< returns an ExitCode; throws Error
};

/// In the order in which help lists them. A new command is one file and one line here.
std::span<const Command> commands();

/// Parses the global options, finds the command, runs it, turns exceptions into one sentence on
/// stderr and an exit code.
int runProgram(const std::vector<std::string>& commandLine, const StopFlag* stop);

int runInspect(const Invocation&);
int runGenerate(const Invocation&);
int runScore(const Invocation&);
int runTokenize(const Invocation&);
int runProfile(const Invocation&);
int runBench(const Invocation&);
int runEval(const Invocation&);
int runImport(const Invocation&);
int runKernels(const Invocation&);
int runRouting(const Invocation&);
int runPlacement(const Invocation&);
int runCache(const Invocation&);
int runCompare(const Invocation&);
int runReport(const Invocation&);
int runExport(const Invocation&);
int runSynth(const Invocation&);
int runShapes(const Invocation&);
int runConvert(const Invocation&);
int runCompareNumerics(const Invocation&);
int runGui(const Invocation&);

}  // namespace moescope::cli
