// SPDX-License-Identifier: Apache-2.0
// Slices of one track must not overlap in any viewer: each goes to the first lane that is free.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "engine/core/error.h"

namespace moescope {

/// Time: the logarithm of the number of lanes a slice.
class Lanes {
public:
    static constexpr std::size_t kMost = 65536;  ///< no viewer shows as many

    /// file: the run's, for the Error.
    explicit Lanes(std::string file) : file_(std::move(file)) {}

    /// Lane of a slice. Throws Error when kMost are taken.
    std::size_t place(std::int64_t startNs, std::int64_t endNs) {
        const std::size_t lane = firstFree(startNs);
        if (lane == size_) {
            if (size_ == kMost)
                throw Error(file_ + ": more than " + std::to_string(kMost) +
                                " pieces of work lie over each other, which no trace can show",
                            "--format csv has them all");
            if (++size_ > width_) widen();
        }
        std::size_t node = width_ + lane;
        earliest_[node] = endNs;
        while (node /= 2) earliest_[node] = std::min(earliest_[2 * node], earliest_[2 * node + 1]);
        return lane;
    }
    std::size_t size() const noexcept { return size_; }

private:
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

    std::size_t firstFree(std::int64_t ns) const {
        if (size_ == 0 || earliest_[1] > ns) return size_;
        std::size_t node = 1;
        while (node < width_) node = 2 * node + (earliest_[2 * node] > ns ? 1 : 0);
        return node - width_;
    }

    void widen() {
        std::vector<std::int64_t> wider(4 * width_, kNever);
        std::copy_n(earliest_.begin() + std::ptrdiff_t(width_), width_,
                    wider.begin() + std::ptrdiff_t(2 * width_));
        width_ *= 2;
        earliest_ = std::move(wider);
        for (std::size_t node = width_; --node > 0;)
            earliest_[node] = std::min(earliest_[2 * node], earliest_[2 * node + 1]);
    }

    std::string file_;
    std::size_t size_ = 0, width_ = 1;  ///< lanes in use; leaves of the tree
    /// A tree in an array: [1] is the root, leaves from [width_] on say when each lane is free
    /// again, every other node the earliest of its two.
    std::vector<std::int64_t> earliest_{kNever, kNever};
};

}  // namespace moescope
