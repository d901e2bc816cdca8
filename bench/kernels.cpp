// SPDX-License-Identifier: Apache-2.0
// Kernel speeds against the machine's own ceiling: read bandwidth (huge pages), matrix-vector
// products in GB/s of weights, matrix-matrix products in GFLOP/s. Stream and kernel runs alternate,
// because neither the bandwidth nor the core count of a shared machine is constant; best and median
// are shown. Usage: bench_kernels [rounds] [target]
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "engine/backend/cpu/kernel_table.h"
#include "engine/core/arena.h"
#include "engine/core/cpu_features.h"
#include "engine/core/error.h"
#include "engine/core/thread_pool.h"

using namespace moescope;
using namespace moescope::cpu;

namespace {

struct Samples {
    std::vector<double> values;
    double best() const { return *std::max_element(values.begin(), values.end()); }
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

/// Random codes; scales whose bytes are all 0x38 (tame as f16, 2^-71 as E8M0).
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
        std::memset(first.scales, 0x38, static_cast<std::size_t>(count) * scaleStride);
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

double matMulGflops(ThreadPool& pool, const Kernels& kernels, const RandomStack& w,
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
    const double seconds = secondsOf([&] {
        pool.parallelFor(tiles * w.count, [&](std::int64_t i, int thread) {
            const auto t = static_cast<std::size_t>(thread);
            kernels.matMul[static_cast<int>(w.first.format)](w.matrix(static_cast<int>(i / tiles)),
                                                             i % tiles, in.layout, in.rows.data(),
                                                             n, panel[t], outs[t].data());
        });
    });
    return 2.0 * w.first.rows * w.first.cols * n * w.count / 1e9 / seconds;
}

void benchVector(int rounds, const Kernels& kernels, const std::vector<ThreadPool*>& pools,
                 const std::byte* memory, PackedFormat format, int rows, int count) {
    const RandomStack w(format, rows, 2880, count);
    const Inputs in(kernels, 2880, 1);
    for (ThreadPool* pool : pools) {
        Samples stream;
        Samples product;
        for (int r = 0; r < rounds; ++r) {
            stream.values.push_back(streamGbs(*pool, memory));
            product.values.push_back(matVecGbs(*pool, kernels, w, in));
        }
        std::printf(
            "gemv %-6s %3d x %6d x 2880  %2d threads  %6.1f GB/s best %6.1f median  %5.1f %% of "
            "stream (%.1f, median %.1f)\n",
            packedInfo(format).name.data(), count, rows, pool->size(), product.best(),
            product.median(), 100 * product.best() / stream.best(), stream.best(), stream.median());
    }
}

void benchMatrix(int rounds, const Kernels& kernels, const std::vector<ThreadPool*>& pools,
                 PackedFormat format, int tokens) {
    const RandomStack w(format, 2880, 2880, 4);
    const Inputs in(kernels, 2880, tokens);
    for (ThreadPool* pool : pools) {
        Samples s;
        for (int r = 0; r < rounds; ++r) s.values.push_back(matMulGflops(*pool, kernels, w, in));
        std::printf(
            "gemm %-6s 4 x 2880 x 2880 x %3d tokens  %2d threads  %7.1f GFLOP/s best %7.1f "
            "median\n",
            packedInfo(format).name.data(), tokens, pool->size(), s.best(), s.median());
    }
}

void runAll(int rounds, std::string_view target) {
    const Kernels& kernels = chooseKernels(target);
    ThreadPool single(1);
    ThreadPool all;
    std::vector<ThreadPool*> pools{&single};
    if (all.size() > 1) pools.push_back(&all);
    std::printf("%s, target %s\n", cpuFeatures().model.c_str(), kernels.name.data());
    Arena memory(kStreamBytes);
    std::byte* stream = memory.take(kStreamBytes);
    std::memset(stream, 1, kStreamBytes);
    benchVector(rounds, kernels, pools, stream, PackedFormat::Mxfp4, 2880, 96);
    benchVector(rounds, kernels, pools, stream, PackedFormat::Q8_0, 201088, 1);
    benchVector(rounds, kernels, pools, stream, PackedFormat::Q4_1, 2880, 64);
    benchVector(rounds, kernels, pools, stream, PackedFormat::Q4_0, 2880, 64);
    benchVector(rounds, kernels, pools, stream, PackedFormat::Bf16, 2880, 32);
    benchVector(rounds, kernels, pools, stream, PackedFormat::F32, 2880, 16);
    for (const int tokens : {16, 64, 256})
        benchMatrix(rounds, kernels, pools, PackedFormat::Mxfp4, tokens);
    for (const PackedFormat f :
         {PackedFormat::Q8_0, PackedFormat::Q4_1, PackedFormat::Bf16, PackedFormat::F32}) {
        benchMatrix(rounds, kernels, pools, f, 256);
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        int rounds = 7;
        if (argc > 1) {
            const std::string_view text = argv[1];
            const auto [end, error] =
                std::from_chars(text.data(), text.data() + text.size(), rounds);
            if (error != std::errc{} || end != text.data() + text.size() || rounds < 1) {
                throw UsageError("the number of rounds must be positive",
                                 "bench_kernels [rounds] [target]");
            }
        }
        runAll(rounds, argc > 2 ? argv[2] : "");
    } catch (const Error& e) {
        std::fprintf(stderr, "bench_kernels: %s (%s)\n", e.what(), e.hint().c_str());
        return 1;
    }
    return 0;
}
