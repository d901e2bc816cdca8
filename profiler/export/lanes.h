// SPDX-License-Identifier: Apache-2.0
// Slices of one track must not overlap in any viewer: each goes to the first lane that is free.
#pragma once

#include <cstdint>
#include <vector>

namespace moescope {

class Lanes {
public:
    /// Lane of a slice; slices come in order of their start.
    std::size_t place(std::int64_t startNs, std::int64_t endNs) {
        std::size_t lane = 0;
        while (lane < freeNs_.size() && freeNs_[lane] > startNs) ++lane;
        if (lane == freeNs_.size()) freeNs_.push_back(0);
        freeNs_[lane] = endNs;
        return lane;
    }
    std::size_t size() const noexcept { return freeNs_.size(); }

private:
    std::vector<std::int64_t> freeNs_;  ///< when each lane is free again
};

}  // namespace moescope
