// SPDX-License-Identifier: Apache-2.0
// A SIMT emulator for tests: kernels written for CUDA run on the host, each thread of a block as a
// fiber, blocks one after the other. It stands in for <cuda_runtime.h> and offers what our kernels
// use of the language and of the runtime.
//
// What it checks that a GPU does not: a barrier that not all threads reach is an error with the
// kernel's block named, dynamic shared and device memory begin poisoned with NaN, and the host's
// own sanitizers see every access: AddressSanitizer knows the bounds of each allocation of the
// device, of each piece of the engine's arenas, and of a block's shared memory. More shared memory
// than a block of Hopper has is an error too.
// All that is asynchronous happens as late as it may: a stream works when somebody waits for it,
// copies to shared memory and products of warpgroups are made when a thread waits for them, so that
// who forgets to wait reads NaN or what was there before. Races of threads, blocks and kernels:
// races.h. What it cannot show: speed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define MOESCOPE_SIMT_BOUNDS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define MOESCOPE_SIMT_BOUNDS
#endif
#ifdef MOESCOPE_SIMT_BOUNDS
#include <sanitizer/asan_interface.h>
#endif

// The names are CUDA's, which no compiler of the host defines.
// NOLINTBEGIN(bugprone-reserved-identifier)
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#ifdef MOESCOPE_SIMT_RACES
// Apart from `__device__` variables, which are static as well.
#define __shared__ static thread_local
#else
#define __shared__ static
#endif
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__
#define MOESCOPE_UNROLL
#define MOESCOPE_NO_UNROLL

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
}
inline float2 make_float2(float x, float y) {
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
};

namespace moescope::cuda::simt {

/// Whether what is emulated has a copy engine, warpgroups, kernels that overlap, and 227 KiB of
/// shared memory for a block. With MOESCOPE_SIMT_DEVICE=8.9 in the environment it is an older GPU.
bool hasHopper();

/// The thread that is running.
struct Lane {
    dim3 thread;
    int warpLane = 0;
    struct Warp* warp = nullptr;
    unsigned parity = 0;  ///< which of the warp's two exchange buffers is next
};
struct Warp {
    static constexpr std::size_t kSlotBytes = 64;
    alignas(16) std::byte slots[2][32][kSlotBytes];
    int live = 0;
    int arrived = 0;
    bool ordersMemory = false;  ///< the meeting under way is __syncwarp's
    unsigned generation = 0;
};

#ifdef MOESCOPE_SIMT_RACES
/// Of functions that stand for an instruction: their accesses are not the kernel's.
#define MOESCOPE_SIMT_INSTRUCTION __attribute__((no_sanitize_thread))
#else
#define MOESCOPE_SIMT_INSTRUCTION
#endif

Lane& lane();
const dim3& blockIndex();
const dim3& blockShape();
const dim3& gridShape();
std::byte* dynamicSharedBytes();
void blockBarrier();
/// All live lanes meet. Only __syncwarp also orders what they do to memory.
void warpBarrier(bool ordersMemory = false);

/// Every live lane of the warp offers `mine`; afterwards all can be read until the next exchange.
template <typename T>
class Exchange {
public:
    MOESCOPE_SIMT_INSTRUCTION explicit Exchange(const T& mine) {
        static_assert(sizeof(T) <= Warp::kSlotBytes);
        Lane& self = lane();
        slots_ = self.warp->slots[self.parity];
        self.parity ^= 1U;
        std::memcpy(slots_[self.warpLane], &mine, sizeof(T));
        warpBarrier();
    }
    MOESCOPE_SIMT_INSTRUCTION T of(int source) const {
        T value;
        std::memcpy(&value, slots_[source], sizeof(T));
        return value;
    }

private:
    std::byte (*slots_)[Warp::kSlotBytes];
};

void multiplyAccumulate(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                        std::uint32_t b1);
void multiplyAccumulateHalf(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                            std::uint32_t b1);
void loadMatrices(std::uint32_t (&r)[4], const void* shared);
void loadMatricesTransposed(std::uint32_t (&r)[4], const void* shared);
/// Where the 128-byte swizzle puts the byte that lies at this address without it: bits 4 to 6 of
/// the address are changed by bits 7 to 9.
inline std::uintptr_t swizzled(std::uintptr_t at) {
    return at ^ (at >> 3U & 0x70U);
}
/// A warp's quarter of wgmma m64nNk16 with A in registers: c (n / 8, 4), b (n rows of 128 bytes,
/// 128-byte swizzle).
/// Carried out when the thread waits for its group: until then neither may change.
void multiplyWarpgroup(float (*c)[4], int n, const std::uint32_t (&a)[4], const void* b);
void commitProducts();
void waitForProducts(int pending);

// ---- Copies that go on by themselves -----------------------------------------------------------

/// An mbarrier: a phase ends when as many threads have arrived as it counts, and all bytes have
/// come that were announced.
struct alignas(8) PhaseBarrier {
    std::uint64_t count : 12, pending : 12, bytes : 24, phase : 16;
};
void beginPhases(PhaseBarrier* barrier, int count);
/// Throws std::logic_error for more bytes than a phase may announce.
void arriveAt(PhaseBarrier* barrier, std::uint32_t bytes = 0);
/// Until a phase of this parity has ended.
void waitForPhase(const PhaseBarrier* barrier, unsigned parity);

/// Multiples of 16, all three.
struct Piece {
    void* to;
    const void* from;  ///< null: zeros
    std::size_t bytes;
};
/// The copy engine copies them; their bytes count for the barrier's phase.
void copyInBulk(std::vector<Piece> pieces, PhaseBarrier* barrier);

/// A thread's own copy of 16 bytes, made when it waits for its group; null: zeros.
void copyLater(void* shared, const void* global);
void commitCopies();
void waitForCopies(int pending);

// ---- Bounds, where AddressSanitizer is there ---------------------------------------------------

/// Bytes at least behind each piece of an allocation that nobody may touch.
#ifdef MOESCOPE_SIMT_BOUNDS
inline constexpr std::size_t kGap = 16;
#else
inline constexpr std::size_t kGap = 0;
#endif
/// Who touches these bytes of an allocation ends the program, until they are allowed again.
inline void forbid([[maybe_unused]] void* at, [[maybe_unused]] std::size_t bytes) {
#ifdef MOESCOPE_SIMT_BOUNDS
    ASAN_POISON_MEMORY_REGION(at, bytes);
#endif
}
inline void allow([[maybe_unused]] void* at, [[maybe_unused]] std::size_t bytes) {
#ifdef MOESCOPE_SIMT_BOUNDS
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
#endif
}

// ---- What only the race checker wants to know --------------------------------------------------

#ifdef MOESCOPE_SIMT_RACES
namespace races {
void waitForKernel();
void letKernelBegin();
void fence();
void atomic(void* at, std::size_t bytes);
}  // namespace races
#else
namespace races {
inline void waitForKernel() {}
inline void letKernelBegin() {}
inline void fence() {}
inline void atomic(void*, std::size_t) {}
}  // namespace races
#endif

}  // namespace moescope::cuda::simt

#define threadIdx (::moescope::cuda::simt::lane().thread)
#define blockIdx (::moescope::cuda::simt::blockIndex())
#define blockDim (::moescope::cuda::simt::blockShape())
#define gridDim (::moescope::cuda::simt::gridShape())

inline void __syncthreads() {
    moescope::cuda::simt::blockBarrier();
}
inline void __syncwarp(unsigned = 0xFFFFFFFFU) {
    moescope::cuda::simt::warpBarrier(true);
}
template <typename T>
T __shfl_sync(unsigned, T value, int source) {
    return moescope::cuda::simt::Exchange<T>(value).of(source & 31);
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    const int self = moescope::cuda::simt::lane().warpLane;
    return moescope::cuda::simt::Exchange<T>(value).of(self ^ mask);
}
template <typename T>
T __shfl_up_sync(unsigned, T value, int delta) {
    const int self = moescope::cuda::simt::lane().warpLane;
    return moescope::cuda::simt::Exchange<T>(value).of(self >= delta ? self - delta : self);
}
inline unsigned __ballot_sync(unsigned, bool predicate) {
    const moescope::cuda::simt::Exchange<bool> votes(predicate);
    unsigned mask = 0;
    for (int i = 0; i < 32; ++i) mask |= votes.of(i) ? 1U << i : 0U;
    return mask;
}
inline unsigned __reduce_max_sync(unsigned, unsigned value) {
    const moescope::cuda::simt::Exchange<unsigned> values(value);
    for (int i = 0; i < 32; ++i) value = std::max(value, values.of(i));
    return value;
}
inline unsigned __reduce_min_sync(unsigned, unsigned value) {
    const moescope::cuda::simt::Exchange<unsigned> values(value);
    for (int i = 0; i < 32; ++i) value = std::min(value, values.of(i));
    return value;
}
inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    const std::uint64_t bytes = std::uint64_t{y} << 32U | x;
    unsigned out = 0;
    for (unsigned i = 0; i < 4; ++i) {
        out |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7U) & 0xFFU) << 8 * i;
    }
    return out;
}
inline void __threadfence() {
    moescope::cuda::simt::races::fence();
}
// NOLINTEND(bugprone-reserved-identifier)
template <typename T>
MOESCOPE_SIMT_INSTRUCTION T atomicAdd(T* at, T value) {
    moescope::cuda::simt::races::atomic(at, sizeof(T));
    const T before = *at;
    *at = before + value;
    return before;
}
inline float __expf(float x) {
    return std::exp(x);
}
using std::max;
using std::min;

// ---- The runtime -------------------------------------------------------------------------------

enum cudaError_t : int {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorNoDevice = 100,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorStreamCaptureImplicit = 906,
    cudaErrorCapturedEvent = 907,
};
enum cudaMemcpyKind : int {
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};
enum cudaStreamCaptureMode : int { cudaStreamCaptureModeThreadLocal = 1 };

namespace moescope::cuda::simt {
struct Stream;
struct Graph;
struct Event;
}  // namespace moescope::cuda::simt
using cudaStream_t = moescope::cuda::simt::Stream*;
using cudaGraph_t = moescope::cuda::simt::Graph*;
using cudaGraphExec_t = moescope::cuda::simt::Graph*;
using cudaEvent_t = moescope::cuda::simt::Event*;

struct cudaDeviceProp {
    char name[256];
    int major, minor;
    int multiProcessorCount;
    std::size_t totalGlobalMem;
    std::size_t sharedMemPerBlockOptin;
    std::size_t sharedMemPerMultiprocessor;
    int l2CacheSize;
};

const char* cudaGetErrorString(cudaError_t status);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaMalloc(void** at, std::size_t bytes);
cudaError_t cudaFree(void* at);
cudaError_t cudaMallocHost(void** at, std::size_t bytes);
cudaError_t cudaFreeHost(void* at);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);

namespace moescope::cuda::simt {

/// Runs when somebody waits for the stream, or now without one; is recorded while the stream
/// captures. An error without a stream while any captures, which loses what was recorded.
cudaError_t enqueue(Stream* stream, std::function<void()> work);
/// Runs `thread` once for every thread of every block. Throws std::logic_error on a barrier that
/// some threads of a block never reach, or whose bytes never come.
/// overlap: the kernel may begin before the one in front of it has ended.
void runGrid(dim3 grid, dim3 block, std::size_t sharedBytes, bool overlap,
             const std::function<void()>& thread);

template <typename... Parameters>
cudaError_t launch(dim3 grid, dim3 block, std::size_t sharedBytes, Stream* stream, bool overlap,
                   void (*kernel)(Parameters...), Parameters... parameters) {
    return enqueue(stream, [=] {
        runGrid(grid, block, sharedBytes, overlap, [&] { kernel(parameters...); });
    });
}

}  // namespace moescope::cuda::simt
