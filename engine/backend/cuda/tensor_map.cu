// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/tensor_map.h"

#include <cstddef>
#include <string>

#ifndef MOESCOPE_SIMT_EMULATED
#include <cudaTypedefs.h>
#endif

namespace moescope::cuda {

#ifdef MOESCOPE_SIMT_EMULATED

TensorMap tensorMapOf(const TensorView& view) {
    return {view};
}

std::vector<simt::Piece> piecesOfBox(void* shared, const TensorView& view, int x, int y) {
    std::vector<simt::Piece> pieces;
    const std::int64_t width = view.columns * view.elementBytes;
    const std::int64_t boxWidth = std::int64_t{view.boxColumns} * view.elementBytes;
    const std::int64_t from = std::int64_t{x} * view.elementBytes;
    const auto* const data = static_cast<const std::byte*>(view.data);
    for (int row = 0; row < view.boxRows; ++row) {
        for (std::int64_t i = 0; i < boxWidth; i += 16) {
            auto at = reinterpret_cast<std::uintptr_t>(shared) +
                      static_cast<std::uintptr_t>(row * boxWidth + i);
            if (view.swizzled) at = simt::swizzled(at);
            // NOLINTNEXTLINE(performance-no-int-to-ptr)
            auto* const to = reinterpret_cast<void*>(at);
            const bool inside = y + row < view.rows && from + i < width;
            pieces.push_back(
                {to, inside ? data + (y + row) * view.rowBytes + from + i : nullptr, 16});
        }
    }
    return pieces;
}

#else
namespace {

/// The driver's function; asked for by name, so that the program starts without a driver.
PFN_cuTensorMapEncodeTiled_v12000 encoder() {
    static const auto found = [] {
        void* function = nullptr;
        cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
        check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                               cudaEnableDefault, &result),
              "asking the driver for tensor maps");
#else
        check(cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault,
                                      &result),
              "asking the driver for tensor maps");
#endif
        if (result != cudaDriverEntryPointSuccess) {
            throw Error("the GPU's driver knows no tensor maps", "update it to 525 or newer");
        }
        return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
    }();
    return found;
}

}  // namespace

TensorMap tensorMapOf(const TensorView& view) {
    TensorMap map{};
    const cuuint64_t sizes[] = {static_cast<cuuint64_t>(view.columns),
                                static_cast<cuuint64_t>(view.rows)};
    const cuuint64_t strides[] = {static_cast<cuuint64_t>(view.rowBytes)};
    const cuuint32_t box[] = {static_cast<cuuint32_t>(view.boxColumns),
                              static_cast<cuuint32_t>(view.boxRows)};
    const cuuint32_t steps[] = {1, 1};
    const CUresult result = encoder()(
        &map,
        view.elementBytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_UINT16 : CU_TENSOR_MAP_DATA_TYPE_UINT32, 2,
        const_cast<void*>(view.data), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
        view.swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS) {
        throw Error("the GPU's driver refuses a tensor map: error " + std::to_string(result));
    }
    return map;
}

#endif

}  // namespace moescope::cuda
