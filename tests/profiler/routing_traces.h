// SPDX-License-Identifier: Apache-2.0
// Traces in memory, written down as the experts of each token.
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/simulation/routing_trace.h"

namespace moescope::test {

using Choice = std::vector<std::int16_t>;

/// Texts of one layer: the choices of their tokens, all of one length, without gaps.
inline RoutingTrace traceOf(int experts, const std::vector<std::vector<Choice>>& texts) {
    RoutingTrace trace;
    trace.experts = experts;
    trace.topK = static_cast<int>(texts.front().front().size());
    trace.layers = {0};
    for (const auto& tokens : texts) {
        TracedText text;
        text.sequence = static_cast<std::int64_t>(trace.texts.size());
        for (const Choice& choice : tokens) {
            text.experts.insert(text.experts.end(), choice.begin(), choice.end());
            text.follows.push_back(text.tokens++ > 0);
        }
        trace.tokens += text.tokens;
        trace.texts.push_back(std::move(text));
    }
    return trace;
}

/// Six tokens, two of four experts each: fixture B of the hand-worked examples of docs/metrics.md.
inline RoutingTrace fixtureB() {
    return traceOf(4, {{{0, 1}, {0, 2}, {0, 1}, {1, 3}, {0, 1}, {2, 3}}});
}

}  // namespace moescope::test
