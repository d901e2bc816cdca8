// SPDX-License-Identifier: Apache-2.0
// What the SIMT emulator finds that a GPU may let pass: each kernel here is wrong on purpose, or is
// the right one beside it.
#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/phase_barrier.h"
#include "engine/backend/cuda/tensor_core.h"
#include "tests/cuda/device_data.h"

namespace moescope::cuda {
namespace {

using test::Buffer;

constexpr int kThreads = 64;

struct Run {
    const float* in;
    float* out;
    bool right;
};

template <typename Kernel>
std::vector<float> runOn(Kernel kernel, bool right, int blocks = 1) {
    const Buffer<float> in(std::vector<float>(kThreads * 4, 3.0F));
    const Buffer<float> out(kThreads * 4);
    launch({dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 4096, nullptr}, kernel,
           Run{in.get(), out.get(), right});
    return out.read();
}

// ---- What is asynchronous is late --------------------------------------------------------------

__global__ void ownCopyKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    const auto i = static_cast<int>(threadIdx.x);
    copyAsync16(shared + 4 * i, r.in + 4 * i);
    copyCommit();
    if (r.right) copyWait<0>();
    r.out[i] = shared[4 * i];
}

__global__ void groupsKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    const auto i = static_cast<int>(threadIdx.x);
    for (int group = 0; group < 2; ++group) {
        copyAsync16(shared + 4 * (2 * i + group), r.in + 4 * i);
        copyCommit();
    }
    copyWait<1>();
    r.out[i] = shared[4 * (2 * i + (r.right ? 0 : 1))];
    copyWait<0>();
}

__global__ void bulkCopyKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    auto* const barrier = reinterpret_cast<Barrier*>(shared + kThreads);
    const auto i = static_cast<int>(threadIdx.x);
    if (i == 0) {
        initialize(barrier, 1);
        arriveAndExpect(barrier, sizeof(float) * kThreads);
        simt::copyInBulk({{shared, r.in, sizeof(float) * kThreads}}, barrier);
    }
    __syncthreads();
    if (r.right) waitFor(barrier, 0);
    r.out[i] = shared[i];
    waitFor(barrier, 0);
}

__global__ void announcedKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    auto* const barrier = reinterpret_cast<Barrier*>(shared + kThreads);
    if (threadIdx.x == 0) {
        initialize(barrier, 1);
        arriveAndExpect(barrier, r.right ? 64 : 80);
        simt::copyInBulk({{shared, r.in, 64}}, barrier);
    }
    __syncthreads();
    waitFor(barrier, 0);
}

__global__ void warpgroupKernel(const Run r) {
    auto* const shared = dynamicShared<std::uint16_t>();
    for (auto i = static_cast<int>(threadIdx.x); i < 16 * 64; i += kThreads) shared[i] = 0x3F80;
    __syncthreads();
    const std::uint32_t one = packBf16(1, 1);
    const std::uint32_t a[4] = {one, one, one, one};
    float c[2][4] = {};
    multiplyWarpgroup(c, a, SwizzledRows(shared));
    warpgroupCommit();
    if (r.right) warpgroupWait<0>();
    r.out[threadIdx.x] = c[0][0];
    warpgroupWait<0>();
}

__global__ void alignmentKernel(const Run r, int kind) {
    auto* const shared = dynamicShared<float>() + (r.right ? 0 : 1);
    if (kind == 0) {
        copyAsync16(shared, r.in);
        copyCommit();
        copyWait<0>();
    } else {
        if (threadIdx.x < 4) shared[threadIdx.x] = 0;
        __syncwarp();
        std::uint32_t rows[4];
        loadMatrices(rows, shared);
    }
}

TEST_CASE("copies and rows of matrices that are not aligned are errors", "[emulation]") {
    const Buffer<float> in(std::vector<float>(4, 3.0F));
    const Buffer<float> out(1);
    for (const int kind : {0, 1}) {
        const auto run = [&](bool right) {
            // A thread for the copy: 32 would race.
            launch({dim3(1), dim3(kind == 0 ? 1 : 32), 64}, alignmentKernel,
                   Run{in.get(), out.get(), right}, kind);
        };
        CHECK_NOTHROW(run(true));
        CHECK_THROWS_WITH(run(false), Catch::Contains("not aligned to 16 bytes"));
    }
}

TEST_CASE("a copy to shared memory is not there before its thread waits for its group",
          "[emulation]") {
    CHECK(runOn(ownCopyKernel, true)[5] == 3.0F);
    CHECK(runOn(groupsKernel, true)[5] == 3.0F);
#ifndef MOESCOPE_SIMT_RACES
    CHECK(std::isnan(runOn(ownCopyKernel, false)[5]));
    CHECK(std::isnan(runOn(groupsKernel, false)[5]));
#endif
}

TEST_CASE("bytes of the copy engine are not there before their barrier's phase has ended",
          "[emulation]") {
    CHECK(runOn(bulkCopyKernel, true)[5] == 3.0F);
#ifndef MOESCOPE_SIMT_RACES
    CHECK(std::isnan(runOn(bulkCopyKernel, false)[5]));
#endif
}

TEST_CASE("bytes that were announced to a barrier and never come are an error", "[emulation]") {
    CHECK_NOTHROW(runOn(announcedKernel, true));
    CHECK_THROWS_WITH(runOn(announcedKernel, false), Catch::Contains("never reach"));
}

TEST_CASE("a product of a warpgroup is not there before it is waited for", "[emulation]") {
    CHECK(runOn(warpgroupKernel, true)[5] == 16.0F);
    CHECK(runOn(warpgroupKernel, false)[5] == 0.0F);
}

TEST_CASE("a stream has done nothing before somebody waits for it", "[emulation]") {
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
    void* locked = nullptr;
    REQUIRE(cudaMallocHost(&locked, sizeof(float)) == cudaSuccess);
    auto* const number = static_cast<float*>(locked);
    *number = 1;
    const Buffer<float> device(std::vector<float>{2});
    cudaMemcpyAsync(number, device.get(), sizeof(float), cudaMemcpyDeviceToHost, stream);
    CHECK(*number == 1);
    cudaStreamSynchronize(stream);
    CHECK(*number == 2);
    // Memory that is not page-locked has been read when the call returns.
    float pageable = 5;
    cudaMemcpyAsync(device.get(), &pageable, sizeof(float), cudaMemcpyHostToDevice, stream);
    *number = pageable = 6;
    cudaStreamSynchronize(stream);
    CHECK(device.read()[0] == 5);
    cudaMemcpyAsync(device.get(), number, sizeof(float), cudaMemcpyHostToDevice, stream);
    *number = 7;
    cudaStreamSynchronize(stream);
    CHECK(device.read()[0] == 7);
    cudaStreamDestroy(stream);
    cudaFreeHost(locked);
}

TEST_CASE("who waits while a stream captures gets an error and no graph", "[emulation]") {
    cudaStream_t stream = nullptr;
    cudaStream_t other = nullptr;
    REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
    REQUIRE(cudaStreamCreate(&other) == cudaSuccess);
    cudaEvent_t event = nullptr;
    REQUIRE(cudaEventCreate(&event) == cudaSuccess);
    const Buffer<float> number(std::vector<float>{2});
    const auto afterCapturing = [&](const auto& asked) {
        REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        REQUIRE(cudaMemsetAsync(number.get(), 0, sizeof(float), stream) == cudaSuccess);
        const cudaError_t status = asked();
        cudaGraph_t graph = nullptr;
        const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
        CHECK((ended == cudaSuccess) == (graph != nullptr));
        CHECK((status == cudaSuccess) == (ended == cudaSuccess));
        if (ended != cudaSuccess) CHECK(ended == cudaErrorStreamCaptureInvalidated);
        if (graph != nullptr) cudaGraphDestroy(graph);
        return status;
    };
    CHECK(afterCapturing([&] { return cudaStreamSynchronize(stream); }) ==
          cudaErrorStreamCaptureUnsupported);
    CHECK(afterCapturing([] { return cudaDeviceSynchronize(); }) ==
          cudaErrorStreamCaptureUnsupported);
    CHECK(afterCapturing([] { return cudaStreamSynchronize(nullptr); }) ==
          cudaErrorStreamCaptureImplicit);
    CHECK(afterCapturing([&] {
              return cudaMemsetAsync(number.get(), 0, sizeof(float), nullptr);
          }) == cudaErrorStreamCaptureImplicit);
    CHECK(afterCapturing([&] {
              REQUIRE(cudaEventRecord(event, stream) == cudaSuccess);
              return cudaEventSynchronize(event);
          }) == cudaErrorCapturedEvent);
    CHECK(afterCapturing([&] { return cudaStreamSynchronize(other); }) == cudaSuccess);
    CHECK(number.read()[0] == 2);  // what is recorded is not done
    cudaEventDestroy(event);
    cudaStreamDestroy(other);
    cudaStreamDestroy(stream);
}

// ---- Races -------------------------------------------------------------------------------------
#ifdef MOESCOPE_SIMT_RACES

__global__ void blockKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    const auto i = static_cast<int>(threadIdx.x);
    shared[i] = r.in[i];
    if (r.right) __syncthreads();
    r.out[i] = shared[(i + 32) % kThreads];
}

__global__ void warpKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    const auto i = static_cast<int>(threadIdx.x);
    shared[i] = r.in[i];
    __shfl_xor_sync(kAllLanes, i, 1);  // orders nothing
    if (r.right) __syncwarp();
    r.out[i] = shared[i ^ 1];
}

__global__ void refillKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    auto* const full = reinterpret_cast<Barrier*>(shared + 256);
    Barrier* const empty = full + 1;
    const auto warp = static_cast<int>(threadIdx.x) / kWarp;
    const auto lane = static_cast<int>(threadIdx.x) % kWarp;
    if (threadIdx.x == 0) {
        initialize(full, 1);
        initialize(empty, 1);
    }
    __syncthreads();
    for (std::uint32_t round = 0; round < 2; ++round) {
        if (warp == 0) {
            if (round > 0 && r.right) waitFor(empty, 0);
            if (lane == 0) {
                arriveAndExpect(full, 128);
                simt::copyInBulk({{shared, r.in, 128}}, full);
            }
            waitFor(full, round);
        } else {
            waitFor(full, round);
            r.out[32 * round + threadIdx.x] = shared[lane];
            __syncwarp();
            if (lane == 0) arrive(empty);
        }
    }
}

__global__ void otherStageKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    auto* const full = reinterpret_cast<Barrier*>(shared + 256);
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < 2; ++stage) {
            initialize(full + stage, 1);
            arriveAndExpect(full + stage, 256);
            simt::copyInBulk({{shared + 64 * stage, r.in, 256}}, full + stage);
        }
    }
    __syncthreads();
    waitFor(full, 0);
    r.out[threadIdx.x] = shared[threadIdx.x + (r.right ? 0 : 64)];
    waitFor(full + 1, 0);
}

/// One of the warps that read has not said so before the word is written again.
__global__ void manyReadersKernel(const Run r, int silent) {
    auto* const shared = dynamicShared<float>();
    auto* const done = reinterpret_cast<Barrier*>(shared + 256);
    const auto warp = static_cast<int>(threadIdx.x) / kWarp;
    if (threadIdx.x == 0) {
        shared[0] = 1;
        initialize(done, silent < 0 ? 7 : 6);
    }
    __syncthreads();
    if (warp == 0) {
        waitFor(done, 0);
        if (threadIdx.x == 0) shared[0] = 2;
        return;
    }
    r.out[threadIdx.x] = shared[0];
    __syncwarp();
    if (threadIdx.x % kWarp == 0 && warp != silent) arrive(done);
}

/// Thread `writer` writes what a copy reads, in front of or behind the wait for it.
__global__ void sourceKernel(const Run r, unsigned writer) {
    auto* const shared = dynamicShared<float>();
    auto* const full = reinterpret_cast<Barrier*>(shared + 256);
    if (threadIdx.x == 0) {
        initialize(full, 1);
        arriveAndExpect(full, 256);
        simt::copyInBulk({{shared, r.out, 256}}, full);
    }
    __syncthreads();
    if (!r.right && threadIdx.x == writer) r.out[0] = 1;
    waitFor(full, 0);
    if (r.right && threadIdx.x == writer) r.out[0] = 1;
}

/// Waits for the later of two copies and reads the earlier.
__global__ void earlierStageKernel(const Run r) {
    auto* const shared = dynamicShared<float>();
    auto* const full = reinterpret_cast<Barrier*>(shared + 256);
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < 2; ++stage) initialize(full + stage, 1);
        for (int stage = 0; stage < 2; ++stage) {
            arriveAndExpect(full + stage, 256);
            simt::copyInBulk({{shared + 64 * stage, r.in, 256}}, full + stage);
        }
    }
    __syncthreads();
    waitFor(full + 1, 0);
    r.out[threadIdx.x] = shared[threadIdx.x + (r.right ? 64 : 0)];
    waitFor(full, 0);
}

__global__ void uninitializedKernel(const Run r) {
    auto* const barrier = reinterpret_cast<Barrier*>(dynamicShared<float>());
    if (threadIdx.x == 0) {
        initialize(barrier, 1);
        arrive(barrier);
    }
    if (r.right) __syncthreads();
    waitFor(barrier, 0);
}

__global__ void lastBlockKernel(const Run r, unsigned* counter) {
    if (threadIdx.x != 0) return;
    r.out[blockIdx.x] = r.in[blockIdx.x];
    if (r.right) __threadfence();
    if (atomicAdd(counter, 1U) + 1 < gridDim.x) return;
    __threadfence();
    float sum = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) sum += r.out[i];
    r.out[gridDim.x] = sum;
}

__global__ void wholeOutKernel(const Run r) {
    r.out[5] = r.in[threadIdx.x];
}

__global__ void unwrittenKernel(const Run r) {
    float* const behind = r.out + kThreads * 4;
    if (!r.right) r.out[0] = behind[0];
}

TEST_CASE("threads that share a number without a barrier between them race", "[emulation]") {
    CHECK_NOTHROW(runOn(blockKernel, true));
    CHECK_THROWS_WITH(runOn(blockKernel, false),
                      Catch::Contains("read of shared memory") && Catch::Contains("same block"));
    CHECK_NOTHROW(runOn(warpKernel, true));
    CHECK_THROWS_WITH(runOn(warpKernel, false), Catch::Contains("read of shared memory"));
    CHECK_THROWS_WITH(runOn(wholeOutKernel, true), Catch::Contains("write of device memory"));
}

TEST_CASE("copies that nobody has waited for race with who reads them", "[emulation]") {
    CHECK_THROWS_WITH(runOn(bulkCopyKernel, false), Catch::Contains("a copy of the copy engine"));
    CHECK_NOTHROW(runOn(otherStageKernel, true));
    CHECK_THROWS_WITH(runOn(otherStageKernel, false), Catch::Contains("a copy of the copy engine"));
}

TEST_CASE("what a copy reads is not written before somebody has waited for it", "[emulation]") {
    for (const unsigned writer : {0U, 1U, 63U}) {
        const auto run = [&](bool right) {
            const Buffer<float> out(std::vector<float>(64, 3.0F));
            launch({dim3(1), dim3(kThreads), 4096}, sourceKernel, Run{nullptr, out.get(), right},
                   writer);
        };
        CHECK_NOTHROW(run(true));
        CHECK_THROWS_WITH(run(false), Catch::Contains("write of device memory") &&
                                          Catch::Contains("a copy of the copy engine"));
    }
}

TEST_CASE("a buffer that is filled again while others read it is a race", "[emulation]") {
    CHECK_NOTHROW(runOn(refillKernel, true));
    CHECK_THROWS_WITH(runOn(refillKernel, false), Catch::Contains("by a copy of the copy engine"));
}

TEST_CASE("a word is not written while any of the warps that read it may not have", "[emulation]") {
    const auto run = [](int silent) {
        const Buffer<float> in(8);
        const Buffer<float> out(256);
        launch({dim3(1), dim3(256), 4096}, manyReadersKernel, Run{in.get(), out.get(), true},
               silent);
    };
    CHECK_NOTHROW(run(-1));
    for (int warp = 1; warp < 8; ++warp)
        CHECK_THROWS_WITH(run(warp), Catch::Contains("write of shared memory"));
}

TEST_CASE("copies are not ordered among themselves, nor a barrier with its initialization",
          "[emulation]") {
    CHECK_NOTHROW(runOn(earlierStageKernel, true));
    CHECK_THROWS_WITH(runOn(earlierStageKernel, false),
                      Catch::Contains("a copy of the copy engine"));
    CHECK_NOTHROW(runOn(uninitializedKernel, true));
    CHECK_THROWS_WITH(runOn(uninitializedKernel, false), Catch::Contains("of shared memory"));
}

TEST_CASE("blocks know of each other by an atomic addition behind a fence", "[emulation]") {
    const auto run = [](bool fence) {
        const Buffer<float> in(std::vector<float>(8, 1.0F));
        const Buffer<float> out(8);
        const Buffer<unsigned> counter(std::vector<unsigned>{0});
        launch({dim3(4), dim3(32)}, lastBlockKernel, Run{in.get(), out.get(), fence},
               counter.get());
        return out.read()[4];
    };
    CHECK(run(true) == 4);
    CHECK_THROWS_WITH(run(false), Catch::Contains("another block"));
}

TEST_CASE("device memory that is read before it was written is told of", "[emulation]") {
    // The buffers of these tests are filled, what lies behind them is not.
    CHECK_NOTHROW(runOn(unwrittenKernel, true));
    CHECK_THROWS_WITH(runOn(unwrittenKernel, false), Catch::Contains("before it was written"));
}

/// A block's `__shared__` variables are not those of the block before.
__global__ void unwrittenSharedKernel(const Run r) {
    __shared__ float shared[1];
    if (r.right || blockIdx.x == 0) shared[0] = r.in[0];
    r.out[blockIdx.x] = shared[0];
}

TEST_CASE("a shared variable that a block reads before it wrote it is told of", "[emulation]") {
    const auto run = [](bool right) {
        const Buffer<float> in(std::vector<float>(1, 3.0F));
        const Buffer<float> out(2);
        launch({dim3(2), dim3(1)}, unwrittenSharedKernel, Run{in.get(), out.get(), right});
    };
    CHECK_NOTHROW(run(true));
    CHECK_THROWS_WITH(run(false),
                      Catch::Contains("before it was written") && Catch::Contains("shared memory"));
}

__device__ float deviceVariable[4];

/// The second of two blocks reads what the first wrote, or what an earlier kernel wrote.
__global__ void deviceVariableKernel(bool writes, bool reads) {
    if (writes && blockIdx.x == 0) deviceVariable[1] = 1;
    if (reads && blockIdx.x == 1) deviceVariable[2] = deviceVariable[1];
}

TEST_CASE("a variable of the device is not one block's", "[emulation]") {
    const auto run = [](bool writes, bool reads) {
        launch({dim3(2), dim3(1)}, deviceVariableKernel, writes, reads);
    };
    CHECK_NOTHROW(run(true, false));
    CHECK_NOTHROW(run(false, true));
    CHECK_THROWS_WITH(run(true, true), Catch::Contains("another block"));
}

/// Kernel `stage` of a chain reads what that `back` places before it wrote.
struct Chain {
    float* numbers;
    int stage, back;
    bool waitsFirst;  ///< before it lets the next one begin
    bool readsEarly;  ///< before it waits
};
__global__ void chainKernel(const Chain c) {
    if (!c.waitsFirst) letNextKernelBegin();
    float before = 0;
    const auto read = [&] { before = c.stage >= c.back ? c.numbers[c.stage - c.back] : 0; };
    if (c.readsEarly) read();
    waitForPreviousKernel();
    if (c.waitsFirst) letNextKernelBegin();
    if (!c.readsEarly) read();
    c.numbers[c.stage] = before + 1;
}

void runChain(int back, bool waitsFirst, bool readsEarly) {
    const Buffer<float> numbers(8);
    for (int stage = 0; stage < 6; ++stage) {
        launch({dim3(1), dim3(1), 0, nullptr, true}, chainKernel,
               Chain{numbers.get(), stage, back, waitsFirst, readsEarly});
    }
}

TEST_CASE("a kernel that may begin early knows of earlier ones only what it has waited for",
          "[emulation]") {
    for (const bool waitsFirst : {false, true}) {
        CHECK_NOTHROW(runChain(1, waitsFirst, false));
        CHECK_NOTHROW(runChain(2, waitsFirst, false));
    }
    CHECK_THROWS_WITH(runChain(1, true, true), Catch::Contains("an earlier kernel"));
    // The kernel before has waited for the one before it before it let this one begin, or has not.
    CHECK_THROWS_WITH(runChain(2, false, true), Catch::Contains("an earlier kernel"));
}

#endif

}  // namespace
}  // namespace moescope::cuda
