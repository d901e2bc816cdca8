// SPDX-License-Identifier: Apache-2.0
// Short names of run files for the columns of a table.
#pragma once

#include <string>
#include <vector>

namespace moescope::cli {

/// The stems of `paths`, lengthened by as many folders as tell equal ones apart ("a/run", "b/run");
/// where the path is the same too, followed by the place in the list ("run (2)").
std::vector<std::string> runNames(const std::vector<std::string>& paths);

}  // namespace moescope::cli
