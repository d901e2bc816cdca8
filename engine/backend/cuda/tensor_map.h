// SPDX-License-Identifier: Apache-2.0
// Tensor maps: two-dimensional arrays in global memory as Hopper's copy engine knows them. One
// instruction of one thread copies a box of them to shared memory (copyBox in prefill_async.h).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend/cuda/launch.h"

#ifndef MOESCOPE_SIMT_EMULATED
#include <cuda.h>
#endif

namespace moescope::cuda {

/// What a map describes. Columns times the element's bytes, rowBytes and a box's row are multiples
/// of 16 bytes, as is `data`; a box may be larger than the array.
struct TensorView {
    const void* data = nullptr;
    std::int32_t elementBytes = 4;  ///< 2 or 4
    std::int64_t columns = 0, rows = 0, rowBytes = 0;
    std::int32_t boxColumns = 0, boxRows = 0;  ///< at most 256
    /// Boxes are of rows of 128 bytes, whose 16-byte parts get wgmma's 128-byte swizzle.
    bool swizzled = false;
};

#ifdef MOESCOPE_SIMT_EMULATED
struct TensorMap {
    TensorView view;
};
/// What the copy engine does for one box.
std::vector<simt::Piece> piecesOfBox(void* shared, const TensorView& view, int x, int y);
#else
using TensorMap = CUtensorMap;
#endif

/// To be handed to a kernel by value, as a __grid_constant__. Throws Error where the driver
/// refuses.
TensorMap tensorMapOf(const TensorView& view);

}  // namespace moescope::cuda
