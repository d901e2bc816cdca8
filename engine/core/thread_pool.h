// SPDX-License-Identifier: Apache-2.0
// Persistent threads that share out numbered work items. Built for many short phases per token: a
// phase costs about a microsecond, and a worker whose core was stolen before it claimed an item is
// not waited for.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace moescope {

/// Callers take turns, phase by phase, each working too, as thread 0 of its phase. Items must be
/// independent of each other, and must not start a phase themselves.
class ThreadPool {
public:
    /// threads >= 1, the caller included; 0 means availableCores(). Throws Error when the system
    /// refuses to start that many.
    explicit ThreadPool(int threads = 0);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

    /// Calls f(item, thread) for every item in [0, items), thread in [0, size()); returns when all
    /// are done. The first exception of an item is rethrown here; the items after it may or may not
    /// run.
    template <typename F>
    void parallelFor(std::int64_t items, const F& f) {
        run(
            items,
            [](const void* context, std::int64_t item, int thread) {
                (*static_cast<const F*>(context))(item, thread);
            },
            &f);
    }

private:
    using Task = void (*)(const void* context, std::int64_t item, int thread);

    void run(std::int64_t items, Task task, const void* context);
    void workerLoop(int thread);
    void shutdown() noexcept;
    bool runOne(int thread);
    void invoke(std::int64_t item, int thread) noexcept;

    // ticket_ = phase number << 32 | items not yet claimed. A successful claim proves that the
    // phase cannot end before this item has, so task_, context_ and total_ may be read after it.
    alignas(64) std::atomic<std::uint64_t> ticket_{0};
    alignas(64) std::atomic<std::int64_t> unfinished_{0};
    alignas(64) Task task_ = nullptr;
    const void* context_ = nullptr;
    std::int64_t total_ = 0;
    std::atomic<bool> stop_{false};
    std::mutex callers_;  ///< held by the caller whose phase runs
    std::mutex errorMutex_;
    std::exception_ptr error_;
    std::vector<std::thread> workers_;
};

/// Cores this process may use: affinity mask, capped by the cgroup's CPU quota (rounded up). >= 1.
int availableCores() noexcept;

}  // namespace moescope
