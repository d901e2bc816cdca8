// SPDX-License-Identifier: Apache-2.0
// moescope score --perplexity: one long text, cut into windows as a harness does.
#pragma once

#include "cli/command.h"
#include "cli/options.h"

namespace moescope::cli {

void addTextOptions(Options& options);
int runTextPerplexity(const Invocation& invocation, const Options& options);

}  // namespace moescope::cli
