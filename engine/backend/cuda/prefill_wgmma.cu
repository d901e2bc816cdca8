// SPDX-License-Identifier: Apache-2.0
// Prefill's matrix products with wgmma, for sm_90a. Other targets get kernels that stop: the host
// asks hasWarpgroups() first.
#include <cassert>

#include "engine/backend/cuda/prefill_kernel.h"

namespace moescope::cuda {
namespace {

template <WeightFormat kFormat>
void launchWarpgroups(const Product& p, int tileTokens, const Launch& l) {
    const auto kernel = tileTokens == 32   ? productKernel<kFormat, 32, ProductPath::Warpgroup>
                        : tileTokens == 64 ? productKernel<kFormat, 64, ProductPath::Warpgroup>
                                           : productKernel<kFormat, 128, ProductPath::Warpgroup>;
    launch(l, kernel, p);
}

}  // namespace

bool hasWarpgroups() {
#ifdef MOESCOPE_SIMT_EMULATED
    return true;
#else
    // Code compiled for an older architecture runs on Hopper too, and has no warpgroup products.
    cudaFuncAttributes attributes{};
    const auto kernel = productKernel<WeightFormat::Bf16, 32, ProductPath::Warpgroup>;
    check(cudaFuncGetAttributes(&attributes, kernel), "asking for a kernel's target");
    return attributes.ptxVersion >= 90;
#endif
}

void multiplyWarpgroups(const Product& p, int tileTokens, const Launch& l) {
    assert(warpgroupsTake(p.weights.format, p.x.low != nullptr));
    if (p.weights.format == WeightFormat::Mxfp4) {
        launchWarpgroups<WeightFormat::Mxfp4>(p, tileTokens, l);
    } else if (p.weights.format == WeightFormat::Q8_0) {
        launchWarpgroups<WeightFormat::Q8_0>(p, tileTokens, l);
    } else {
        launchWarpgroups<WeightFormat::Bf16>(p, tileTokens, l);
    }
}

}  // namespace moescope::cuda
