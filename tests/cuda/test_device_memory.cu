// SPDX-License-Identifier: Apache-2.0
// Device memory that goes from one cache to the next.
#include <catch2/catch.hpp>

#include "engine/backend/cuda/device_memory.h"
#include "tests/cuda/cuda_models.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::test;

TEST_CASE("memory that was given back is taken again by what has about its size") {
    ArenaPool pool;
    DeviceArena first = pool.take(5000, "a test");
    void* const at = first.base();
    CHECK(first.size() >= 5000);
    CHECK(first.size() <= 5000 * 9 / 8);
    CHECK(pool.kept() == 0);
    pool.give(std::move(first));
    CHECK(pool.kept() == ArenaPool::sizeOf(5000));
    CHECK(pool.take(9000, "a test").base() != at);
    DeviceArena again = pool.take(4900, "a test");
    CHECK(again.base() == at);
    CHECK(pool.kept() == 0);
    pool.give(std::move(again));
    pool.clear();
    CHECK(pool.kept() == 0);
}

TEST_CASE("what a cache takes of the device is what was said of its shape") {
    for (const std::uint64_t bytes : {1ULL, 256ULL, 257ULL, 4096ULL, 70000ULL, 123456789ULL}) {
        const std::uint64_t size = ArenaPool::sizeOf(bytes);
        CHECK(size >= bytes);
        CHECK(size <= std::max<std::uint64_t>(bytes + 255, bytes + bytes / 8));
        CHECK(ArenaPool::sizeOf(size) == size);
        CHECK(size % 256 == 0);
    }
    const auto model = llamaLike(DType::Q8_0, DType::Q8_0);
    const auto cuda = makeCuda(model->bound);
    // Two layers, keys and values of two heads of 24 numbers.
    CHECK(cuda->deviceCacheBytes({100, 100}) >= 2 * 2 * 100 * 48 * sizeof(std::uint16_t));
    CHECK(cuda->cacheBytes({100, 100}) == 0);
}
