// SPDX-License-Identifier: Apache-2.0
// RoPE's rotation of a pair, for every kernel that turns heads. Device code.
#pragma once

#include <cmath>

#include "engine/backend/cuda/simt.h"

namespace moescope::cuda {

/// The pair (a, b) turned by an angle (cosine, sine). The fused operations are written out: a
/// compiler that may choose where to fuse does so differently in each kernel, and a token has to
/// have the same bits whichever kernel turns it.
__device__ __forceinline__ float2 turnedPair(float a, float b, float2 angle) {
    return make_float2(fmaf(a, angle.x, -(b * angle.y)), fmaf(b, angle.x, a * angle.y));
}

}  // namespace moescope::cuda
