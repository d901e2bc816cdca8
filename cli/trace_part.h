// SPDX-License-Identifier: Apache-2.0
// The option --part of the commands that simulate with a run's tokens.
#pragma once

#include "cli/options.h"
#include "profiler/simulation/routing_trace.h"

namespace moescope::cli {

void addTracePart(Options& options);
/// UsageError for what is no part.
TracePart tracePart(const Options& options);

}  // namespace moescope::cli
