// SPDX-License-Identifier: Apache-2.0
// Which sequence each token of a step belongs to, and where it stands in it.
#pragma once

#include <span>
#include <vector>

#include "engine/backend/backend.h"

namespace moescope {

/// Kept between steps, so that decoding allocates nothing.
struct StepPlaces {
    std::vector<StepRun> runs;
    std::vector<int> firsts;     ///< (runs) index of the first token within the step
    std::vector<int> runOf;      ///< (n_tokens)
    std::vector<int> positions;  ///< (n_tokens)

    void assign(std::span<const StepRun> of) {
        runs.assign(of.begin(), of.end());
        firsts.clear();
        runOf.clear();
        positions.clear();
        for (std::size_t r = 0; r < runs.size(); ++r) {
            firsts.push_back(static_cast<int>(positions.size()));
            for (int t = 0; t < runs[r].tokens; ++t) {
                runOf.push_back(static_cast<int>(r));
                positions.push_back(runs[r].position + t);
            }
        }
    }
    int tokens() const noexcept { return static_cast<int>(positions.size()); }
    KvCache& cacheOf(int token) const {
        return *runs[static_cast<std::size_t>(runOf[static_cast<std::size_t>(token)])].cache;
    }
};

}  // namespace moescope
