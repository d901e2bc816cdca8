// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/emulation/emulation.h"

#include <boost/context/continuation.hpp>
#include <boost/context/fixedsize_stack.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/formats/half.h"

namespace moescope::cuda::simt {
namespace {

namespace context = boost::context;

constexpr std::size_t kStackBytes = 128 << 10;
/// Of a block, dynamic: as on Hopper.
constexpr std::size_t kSharedOfBlock = 227 << 10;

/// One allocation for the stacks of a block, reused by the next.
class StackPool {
public:
    context::stack_context take() {
        if (free_.empty()) return allocator_.allocate();
        const context::stack_context stack = free_.back();
        free_.pop_back();
        return stack;
    }
    void give(context::stack_context stack) { free_.push_back(stack); }

private:
    context::fixedsize_stack allocator_{kStackBytes};
    std::vector<context::stack_context> free_;
};

struct PooledStack {
    StackPool* pool;
    context::stack_context allocate() { return pool->take(); }
    void deallocate(context::stack_context& stack) noexcept { pool->give(stack); }
};

struct Fiber {
    Lane lane;
    context::continuation resume;
    bool done = false;
};

/// The block that is running: one at a time.
struct Block {
    dim3 index, shape, grid;
    std::vector<std::byte> shared;
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    Fiber* current = nullptr;
    context::continuation scheduler;
    int live = 0;
    int arrived = 0;
    unsigned generation = 0;
    std::uint64_t progress = 0;  // counts what a thread did other than wait
    std::exception_ptr failure;
};

thread_local Block* running = nullptr;
thread_local StackPool stacks;

void yield() {
    Block& block = *running;
    block.scheduler = block.scheduler.resume();
}

void releaseWarp(Warp& warp) {
    if (warp.live > 0 && warp.arrived == warp.live) {
        warp.arrived = 0;
        ++warp.generation;
        ++running->progress;
    }
}

void releaseBlock(Block& block) {
    if (block.live > 0 && block.arrived == block.live) {
        block.arrived = 0;
        ++block.generation;
        ++block.progress;
    }
}

void startFiber(Block& block, Fiber& fiber, const std::function<void()>& thread) {
    fiber.resume = context::callcc(std::allocator_arg, PooledStack{&stacks},
                                   [&block, &fiber, &thread](context::continuation&& scheduler) {
                                       block.scheduler = std::move(scheduler);
                                       yield();  // all threads exist before the first one runs
                                       try {
                                           thread();
                                       } catch (...) {
                                           block.failure = std::current_exception();
                                       }
                                       fiber.done = true;
                                       ++block.progress;
                                       --block.live;
                                       --fiber.lane.warp->live;
                                       releaseWarp(*fiber.lane.warp);
                                       releaseBlock(block);
                                       return std::move(block.scheduler);
                                   });
}

void runBlock(Block& block, const std::function<void()>& thread) {
    const std::size_t threads =
        static_cast<std::size_t>(block.shape.x) * block.shape.y * block.shape.z;
    block.fibers = std::vector<Fiber>(threads);
    block.warps = std::vector<Warp>((threads + 31) / 32);
    block.live = static_cast<int>(threads);
    block.arrived = 0;
    for (std::size_t i = 0; i < threads; ++i) {
        Fiber& fiber = block.fibers[i];
        const auto n = static_cast<unsigned>(i);
        fiber.lane.thread = dim3(n % block.shape.x, n / block.shape.x % block.shape.y,
                                 n / block.shape.x / block.shape.y);
        fiber.lane.warpLane = static_cast<int>(i % 32);
        fiber.lane.warp = &block.warps[i / 32];
        ++fiber.lane.warp->live;
        block.current = &fiber;
        startFiber(block, fiber, thread);
    }
    while (block.live > 0) {
        const std::uint64_t before = block.progress;
        for (Fiber& fiber : block.fibers) {
            if (fiber.done) continue;
            block.current = &fiber;
            fiber.resume = fiber.resume.resume();
            if (block.failure) std::rethrow_exception(block.failure);
        }
        if (block.live > 0 && block.progress == before) {
            throw std::logic_error("block " + std::to_string(block.index.x) + ", " +
                                   std::to_string(block.index.y) + ", " +
                                   std::to_string(block.index.z) +
                                   ": a barrier that some of its threads never reach");
        }
    }
}

}  // namespace

Lane& lane() {
    return running->current->lane;
}
const dim3& blockIndex() {
    return running->index;
}
const dim3& blockShape() {
    return running->shape;
}
const dim3& gridShape() {
    return running->grid;
}
std::byte* dynamicSharedBytes() {
    const auto address = reinterpret_cast<std::uintptr_t>(running->shared.data());
    return running->shared.data() + (1024 - address % 1024) % 1024;
}

void blockBarrier() {
    Block& block = *running;
    const unsigned generation = block.generation;
    ++block.arrived;
    releaseBlock(block);
    while (block.generation == generation) yield();
}

void warpBarrier() {
    Warp& warp = *lane().warp;
    const unsigned generation = warp.generation;
    ++warp.arrived;
    releaseWarp(warp);
    while (warp.generation == generation) yield();
}

namespace {

float bf16Of(std::uint32_t pair, int which) {
    const std::uint32_t bits = (which != 0 ? pair >> 16U : pair & 0xFFFFU) << 16U;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
float halfOf(std::uint32_t pair, int which) {
    return halfToFloat(static_cast<std::uint16_t>(which != 0 ? pair >> 16U : pair & 0xFFFFU));
}

/// mma.m16n8k16 with `value(pair, which)` for elements.
template <typename Value>
void multiply16x8(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                  Value value) {
    struct Operands {
        std::uint32_t a[4];
        std::uint32_t b[2];
    };
    const Exchange<Operands> all(Operands{{a[0], a[1], a[2], a[3]}, {b0, b1}});
    const int self = lane().warpLane;
    const int g = self / 4;
    const int t = self % 4;
    for (int u = 0; u < 4; ++u) {  // k = 2 u, 2 u + 1, and 8 further
        const Operands row = all.of(4 * g + u);
        for (int e = 0; e < 2; ++e) {
            const Operands column = all.of(4 * (2 * t + e) + u);
            for (int k = 0; k < 4; ++k) {
                const float x = value(column.b[k / 2], k % 2);
                c[e] += value(row.a[k / 2 * 2], k % 2) * x;
                c[2 + e] += value(row.a[k / 2 * 2 + 1], k % 2) * x;
            }
        }
    }
}

}  // namespace

void multiplyAccumulate(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                        std::uint32_t b1) {
    multiply16x8(c, a, b0, b1, bf16Of);
}

void multiplyAccumulateHalf(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                            std::uint32_t b1) {
    multiply16x8(c, a, b0, b1, halfOf);
}

void multiplyWarpgroup(float (*c)[4], int n, const std::uint32_t (&a)[4], const void* b) {
    struct Operand {
        std::uint32_t a[4];
    };
    const Exchange<Operand> all(Operand{{a[0], a[1], a[2], a[3]}});
    const int self = lane().warpLane;
    const int g = self / 4;
    const int t = self % 4;
    float rows[2][16];
    for (int k = 0; k < 16; ++k) {
        const Operand owner = all.of(4 * g + k % 8 / 2);
        for (int r = 0; r < 2; ++r) rows[r][k] = bf16Of(owner.a[r + (k >= 8 ? 2 : 0)], k % 2);
    }
    const auto base = reinterpret_cast<std::uintptr_t>(b);
    for (int column = 0; column < n; ++column) {
        if (column % 8 / 2 != t) continue;
        float* const out = c[column / 8];
        for (int k = 0; k < 16; k += 2) {
            // The hardware swizzles addresses: bits 4 to 6 with bits 7 to 9.
            std::uintptr_t at = base + static_cast<std::uintptr_t>(128 * column + 2 * k);
            at ^= at >> 3U & 0x70U;
            std::uint32_t pair;
            // NOLINTNEXTLINE(performance-no-int-to-ptr)
            std::memcpy(&pair, reinterpret_cast<const void*>(at), sizeof pair);
            for (int e = 0; e < 2; ++e) {
                out[column % 2] += rows[0][k + e] * bf16Of(pair, e);
                out[2 + column % 2] += rows[1][k + e] * bf16Of(pair, e);
            }
        }
    }
    warpBarrier();  // nobody overwrites what another lane still reads
}

void loadMatrices(std::uint32_t (&r)[4], const void* shared) {
    const Exchange<const void*> rows(shared);
    const int self = lane().warpLane;
    for (int m = 0; m < 4; ++m) {
        const auto* row = static_cast<const std::byte*>(rows.of(8 * m + self / 4));
        std::memcpy(&r[m], row + self % 4 * 4, 4);
    }
    warpBarrier();  // nobody overwrites what another lane still reads
}

void loadMatricesTransposed(std::uint32_t (&r)[4], const void* shared) {
    const Exchange<const void*> rows(shared);
    const int self = lane().warpLane;
    for (int m = 0; m < 4; ++m) {
        std::uint16_t pair[2];
        for (int e = 0; e < 2; ++e) {
            const auto* row = static_cast<const std::byte*>(rows.of(8 * m + self % 4 * 2 + e));
            std::memcpy(&pair[e], row + self / 4 * 2, 2);
        }
        std::memcpy(&r[m], pair, 4);
    }
    warpBarrier();
}

void runGrid(dim3 grid, dim3 block, std::size_t sharedBytes, const std::function<void()>& thread) {
    if (sharedBytes > kSharedOfBlock)
        throw std::logic_error("a kernel asks for " + std::to_string(sharedBytes) +
                               " bytes of shared memory, more than a block has");
    Block state;
    state.shape = block;
    state.grid = grid;
    Block* const outer = std::exchange(running, &state);
    try {
        for (unsigned z = 0; z < grid.z; ++z) {
            for (unsigned y = 0; y < grid.y; ++y) {
                for (unsigned x = 0; x < grid.x; ++x) {
                    state.index = dim3(x, y, z);
                    state.shared.assign(sharedBytes + 1024, std::byte{0xFF});
                    runBlock(state, thread);
                }
            }
        }
    } catch (...) {
        running = outer;
        throw;
    }
    running = outer;
}

struct Graph {
    std::vector<std::function<void()>> work;
};
struct Stream {
    std::unique_ptr<Graph> capture;
};
struct Event {
    std::chrono::steady_clock::time_point at;
};

namespace {
/// `__shared__` variables are static in the emulation: kernels run one at a time.
std::recursive_mutex oneKernel;
}  // namespace

void enqueue(Stream* stream, std::function<void()> work) {
    if (stream != nullptr && stream->capture) {
        stream->capture->work.push_back(std::move(work));
        return;
    }
    const std::lock_guard lock(oneKernel);
    work();
}

}  // namespace moescope::cuda::simt

using namespace moescope::cuda::simt;

const char* cudaGetErrorString(cudaError_t status) {
    return status == cudaSuccess ? "no error" : "emulated error";
}
cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    return device == 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {};
    std::strncpy(properties->name, "SIMT emulator", sizeof properties->name - 1);
    properties->major = 9;
    properties->multiProcessorCount = 3;
    properties->totalGlobalMem = std::size_t{4} << 30;
    properties->sharedMemPerBlockOptin = kSharedOfBlock;
    properties->sharedMemPerMultiprocessor = 228 << 10;
    properties->l2CacheSize = 1 << 20;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    *free = *total = std::size_t{4} << 30;
    return cudaSuccess;
}
cudaError_t cudaMalloc(void** at, std::size_t bytes) {
    *at = ::operator new (bytes, std::align_val_t{256}, std::nothrow);
    if (*at == nullptr) return cudaErrorMemoryAllocation;
    std::memset(*at, 0xFF, bytes);  // NaN as float32, bf16 and half
    return cudaSuccess;
}
cudaError_t cudaFree(void* at) {
    ::operator delete (at, std::align_val_t{256});
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void** at, std::size_t bytes) {
    return cudaMalloc(at, bytes);
}
cudaError_t cudaFreeHost(void* at) {
    return cudaFree(at);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
    enqueue(stream, [=] { std::memcpy(to, from, bytes); });
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t stream) {
    enqueue(stream, [=] { std::memset(at, value, bytes); });
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    *stream = new Stream;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream == nullptr || stream->capture) return cudaErrorInvalidValue;
    stream->capture = std::make_unique<Graph>();
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    if (!stream->capture) return cudaErrorInvalidValue;
    *graph = stream->capture.release();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
    *exec = new Graph(*graph);
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    for (const auto& work : exec->work) enqueue(stream, work);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    *event = new Event;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
    event->at = std::chrono::steady_clock::now();
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
    *milliseconds = std::chrono::duration<float, std::milli>(to->at - from->at).count();
    return cudaSuccess;
}
