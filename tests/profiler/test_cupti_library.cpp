// SPDX-License-Identifier: Apache-2.0
// The real libcupti: its layouts against ours where the toolkit's headers are, and how it behaves
// without a driver, each call in a process of its own. They fail loudly when the toolkit is
// changed.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <string>

#include "profiler/cupti/availability.h"
#include "profiler/cupti/decoder.h"
#include "profiler/cupti/device_profiler.h"
#include "tests/profiler/cupti_buffers.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using namespace moescope::cupti;

namespace {

/// Runs `body` in a child with the library loaded there; its value, or -signal when it crashed.
int inChild(const std::function<int(const CuptiLibrary&)>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        std::string reason;
        const auto library = loadCupti(reason);
        // Results are up to 999 and an exit status has 8 bits: the child says yes or no.
        ::_exit(library ? body(*library) : 100);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// False, with the reason printed, where this machine cannot show how CUPTI is without a driver.
bool libraryWithoutDriver() {
    std::string reason;
    const bool library = loadCupti(reason) != nullptr;
    if (!library) {
        WARN("skipped: " << reason);
        return false;
    }
    if (loadDriver()) {
        WARN("skipped: this machine has an NVIDIA driver");
        return false;
    }
    return true;
}

bool gives(std::uint32_t expected, const std::function<std::uint32_t(const CuptiApi&)>& call) {
    return inChild([&](const CuptiLibrary& library) {
               return call(library.api) == expected ? 0 : 1;
           }) == 0;
}

void noBuffer(std::uint8_t** buffer, std::size_t* size, std::size_t* records) {
    *buffer = nullptr;
    *size = *records = 0;
}

}  // namespace

TEST_CASE("the real CUPTI without a driver gives the codes we rely on") {
    if (!libraryWithoutDriver()) return;
    CHECK(inChild([](const CuptiLibrary& library) {
              return library.version >= kAbiVersion ? 0 : 1;
          }) == 0);
    CHECK(gives(kSuccess, [](const CuptiApi& api) {
        std::uint64_t ns = 0;
        return api.getTimestamp(&ns);
    }));
    CHECK(gives(kSuccess, [](const CuptiApi& api) {
        return api.registerCallbacks(
            &noBuffer, [](void*, std::uint32_t, std::uint8_t*, std::size_t, std::size_t) {});
    }));
    CHECK(gives(kSuccess, [](const CuptiApi& api) {
        std::size_t dropped = 0;
        return api.droppedRecords(nullptr, 0, &dropped);
    }));
    CHECK(gives(kSuccess, [](const CuptiApi& api) { return api.finalize(); }));
    for (const std::uint32_t kind : {1u, 2u, 4u, 5u, 10u, 17u, 20u, 39u, 51u, 77u})
        CHECK(gives(kUnknown, [kind](const CuptiApi& api) { return api.enable(kind); }));
    CHECK(gives(kUnknown, [](const CuptiApi& api) { return api.flushAll(0); }));
    CHECK(gives(kUnknown, [](const CuptiApi& api) { return api.flushAll(kFlushForced); }));
    CHECK(gives(kUnknown,
                [](const CuptiApi& api) { return api.pushExternalId(kExternalKindCustom0, 1); }));
    CHECK(gives(kUnknown, [](const CuptiApi& api) {
        std::uint64_t last = 0;
        return api.popExternalId(kExternalKindCustom0, &last);
    }));
    CHECK(gives(kUnknown, [](const CuptiApi& api) {
        std::uint8_t one = 1;
        std::size_t bytes = 1;
        return api.setAttribute(kAttributeZeroedOutBuffer, &bytes, &one);
    }));
    CHECK(gives(kUnknown, [](const CuptiApi& api) {
        void* subscriber = nullptr;
        return api.subscribe(
            &subscriber, [](void*, std::uint32_t, std::uint32_t, const void*) {}, nullptr, nullptr);
    }));
}

TEST_CASE("CUPTI's clock is the system's") {
    if (!libraryWithoutDriver()) return;
    CHECK(inChild([](const CuptiLibrary& library) {
              timespec before{}, after{};
              std::uint64_t ns = 0;
              ::clock_gettime(CLOCK_REALTIME, &before);
              library.api.getTimestamp(&ns);
              ::clock_gettime(CLOCK_REALTIME, &after);
              const auto of = [](const timespec& t) {
                  return std::uint64_t(t.tv_sec) * 1'000'000'000 + std::uint64_t(t.tv_nsec);
              };
              return of(before) <= ns && ns <= of(after) ? 0 : 1;
          }) == 0);
}

TEST_CASE("our walk of a buffer is the library's") {
    std::string reason;
    const auto library = loadCupti(reason);
    if (!library) {
        WARN("skipped: " << reason);
        return;
    }
    test::BufferBuilder buffer;
    for (std::uint32_t i = 1; i < 200; ++i) {
        buffer.external(i, i).api(i).kernel(i, i, 2 * i);
        MemcpyRecord copy{};
        copy.kind = kMemcpy;
        copy.correlationId = i;
        MemsetRecord set{};
        set.kind = kMemset;
        set.correlationId = i;
        OverheadRecord overhead{};
        overhead.kind = kOverhead;
        EnvironmentRecord environment{};
        environment.kind = kEnvironment;
        SynchronizationRecord wait{};
        wait.kind = kSynchronization;
        GraphTraceRecord graph{};
        graph.kind = kGraphTrace;
        MemcpyPeerRecord peer{};
        peer.kind = kMemcpyPeer;
        buffer.add(copy).add(set).add(overhead).add(environment).add(wait).add(graph).add(peer);
    }
    Decoder ours, theirs(library->api.nextRecord);
    test::Collected left, right;
    ours.decode(buffer.bytes(), left);
    theirs.decode(buffer.bytes(), right);
    CHECK(left.records.size() == 199 * 10);
    REQUIRE(left.records.size() == right.records.size());
    bool same = true;
    for (std::size_t i = 0; i < left.records.size(); ++i)
        same = same && left.records[i].kind == right.records[i].kind &&
               left.records[i].correlation == right.records[i].correlation;
    CHECK(same);
    CHECK(theirs.sizes() == defaultRecordSizes());
    CHECK(theirs.statistics().undecodedBytes == 0);

    std::vector<std::uint64_t> zeros(100);
    theirs.decode({reinterpret_cast<std::uint8_t*>(zeros.data()), 800}, right);
    CHECK(theirs.statistics().undecodedBytes == 800);
}

TEST_CASE("availability without a driver blames the driver") {
    if (!libraryWithoutDriver()) return;
    const Availability found = probeAvailability();
    CHECK(found.activity.find("no NVIDIA driver") != std::string::npos);
    CHECK(found.counters == found.activity);
    // And the profiler starts all the same, to watch the host alone.
    const auto profiler = DeviceProfiler::start({});
    CHECK_FALSE(profiler->recording());
    CHECK(profiler->reason().find("no NVIDIA driver") != std::string::npos);
}

TEST_CASE("a library that is absent, or none, is a sentence") {
    const test::TempDir dir;
    const char* before = std::getenv("MOESCOPE_CUPTI");
    const std::string saved = before != nullptr ? before : "";
    std::string reason;
    ::setenv("MOESCOPE_CUPTI", dir.path().c_str(), 1);
    CHECK(loadCupti(reason) == nullptr);
    CHECK(reason.find("MOESCOPE_CUPTI") != std::string::npos);
    ::setenv("MOESCOPE_CUPTI", "/proc/self/status", 1);
    CHECK(loadCupti(reason) == nullptr);
    CHECK(reason.find("was not found (") != std::string::npos);
    ::setenv("MOESCOPE_CUPTI", "libc.so.6", 1);
    CHECK(loadCupti(reason) == nullptr);
    CHECK(reason.find("has no function cupti") != std::string::npos);
    if (before != nullptr) {
        ::setenv("MOESCOPE_CUPTI", saved.c_str(), 1);
    } else {
        ::unsetenv("MOESCOPE_CUPTI");
    }
}
