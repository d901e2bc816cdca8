// SPDX-License-Identifier: Apache-2.0
// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): any
// seed is a good seed, one word of state, and word `n` of a stream without those before it.
#pragma once

#include <cstdint>

namespace moescope {

/// What the state grows by with each word.
inline constexpr std::uint64_t kSplitMixStep = 0x9E3779B97F4A7C15ULL;

/// The word of a state.
constexpr std::uint64_t splitMix(std::uint64_t state) noexcept {
    std::uint64_t z = state;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
}

/// Word `counter` of the stream of a seed.
constexpr std::uint64_t splitMixAt(std::uint64_t seed, std::uint64_t counter) noexcept {
    return splitMix(seed + (counter + 1) * kSplitMixStep);
}

}  // namespace moescope
