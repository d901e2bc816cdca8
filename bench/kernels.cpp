// SPDX-License-Identifier: Apache-2.0
// Kernel speeds against the machine's own ceilings, measured in the same run: matrix-vector
// products in GB/s of weights against read bandwidth (huge pages), matrix-matrix products in 1e9
// multiply-adds a second against the peak of the instruction they are made of. Ceiling and kernel
// runs alternate, because neither the bandwidth nor the core count of a shared machine is constant;
// best and median are shown, the share is median against median. Usage: bench_kernels [--json]
// [rounds] [target]
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backend/cpu/kernel_table.h"
#include "engine/core/arena.h"
#include "engine/core/cpu_features.h"
#include "engine/core/error.h"
#include "engine/core/thread_pool.h"
#include "profiler/record/compute_peaks.h"

using namespace moescope;
using namespace moescope::cpu;

namespace {

struct Samples {
    std::vector<double> values;
    double best() const { return *std::max_element(values.begin(), values.end()); }
    double worst() const { return *std::min_element(values.begin(), values.end()); }
    double median() const {
        std::vector<double> sorted = values;
        std::nth_element(sorted.begin(),
                         sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2),
                         sorted.end());
        return sorted[sorted.size() / 2];
    }
};

template <typename F>
double secondsOf(const F& f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Sums 64-bit words: as fast as memory delivers.
std::uint64_t readAll(const std::byte* p, std::size_t bytes) {
    const auto* words = reinterpret_cast<const std::uint64_t*>(p);
    std::uint64_t sum[8] = {};
    for (std::size_t i = 0; i + 8 <= bytes / 8; i += 8) {
        if (i % 8 == 0) __builtin_prefetch(words + i + 512);
        for (std::size_t j = 0; j < 8; ++j) sum[j] += words[i + j];
    }
    std::uint64_t total = 0;
    for (const std::uint64_t s : sum) total += s;
    return total;
}

constexpr std::size_t kStreamBytes = 1ULL << 30;
volatile std::uint64_t sink;

double streamGbs(ThreadPool& pool, const std::byte* memory) {
    constexpr std::int64_t kParts = 64;
    return kStreamBytes / 1e9 / secondsOf([&] {
               pool.parallelFor(kParts, [&](std::int64_t i, int) {
                   sink = readAll(memory + static_cast<std::size_t>(i) * (kStreamBytes / kParts),
                                  kStreamBytes / kParts);
               });
           });
}

/// Random codes; scales whose bytes are all 0x38 (0.53 as f16), or 0x78 as E8M0 (2^-7).
struct RandomStack {
    RandomStack(PackedFormat format, int rows, int cols, int count_) : count(count_) {
        first.format = format;
        first.rows = rows;
        first.cols = cols;
        first.blocks = (cols + kBlockCols - 1) / kBlockCols;
        codeStride = Arena::aligned(first.codeBytes());
        scaleStride = Arena::aligned(first.scaleBytes());
        arena = Arena(static_cast<std::uint64_t>(count) * (codeStride + scaleStride));
        first.codes = arena.take(static_cast<std::uint64_t>(count) * codeStride);
        first.scales = arena.take(static_cast<std::uint64_t>(count) * scaleStride);
        std::uint32_t state = 1;
        auto* words = reinterpret_cast<std::uint32_t*>(first.codes);
        for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count) * codeStride / 4; ++i) {
            state = state * 1664525U + 1013904223U;
            words[i] = state & 0x3fff3fffU;  // no infinities when read as bf16
        }
        std::memset(first.scales, format == PackedFormat::Mxfp4 ? 0x78 : 0x38,
                    static_cast<std::size_t>(count) * scaleStride);
    }
    PackedMatrix matrix(int i) const {
        PackedMatrix m = first;
        m.codes += static_cast<std::uint64_t>(i) * codeStride;
        m.scales += static_cast<std::uint64_t>(i) * scaleStride;
        return m;
    }
    PackedMatrix first;
    int count;
    std::uint64_t codeStride, scaleStride;
    Arena arena;
};

struct Inputs {
    Inputs(const Kernels& kernels, int cols, int n)
        : layout(cols), arena(layout.bytes * static_cast<std::size_t>(n)) {
        for (int t = 0; t < n; ++t) {
            std::byte* row = arena.take(layout.bytes);
            for (int c = 0; c < cols; ++c)
                reinterpret_cast<float*>(row)[c] = static_cast<float>((c * 7 + t * 3) % 13 - 6) / 6;
            kernels.finishActivation(layout, row);
            rows.push_back(row);
        }
    }
    ActivationLayout layout;
    Arena arena;
    std::vector<const std::byte*> rows;
};

double matVecGbs(ThreadPool& pool, const Kernels& kernels, const RandomStack& w, const Inputs& in) {
    const std::int64_t groups = w.first.groups();
    const std::int64_t run = std::max<std::int64_t>(2, std::min<std::int64_t>(64, groups / 16));
    const std::int64_t runs = (groups + run - 1) / run;
    const double seconds = secondsOf([&] {
        pool.parallelFor(runs * w.count, [&](std::int64_t i, int) {
            alignas(64) float out[64 * kGroupRows];
            const std::int64_t begin = i % runs * run;
            kernels.matVec[static_cast<int>(w.first.format)](w.matrix(static_cast<int>(i / runs)),
                                                             begin, std::min(groups, begin + run),
                                                             in.layout, in.rows[0], out);
        });
    });
    return static_cast<double>(w.first.readBytes()) * w.count / 1e9 / seconds;
}

double matMulGmacs(ThreadPool& pool, const Kernels& kernels, const RandomStack& w,
                   const Inputs& in) {
    const int n = static_cast<int>(in.rows.size());
    std::vector<Arena> panels;
    std::vector<std::vector<float>> outs(static_cast<std::size_t>(pool.size()));
    std::vector<std::byte*> panel;
    for (std::vector<float>& out : outs) {
        out.resize(static_cast<std::size_t>(n) * kTileRows);
        panel.push_back(panels.emplace_back(kPanelBytes).take(kPanelBytes));
    }
    const std::int64_t tiles = w.first.tiles();
    constexpr std::int64_t kRun = 10;  // of 90 tiles in every matrix here
    const double seconds = secondsOf([&] {
        // Neighbouring tiles to one thread, as the back end does: kernels ask for the next one.
        pool.parallelFor(tiles * w.count / kRun, [&](std::int64_t run, int thread) {
            const auto t = static_cast<std::size_t>(thread);
            for (std::int64_t i = run * kRun; i < (run + 1) * kRun; ++i) {
                kernels.matMul[static_cast<int>(w.first.format)](
                    w.matrix(static_cast<int>(i / tiles)), i % tiles, in.layout, in.rows.data(), n,
                    panel[t], outs[t].data());
            }
        });
    });
    return 1.0 * w.first.rows * w.first.cols * n * w.count / 1e9 / seconds;
}

/// All threads at once: a core that others use shows here as it does in the kernels.
double peakGmacs(ThreadPool& pool, const Peak& peak) {
    std::vector<double> each(static_cast<std::size_t>(pool.size()));
    pool.parallelFor(pool.size(),
                     [&](std::int64_t i, int) { each[static_cast<std::size_t>(i)] = peak.run(); });
    double sum = 0;
    for (const double v : each) sum += v;
    return sum;
}

/// The instruction that a format's matrix products are made of.
const Peak& ceilingOf(const Kernels& kernels, PackedFormat format) {
    const std::string_view name = kernels.name;
    const bool vnni = name.find("vnni") != name.npos || name.find("bf16") != name.npos;
    const bool integers = format <= PackedFormat::Q6_K && vnni;
    if (integers) return kPeakTable[name.ends_with("_int8") ? 3 : 2];
    const bool pairs = format == PackedFormat::Bf16 && name.find("avx512_bf16") != name.npos;
    return kPeakTable[pairs ? 1 : 0];
}

struct Bench {
    int rounds = 7;
    bool json = false;
    std::vector<ThreadPool*> pools;
    const std::byte* stream = nullptr;
    nlohmann::json rows = nlohmann::json::array();

    void row(const char* kind, const Kernels& kernels, const RandomStack& w, int tokens,
             const ThreadPool& pool, const Samples& speed, const char* ceiling,
             const Samples& ceilings) {
        const double share = ceilings.median() > 0 ? speed.median() / ceilings.median() : 0;
        const bool vector = tokens == 1;
        if (json) {
            rows.push_back({{"kind", kind},
                            {"target", kernels.name},
                            {"format", packedInfo(w.first.format).name},
                            {"rows", w.first.rows},
                            {"cols", w.first.cols},
                            {"matrices", w.count},
                            {"tokens", tokens},
                            {"threads", pool.size()},
                            {"unit", vector ? "GB/s" : "GMAC/s"},
                            {"best", speed.best()},
                            {"median", speed.median()},
                            {"worst", speed.worst()},
                            {"ceiling", ceiling},
                            {"ceiling_median", ceilings.median()},
                            {"share", share}});
            return;
        }
        std::printf(
            "%s %-16s %-6s %3d x %6d x %4d x %3d tokens %2d threads %7.1f %-6s best %7.1f median "
            "%5.1f %% of %s (%.1f)\n",
            kind, std::string(kernels.name).c_str(), packedInfo(w.first.format).name.data(),
            w.count, w.first.rows, w.first.cols, tokens, pool.size(), speed.best(),
            vector ? "GB/s" : "GMAC/s", speed.median(), 100 * share, ceiling, ceilings.median());
        std::fflush(stdout);
    }

    void vector(const Kernels& kernels, PackedFormat format, int matrixRows, int count) {
        const RandomStack w(format, matrixRows, 2880, count);
        const Inputs in(kernels, 2880, 1);
        for (ThreadPool* pool : pools) {
            Samples read;
            Samples speed;
            for (int r = 0; r < rounds; ++r) {
                read.values.push_back(streamGbs(*pool, stream));
                speed.values.push_back(matVecGbs(*pool, kernels, w, in));
            }
            row("gemv", kernels, w, 1, *pool, speed, "stream", read);
        }
    }

    void matrix(const Kernels& kernels, PackedFormat format, int tokens) {
        const RandomStack w(format, 2880, 2880, 4);
        const Inputs in(kernels, 2880, tokens);
        const Peak& peak = ceilingOf(kernels, format);
        for (ThreadPool* pool : pools) {
            Samples peaks;
            Samples speed;
            for (int r = 0; r < rounds; ++r) {
                peaks.values.push_back(peakGmacs(*pool, peak));
                speed.values.push_back(matMulGmacs(*pool, kernels, w, in));
            }
            row("gemm", kernels, w, tokens, *pool, speed, peak.name, peaks);
        }
    }

    /// `plain`: also the formats that have one kernel for both numerics.
    void target(const Kernels& kernels, bool plain) {
        vector(kernels, PackedFormat::Mxfp4, 2880, 96);
        vector(kernels, PackedFormat::Q8_0, 201088, 1);
        vector(kernels, PackedFormat::Q4_1, 2880, 64);
        vector(kernels, PackedFormat::Q4_0, 2880, 64);
        vector(kernels, PackedFormat::Q4_K, 2880, 64);
        vector(kernels, PackedFormat::Q5_K, 2880, 32);
        vector(kernels, PackedFormat::Q6_K, 2880, 32);
        if (plain) {
            vector(kernels, PackedFormat::Bf16, 2880, 32);
            vector(kernels, PackedFormat::F32, 2880, 16);
        }
        for (const int tokens : {16, 64, 256}) matrix(kernels, PackedFormat::Mxfp4, tokens);
        matrix(kernels, PackedFormat::Q8_0, 256);
        matrix(kernels, PackedFormat::Q4_1, 256);
        matrix(kernels, PackedFormat::Q4_K, 256);
        matrix(kernels, PackedFormat::Q6_K, 256);
        if (plain) {
            matrix(kernels, PackedFormat::Bf16, 256);
            matrix(kernels, PackedFormat::F32, 256);
        }
    }
};

void runAll(Bench& bench, std::string_view target) {
    const Kernels& kernels = chooseKernels(target);
    ThreadPool single(1);
    ThreadPool all;
    bench.pools = {&single};
    if (all.size() > 1) bench.pools.push_back(&all);
    Arena memory(kStreamBytes);
    std::byte* stream = memory.take(kStreamBytes);
    std::memset(stream, 1, kStreamBytes);
    bench.stream = stream;
    if (!bench.json) std::printf("%s, %d rounds\n", cpuFeatures().model.c_str(), bench.rounds);
    bench.target(kernels, true);
    if (kernels.fast != nullptr) bench.target(*kernels.fast, false);
    if (bench.json) {
        const nlohmann::json document = {
            {"processor", cpuFeatures().model}, {"rounds", bench.rounds}, {"rows", bench.rows}};
        std::printf("%s\n", document.dump(1).c_str());
    }
}

int roundsOf(std::string_view text) {
    int rounds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
    if (error != std::errc{} || end != text.data() + text.size() || rounds < 1) {
        throw UsageError("the number of rounds must be positive",
                         "bench_kernels [--json] [rounds] [target]");
    }
    return rounds;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        Bench bench;
        std::vector<std::string_view> arguments(argv + 1, argv + argc);
        if (!arguments.empty() && arguments.front() == "--json") {
            bench.json = true;
            arguments.erase(arguments.begin());
        }
        if (!arguments.empty()) bench.rounds = roundsOf(arguments.front());
        runAll(bench, arguments.size() > 1 ? arguments[1] : "");
    } catch (const Error& e) {
        std::fprintf(stderr, "bench_kernels: %s (%s)\n", e.what(), e.hint().c_str());
        return 1;
    }
    return 0;
}
