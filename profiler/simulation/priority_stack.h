// SPDX-License-Identifier: Apache-2.0
// Caches of every size at once (Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques for storage
// hierarchies", IBM Systems Journal 9, 1970).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace moescope {

/// The first C items are what a cache of C items holds: it takes in what is used and throws out the
/// item of the least priority, whose order must not depend on C and must be strict.
class PriorityStack {
public:
    static constexpr std::size_t kAbsent = SIZE_MAX;

    explicit PriorityStack(std::size_t items) : priority_(items, 0) { items_.reserve(items); }

    void clear() { items_.clear(); }
    std::uint64_t& priority(std::size_t item) { return priority_[item]; }

    /// Every cache of more items than the position that is returned held `item`; none where it is
    /// kAbsent. On the way to that position each cache's least item goes over to the next larger.
    std::size_t use(std::size_t item) {
        if (items_.empty()) {
            items_.push_back(item);
            return kAbsent;
        }
        if (items_.front() == item) return 0;
        std::size_t leaving = std::exchange(items_.front(), item);
        for (std::size_t i = 1; i < items_.size(); ++i) {
            if (items_[i] == item) {
                items_[i] = leaving;
                return i;
            }
            if (priority_[leaving] > priority_[items_[i]]) std::swap(leaving, items_[i]);
        }
        items_.push_back(leaving);
        return kAbsent;
    }

private:
    std::vector<std::size_t> items_;       ///< the top first
    std::vector<std::uint64_t> priority_;  ///< (n_item)
};

}  // namespace moescope
