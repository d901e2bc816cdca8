// SPDX-License-Identifier: Apache-2.0
// Seeded draws of the simulations: the same on every platform, which std:: distributions are not.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/core/split_mix.h"

namespace moescope {

class Drawn {
public:
    explicit Drawn(std::uint64_t seed) noexcept : seed_(seed) {}

    /// Uniform in [0, bound), bound > 0; the bias of the remainder is below 2^-32 for our bounds.
    std::uint64_t below(std::uint64_t bound) noexcept {
        return splitMixAt(seed_, counter_++) % bound;
    }

    template <class T>
    void shuffle(std::vector<T>& values) noexcept {
        for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
    }

    /// Puts a random one of values[at..] at `at`: called for 0, 1, .. it shuffles as far as needed.
    template <class T>
    void place(std::vector<T>& values, std::size_t at) noexcept {
        std::swap(values[at], values[at + below(values.size() - at)]);
    }

private:
    std::uint64_t seed_, counter_ = 0;
};

}  // namespace moescope
