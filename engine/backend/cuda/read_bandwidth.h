// SPDX-License-Identifier: Apache-2.0
// The ceiling that decoding is held against.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/backend/cuda/simt.h"

namespace moescope::cuda {

inline constexpr int kReadThreads = 256;
inline constexpr int kReadLoads = 8;  // of a thread, 16 bytes each, under way together
/// How a reading of at most `bytes` bytes is shared out: every thread of every block makes the same
/// number of passes, and what does not fill one is neither read nor counted.
struct ReadShape {
    unsigned blocks;
    std::uint64_t units;  ///< of 16 bytes that are read; 0 of less than 32 KiB
};
inline ReadShape readShape(std::uint64_t bytes, int multiprocessors) noexcept {
    const std::uint64_t units = bytes / sizeof(uint4);
    constexpr std::uint64_t kOfBlock = std::uint64_t{kReadThreads} * kReadLoads;
    const std::uint64_t blocks =
        std::clamp<std::uint64_t>(units / kOfBlock, 1, std::uint64_t{16} * multiprocessors);
    const std::uint64_t pass = blocks * kOfBlock;
    return {static_cast<unsigned>(blocks), units / pass * pass};
}

/// Bytes a second, the best of a few readings, of a kernel that reads `bytes` bytes of the current
/// device's memory, as far as readShape() has them, and does nothing else; waits for it. They
/// should be many times what the caches hold. Throws Error when a launch is refused.
double readBandwidthOf(const uint4* from, std::uint64_t bytes, int multiprocessors);

}  // namespace moescope::cuda
