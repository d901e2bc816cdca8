// SPDX-License-Identifier: Apache-2.0
#include "cli/trace_part.h"

#include "cli/lists.h"

namespace moescope::cli {

void addTracePart(Options& options) {
    options.add("part", po::value<std::string>()->default_value("all")->value_name("PART"),
                "tokens that are used: all, prompt, generated");
}

TracePart tracePart(const Options& options) {
    using Parts = std::array<std::pair<const char*, TracePart>, 3>;
    return chosenBy(options.get<std::string>("part"), "--part",
                    Parts{{{"all", TracePart::All},
                           {"prompt", TracePart::Prompt},
                           {"generated", TracePart::Generated}}});
}

}  // namespace moescope::cli
