// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/emulation/emulation.h"

#include <boost/context/continuation.hpp>
#include <boost/context/fixedsize_stack.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/backend/cuda/emulation/races.h"
#include "engine/backend/cuda/simt.h"
#include "engine/formats/half.h"

namespace moescope::cuda::simt {
namespace {

namespace context = boost::context;

constexpr std::size_t kStackBytes = 128 << 10;

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

}  // namespace

thread_local Block* running = nullptr;

void sleep(const Wait& wait) {
    if (wait.over()) return;
    Block& block = *running;
    block.current->wait = wait;
    block.scheduler = block.scheduler.resume();
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

void startFiber(Block& block, Fiber& fiber, const std::function<void()>& thread) {
    fiber.resume = context::callcc(std::allocator_arg, PooledStack{&stacks},
                                   [&block, &fiber, &thread](context::continuation&& scheduler) {
                                       block.scheduler = std::move(scheduler);
                                       // All threads exist before the first one runs.
                                       block.scheduler = block.scheduler.resume();
                                       try {
                                           thread();
                                       } catch (const context::detail::forced_unwind&) {
                                           throw;  // the block has failed and is given up
                                       } catch (...) {
                                           block.failure = std::current_exception();
                                       }
                                       fiber.done = true;
                                       races::endThread(fiber.index);
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
    while (block.live > 0) {
        const std::uint64_t before = block.progress;
        for (Fiber& fiber : block.fibers) {
            if (fiber.done || !fiber.wait.over()) continue;
            block.current = &fiber;
            fiber.resume = fiber.resume.resume();
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
    Block* const outer = std::exchange(running, &state);
    try {
        races::beginGrid(state, overlap && hasHopper());
        for (unsigned z = 0; z < grid.z; ++z) {
            for (unsigned y = 0; y < grid.y; ++y) {
                for (unsigned x = 0; x < grid.x; ++x) {
                    state.index = dim3(x, y, z);
                    state.shared.assign(sharedBytes + 1024, std::byte{0xFF});
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
