// SPDX-License-Identifier: Apache-2.0
// Work sharing by one packed atomic: claim, run, count down. Idle workers spin briefly, then sleep.
#include "engine/core/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cassert>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::uint64_t kCountMask = 0xffffffffU;
[[maybe_unused]] constexpr std::int64_t kMaxItems = static_cast<std::int64_t>(kCountMask);
// About 30 microseconds: longer than the gap between two phases, shorter than a time slice.
constexpr int kSpins = 2000;

void pauseCpu() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
    if (threads <= 0) threads = availableCores();
    workers_.reserve(static_cast<std::size_t>(threads - 1));
    for (int i = 1; i < threads; ++i) {
        try {
            workers_.emplace_back([this, i] { workerLoop(i); });
        } catch (const std::system_error& e) {
            shutdown();  // a constructor that throws runs no destructor, and the rest are running
            throw Error("cannot start thread " + std::to_string(i + 1) + " of " +
                            std::to_string(threads) + ": " + e.what(),
                        "use fewer --threads");
        }
    }
}

ThreadPool::~ThreadPool() {
    shutdown();
}

void ThreadPool::shutdown() noexcept {
    stop_.store(true, std::memory_order_relaxed);
    ticket_.fetch_add(kCountMask + 1, std::memory_order_release);
    ticket_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::invoke(std::int64_t item, int thread) noexcept {
    try {
        task_(context_, item, thread);
    } catch (...) {
        const std::lock_guard lock(errorMutex_);
        if (!error_) error_ = std::current_exception();
    }
    unfinished_.fetch_sub(1, std::memory_order_release);
}

bool ThreadPool::runOne(int thread) {
    std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while ((ticket & kCountMask) != 0) {
        if (ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
            // Ascending order, so that neighbouring items run near each other in time.
            invoke(total_ - static_cast<std::int64_t>(ticket & kCountMask), thread);
            return true;
        }
    }
    return false;
}

void ThreadPool::workerLoop(int thread) {
    int idle = 0;
    while (!stop_.load(std::memory_order_relaxed)) {
        if (runOne(thread)) {
            idle = 0;
            continue;
        }
        if (++idle < kSpins) {
            pauseCpu();
            continue;
        }
        const std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
        if ((ticket & kCountMask) == 0 && !stop_.load(std::memory_order_relaxed)) {
            ticket_.wait(ticket, std::memory_order_acquire);
        }
        idle = 0;
    }
}

void ThreadPool::run(std::int64_t items, Task task, const void* context) {
    assert(items <= kMaxItems);
    if (items <= 0) return;
    if (items == 1 || workers_.empty()) {
        for (std::int64_t i = 0; i < items; ++i) task(context, i, 0);
        return;
    }
    const std::lock_guard turn(callers_);
    task_ = task;
    context_ = context;
    total_ = items;
    unfinished_.store(items, std::memory_order_relaxed);
    const std::uint64_t phase = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(phase << 32 | static_cast<std::uint64_t>(items), std::memory_order_release);
    ticket_.notify_all();
    while (runOne(0)) {
    }
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) != 0; ++spins) {
        // A worker that holds an item may have lost its core: give ours away rather than burn it.
        if (spins < kSpins) {
            pauseCpu();
        } else {
            std::this_thread::yield();
        }
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

int availableCores() noexcept {
    int cores = 1;
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) cores = std::max(1, CPU_COUNT(&mask));
    std::ifstream file("/sys/fs/cgroup/cpu.max");
    long long quota = 0;
    long long period = 0;
    if (file >> quota >> period && quota > 0 &&
        period > 0) {  // "max 100000" fails to parse: no cap
        cores = std::min(cores, static_cast<int>(std::max(1LL, (quota + period - 1) / period)));
    }
    return cores;
}

}  // namespace moescope
