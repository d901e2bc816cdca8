// SPDX-License-Identifier: Apache-2.0
#include "profiler/record/machine.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/core/cpu_features.h"

namespace moescope {
namespace {

/// Value of the first line "key   : value" (or key=value) of a text file of the kernel; "" if
/// absent.
std::string valueOf(const char* file, std::string_view key, char separator) {
    std::ifstream in(file);
    std::string line;
    while (std::getline(in, line)) {
        if (line.compare(0, key.size(), key) != 0) continue;
        const std::size_t at = line.find(separator);
        if (at == std::string::npos) continue;
        const std::size_t begin = line.find_first_not_of(" \t\"", at + 1);
        const std::size_t end = line.find_last_not_of(" \t\"");
        return begin == std::string::npos ? std::string{} : line.substr(begin, end - begin + 1);
    }
    return {};
}

std::string firstLine(const char* file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

std::int64_t kibibytes(std::string_view key) {
    const std::string text = valueOf("/proc/meminfo", key, ':');
    std::int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') break;
        value = value * 10 + (c - '0');
    }
    return value * 1024;
}

bool underHypervisor() {
    std::string flags = valueOf("/proc/cpuinfo", "flags", ':');
    flags.append(" ");
    return flags.find(" hypervisor ") != std::string::npos;
}

int affinityCpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

/// Anonymous memory with huge pages asked for; data() is null when it cannot be mapped.
class HugeBuffer {
public:
    explicit HugeBuffer(std::size_t bytes) : bytes_(bytes) {
        void* memory =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        ::madvise(memory, bytes, MADV_HUGEPAGE);  // advice: a refusal only makes it slower
        data_ = static_cast<std::uint64_t*>(memory);
    }
    ~HugeBuffer() {
        if (data_ != nullptr) ::munmap(data_, bytes_);
    }
    HugeBuffer(const HugeBuffer&) = delete;
    HugeBuffer& operator=(const HugeBuffer&) = delete;

    std::uint64_t* data() const noexcept { return data_; }

private:
    std::size_t bytes_;
    std::uint64_t* data_ = nullptr;
};

/// Sixteen independent sums, so that the adds never wait for each other.
std::uint64_t sum(const std::uint64_t* data, std::size_t words) {
    std::uint64_t sums[16] = {};
    for (std::size_t i = 0; i + 16 <= words; i += 16) {
        for (std::size_t j = 0; j < 16; ++j) sums[j] += data[i + j];
    }
    std::uint64_t total = 0;
    for (const std::uint64_t part : sums) total += part;
    return total;
}

}  // namespace

nlohmann::json machineFacts() {
    struct utsname name {};
    ::uname(&name);
    double load = 0;
    if (::getloadavg(&load, 1) != 1) load = 0;
    return {{"cpu_model", valueOf("/proc/cpuinfo", "model name", ':')},
            {"logical_cpus", ::sysconf(_SC_NPROCESSORS_ONLN)},
            {"affinity_cpus", affinityCpus()},
            {"memory_bytes", kibibytes("MemTotal")},
            {"memory_available_bytes", kibibytes("MemAvailable")},
            {"last_level_cache_bytes", lastLevelCacheBytes()},
            {"kernel", std::string(name.sysname) + " " + name.release},
            {"architecture", name.machine},
            {"os", valueOf("/etc/os-release", "PRETTY_NAME", '=')},
            {"governor", firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
            {"hypervisor", underHypervisor()},
            {"load_1m", load}};
}

nlohmann::json buildFacts() {
#if defined(__clang__)
    const std::string compiler = "clang " __clang_version__;
#else
    const std::string compiler = "g++ " __VERSION__;
#endif
    return {{"version", MOESCOPE_VERSION},
            {"compiler", compiler},
            {"build_type", MOESCOPE_BUILD_TYPE},
            {"sanitizers", MOESCOPE_SANITIZERS},
            {"git_revision", MOESCOPE_GIT_REVISION}};
}

std::int64_t peakRssBytes() noexcept {
    struct rusage usage {};
    return ::getrusage(RUSAGE_SELF, &usage) == 0 ? std::int64_t{usage.ru_maxrss} * 1024 : 0;
}

double streamBandwidth(int threads, std::size_t bytes) {
    constexpr int kRounds = 4;
    using Clock = std::chrono::steady_clock;
    threads = std::clamp(threads, 1, 1024);
    const std::size_t words = bytes / sizeof(std::uint64_t) / std::size_t(threads);
    const HugeBuffer buffer(bytes);
    if (buffer.data() == nullptr || words < 16) return 0;
    std::vector<Clock::time_point> marks;
    marks.reserve(kRounds + 1);
    std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads));
    // The last thread to arrive takes the time: between two marks every thread read its part once.
    std::barrier gate(threads, [&marks]() noexcept { marks.push_back(Clock::now()); });
    const auto read = [&](std::size_t part) {
        std::uint64_t* begin = buffer.data() + part * words;
        std::fill(begin, begin + words, part);  // first touch by the thread that reads
        gate.arrive_and_wait();
        for (int round = 0; round < kRounds; ++round) {
            sums[part] += sum(begin, words);
            gate.arrive_and_wait();
        }
    };
    std::vector<std::thread> pool;
    for (std::size_t part = 1; part < sums.size(); ++part) pool.emplace_back(read, part);
    read(0);
    for (std::thread& thread : pool) thread.join();
    double best = 0;
    for (std::size_t i = 1; i < marks.size(); ++i) {
        const double seconds = std::chrono::duration<double>(marks[i] - marks[i - 1]).count();
        const double read = double(words) * sizeof(std::uint64_t) * double(threads);
        if (seconds > 0) best = std::max(best, read / seconds);
    }
    // The sums are known; comparing them keeps the reads from being optimised away.
    for (std::size_t part = 0; part < sums.size(); ++part) {
        if (sums[part] != std::uint64_t(kRounds) * part * (words / 16 * 16)) return 0;
    }
    return best;
}

}  // namespace moescope
