// SPDX-License-Identifier: Apache-2.0
// Synthetic buffers through the decoder and the correlator.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "profiler/cupti/decoder.h"
#include "tests/profiler/cupti_buffers.h"

using namespace moescope;
using namespace moescope::cupti;
using test::BufferBuilder;
using test::Collected;
using test::CollectedEvents;

namespace {

std::uint64_t scopeId(std::int64_t step, std::int32_t index, std::int32_t layer, Op op) {
    return packScope({step, index, layer, op});
}

struct Joined {
    CollectedEvents sink;
    ScopeTable scopes;
    GraphNodeMap nodes;
    Decoder decoder;
    Correlator correlator;

    explicit Joined(CorrelatorOptions options = {}) : correlator(sink, scopes, nodes, options) {}
    void feed(BufferBuilder& buffer) {
        decoder.decode(buffer.bytes(), correlator);
        correlator.bufferEnds();
        buffer.clear();
    }
    const std::vector<DeviceEvent>& events() {
        correlator.finish();
        return sink.events;
    }
};

}  // namespace

TEST_CASE("records of every kind are decoded") {
    BufferBuilder buffer;
    buffer.external(5, 77).api(5, 100, 110).kernel(5, 1000, 3000);
    MemcpyRecord copy{};
    copy.kind = kMemcpy;
    copy.copyKind = 1;
    copy.bytes = 4096;
    copy.correlationId = 6;
    MemsetRecord set{};
    set.kind = kMemset;
    set.bytes = 64;
    GraphTraceRecord graph{};
    graph.kind = kGraphTrace;
    graph.graphId = 3;
    OverheadRecord overhead{};
    overhead.kind = kOverhead;
    overhead.overheadKind = 1 << 16;
    overhead.start = 5;
    overhead.end = 12;
    EnvironmentRecord environment{};
    environment.kind = kEnvironment;
    environment.environmentKind = 1;
    environment.data[0] = 1980;
    SynchronizationRecord wait{};
    wait.kind = kSynchronization;
    wait.type = 3;
    MemcpyPeerRecord peer{};
    peer.kind = kMemcpyPeer;
    peer.bytes = 12;
    buffer.add(copy).add(set).add(graph).add(overhead).add(environment).add(wait).add(peer);

    Decoder decoder;
    Collected out;
    decoder.decode(buffer.bytes(), out);
    REQUIRE(out.records.size() == 10);
    CHECK(out.records[0].value == 77);
    CHECK(out.records[1].kind == RecordKind::Api);
    const Record& kernel = out.records[2];
    CHECK(kernel.endNs - kernel.startNs == 2000);
    CHECK(kernel.shape.grid[0] == 7);
    CHECK(kernel.shape.registers == 40);
    CHECK(kernel.stream == 13);
    CHECK(demangled(decoder.name(kernel.name)) == "moe(float*)");
    CHECK(out.records[3].value == 4096);
    CHECK(out.records[3].detail == 1);
    CHECK(out.records[5].graph == 3);
    CHECK(out.records[7].environment[0] == 1980);
    CHECK(out.records[8].detail == 3);
    CHECK(out.records[9].value == 12);
    CHECK(out.records[6].endNs - out.records[6].startNs == 7);
    CHECK(decoder.statistics().undecodedBytes == 0);
}

TEST_CASE("damaged and truncated buffers end the walk and are counted") {
    Decoder decoder;
    Collected out;
    BufferBuilder buffer;
    buffer.kernel(1, 1, 2).kernel(2, 1, 2);
    decoder.decode(buffer.bytes().first(216 + 100), out);
    CHECK(out.records.size() == 1);

    std::vector<std::uint64_t> zeros(100), ones(100, ~std::uint64_t{0});
    for (auto* bad : {&zeros, &ones})
        decoder.decode({reinterpret_cast<std::uint8_t*>(bad->data()), 800}, out);
    CHECK(out.records.size() == 1);
    CHECK(decoder.statistics().undecodedBytes == 100 + 1600);
    decoder.decode({}, out);
    CHECK(decoder.statistics().undecodedBytes == 100 + 1600);

    // Sizes from a hostile capture: shorter records than the structs never read beyond the end.
    RecordSizes sizes = defaultRecordSizes();
    sizes[kConcurrentKernel] = 8;
    Decoder hostile(sizes);
    buffer.clear();
    buffer.kernel(1, 1, 2);
    hostile.decode(buffer.bytes(), out);
}

TEST_CASE("names are interned by text, and addresses are forgotten on request") {
    Decoder decoder;
    Collected out;
    BufferBuilder buffer;
    std::string first = "kernel_a", second = "kernel_a";
    buffer.kernel(1, 1, 2, first.c_str()).kernel(2, 1, 2, second.c_str()).kernel(3, 1, 2, nullptr);
    decoder.decode(buffer.bytes(), out);
    CHECK(out.records[0].name == out.records[1].name);
    CHECK(decoder.nameCount() == 2);
    first = "kernel_b";  // the module was unloaded and another came to the same address
    decoder.forgetAddresses();
    decoder.decode(buffer.bytes(), out);
    CHECK(decoder.name(out.records[3].name) == "kernel_b");
}

TEST_CASE("scopes survive packing") {
    for (const Scope& scope :
         {Scope{0, 0, -1, Op::Embed}, Scope{4'000'000'000, 4095, 4000, Op::Sample},
          Scope{17, -1, -1, Op::Embed}, Scope{1, 2048, 23, Op::Experts}}) {
        const std::uint64_t id = packScope(scope);
        CHECK(id != 0);
        CHECK(unpackScope(id) == scope);
    }
    CHECK_FALSE(unpackScope(0).hasStep());
    CHECK_FALSE(unpackScope(12345).hasStep());
}

TEST_CASE("kernels find their launch in any order of records and buffers") {
    constexpr std::uint32_t kLaunches = 3000;
    std::mt19937 random(5);
    // Correlation ids run over the wrap at 2^32.
    const std::uint32_t first = 0xFFFFFFFFu - 1500;
    struct Piece {
        int kind;
        std::uint32_t i;
    };
    std::vector<Piece> pieces;
    for (std::uint32_t i = 0; i < kLaunches; ++i)
        for (int kind = 0; kind < 3; ++kind) pieces.push_back({kind, i});
    // Shuffled within a window: buffers of several threads are not that far apart.
    for (std::size_t i = 0; i < pieces.size(); i += 400)
        std::shuffle(pieces.begin() + std::ptrdiff_t(i),
                     pieces.begin() + std::ptrdiff_t(std::min(i + 400, pieces.size())), random);
    Joined joined;
    BufferBuilder buffer;
    int inBuffer = 0;
    for (const Piece& piece : pieces) {
        const std::uint32_t correlation = first + piece.i;
        if (piece.kind == 0)
            buffer.external(correlation, scopeId(piece.i, 1, std::int32_t(piece.i % 24), Op::Mlp));
        if (piece.kind == 1) buffer.api(correlation, 10 + piece.i);
        if (piece.kind == 2) buffer.kernel(correlation, 1000 + piece.i, 2000 + piece.i);
        if (++inBuffer % 100 == 0) joined.feed(buffer);
    }
    joined.feed(buffer);
    REQUIRE(joined.events().size() == kLaunches);
    std::size_t right = 0;
    for (const DeviceEvent& event : joined.events()) {
        const auto i = std::uint32_t(event.record.startNs - 1000);
        right += event.attributed && event.scope.step == i && event.launchKnown &&
                 event.launchStartNs == 10 + i;
    }
    CHECK(right == kLaunches);
    CHECK(joined.correlator.statistics().givenUp == 0);
}

TEST_CASE("what has no launch is let go unattributed, and memory stays bounded") {
    CorrelatorOptions options;
    options.launches = 1024;
    options.waiting = 100;
    options.patience = 4;
    Joined joined(options);
    BufferBuilder buffer;
    for (std::uint32_t i = 0; i < 1000; ++i) buffer.kernel(50000 + i, 10, 20);
    joined.feed(buffer);
    CHECK(joined.correlator.waiting() == 100);
    CHECK(joined.sink.events.size() == 900);
    for (int i = 0; i < 5; ++i) joined.feed(buffer);
    CHECK(joined.correlator.waiting() == 0);
    CHECK(joined.correlator.statistics().givenUp == 1000);
    for (const DeviceEvent& event : joined.events()) CHECK_FALSE(event.attributed);

    // A launch record that comes after its place in the ring went to a newer launch.
    buffer.api(1024 + 7).api(7).kernel(7, 10, 20);
    joined.feed(buffer);
    CHECK(joined.correlator.statistics().lateLaunches == 1);
    CHECK_FALSE(joined.events().back().launchKnown);
}

TEST_CASE("a kernel without a scope does not inherit its neighbour's") {
    Joined joined;
    BufferBuilder buffer;
    buffer.external(1, scopeId(3, 0, 2, Op::Router)).api(1).kernel(1, 10, 20);
    buffer.api(2).kernel(2, 30, 40);
    joined.feed(buffer);
    const auto& events = joined.events();
    REQUIRE(events.size() == 2);
    CHECK(events[0].attributed);
    CHECK_FALSE(events[1].attributed);
    CHECK(events[1].launchKnown);
    CHECK_FALSE(events[1].scope.hasStep());
}

TEST_CASE("nodes of a replayed graph get their own operation, not the launching one's") {
    Joined joined;
    joined.nodes.beginCapture(1);
    joined.nodes.setOperation(2, Op::Experts);
    joined.nodes.nodeCreated(70, kNodeKernel);
    joined.nodes.setOperation(3, Op::Attention);
    joined.nodes.nodeCreated(71, kNodeKernel);
    joined.nodes.endCapture();
    joined.scopes.beginStep(9);
    joined.scopes.add({9, 5, 2, Op::Experts});
    joined.scopes.add({9, 8, -1, Op::Head});
    BufferBuilder buffer;
    // All nodes share the launch, which was made inside the head of step 9; node 99 is unknown.
    buffer.kernel(4, 10, 20, "a", 70, 1)
        .kernel(4, 20, 30, "b", 71, 1)
        .kernel(4, 30, 40, "c", 99, 1);
    buffer.external(4, scopeId(9, 8, -1, Op::Head)).api(4);
    joined.feed(buffer);
    buffer.kernel(4, 50, 60, "a", 70, 1);  // a late one
    joined.feed(buffer);
    const auto& events = joined.events();
    REQUIRE(events.size() == 4);
    CHECK(events[0].scope == Scope{9, 5, 2, Op::Experts});  // announced by the host in this step
    CHECK(events[1].scope == Scope{9, kFirstGraphOperation + 1, 3, Op::Attention});
    CHECK(events[1].attributed);
    CHECK_FALSE(events[2].attributed);
    CHECK(events[2].scope.step == 9);
    CHECK_FALSE(events[2].scope.hasOperation());
    CHECK(events[3].scope == events[0].scope);
}

TEST_CASE("stamps that cannot be used are told apart") {
    CHECK(stampFault(10, 20) == StampFault::None);
    CHECK(stampFault(10, 10) == StampFault::None);
    CHECK(stampFault(0, 0) == StampFault::Zero);
    CHECK(stampFault(10, 0) == StampFault::Incomplete);
    CHECK(stampFault(20, 10) == StampFault::Negative);
}
