// SPDX-License-Identifier: Apache-2.0
// Every item exactly once, phases in order, errors handed back.
#include <sys/resource.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/thread_pool.h"

using namespace moescope;

TEST_CASE("parallelFor runs every item exactly once for any size") {
    for (const int threads : {1, 2, 4, 7}) {
        ThreadPool pool(threads);
        CHECK(pool.size() == threads);
        for (const int items : {0, 1, 2, 3, 64, 1000}) {
            std::vector<int> runs(static_cast<std::size_t>(items), 0);
            pool.parallelFor(items,
                             [&](std::int64_t i, int) { ++runs[static_cast<std::size_t>(i)]; });
            for (const int r : runs) CHECK(r == 1);
        }
    }
}

TEST_CASE("each phase sees all that the phase before wrote") {
    ThreadPool pool(4);
    std::vector<std::int64_t> a(64, 0);
    std::vector<std::int64_t> b(64, 0);
    for (int phase = 0; phase < 3000; ++phase) {
        // Plain memory, items permuted between phases: a missed barrier or a stale item shows.
        pool.parallelFor(64, [&](std::int64_t i, int) {
            b[static_cast<std::size_t>(i)] = a[static_cast<std::size_t>((i * 7 + 3) % 64)] + 1;
        });
        std::swap(a, b);
    }
    for (const std::int64_t v : a) CHECK(v == 3000);
}

TEST_CASE("thread numbers stay below the size and are not shared at one time") {
    ThreadPool pool(3);
    std::vector<std::atomic<int>> busy(3);
    std::atomic<bool> clash{false};
    pool.parallelFor(2000, [&](std::int64_t, int thread) {
        if (busy[static_cast<std::size_t>(thread)].fetch_add(1) != 0) clash = true;
        busy[static_cast<std::size_t>(thread)].fetch_sub(1);
    });
    CHECK_FALSE(clash.load());
}

TEST_CASE("sleeping workers wake up for the next phase") {
    ThreadPool pool(2);
    for (int round = 0; round < 3; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        std::atomic<int> sum{0};
        pool.parallelFor(100, [&](std::int64_t i, int) { sum += static_cast<int>(i); });
        CHECK(sum == 4950);
    }
}

TEST_CASE("the first exception of an item reaches the caller and the pool stays usable") {
    ThreadPool pool(3);
    std::atomic<int> ran{0};
    CHECK_THROWS_AS(pool.parallelFor(50,
                                     [&](std::int64_t i, int) {
                                         ++ran;
                                         if (i == 17) throw std::runtime_error("item 17");
                                     }),
                    std::runtime_error);
    CHECK(ran == 50);
    pool.parallelFor(10, [&](std::int64_t, int) { ++ran; });
    CHECK(ran == 60);
}

TEST_CASE("two callers at once take turns and lose no item") {
    ThreadPool pool(3);
    std::vector<std::int64_t> sums(2, 0);
    const auto call = [&](std::size_t who) {
        for (int phase = 0; phase < 500; ++phase) {
            std::vector<std::int64_t> items(20, 0);
            pool.parallelFor(20,
                             [&](std::int64_t i, int) { items[static_cast<std::size_t>(i)] += i; });
            sums[who] += std::accumulate(items.begin(), items.end(), std::int64_t{0});
        }
    };
    std::thread other([&] { call(1); });
    call(0);
    other.join();
    CHECK(sums == std::vector<std::int64_t>(2, 500 * 190));
}

TEST_CASE("at least one core is available") {
    CHECK(availableCores() >= 1);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("threads that the system refuses to start are an error and leave none behind") {
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit narrow = before;
    narrow.rlim_cur = pages * 4096 + (256U << 20);  // room for some stacks, not for all
    REQUIRE(setrlimit(RLIMIT_AS, &narrow) == 0);
    std::string message;
    std::string hint;
    try {
        ThreadPool pool(4096);
    } catch (const Error& e) {
        message = e.what();
        hint = e.hint();
    }
    REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
    CHECK_THAT(message, Catch::StartsWith("cannot start thread ") && Catch::Contains(" of 4096: "));
    CHECK(message.find("thread 1 ") == message.npos);
    CHECK_THAT(hint, Catch::Contains("--threads"));
}
#endif
