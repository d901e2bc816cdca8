// SPDX-License-Identifier: Apache-2.0
// Cooperative cancellation: long loops poll a flag that a signal handler or a caller sets.
#pragma once

#include <atomic>

#include "engine/core/error.h"

namespace moescope {

/// Set by the CLI's SIGINT/SIGTERM handler; lock-free, so safe to set inside a handler.
using StopFlag = std::atomic<bool>;
static_assert(StopFlag::is_always_lock_free);

/// Throws Interrupted if `stop` is non-null and set. Call between steps, never inside kernels.
inline void throwIfStopped(const StopFlag* stop) {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) throw Interrupted("interrupted");
}

}  // namespace moescope
