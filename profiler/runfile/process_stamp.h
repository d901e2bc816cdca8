// SPDX-License-Identifier: Apache-2.0
// Tells whether the process that wrote a file is the one that has its number now. Private to
// profiler/runfile.
#pragma once

#include <string>

namespace moescope {

/// "<id of this boot> <start of the process in clock ticks since then>": no other process of any
/// machine has the same. "" when no process `pid` runs here (one that only waits to be reaped does
/// not). Reads /proc.
std::string processStamp(int pid);

}  // namespace moescope
