// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA back end in builds without it.
#ifndef MOESCOPE_WITH_CUDA

#include "engine/backend/backend.h"
#include "engine/core/error.h"

namespace moescope {

std::unique_ptr<Backend> makeCudaBackend(const BoundModel&, const Checkpoint&, const CudaOptions&,
                                         const StopFlag*) {
    throw Error("this build of moescope has no CUDA back end",
                "configure with -DMOESCOPE_CUDA=ON (needs the CUDA Toolkit 12.8 or newer)");
}

}  // namespace moescope

#endif
