// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/device_limits.h"

#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/prefill_product.h"

namespace moescope::cuda {

const DeviceLimits& deviceLimits() {
    static const DeviceLimits found = [] {
        cudaDeviceProp properties{};
        int device = 0;
        check(cudaGetDevice(&device), "asking for the device");
        check(cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
        return DeviceLimits{properties.sharedMemPerBlockOptin,
                            properties.sharedMemPerMultiprocessor, properties.multiProcessorCount,
                            properties.major == 9 && hasWarpgroups()};
    }();
    return found;
}

}  // namespace moescope::cuda
