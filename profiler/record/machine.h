// SPDX-License-Identifier: Apache-2.0
// Facts about the machine and the build that a measurement cannot be judged without.
#pragma once

#include <cstddef>
#include <cstdint>

#include <nlohmann/json.hpp>

namespace moescope {

/// "cpu_model", "logical_cpus", "affinity_cpus", "memory_bytes", "memory_available_bytes",
/// "kernel", "os", "governor" ("" where the kernel shows none), "hypervisor" (bool), "load_1m",
/// "last_level_cache_bytes" (0 where the kernel does not tell).
nlohmann::json machineFacts();

/// "version", "compiler", "build_type", "git_revision" ("unknown" outside a clone), "sanitizers".
nlohmann::json buildFacts();

/// Highest resident memory of this process so far; 0 where the kernel does not tell.
std::int64_t peakRssBytes() noexcept;

/// Read bandwidth in bytes per second: the best of a few sums over a huge-page buffer far larger
/// than the caches, read by `threads` threads. Takes well under a second. Returns 0 when the buffer
/// cannot be had: a machine short of memory must not fail for a side figure.
double streamBandwidth(int threads, std::size_t bytes = std::size_t{256} << 20U);

}  // namespace moescope
