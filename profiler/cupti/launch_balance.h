// SPDX-License-Identifier: Apache-2.0
// Whether each operation and each replay brought the records that the engine counted for it: in a
// sum over the run a lost record and a foreign one would cancel out.
#pragma once

#include <compare>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "profiler/cupti/launch_ledger.h"

namespace moescope::cupti {

/// What launches were counted for, and what records are of.
struct LaunchOwner {
    static constexpr std::int64_t kReplay = -2;       ///< nodes of `graph`
    static constexpr std::int64_t kWholeGraph = -3;   ///< graphs that have one record each
    static constexpr std::int64_t kUnknownNode = -4;  ///< nodes that nobody announced

    std::int64_t step = -1;       ///< -1: none
    std::int64_t operation = -1;  ///< id; -1: in the step, in no operation; or one of the above
    std::uint64_t graph = 0;      ///< the engine's number, of kReplay
    auto operator<=>(const LaunchOwner&) const = default;
};

/// Memory: owners of which something is missing or too much, and those whose records are on their
/// way.
class LaunchBalance {
public:
    /// On the engine's thread.
    void counted(const LaunchOwner& owner, const LaunchTotals& launches) {
        if (launches == LaunchTotals{}) return;
        const std::lock_guard guard(mutex_);
        counted_.emplace_back(owner, launches);
    }

    // On the decoding thread; the engine's after that was joined.
    void recorded(const LaunchOwner& owner, const LaunchTotals& records) {
        add(owner, {-records.kernels, -records.copies, -records.sets});
    }
    /// Takes over what was counted since.
    void settle() {
        std::vector<std::pair<LaunchOwner, LaunchTotals>> counted;
        {
            const std::lock_guard guard(mutex_);
            counted.swap(counted_);
        }
        for (const auto& [owner, launches] : counted) add(owner, launches);
    }
    /// Counted and not recorded, and recorded without having been counted. After settle.
    std::pair<LaunchTotals, LaunchTotals> missingAndSurplus() const {
        LaunchTotals missing, surplus;
        const auto split = [&](std::int64_t LaunchTotals::*kind, const LaunchTotals& open) {
            (open.*kind > 0 ? missing.*kind : surplus.*kind) += std::abs(open.*kind);
        };
        for (const auto& [owner, open] : open_)
            for (const auto kind :
                 {&LaunchTotals::kernels, &LaunchTotals::copies, &LaunchTotals::sets})
                split(kind, open);
        return {missing, surplus};
    }

private:
    void add(const LaunchOwner& owner, const LaunchTotals& launches) {
        const auto entry = open_.try_emplace(owner).first;
        entry->second.add(launches);
        if (entry->second == LaunchTotals{}) open_.erase(entry);
    }

    std::mutex mutex_;
    std::vector<std::pair<LaunchOwner, LaunchTotals>> counted_;
    std::map<LaunchOwner, LaunchTotals> open_;  ///< counted less recorded, where that is not 0
};

}  // namespace moescope::cupti
