// SPDX-License-Identifier: Apache-2.0
// Fourteen chains side by side, more than latency times throughput of any of these instructions.
#include "profiler/record/compute_peaks.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "engine/core/cpu_features.h"

namespace moescope {
namespace {

#if defined(__x86_64__)

constexpr int kRounds = 6000000;  // about ten milliseconds
constexpr int kChains = 14;

template <typename F>
double billionsPerSecond(double perInstruction, const F& loop) {
    const auto begin = std::chrono::steady_clock::now();
    loop();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    return perInstruction * kChains * kRounds / seconds.count() / 1e9;
}

#define MOESCOPE_CHAINS(I, R) \
    I(R "0")                  \
    I(R "1")                  \
    I(R "2")                  \
    I(R "3")                  \
    I(R "4") I(R "5") I(R "6") I(R "7") I(R "8") I(R "9") I(R "10") I(R "11") I(R "12") I(R "13")
// Operands: two more registers, of which nothing depends on anything.
#define MOESCOPE_CLOBBERS                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define MOESCOPE_FMA_YMM(r) "vfmadd231ps %%ymm14, %%ymm15, %%" r "\n"
#define MOESCOPE_FMA(r) "vfmadd231ps %%zmm14, %%zmm15, %%" r "\n"
#define MOESCOPE_BF16(r) "vdpbf16ps %%zmm14, %%zmm15, %%" r "\n"
#define MOESCOPE_INT16(r) "vpdpwssd %%zmm14, %%zmm15, %%" r "\n"
#define MOESCOPE_INT8(r) "vpdpbusd %%zmm14, %%zmm15, %%" r "\n"
#define MOESCOPE_ZERO(r) "vpxor %%" r ", %%" r ", %%" r "\n"

/// Zeros everywhere: no subnormals, no overflow.
void clearRegisters() {
    asm volatile(MOESCOPE_CHAINS(MOESCOPE_ZERO, "xmm") MOESCOPE_ZERO("xmm14")
                     MOESCOPE_ZERO("xmm15")::
                         : MOESCOPE_CLOBBERS);
}

#define MOESCOPE_LOOP(INSTRUCTION, REGISTERS, PER)                                      \
    billionsPerSecond(PER, [] {                                                         \
        clearRegisters();                                                               \
        for (int i = 0; i < kRounds; ++i)                                               \
            asm volatile(MOESCOPE_CHAINS(INSTRUCTION, REGISTERS)::: MOESCOPE_CLOBBERS); \
    })

double fp32() {
    if (cpuFeatures().avx512) return MOESCOPE_LOOP(MOESCOPE_FMA, "zmm", 16);
    return cpuFeatures().avx2 ? MOESCOPE_LOOP(MOESCOPE_FMA_YMM, "ymm", 8) : 0;
}
double bf16() {
    return cpuFeatures().avx512Bf16 ? MOESCOPE_LOOP(MOESCOPE_BF16, "zmm", 32) : 0;
}
double int16() {
    return cpuFeatures().avx512Vnni ? MOESCOPE_LOOP(MOESCOPE_INT16, "zmm", 32) : 0;
}
double int8() {
    return cpuFeatures().avx512Vnni ? MOESCOPE_LOOP(MOESCOPE_INT8, "zmm", 64) : 0;
}

#else

double fp32() {
    return 0;
}
double bf16() {
    return 0;
}
double int16() {
    return 0;
}
double int8() {
    return 0;
}

#endif

}  // namespace

const Peak kPeakTable[kPeaks] = {{"fp32", fp32}, {"bf16", bf16}, {"int16", int16}, {"int8", int8}};

namespace {

double measure(const Peak& peak, int threads) {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    std::barrier gate(threads);
    const auto work = [&](std::size_t i) {
        gate.arrive_and_wait();
        rates[i] = peak.run();
    };
    std::vector<std::thread> pool;
    for (std::size_t i = 1; i < rates.size(); ++i) pool.emplace_back(work, i);
    work(0);
    for (std::thread& thread : pool) thread.join();
    return 2e9 * std::accumulate(rates.begin(), rates.end(), 0.0);
}

}  // namespace

nlohmann::json computePeaks(int threads) {
    nlohmann::json peaks = nlohmann::json::object();
    threads = std::clamp(threads, 1, 1024);
    for (const Peak& peak : kPeakTable) {
        const double best = std::max(measure(peak, threads), measure(peak, threads));
        if (best > 0) peaks[peak.name] = best;
    }
    return peaks;
}

}  // namespace moescope
