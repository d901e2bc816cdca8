// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/step_experts.h"

#include <algorithm>
#include <limits>

namespace moescope {

std::vector<double> expectedExperts(std::span<const std::uint32_t> counts,
                                    std::span<const std::int64_t> tokens, std::size_t most) {
    const std::size_t texts = tokens.size();
    const std::size_t experts = texts == 0 ? 0 : counts.size() / texts;
    std::vector<double> expected(most + 1, 0.0);
    // unread[b]: mean over the sets of b of the texts so far; those without the last text are
    // (n - b) / n of them. Means, since sums of products over sets would overflow.
    std::vector<double> unread(most + 1);
    for (std::size_t e = 0; e < experts; ++e) {
        std::fill(unread.begin(), unread.end(), 0.0);
        unread[0] = 1;
        for (std::size_t i = 0; i < texts; ++i) {
            const double n = static_cast<double>(i + 1);
            const double share = 1 - double(counts[i * experts + e]) / double(tokens[i]);
            for (std::size_t b = std::min(most, i + 1); b > 0; --b)
                unread[b] = ((n - double(b)) * unread[b] + double(b) * share * unread[b - 1]) / n;
        }
        for (std::size_t b = 0; b <= most; ++b) expected[b] += 1 - unread[b];
    }
    for (std::size_t b = texts + 1; b <= most; ++b)
        expected[b] = std::numeric_limits<double>::quiet_NaN();
    return expected;
}

}  // namespace moescope
