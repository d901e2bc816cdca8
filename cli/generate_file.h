// SPDX-License-Identifier: Apache-2.0
// moescope generate --input: many prompts, many at a time, one result line each.
#pragma once

#include "cli/command.h"
#include "cli/options.h"

namespace moescope::cli {

/// --input, --output, --parallel, --resume, --overwrite.
void addGenerateFileOptions(Options& options);

/// The whole command; `options` are parsed and have an --input.
int runGenerateFile(const Invocation& invocation, const Options& options);

}  // namespace moescope::cli
