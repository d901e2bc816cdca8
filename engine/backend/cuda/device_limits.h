// SPDX-License-Identifier: Apache-2.0
// What launches are sized by.
#pragma once

#include <cstddef>

namespace moescope::cuda {

/// What the device has; asked once, since the query of the runtime takes milliseconds.
struct DeviceLimits {
    std::size_t sharedOfBlock, sharedOfSm;  ///< bytes; of a block, static and dynamic together
    int multiprocessors;
    bool warpgroups;
};
const DeviceLimits& deviceLimits();

}  // namespace moescope::cuda
