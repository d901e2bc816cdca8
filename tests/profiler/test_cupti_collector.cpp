// SPDX-License-Identifier: Apache-2.0
// Starting, gathering and ending with a scripted CUPTI: every fault leaves it off and is named.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <latch>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "profiler/cupti/activity_collector.h"
#include "profiler/cupti/availability.h"
#include "profiler/cupti/buffer_exchange.h"
#include "profiler/cupti/pipeline.h"
#include "tests/profiler/fake_cupti.h"

using namespace moescope;
using namespace moescope::cupti;
using test::CollectedEvents;
using test::FakeCupti;

namespace {

struct Rig {
    FakeCupti fake;
    CuptiApi api = fake.api();
    CollectedEvents sink;
    Pipeline pipeline{sink, nullptr};
    ActivityCollector collector;

    explicit Rig(CollectorOptions options = {})
        : collector(api, pipeline, pipeline.nodes(), options) {}
    const std::vector<DeviceEvent>& stop() {
        collector.stop([] {});
        pipeline.finish();
        return sink.events;
    }
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string startError(Rig& rig) {
    try {
        rig.collector.start();
    } catch (const CollectorError& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST_CASE("records of a session arrive, and everything is off afterwards") {
    Rig rig;
    rig.fake.bufferRecords = 100;
    rig.collector.start();
    CHECK(rig.fake.enabled.count(kConcurrentKernel) == 1);
    CHECK(rig.fake.enabled.count(3) == 0);  // KERNEL would make kernels run one after another
    CHECK(rig.fake.enabled.count(kGraphTrace) == 0);
    for (int i = 0; i < 1000; ++i) {
        rig.collector.pushScope(packScope({i, 0, 1, Op::Mlp}));
        rig.fake.launch();
        rig.collector.popScope();
    }
    const auto& events = rig.stop();
    REQUIRE(events.size() == 1000);
    for (const DeviceEvent& event : events) CHECK(event.attributed);
    CHECK(rig.fake.enabled.empty());
    CHECK_FALSE(rig.fake.subscribed);
    CHECK(rig.fake.finalized);
    CHECK(rig.fake.flushes == 2);  // what is complete, then by force what never will be
    CHECK(rig.collector.statistics().buffers >= 30);
    CHECK(rig.collector.statistics().buffersOutstanding == 0);
    rig.collector.stop([] {});  // again: nothing
    CHECK(contains(startError(rig), "profiled once"));
}

TEST_CASE("another tool that holds CUPTI is named, and nothing else is touched") {
    Rig rig;
    rig.fake.fail["subscribe"] = kMultipleSubscribers;
    rig.fake.holder = "Nsight Systems";
    const std::string error = startError(rig);
    CHECK(contains(error, "Nsight Systems"));
    CHECK(rig.fake.calls == std::vector<std::string>{"subscribe"});
}

TEST_CASE("a start that fails half-way switches everything off again") {
    for (const char* call : {"enable:39", "enable:5", "enable:4", "enable:10", "enable:1",
                             "enable:2", "enableCallback", "registerCallbacks", "setAttribute"}) {
        for (const std::uint32_t code : {999u, 35u, 27u, 1u}) {
            Rig rig;
            rig.fake.fail[call] = code;
            INFO(call << " " << code);
            const std::string error = startError(rig);
            CHECK(!error.empty());
            if (code == kInsufficientPrivileges) CHECK(contains(error, "administrator"));
            CHECK(rig.fake.enabled.empty());
            CHECK_FALSE(rig.fake.subscribed);
            CHECK_FALSE(rig.collector.recording());
        }
    }
    // These are worth having, and no reason to do without the rest.
    CollectorOptions options;
    options.sampleEnvironment = true;
    Rig rig(options);
    rig.fake.fail["enable:17"] = kNotSupported;
    rig.fake.fail["enable:20"] = kNotSupported;
    CHECK(startError(rig).empty());
    rig.stop();
}

// A sanitizer's own memory does not fit under the limit.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a start that gets no thread switches everything off again") {
    Rig rig;
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit narrow = before;
    narrow.rlim_cur = pages * 4096 + (2U << 20);  // no room for a stack
    REQUIRE(setrlimit(RLIMIT_AS, &narrow) == 0);
    std::latch done(1);
    std::vector<std::thread> others;  // they take the stacks that ended threads have left
    try {
        while (others.size() < 100) others.emplace_back([&] { done.wait(); });
    } catch (const std::system_error&) {
    }
    const std::string error = startError(rig);
    REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
    done.count_down();
    for (std::thread& other : others) other.join();
    CHECK(contains(error, "no thread can be started"));
    CHECK(rig.fake.enabled.empty());
    CHECK_FALSE(rig.fake.subscribed);
    CHECK_FALSE(rig.collector.recording());
}
#endif

TEST_CASE("graphs as a whole bring one record a launch") {
    CollectorOptions options;
    options.level = TraceLevel::Graph;
    Rig rig(options);
    rig.collector.start();
    rig.collector.pushScope(packScope({1, -1, -1, Op::Embed}));
    rig.fake.replay({1, 2, 3});
    rig.collector.popScope();
    const auto& events = rig.stop();
    REQUIRE(events.size() == 1);
    CHECK(events[0].record.kind == RecordKind::GraphLaunch);
    CHECK(events[0].attributed);
}

TEST_CASE("drops are summed over all readings") {
    Rig rig;
    rig.fake.bufferRecords = 10;
    rig.collector.start();
    for (int i = 0; i < 5; ++i) {
        rig.fake.dropped += 3;
        for (int j = 0; j < 20; ++j) rig.fake.launch();
    }
    rig.fake.dropped += 1;
    rig.stop();
    CHECK(rig.collector.statistics().dropped == 16);
}

TEST_CASE("threads launch at once, each with its own scopes, while another flushes") {
    constexpr int kThreads = 4, kLaunches = 2000;
    Rig rig;
    rig.fake.bufferRecords = 50;  // a storm of buffers
    rig.collector.start();
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kLaunches; ++i) {
                rig.collector.pushScope(packScope({i, t, t, Op::Experts}));
                rig.fake.launch();
                rig.collector.popScope();
            }
        });
    }
    std::atomic<bool> done{false};
    std::thread flusher([&] {
        while (!done) rig.collector.flush();
    });
    for (std::thread& thread : threads) thread.join();
    done = true;
    flusher.join();
    const auto& events = rig.stop();
    REQUIRE(events.size() == std::size_t(kThreads * kLaunches));
    std::vector<int> perThread(kThreads);
    for (const DeviceEvent& event : events) {
        CHECK(event.attributed);
        if (event.scope.layer >= 0) ++perThread[std::size_t(event.scope.layer)];
    }
    CHECK(perThread == std::vector<int>(kThreads, kLaunches));
}

TEST_CASE("a buffer that comes after the end is taken and thrown away") {
    auto& exchange = BufferExchange::instance();
    Rig rig;
    rig.collector.start();
    std::uint8_t* late = exchange.takeEmpty();
    rig.stop();
    exchange.giveFull(late, 216);
    CHECK(exchange.counts().discarded == 1);
    CHECK(rig.sink.events.empty());
    std::uint8_t* other = exchange.takeEmpty();
    CHECK(other[0] == 0);
    exchange.giveFull(other, 0);
}

// The sanitizers' allocators take more address space than any limit leaves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a buffer for which there is no memory does not count as handed out") {
    const pid_t child = ::fork();
    if (child == 0) {
        auto& exchange = BufferExchange::instance();
        const auto before = exchange.counts().outstanding;
        std::int64_t got = 0;
        const rlimit limit{std::size_t(1) << 30, std::size_t(1) << 30};
        ::setrlimit(RLIMIT_AS, &limit);
        while (got < 1024 && exchange.takeEmpty() != nullptr) ++got;
        const bool right = got < 1024 && exchange.counts().outstanding == before + got &&
                           exchange.takeEmpty() == nullptr &&
                           exchange.counts().outstanding == before + got;
        ::_exit(right ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}
#endif

TEST_CASE("what the sink throws ends CUPTI all the same and arrives at stop") {
    struct Failing final : BufferSink {
        int buffers = 0;
        void onBuffer(std::span<std::uint8_t>) override {
            ++buffers;
            throw std::runtime_error("disk full");
        }
    } sink;
    FakeCupti fake;
    fake.bufferRecords = 10;
    const CuptiApi api = fake.api();
    GraphNodeMap nodes;
    ActivityCollector collector(api, sink, nodes);
    collector.start();
    for (int i = 0; i < 100; ++i) fake.launch();
    CHECK_THROWS_WITH(collector.stop([] {}), "disk full");
    CHECK(sink.buffers == 1);
    CHECK(fake.enabled.empty());
    CHECK(fake.finalized);
}

TEST_CASE("CUPTI's own errors are kept") {
    Rig rig;
    rig.collector.start();
    rig.fake.announceError("out of semaphores");
    rig.stop();
    CHECK(rig.collector.statistics().stateErrors == 1);
    CHECK(rig.collector.statistics().lastStateError == "out of semaphores");
}

TEST_CASE("availability is one sentence for each cause") {
    AvailabilityFacts good;
    good.library = good.driver = true;
    good.devices = 1;
    CHECK(explain(good).activity.empty());
    CHECK(explain(good).counters.empty());

    AvailabilityFacts facts = good;
    facts.library = false;
    facts.libraryReason = "CUPTI 13 was not found";
    CHECK(explain(facts).activity == "CUPTI 13 was not found");
    facts = good;
    facts.driver = false;
    CHECK(contains(explain(facts).activity, "no NVIDIA driver"));
    facts = good;
    facts.initResult = 34;
    CHECK(contains(explain(facts).activity, "stub"));
    facts.initResult = 100;
    CHECK(contains(explain(facts).activity, "no NVIDIA GPU"));
    facts.initResult = 999;
    CHECK(contains(explain(facts).activity, "CUDA error 999"));
    facts = good;
    facts.devices = 0;
    CHECK(contains(explain(facts).counters, "no NVIDIA GPU"));
    facts = good;
    facts.subscribeResult = kMultipleSubscribers;
    CHECK(contains(explain(facts).activity, "another tool"));
    facts.holder = "ncu";
    CHECK(contains(explain(facts).activity, "\"ncu\""));
    facts = good;
    facts.countersRestricted = true;
    CHECK(explain(facts).activity.empty());
    CHECK(contains(explain(facts).counters, "administrators only"));
    CHECK(explain(facts).sampling == explain(facts).counters);
    facts.administrator = true;
    CHECK(explain(facts).counters.empty());
    CHECK(explain(facts).toJson().at("counters").at("available") == true);
    for (const std::uint32_t code :
         {2u, 26u, 27u, 35u, 39u, 40u, 41u, 42u, 43u, 44u, 45u, 999u, 7u})
        CHECK(resultReason({}, code).size() > 10);
}

TEST_CASE("the driver's parameters tell who may use counters") {
    CHECK(countersRestricted(""));
    CHECK(countersRestricted("RmProfilingAdminOnly: 1\nOther: 0\n"));
    CHECK_FALSE(countersRestricted("Some: 1\nRmProfilingAdminOnly: 0\nOther: 1\n"));
}
