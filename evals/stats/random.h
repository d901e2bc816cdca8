// SPDX-License-Identifier: Apache-2.0
// A small seeded generator: the same numbers on every platform (std:: distributions are not).
#pragma once

#include <cstdint>

#include "engine/core/split_mix.h"

namespace moescope::stats {

class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept { return splitMix(state_ += kSplitMixStep); }
    /// Uniform in [0, bound), bound > 0; the bias of the remainder is below 2^-40 for our bounds.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    bool coin() noexcept { return (next() >> 63U) != 0; }

private:
    std::uint64_t state_;
};

}  // namespace moescope::stats
