// SPDX-License-Identifier: Apache-2.0
#include "engine/run/cache_memory.h"

#include <limits>
#include <string>

#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/run/memory.h"

namespace moescope {

std::uint64_t deviceRoomForCaches(const Backend& backend) {
    const DeviceMemory memory = backend.deviceMemory();
    if (memory.total == 0) return std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t free = memory.total - memory.used;
    // The device hands out whole pages, and others may use it: a sixteenth is not counted on.
    return free - free / 16;
}

void requireCacheMemory(const Backend& backend, const CacheShape& shape, int count) {
    const auto caches = static_cast<std::uint64_t>(count);
    const std::string what = "the key-value memory of " + countText(count, "sequence") + " of " +
                             std::to_string(shape.maxContext) + " tokens";
    requireMemory(backend.cacheBytes(shape) * caches, what);
    const std::uint64_t needed = backend.deviceCacheBytes(shape) * caches;
    const std::uint64_t room = deviceRoomForCaches(backend);
    if (needed <= room) return;
    throw Error(what + " needs " + memoryText(needed) + " of device memory, " + memoryText(room) +
                    " are available",
                "use fewer sequences at a time, a shorter context or a smaller model");
}

}  // namespace moescope
