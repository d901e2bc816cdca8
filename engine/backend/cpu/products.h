// SPDX-License-Identifier: Apache-2.0
// How the cpu back end shares out matrix products and per-token work over the pool.
#pragma once

#include <algorithm>

#include "engine/backend/cpu/cpu_backend.h"

namespace moescope::cpu {

/// Up to this many tokens, one matrix-vector product each is faster than filling a panel: the
/// second one finds the weights in the L1 or L2 cache.
inline constexpr int kVectorTokens = 2;
/// Items per thread and phase: enough for a thread that lost its core to be overtaken, few enough
/// that each streams a long stretch of memory.
inline constexpr std::int64_t kItemsPerThread = 8;

struct CpuBackend::Product {
    PackedMatrix matrix;
};

/// Splits [0, total) into runs for the pool: f(begin, end, thread).
template <typename F>
void forRuns(ThreadPool& pool, std::int64_t total, const F& f) {
    const std::int64_t run = std::max<std::int64_t>(1, total / (kItemsPerThread * pool.size()));
    pool.parallelFor((total + run - 1) / run, [&](std::int64_t item, int thread) {
        f(item * run, std::min(total, (item + 1) * run), thread);
    });
}

/// Tokens in runs too: handing one out costs two contended atomics, as much as normalising a short
/// one takes.
template <typename F>
void CpuBackend::forTokens(int n, const F& f) const {
    if (n <= kVectorTokens) {
        for (int t = 0; t < n; ++t) f(t, 0);
        return;
    }
    forRuns(pool_, n, [&](std::int64_t begin, std::int64_t end, int thread) {
        for (std::int64_t t = begin; t < end; ++t) f(t, thread);
    });
}

inline void CpuBackend::tileProduct(const PackedMatrix& w, std::int64_t tile,
                                    const ActivationLayout& layout, const std::byte* const* rows,
                                    int n, std::byte* panel, float* out) const {
    const auto format = static_cast<std::size_t>(w.format);
    if (n > kVectorTokens) {
        kernels_.matMul[format](w, tile, layout, rows, n, panel, out);
        return;
    }
    const std::int64_t end = std::min<std::int64_t>(2 * tile + 2, w.groups());
    for (int t = 0; t < n; ++t) {
        kernels_.matVec[format](w, 2 * tile, end, layout, rows[t], out + t * kTileRows);
    }
}

template <typename F>
void CpuBackend::addResidual(CpuState& s, std::span<const float> postNorm, const F& change) const {
    const int d = spec_.dModel;
    forTokens(s.tokens, [&](std::int64_t t, int) {
        float* row = change(t);
        if (spec_.normPlace != NormPlace::Pre) normalize(postNorm, {}, row, row, d);
        float* x = s.hidden + t * d;
        for (int i = 0; i < d; ++i) x[i] += row[i];
    });
}

template <typename Epilogue>
void CpuBackend::multiply(CpuState& s, std::span<const Product> products, const ActivationRows& in,
                          int n, const Epilogue& epilogue) const {
    std::int64_t total = 0;
    for (const Product& p : products) total += p.matrix.tiles();
    forRuns(pool_, total, [&](std::int64_t begin, std::int64_t end, int thread) {
        ThreadScratch& scratch = s.scratch[static_cast<std::size_t>(thread)];
        for (std::int64_t i = begin; i < end; ++i) {
            std::int64_t tile = i;
            std::size_t p = 0;
            for (; tile >= products[p].matrix.tiles(); ++p) tile -= products[p].matrix.tiles();
            const PackedMatrix& w = products[p].matrix;
            const std::int64_t firstRow = tile * kTileRows;
            const auto rows =
                static_cast<int>(std::min<std::int64_t>(kTileRows, w.rows - firstRow));
            for (int t = 0; t < n; t += kCallTokens) {
                const int count = std::min(kCallTokens, n - t);
                for (int j = 0; j < count; ++j) scratch.rows[j] = in.row(t + j);
                tileProduct(w, tile, in.layout, scratch.rows, count, scratch.panel,
                            scratch.tile[0]);
                for (int j = 0; j < count; ++j) {
                    epilogue(p, firstRow, rows, t + j, scratch.tile[0] + j * kTileRows);
                }
            }
        }
    });
}

}  // namespace moescope::cpu
