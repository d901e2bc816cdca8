// SPDX-License-Identifier: Apache-2.0
// Memory for the keys and values of many sequences, on the host or on a device.
#pragma once

#include <cstdint>

#include "engine/backend/backend.h"

namespace moescope {

/// Bytes of device memory that new caches may take together; UINT64_MAX for a back end on the host.
std::uint64_t deviceRoomForCaches(const Backend& backend);

/// Throws Error with what is needed and what is there when `count` caches of that shape do not fit
/// beside each other.
void requireCacheMemory(const Backend& backend, const CacheShape& shape, int count);

}  // namespace moescope
