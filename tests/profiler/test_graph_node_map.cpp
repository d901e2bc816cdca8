// SPDX-License-Identifier: Apache-2.0
// The map of graph nodes under creation, cloning and destruction in every order.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "profiler/cupti/cupti_abi.h"
#include "profiler/cupti/graph_node_map.h"

using namespace moescope;
using namespace moescope::cupti;

namespace {

/// A graph of three kernels in two operations and a copy of nobody's.
void capture(GraphNodeMap& map, std::uint64_t graph, std::uint64_t firstNode) {
    map.beginCapture(graph);
    map.nodeCreated(firstNode + 9, kNodeMemcpy);
    map.setOperation(3, Op::Attention);
    map.nodeCreated(firstNode, kNodeKernel);
    map.nodeCreated(firstNode + 1, kNodeKernel);
    map.setOperation(4, Op::Experts);
    map.nodeCreated(firstNode + 2, kNodeKernel);
    map.endCapture();
}

}  // namespace

TEST_CASE("nodes belong to the operation that was captured when they were created") {
    GraphNodeMap map;
    capture(map, 7, 100);
    REQUIRE(map.find(101));
    CHECK(map.find(101)->op == Op::Attention);
    CHECK(map.find(101)->layer == 3);
    CHECK(map.find(101)->graph == 7);
    CHECK(map.find(102)->op == Op::Experts);
    CHECK(map.find(102)->ordinal == map.find(101)->ordinal + 1);
    CHECK_FALSE(map.find(109));  // before any operation was named
    CHECK(map.captured(7).kernels == 3);
    CHECK(map.captured(7).copies == 1);
    map.nodeCreated(200, kNodeKernel);  // outside a capture
    CHECK_FALSE(map.find(200));
}

TEST_CASE("nodes of other threads and of instantiations are not of the capture") {
    GraphNodeMap map;
    map.beginCapture(1);
    map.setOperation(0, Op::Mlp);
    std::thread([&] { map.nodeCreated(50, kNodeKernel); }).join();
    map.instantiateBegins();
    map.nodeCreated(51, kNodeKernel);
    map.instantiateEnds();
    map.nodeCreated(52, kNodeKernel);
    CHECK_FALSE(map.find(50));
    CHECK_FALSE(map.find(51));
    CHECK(map.find(52));
    CHECK(map.captured(1).kernels == 1);
}

TEST_CASE("a clone keeps its operation whatever is destroyed, in every order") {
    // Two instances of the graph, a copy of the graph and an instance of the copy; then the ends of
    // all five in each of the 120 orders. At every point each node is still known.
    const std::vector<std::uint64_t> firsts{100, 200, 300, 400, 500};
    std::vector<std::size_t> order{0, 1, 2, 3, 4};
    int orders = 0;
    do {
        GraphNodeMap map;
        capture(map, 1, 100);
        for (std::uint64_t i = 0; i < 3; ++i) {
            map.nodeCloned(100 + i, 200 + i, kNodeKernel);
            map.nodeCloned(100 + i, 300 + i, kNodeKernel);
            map.nodeCloned(100 + i, 400 + i, kNodeKernel);
            map.nodeCloned(400 + i, 500 + i, kNodeKernel);
        }
        bool known = true;
        for (const std::size_t gone : order) {
            for (std::uint64_t i = 0; i < 3; ++i) map.nodeDestroyed(firsts[gone] + i);
            for (const std::uint64_t first : firsts)
                for (std::uint64_t i = 0; i < 3; ++i)
                    known = known && map.find(first + i) &&
                            map.find(first + i)->op == (i < 2 ? Op::Attention : Op::Experts);
            // A graph that is gone may have been copied just before.
            map.nodeCloned(firsts[gone], 1000 + gone, kNodeKernel);
            known = known && map.find(1000 + gone)->op == Op::Attention;
        }
        CHECK(known);
        ++orders;
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(orders == 120);
}

TEST_CASE("destroyed nodes are forgotten in the end, and a reused id is not") {
    GraphNodeMap map(2);
    capture(map, 1, 100);
    map.nodeDestroyed(100);
    map.beginCapture(2);
    map.setOperation(8, Op::Head);
    map.nodeCreated(100, kNodeKernel);  // the id again
    map.endCapture();
    map.nodeDestroyed(101);
    map.nodeDestroyed(102);
    map.nodeDestroyed(102);
    CHECK(map.find(100)->op == Op::Head);
    CHECK_FALSE(map.find(101));
    map.nodeDestroyed(4711);  // never known
    map.nodeCloned(4711, 4712, kNodeKernel);
    CHECK(map.unknownOriginals() == 1);
    CHECK_FALSE(map.find(4712));
}

TEST_CASE("many instances leave a bounded map") {
    GraphNodeMap map(100);
    capture(map, 1, 1);
    for (std::uint64_t i = 0; i < 50000; ++i) {
        map.nodeCloned(1, 1000 + i, kNodeKernel);
        map.nodeDestroyed(1000 + i);
        map.takeAdded();
    }
    CHECK(map.size() <= 103);
    CHECK(map.find(1));
}
