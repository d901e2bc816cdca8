// SPDX-License-Identifier: Apache-2.0
// Counters of a run file by group, and the roofline that they give, against values worked by hand.
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/core/error.h"
#include "profiler/analysis/run_analysis.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

namespace {

constexpr const char* kTensor = "sm__ops_path_tensor_src_bf16_dst_fp32.sum";

/// Two steps of "experts" (1000 bytes and 8000 operations each by the engine's count, 500 ns by the
/// host's clock) and one "router" of the second; counters come on top.
class Counted {
public:
    Counted() : writer_(dir_ / "r.moescope", RunWriter::Mode::Create) {
        writer_.setMeta("kind", "profile");
        writer_.setMeta("settings", nlohmann::json{{"backend", "cuda"}, {"numerics", "exact"}});
        // The host's own figures, which say nothing of the device.
        writer_.setMeta("machine",
                        nlohmann::json{{"read_bandwidth_bytes_per_second", 1e10},
                                       {"peak_operations_per_second", {{"fp32", 5e10}}}});
        writer_.add(SequenceRow{0, "a", "", 4, 1});
        writer_.add(StepRow{1, 0, "prefill", 0, 4, 0, 1000});
        writer_.add(StepRow{2, 0, "decode", 4, 1, 1000, 3000});
        writer_.add(OperationRow{10, 1, 0, "experts", "k", 0, 500, 1000, 8000, 1});
        writer_.add(OperationRow{20, 2, 0, "experts", "k", 1000, 1500, 1000, 8000, 1});
        writer_.add(OperationRow{21, 2, 1, "experts", "k", 1500, 2000, 1000, 8000, 1});
        writer_.add(OperationRow{22, 2, 1, "router", "", 2000, 2100, 200, 400, 1});
    }
    void count(std::int64_t operation, const char* metric, double value) {
        writer_.add(CounterRow{operation, metric, value});
    }
    RunReader finish() {
        writer_.finish(RunStatus::Done);
        return RunReader(dir_ / "r.moescope");
    }

private:
    TempDir dir_;
    RunWriter writer_;
};

const RooflinePoint& pointOf(const Roofline& of, const std::string& op, const std::string& phase) {
    for (const RooflinePoint& point : of.points)
        if (point.op == op && point.phase == phase) return point;
    throw Error("no such point");
}

}  // namespace

TEST_CASE("a run without counters has no counted work, and the host says nothing of a device") {
    Counted run;
    const RunReader reader = run.finish();
    CHECK(countedWork(reader).groups.empty());
    const Roofline roofline = analyse(reader).analysis.roofline;
    REQUIRE(roofline.points.size() == 3);
    CHECK(roofline.anyModelled());
    CHECK(std::isnan(roofline.ceilings.bytesPerSecond));
    CHECK(std::isnan(roofline.points[0].share));
    CHECK_FALSE(roofline.points[0].memoryBound);
}

TEST_CASE("the set roofline measures bytes, operations, time and ceilings") {
    Counted run;
    for (const std::int64_t operation : {10, 20, 21}) {
        run.count(operation, "gpu__time_duration.sum", 100);
        run.count(operation, "dram__bytes.sum", operation == 21 ? 3000 : 1000);
        run.count(operation, kTensor, 16000);
        run.count(operation, "dram__bytes.sum.peak_sustained", 20);
        run.count(operation, "dram__cycles_elapsed.avg.per_second", 1e9);
        run.count(operation, "sm__ops_path_tensor_src_bf16_dst_fp32.sum.peak_sustained", 1000);
        run.count(operation, "sm__cycles_elapsed.avg.per_second", operation == 10 ? 9e9 : 1e9);
    }
    const RunReader reader = run.finish();
    const CountedRun counted = countedWork(reader);
    REQUIRE(counted.groups.size() == 2);  // decode, prefill; the router has no counters
    CHECK(counted.groups[0].phase == "decode");
    CHECK(counted.groups[0].calls == 2);
    CHECK(counted.groups[0].ns == 200);
    CHECK(counted.groups[0].bytes == 4000);
    CHECK(counted.groups[0].operations == 32000);
    CHECK(counted.groups[0].modelledBytes == 2000);
    CHECK(counted.bytesPerSecond == Approx(2e10));
    CHECK(counted.operationsPerSecond == Approx(1e12));  // the median clock

    const Roofline roofline = analyse(reader).analysis.roofline;
    CHECK(roofline.ceilings.counted);
    CHECK(roofline.ceilings.ridge() == Approx(50));
    const RooflinePoint& decode = pointOf(roofline, "experts", "decode");
    CHECK(decode.bytesMeasured);
    CHECK(decode.operationsMeasured);
    CHECK(std::string(decode.origin()) == "measured");
    CHECK(decode.intensity == Approx(8));
    CHECK(decode.operationsPerSecond == Approx(32000 / 200e-9));  // the device's time
    CHECK(decode.roof == Approx(1.6e11));
    CHECK(decode.share == Approx(1));
    CHECK(decode.memoryBound);
    // What has no counters stays modelled, under the same roof.
    const RooflinePoint& router = pointOf(roofline, "router", "decode");
    CHECK(router.modelled());
    CHECK(std::string(router.origin()) == "modelled");
    CHECK(router.intensity == Approx(2));
    CHECK(roofline.anyModelled());
}

TEST_CASE("the set basic measures bytes only, and where some calls are missing only theirs count") {
    Counted run;
    run.count(21, "dram__bytes_read.sum", 3500);
    run.count(21, "dram__bytes_write.sum", 500);
    run.count(99, "dram__bytes_read.sum", 1);  // of an operation whose row was lost
    const Roofline roofline = analyse(run.finish()).analysis.roofline;
    const RooflinePoint& decode = pointOf(roofline, "experts", "decode");
    CHECK(std::string(decode.origin()) == "bytes measured");
    CHECK(decode.intensity == Approx(2));  // 8000 operations of this call by the engine's count
    CHECK(decode.operationsPerSecond == Approx(8000 / 500e-9));  // half of the group's time
    CHECK(std::isnan(decode.roof));  // the set does not count what the device could do
    CHECK(pointOf(roofline, "experts", "prefill").modelled());
}

TEST_CASE("operations that the tensor cores did not do are the engine's count") {
    Counted run;
    run.count(10, "dram__bytes.sum", 2000);
    run.count(10, kTensor, 0);
    const Roofline roofline = analyse(run.finish()).analysis.roofline;
    const RooflinePoint& prefill = pointOf(roofline, "experts", "prefill");
    CHECK(prefill.bytesMeasured);
    CHECK_FALSE(prefill.operationsMeasured);
    CHECK(prefill.intensity == Approx(4));
}
