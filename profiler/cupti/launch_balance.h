// SPDX-License-Identifier: Apache-2.0
// Whether each operation and each replay brought the records that the engine counted for it: in a
// sum over the run a lost record and a foreign one would cancel out.
#pragma once

#include <algorithm>
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
    static constexpr std::int64_t kReplay = -2;      ///< nodes of `graph`
    static constexpr std::int64_t kWholeGraph = -3;  ///< graphs that have one record each

    std::int64_t step = -1;       ///< -1: none
    std::int64_t operation = -1;  ///< id; -1: in the step, in no operation; or one of the above
    std::uint64_t graph = 0;      ///< the engine's number, of kReplay
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for one.
    auto operator<=>(const LaunchOwner&) const = default;
};

/// Graphs as a whole count as kernels.
struct LaunchDifference {
    LaunchTotals missing;  ///< counted and not recorded
    LaunchTotals surplus;  ///< recorded and not counted
    /// Recorded, of an owner that is not known: taken for as many that are missing somewhere.
    LaunchTotals unclear;
    std::int64_t all() const noexcept { return missing.all() + surplus.all(); }
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
    void recordedOfUnknown(const LaunchTotals& records) { unknown_.add(records); }
    /// Takes over what was counted since.
    void settle() {
        std::vector<std::pair<LaunchOwner, LaunchTotals>> counted;
        {
            const std::lock_guard guard(mutex_);
            counted.swap(counted_);
        }
        for (const auto& [owner, launches] : counted) add(owner, launches);
    }
    /// After settle.
    LaunchDifference difference() const {
        LaunchDifference out;
        for (const auto kind :
             {&LaunchTotals::kernels, &LaunchTotals::copies, &LaunchTotals::sets}) {
            for (const auto& [owner, open] : open_) {
                LaunchTotals& side = open.*kind > 0 ? out.missing : out.surplus;
                side.*kind += std::abs(open.*kind);
            }
            out.unclear.*kind = std::min(out.missing.*kind, unknown_.*kind);
            out.missing.*kind -= out.unclear.*kind;
            out.surplus.*kind += unknown_.*kind - out.unclear.*kind;
        }
        return out;
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
    LaunchTotals unknown_;                      ///< recorded
};

}  // namespace moescope::cupti
