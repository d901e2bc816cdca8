// SPDX-License-Identifier: Apache-2.0
// The ceiling that decoding is held against.
#pragma once

#include <cstdint>

#include "engine/backend/cuda/simt.h"

namespace moescope::cuda {

/// Bytes a second, the best of a few passes, of a kernel that reads `bytes` bytes of the current
/// device's memory and does nothing else; waits for it. They should be many times what the caches
/// hold. Throws Error when a launch is refused.
double readBandwidthOf(const uint4* from, std::uint64_t bytes, int multiprocessors);

}  // namespace moescope::cuda
