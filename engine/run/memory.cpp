// SPDX-License-Identifier: Apache-2.0
#include "engine/run/memory.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

std::optional<std::uint64_t> leadingNumber(std::string_view text) {
    const std::size_t start = text.find_first_of("0123456789");
    if (start == std::string_view::npos) return std::nullopt;
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(text.data() + start, text.data() + text.size(), value);
    if (parsed.ec != std::errc()) return std::nullopt;
    return value;
}

/// The number in the first line of `file` that starts with `key`.
std::optional<std::uint64_t> numberIn(const char* file, std::string_view key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(key)) return leadingNumber(std::string_view(line).substr(key.size()));
    }
    return std::nullopt;
}

/// What control group v2 still allows this container; the page cache it counts can be reclaimed,
/// but not the shared memory and tmpfs files in it.
std::uint64_t controlGroupRoom() {
    const auto limit = numberIn("/sys/fs/cgroup/memory.max", "");
    const auto used = numberIn("/sys/fs/cgroup/memory.current", "");
    if (!limit || !used) return kUnlimited;
    const std::uint64_t file = numberIn("/sys/fs/cgroup/memory.stat", "file ").value_or(0);
    const std::uint64_t shared = numberIn("/sys/fs/cgroup/memory.stat", "shmem ").value_or(0);
    const std::uint64_t cache = file - std::min(file, shared);
    const std::uint64_t fixed = *used - std::min(*used, cache);
    return *limit - std::min(*limit, fixed);
}

}  // namespace

std::uint64_t availableMemory() {
    const auto kibibytes = numberIn("/proc/meminfo", "MemAvailable:");
    const std::uint64_t machine = kibibytes ? *kibibytes * 1024 : kUnlimited;
    return std::min(machine, controlGroupRoom());
}

std::string memoryText(std::uint64_t bytes) {
    const bool gib = bytes >= (std::uint64_t{1} << 30);
    const double value = static_cast<double>(bytes) / (gib ? 0x1p30 : 0x1p20);
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                   std::chars_format::fixed, 2);
    return std::string(digits.data(), end.ptr) + (gib ? " GiB" : " MiB");
}

void requireMemory(std::uint64_t bytes, const std::string& what) {
    const std::uint64_t available = availableMemory();
    if (bytes <= available) return;
    throw Error(
        what + " needs " + memoryText(bytes) + ", " + memoryText(available) + " are available",
        "use a shorter context or a smaller model, or close other programs");
}

}  // namespace moescope
