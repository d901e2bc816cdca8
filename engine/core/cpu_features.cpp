// SPDX-License-Identifier: Apache-2.0
// CPUID through the compiler's run time, which also checks that the OS saves the registers.
#include "engine/core/cpu_features.h"

#include <charconv>
#include <fstream>

namespace moescope {
namespace {

std::string modelName() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("model name", 0) != 0) continue;
        const std::size_t colon = line.find(": ");
        if (colon != std::string::npos) return line.substr(colon + 2);
    }
    return "unknown";
}

CpuFeatures detect() {
    CpuFeatures f;
#if defined(__x86_64__)
    __builtin_cpu_init();
    // F16C, which clang 14 cannot ask for by name, is older than AVX2 on every maker's parts.
    f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    f.avx512Vnni = f.avx512 && __builtin_cpu_supports("avx512vnni");
    f.avx512Bf16 = f.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
    f.model = modelName();
    return f;
}

}  // namespace

const CpuFeatures& cpuFeatures() {
    static const CpuFeatures features = detect();
    return features;
}

std::uint64_t lastLevelCacheBytes() {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");
    std::string line;
    std::getline(file, line);
    return cacheSizeOf(line);
}

std::uint64_t cacheSizeOf(std::string_view text) noexcept {
    std::uint32_t kibibytes = 0;  // the kernel writes no other unit
    const auto end = std::from_chars(text.data(), text.data() + text.size(), kibibytes);
    const bool whole = end.ec == std::errc{} && end.ptr + 1 == text.data() + text.size();
    return whole && *end.ptr == 'K' ? std::uint64_t{kibibytes} * 1024 : 0;
}

}  // namespace moescope
