// SPDX-License-Identifier: Apache-2.0
// A small seeded generator: the same numbers on every platform (std:: distributions are not).
#pragma once

#include <cstdint>

namespace moescope::stats {

/// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31U);
    }
    /// Uniform in [0, bound), bound > 0; the bias of the remainder is below 2^-40 for our bounds.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    bool coin() noexcept { return (next() >> 63U) != 0; }

private:
    std::uint64_t state_;
};

}  // namespace moescope::stats
