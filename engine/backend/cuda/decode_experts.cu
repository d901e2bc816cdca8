// SPDX-License-Identifier: Apache-2.0
// The experts of few tokens: work is shared out by output rows, each distinct expert is read once.
#include <algorithm>

#include "engine/backend/cuda/device_activation.h"
#include "engine/backend/cuda/norm.h"

namespace moescope::cuda {
namespace {

/// Activations that are copied to shared memory, bytes, at most.
constexpr int kMaxStaged = 64 << 10;

struct UpArgs {
    DecodeExpertsUp e;
    PieceShape shape;
    std::int32_t tilesPerBlock;
    std::int32_t rowBytes;  // of a staged row of one part; 0: rows are read from global memory
};
struct DownArgs {
    DecodeExpertsDown e;
    PieceShape shape;
    std::int32_t rowBytes;
};

/// The place that `expert` has among a token's choices, or -1.
__device__ __forceinline__ int placeOf(const RouterChoice& choice, int token, int topK,
                                       int expert) {
    for (int k = 0; k < topK; ++k) {
        if (choice.experts[token * topK + k] == expert) return k;
    }
    return -1;
}

/// Copies `count` rows to shared memory, all of one barrier; both parts of each.
__device__ __forceinline__ PairRows stageRows(const PairRows& from, int count, int rowBytes,
                                              std::byte* to, CopyBarrier* barrier) {
    PairRows rows;
    rows.high = reinterpret_cast<std::uint16_t*>(to);
    rows.low = reinterpret_cast<std::uint16_t*>(to + count * rowBytes);
    rows.stride = rowBytes / 2;
    const auto bytes = static_cast<std::uint32_t>(rowBytes);
    expectCopies(barrier, 2 * bytes * static_cast<std::uint32_t>(count));
    for (int i = 0; i < count; ++i) {
        const std::int64_t at = std::int64_t{i} * from.stride;
        beginCopy(barrier, rows.high + i * rows.stride, from.high + at, bytes);
        beginCopy(barrier, rows.low + i * rows.stride, from.low + at, bytes);
    }
    return rows;
}

template <WeightFormat F>
__global__ void __launch_bounds__(kBlockThreads) decodeExpertsUpKernel(const UpArgs a) {
    __shared__ CopyBarrier barriers[kMaxBuffers + 1];
    const DecodeExpertsUp& e = a.e;
    auto* memory = dynamicShared<std::byte>();
    std::byte* staged = memory + a.shape.ringBytes();
    auto* partial = reinterpret_cast<float*>(staged + 2 * e.tokens * a.rowBytes);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int first = static_cast<int>(blockIdx.x) * a.tilesPerBlock;
    const int tiles = min(a.tilesPerBlock, e.gateUp.tiles() - first);
    const int pieces = tiles * a.shape.perTile;

    prepareBarriers(barriers, kMaxBuffers + 1);
    letNextKernelBegin();
    waitForPreviousKernel();
    if (static_cast<int>(blockIdx.y) >= e.choice.distinct[0]) return;
    const int expert = e.choice.distinct[1 + blockIdx.y];
    PieceRing<F> ring(e.gateUp, a.shape, barriers, memory);
    const auto pieceOf = [&](int i) {
        return ring.piece(expert, first + i / a.shape.perTile, i % a.shape.perTile);
    };
    for (int i = 0; i < min(pieces, a.shape.buffers); ++i) ring.fetch(i, pieceOf(i));
    PairRows x = e.x;
    if (a.rowBytes > 0) x = stageRows(e.x, e.tokens, a.rowBytes, staged, barriers + kMaxBuffers);
    const int token = lane / 4;
    const bool mine = token < e.tokens && placeOf(e.choice, token, e.topK, expert) >= 0;
    const std::uint16_t* high = mine ? x.high + std::int64_t{token} * x.stride : nullptr;
    const std::uint16_t* low = mine ? x.low + std::int64_t{token} * x.stride : nullptr;
    __syncthreads();  // the barriers are there for all
    if (a.rowBytes > 0) waitForCopies(barriers + kMaxBuffers, 0);

    const int slice = e.tokens * kTileRows;
    float acc[4] = {0, 0, 0, 0};
    for (int i = 0; i < pieces; ++i) {
        ring.wait(i);
        ring.multiply(acc, i, pieceOf(i), high, low);
        if ((i + 1) % a.shape.perTile == 0) {
            storePartial(partial + (i / a.shape.perTile * kBlockWarps + warp) * slice, acc,
                         e.tokens);
            for (float& value : acc) value = 0;
        }
        if (i + a.shape.buffers >= pieces) continue;
        __syncthreads();
        ring.fetch(i + a.shape.buffers, pieceOf(i + a.shape.buffers));
    }
    __syncthreads();
    const int perRow = e.gated ? 2 : 1;  // stored rows for one number of the hidden vector
    const int rows = tiles * kTileRows / perRow;
    for (int i = static_cast<int>(threadIdx.x); i < rows * e.tokens; i += kBlockThreads) {
        const int local = i % rows * perRow;
        const int t = i / rows;
        const int place = placeOf(e.choice, t, e.topK, expert);
        const int row = first * kTileRows + local;
        if (place < 0 || row >= e.gateUp.rows) continue;
        float values[2] = {0, 0};
        for (int r = 0; r < perRow; ++r) {
            const float* at = partial + (local + r) / kTileRows * kBlockWarps * slice +
                              t * kTileRows + (local + r) % kTileRows;
            float sum = 0;
            for (int w = 0; w < kBlockWarps; ++w) sum += at[w * slice];
            sum *= e.x.scale[t];
            if (e.bias != nullptr) sum += e.bias[std::int64_t{expert} * e.gateUp.rows + row + r];
            values[r] = sum;
        }
        storePair(e.hidden, std::int64_t{t} * e.topK + place, row / perRow,
                  e.gated ? gatedActivated(e.activation, e.swigluAlpha, e.swigluLimit, values[0],
                                           values[1])
                          : activated(e.activation, values[0]));
    }
}

template <WeightFormat F>
__global__ void __launch_bounds__(kBlockThreads) decodeExpertsDownKernel(const DownArgs a) {
    __shared__ CopyBarrier barriers[kMaxBuffers + 1];
    __shared__ float partial[kBlockWarps][kDecodeTokens * kTileRows];
    const DecodeExpertsDown& e = a.e;
    auto* memory = dynamicShared<std::byte>();
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int tile = static_cast<int>(blockIdx.x);
    const int token = lane / 4;

    prepareBarriers(barriers, kMaxBuffers + 1);
    letNextKernelBegin();
    waitForPreviousKernel();
    const int pieces = e.choice.distinct[0] * a.shape.perTile;
    PieceRing<F> ring(e.down, a.shape, barriers, memory);
    const auto expertOf = [&](int i) { return e.choice.distinct[1 + i / a.shape.perTile]; };
    const auto pieceOf = [&](int i) { return ring.piece(expertOf(i), tile, i % a.shape.perTile); };
    for (int i = 0; i < min(pieces, a.shape.buffers); ++i) ring.fetch(i, pieceOf(i));
    PairRows hidden = e.hidden;
    if (a.rowBytes > 0) {
        hidden = stageRows(e.hidden, e.tokens * e.topK, a.rowBytes, memory + a.shape.ringBytes(),
                           barriers + kMaxBuffers);
    }
    __syncthreads();  // the barriers are there for all
    if (a.rowBytes > 0) waitForCopies(barriers + kMaxBuffers, 0);

    float total[4] = {0, 0, 0, 0};
    float acc[4] = {0, 0, 0, 0};
    for (int i = 0; i < pieces; ++i) {
        const int place = token < e.tokens ? placeOf(e.choice, token, e.topK, expertOf(i)) : -1;
        const std::int64_t slot = std::int64_t{token} * e.topK + place;
        ring.wait(i);
        ring.multiply(acc, i, pieceOf(i), place >= 0 ? hidden.high + slot * hidden.stride : nullptr,
                      place >= 0 ? hidden.low + slot * hidden.stride : nullptr);
        if ((i + 1) % a.shape.perTile == 0) {
            const float weight = place >= 0 ? e.choice.weights[slot] : 0.0F;
            MOESCOPE_UNROLL
            for (int j = 0; j < 4; ++j) {
                if (place >= 0) total[j] += weight * acc[j];
                acc[j] = 0;
            }
        }
        if (i + a.shape.buffers >= pieces) continue;
        __syncthreads();
        ring.fetch(i + a.shape.buffers, pieceOf(i + a.shape.buffers));
    }
    storePartial(partial[warp], total, e.tokens);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * e.tokens; i += kBlockThreads) {
        const int t = i / kTileRows;
        const int row = tile * kTileRows + i % kTileRows;
        if (row >= e.down.rows) continue;
        float sum = 0;
        for (int w = 0; w < kBlockWarps; ++w) sum += partial[w][i];
        if (e.bias != nullptr) {
            for (int k = 0; k < e.topK; ++k) {
                sum += e.choice.weights[t * e.topK + k] *
                       e.bias[std::int64_t{e.choice.experts[t * e.topK + k]} * e.down.rows + row];
            }
        }
        float& out = e.out[std::int64_t{t} * e.down.rows + row];
        out = e.add ? out + sum : sum;
    }
}

/// Bytes of one part of a row that a product reads, when `rows` of both parts fit; else 0.
int stagedRowBytes(const DeviceMatrix& m, int rows) {
    const int bytes = (2 * m.paddedCols() + 15) / 16 * 16;
    return 2 * rows * bytes <= kMaxStaged ? bytes : 0;
}

template <WeightFormat F>
void launchUp(const DecodeExpertsUp& e, cudaStream_t stream) {
    constexpr int kBlockBytes = 48 << 10;
    UpArgs a{e, {}, 1, stagedRowBytes(e.gateUp, e.tokens)};
    const int tiles = e.gateUp.tiles();
    const int tileBytes = static_cast<int>(16 * e.gateUp.tileUnits());
    a.tilesPerBlock = std::clamp(kBlockBytes / std::max(1, tileBytes), 1, 4);
    a.shape = pieceShape(e.gateUp, a.tilesPerBlock);
    const auto bytes =
        static_cast<std::size_t>(a.shape.ringBytes() + 2 * e.tokens * a.rowBytes +
                                 4 * a.tilesPerBlock * kBlockWarps * e.tokens * kTileRows);
    const auto blocks = static_cast<unsigned>((tiles + a.tilesPerBlock - 1) / a.tilesPerBlock);
    const auto experts = static_cast<unsigned>(std::min(e.tokens * e.topK, e.nExpert));
    launch({dim3(blocks, experts), dim3(kBlockThreads), bytes, stream, true},
           decodeExpertsUpKernel<F>, a);
}

template <WeightFormat F>
void launchDown(const DecodeExpertsDown& e, cudaStream_t stream) {
    DownArgs a{e, {}, stagedRowBytes(e.down, e.tokens * e.topK)};
    a.shape = pieceShape(e.down, e.tokens * e.topK);
    const auto bytes =
        static_cast<std::size_t>(a.shape.ringBytes() + 2 * e.tokens * e.topK * a.rowBytes);
    launch({dim3(static_cast<unsigned>(e.down.tiles())), dim3(kBlockThreads), bytes, stream, true},
           decodeExpertsDownKernel<F>, a);
}

}  // namespace

void decodeExpertsUp(const DecodeExpertsUp& e, cudaStream_t stream) {
    switch (e.gateUp.format) {
        case WeightFormat::Bf16:
            return launchUp<WeightFormat::Bf16>(e, stream);
        case WeightFormat::Bf16Pair:
            return launchUp<WeightFormat::Bf16Pair>(e, stream);
        case WeightFormat::Q8_0:
            return launchUp<WeightFormat::Q8_0>(e, stream);
        case WeightFormat::Mxfp4:
            return launchUp<WeightFormat::Mxfp4>(e, stream);
    }
}

void decodeExpertsDown(const DecodeExpertsDown& e, cudaStream_t stream) {
    switch (e.down.format) {
        case WeightFormat::Bf16:
            return launchDown<WeightFormat::Bf16>(e, stream);
        case WeightFormat::Bf16Pair:
            return launchDown<WeightFormat::Bf16Pair>(e, stream);
        case WeightFormat::Q8_0:
            return launchDown<WeightFormat::Q8_0>(e, stream);
        case WeightFormat::Mxfp4:
            return launchDown<WeightFormat::Mxfp4>(e, stream);
    }
}

}  // namespace moescope::cuda
