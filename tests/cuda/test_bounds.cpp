// SPDX-License-Identifier: Apache-2.0
// What AddressSanitizer and UndefinedBehaviorSanitizer find in kernels on the emulator. Each kernel
// is wrong on purpose by one element, or is the right one beside it.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include "engine/backend/cuda/device_memory.h"
#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/phase_barrier.h"
#include "tests/cuda/device_data.h"

namespace moescope::cuda {
namespace {

using test::Buffer;

constexpr int kCount = 8;
constexpr std::size_t kBytes = sizeof(float) * kCount;

/// What a process of its own says that does `what`, and how it ends: as an error does, or well.
std::pair<std::string, bool> reportOf(const auto& what) {
    int ends[2];
    if (pipe(ends) != 0) throw Error("no pipe");
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        try {
            what();
            _exit(0);
        } catch (const std::exception& error) {
            std::fputs(error.what(), stderr);
            _exit(1);
        }
    }
    close(ends[1]);
    std::string text;
    char part[4096];
    for (ssize_t n = 0; (n = read(ends[0], part, sizeof part)) > 0;)
        text.append(part, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return {text, WIFEXITED(status) && WEXITSTATUS(status) == 0};
}

template <typename... Parameters>
std::string reportOfKernel(void (*kernel)(Parameters...), Parameters... parameters) {
    const auto [text, well] = reportOf([&] {
        launch({dim3(1), dim3(1), kBytes}, kernel, parameters...);
    });
    CHECK(well == text.empty());
    return text;
}

__global__ void readKernel(const float* in, float* out, int i) {
    out[0] = in[i];
}

__global__ void writeByteKernel(std::uint8_t* out, int i) {
    out[i] = 1;
}

__global__ void dynamicSharedKernel(float* out, int i) {
    auto* const shared = dynamicShared<float>();
    shared[i] = 1;
    out[0] = shared[i];
}

template <int kSize>
__global__ void staticSharedKernel(float* out, int i) {
    __shared__ float shared[kSize];
    float* const at = shared;
    at[i] = 1;
    out[0] = at[i];
}

__global__ void bulkCopyKernel(const float* from, std::uint32_t bytes) {
    __shared__ Barrier barrier;
    initialize(&barrier, 1);
    arriveAndExpect(&barrier, bytes);
    simt::copyInBulk({{dynamicShared<float>(), from, bytes}}, &barrier);
    waitFor(&barrier, 0);
}

__global__ void vectorKernel(const float* in, float* out) {
    out[0] = loadStreaming(reinterpret_cast<const uint4*>(in)).x == 0 ? 1.0F : 2.0F;
}

TEST_CASE("a kernel's access one element behind an allocation ends the program", "[emulation]") {
    const Buffer<float> in(std::vector<float>(kCount, 3.0F));
    const Buffer<float> out(1);
    const float* const from = in.get();
    float* const to = out.get();
    CHECK(reportOfKernel(readKernel, from, to, kCount - 1).empty());
    for (const int i : {-1, kCount})
        CHECK_THAT(reportOfKernel(readKernel, from, to, i),
                   Catch::Contains("heap-buffer-overflow") && Catch::Contains("readKernel"));
    // Of an odd number of bytes, too.
    const Buffer<std::uint8_t> bytes(13);
    CHECK(reportOfKernel(writeByteKernel, bytes.get(), 12).empty());
    CHECK_THAT(reportOfKernel(writeByteKernel, bytes.get(), 13),
               Catch::Contains("heap-buffer-overflow"));
    CHECK(reportOfKernel(bulkCopyKernel, from + 4, 16U).empty());
    CHECK_THAT(reportOfKernel(bulkCopyKernel, from + 4, 32U),
               Catch::Contains("heap-buffer-overflow"));
}

TEST_CASE("a kernel's access one element behind a piece of an arena ends the program",
          "[emulation]") {
    // The second one has no bytes to spare.
    DeviceArena arena(DeviceArena::spaceOf(kBytes) + DeviceArena::spaceOf(256), "a test");
    const auto* const small = arena.take<float>(kCount);
    const auto* const full = arena.take<float>(64);
    const Buffer<float> out(1);
    CHECK(reportOfKernel(readKernel, small, out.get(), kCount - 1).empty());
    CHECK(reportOfKernel(readKernel, full, out.get(), 63).empty());
    CHECK_THAT(reportOfKernel(readKernel, small, out.get(), kCount),
               Catch::Contains("use-after-poison"));
    CHECK_THAT(reportOfKernel(readKernel, full, out.get(), 64),
               Catch::Contains("use-after-poison"));
}

TEST_CASE("memory of the device that was freed is nobody's", "[emulation]") {
    const Buffer<float> out(1);
    const float* freed = nullptr;
    {
        const Buffer<float> in(kCount);
        freed = in.get();
    }
    CHECK_THAT(reportOfKernel(readKernel, freed, out.get(), 0),
               Catch::Contains("heap-use-after-free"));
}

TEST_CASE("a kernel's access one element behind its shared memory ends the program",
          "[emulation]") {
    const Buffer<float> out(1);
    CHECK(reportOfKernel(dynamicSharedKernel, out.get(), kCount - 1).empty());
    CHECK_THAT(reportOfKernel(dynamicSharedKernel, out.get(), kCount),
               Catch::Contains("heap-buffer-overflow"));
    CHECK(reportOfKernel(staticSharedKernel<kCount>, out.get(), kCount - 1).empty());
    // Which of the two sanitizers says so depends on what the compiler knows.
    CHECK_THAT(reportOfKernel(staticSharedKernel<kCount>, out.get(), kCount),
               Catch::Contains("global-buffer-overflow") || Catch::Contains("insufficient space"));
}

TEST_CASE("a kernel's load that is not aligned ends the program", "[emulation]") {
    const Buffer<float> in(std::vector<float>(kCount, 3.0F));
    const Buffer<float> out(1);
    const float* const from = in.get();
    CHECK(reportOfKernel(vectorKernel, from + 4, out.get()).empty());
    CHECK_THAT(reportOfKernel(vectorKernel, from + 1, out.get()),
               Catch::Contains("misaligned address"));
}

}  // namespace
}  // namespace moescope::cuda
