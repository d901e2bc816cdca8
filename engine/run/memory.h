// SPDX-License-Identifier: Apache-2.0
// Refusing what does not fit before it is allocated.
#pragma once

#include <cstdint>
#include <string>

namespace moescope {

/// Bytes that can be allocated now without swapping: MemAvailable of the machine, or what is left
/// below the control group's limit when that is less. UINT64_MAX where neither can be read.
std::uint64_t availableMemory();

/// Throws Error "<what> needs N GiB, M GiB are available" when `bytes` exceeds availableMemory().
void requireMemory(std::uint64_t bytes, const std::string& what);

/// "1.25 GiB", "3.00 MiB": locale-independent.
std::string memoryText(std::uint64_t bytes);

}  // namespace moescope
