// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/emulation/emulation.h"

#include <boost/context/continuation.hpp>
#include <boost/context/fixedsize_stack.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef MOESCOPE_SIMT_BOUNDS
#include <sanitizer/common_interface_defs.h>
#endif

#include "engine/backend/cuda/emulation/races.h"
#include "engine/backend/cuda/simt.h"
#include "engine/formats/half.h"

#ifdef MOESCOPE_SIMT_BOUNDS
/// Second stacks to find uses of ended frames would be megabytes a thread of a kernel.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __asan_default_options() {
    return "detect_stack_use_after_return=0";
}
#endif

namespace moescope::cuda::simt {
namespace {

namespace context = boost::context;

#ifdef MOESCOPE_SIMT_BOUNDS
constexpr std::size_t kStackBytes = 512 << 10;  // with what lies between the variables
#else
constexpr std::size_t kStackBytes = 128 << 10;
#endif

/// One allocation for the stacks of a block, reused by the next.
class StackPool {
public:
    StackPool() = default;
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;
    ~StackPool() {
        for (context::stack_context& stack : free_) allocator_.deallocate(stack);
    }
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
    context::stack_context stack;
    context::stack_context allocate() const { return stack; }
    void deallocate(context::stack_context& used) noexcept { pool->give(used); }
};

/// Ends the threads of a block that is given up.
struct GivenUp {};

#ifdef MOESCOPE_SIMT_BOUNDS
void beginSwitch(const Stack& to) {
    __sanitizer_start_switch_fiber(nullptr, to.bottom, to.bytes);
}
/// Returns the stack that was left.
Stack endSwitch() {
    Stack from;
    __sanitizer_finish_switch_fiber(nullptr, &from.bottom, &from.bytes);
    return from;
}
#else
void beginSwitch(const Stack&) {}
Stack endSwitch() {
    return {};
}
#endif

/// From the scheduler to a thread, until that waits or ends.
void resume(Fiber& fiber) {
    beginSwitch(fiber.stack);
    fiber.resume = fiber.resume.resume();
    endSwitch();
}

/// From a thread to the scheduler, until that resumes it.
void suspend(Block& block) {
    beginSwitch(block.stack);
    block.scheduler = block.scheduler.resume();
    block.stack = endSwitch();
    if (block.givenUp) throw GivenUp();
}

}  // namespace

thread_local Block* running = nullptr;

void sleep(const Wait& wait) {
    if (wait.over()) return;
    Block& block = *running;
    block.current->wait = wait;
    suspend(block);
}

namespace {

thread_local StackPool stacks;

void releaseWarp(Warp& warp) {
    if (warp.live > 0 && warp.arrived == warp.live) {
        if (std::exchange(warp.ordersMemory, false)) races::meetWarp(*running, warp);
        warp.arrived = 0;
        ++warp.generation;
        ++running->progress;
    }
}

void releaseBlock(Block& block) {
    if (block.live > 0 && block.arrived == block.live) {
        races::meetBlock(block);
        block.arrived = 0;
        ++block.generation;
        ++block.progress;
    }
}

/// What a fiber does, from its beginning to its end.
void live(Block& block, Fiber& fiber, const std::function<void()>& thread) {
    try {
        suspend(block);  // all threads exist before the first one runs
        thread();
    } catch (const GivenUp&) {
    } catch (...) {
        block.failure = std::current_exception();
    }
    fiber.done = true;
    if (block.givenUp) return;
    races::endThread(fiber.index);
    ++block.progress;
    --block.live;
    --fiber.lane.warp->live;
    releaseWarp(*fiber.lane.warp);
    releaseBlock(block);
}

void startFiber(Block& block, Fiber& fiber, const std::function<void()>& thread) {
    const context::stack_context stack = stacks.take();
    fiber.stack = {static_cast<const std::byte*>(stack.sp) - stack.size, stack.size};
    beginSwitch(fiber.stack);
    fiber.resume = context::callcc(std::allocator_arg, PooledStack{&stacks, stack},
                                   [&block, &fiber, &thread](context::continuation&& scheduler) {
                                       block.stack = endSwitch();
                                       block.scheduler = std::move(scheduler);
                                       live(block, fiber, thread);
                                       beginSwitch(block.stack);
                                       return std::move(block.scheduler);
                                   });
    endSwitch();
}

/// Lets what the waiting threads have on their stacks end well.
void giveUp(Block& block) {
    block.givenUp = true;
    for (Fiber& fiber : block.fibers) {
        block.current = &fiber;
        while (!fiber.done) resume(fiber);
    }
}

void runThreads(Block& block) {
    while (block.live > 0) {
        const std::uint64_t before = block.progress;
        for (Fiber& fiber : block.fibers) {
            if (fiber.done || !fiber.wait.over()) continue;
            block.current = &fiber;
            resume(fiber);
            if (block.failure) std::rethrow_exception(block.failure);
        }
        if (block.live > 0 && block.progress == before && !endEngineCopies(block)) {
            throw std::logic_error("block " + std::to_string(block.index.x) + ", " +
                                   std::to_string(block.index.y) + ", " +
                                   std::to_string(block.index.z) +
                                   ": a barrier that some of its threads, or bytes, never reach");
        }
    }
    if (!block.engine.empty())
        throw std::logic_error("a block has ended before a copy to its shared memory");
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
        fiber.index = n;
        fiber.lane.thread = dim3(n % block.shape.x, n / block.shape.x % block.shape.y,
                                 n / block.shape.x / block.shape.y);
        fiber.lane.warpLane = static_cast<int>(i % 32);
        fiber.lane.warp = &block.warps[i / 32];
        ++fiber.lane.warp->live;
        block.current = &fiber;
        startFiber(block, fiber, thread);
    }
    races::beginBlock();
    try {
        runThreads(block);
    } catch (...) {
        giveUp(block);
        throw;
    }
}

}  // namespace

void requireAligned(const void* at, const char* what) {
    if (reinterpret_cast<std::uintptr_t>(at) % 16 != 0)
        throw std::logic_error(std::string(what) + " is not aligned to 16 bytes");
}

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
    return running->shared.data();
}

void blockBarrier() {
    Block& block = *running;
    const unsigned generation = block.generation;
    ++block.arrived;
    releaseBlock(block);
    sleep({.generation = &block.generation, .seen = generation});
}

void warpBarrier(bool ordersMemory) {
    Warp& warp = *lane().warp;
    const unsigned generation = warp.generation;
    if (ordersMemory) warp.ordersMemory = true;
    ++warp.arrived;
    releaseWarp(warp);
    sleep({.generation = &warp.generation, .seen = generation});
}

namespace {

float bf16Of(std::uint32_t pair, int which) {
    return fromBf16(which != 0 ? pair >> 16U : pair & 0xFFFFU);
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

void loadMatrices(std::uint32_t (&r)[4], const void* shared) {
    requireAligned(shared, "a matrix's row");
    races::read(shared, 16, __builtin_return_address(0));
    const Exchange<const void*> rows(shared);
    const int self = lane().warpLane;
    for (int m = 0; m < 4; ++m) {
        const auto* row = static_cast<const std::byte*>(rows.of(8 * m + self / 4));
        std::memcpy(&r[m], row + self % 4 * 4, 4);
    }
    warpBarrier();  // nobody overwrites what another lane still reads
}

void loadMatricesTransposed(std::uint32_t (&r)[4], const void* shared) {
    requireAligned(shared, "a matrix's row");
    races::read(shared, 16, __builtin_return_address(0));
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

namespace {

/// What wgmma's swizzle wants.
constexpr std::align_val_t kSharedAlignment{1024};
struct FreeShared {
    void operator()(std::byte* at) const { ::operator delete(at, kSharedAlignment); }
};

}  // namespace

void runGrid(dim3 grid, dim3 block, std::size_t sharedBytes, bool overlap,
             const std::function<void()>& thread) {
    cudaDeviceProp properties{};
    cudaGetDeviceProperties(&properties, 0);
    if (sharedBytes > properties.sharedMemPerBlockOptin)
        throw std::logic_error("a kernel asks for " + std::to_string(sharedBytes) +
                               " bytes of shared memory, more than a block has");
    Block state;
    state.shape = block;
    state.grid = grid;
    const std::unique_ptr<std::byte, FreeShared> shared(
        static_cast<std::byte*>(::operator new(sharedBytes, kSharedAlignment)));
    state.shared = {shared.get(), sharedBytes};
    Block* const outer = std::exchange(running, &state);
    try {
        races::beginGrid(state, overlap && hasHopper());
        for (unsigned z = 0; z < grid.z; ++z) {
            for (unsigned y = 0; y < grid.y; ++y) {
                for (unsigned x = 0; x < grid.x; ++x) {
                    state.index = dim3(x, y, z);
                    std::ranges::fill(state.shared, std::byte{0xFF});
                    runBlock(state, thread);
                }
            }
        }
        races::endGrid();
    } catch (...) {
        running = outer;
        throw;
    }
    running = outer;
}

}  // namespace moescope::cuda::simt
