// SPDX-License-Identifier: Apache-2.0
// Tables of operations and the roofline against values worked by hand.
#include <catch2/catch.hpp>
#include <cmath>

#include "profiler/analysis/operation_table.h"
#include "profiler/analysis/roofline.h"
#include "profiler/analysis/statistics.h"

using namespace moescope;

namespace {

OperationColumns threeSteps(std::vector<StepRow>& steps) {
    steps = {{10, 0, "prefill", 0, 4, 0, 1000}, {11, 0, "decode", 4, 1, 1000, 2000}};
    OperationCollector collector(steps);
    collector.add({1, 10, 0, "experts", "gemm", 0, 100, 1000, 4000, 1});
    collector.add({2, 10, 1, "experts", "gemm", 100, 400, 1000, 4000, 1});
    collector.add({3, 11, 0, "experts", "gemv", 1000, 1200, 500, 600, 1});
    collector.add({4, 11, -1, "head", "gemv", 1200, 1600, 500, 600, 1});
    collector.add({5, 99, -1, "head", "gemv", 1600, 1700, 500, 600, 1});  // its step was lost
    return collector.take();
}

}  // namespace

TEST_CASE("a distribution has the sample's standard deviation and nearest-rank percentiles") {
    std::vector<std::int64_t> values{300, 100, 200};
    const Distribution d = distributionOf(values);
    CHECK(d.count == 3);
    CHECK(d.total == 600);
    CHECK(d.mean == Approx(200));
    CHECK(d.median == 200);
    CHECK(d.p95 == 300);
    CHECK(d.p99 == 300);
    CHECK(d.standardDeviation == Approx(100));
    std::vector<std::int64_t> hundred;
    for (int i = 100; i > 0; --i) hundred.push_back(i);
    CHECK(distributionOf(hundred).p99 == 99);
    std::vector<std::int64_t> one{5}, none;
    CHECK(std::isnan(distributionOf(one).standardDeviation));
    CHECK(std::isnan(distributionOf(none).mean));
}

TEST_CASE("quantiles of Student's t") {
    CHECK(studentT975(3) == Approx(3.182446).margin(5e-3));
    CHECK(studentT975(8) == Approx(2.306004).margin(1e-4));
    CHECK(studentT975(30) == Approx(2.042272).margin(1e-5));
    CHECK(studentT975(1e9) == Approx(1.959964).margin(1e-6));
    CHECK(std::isnan(studentT975(2)));
}

TEST_CASE("operations are grouped by kernel, operation, layer, phase and step") {
    std::vector<StepRow> steps;
    const OperationColumns ops = threeSteps(steps);
    REQUIRE(ops.size() == 5);
    CHECK(ops.step == std::vector<std::int32_t>{0, 0, 1, 1, -1});

    const auto kernels = groupOperations(ops, GroupBy::Kernel);
    REQUIRE(kernels.size() == 4);  // gemm prefill, gemv decode twice, gemv without a step
    CHECK(kernels[0].group.op == "experts");
    CHECK(kernels[0].group.kernel == "gemm");
    CHECK(kernels[0].group.totalNs == 400);
    CHECK(kernels[0].group.meanNs == Approx(200));
    CHECK(kernels[0].group.standardDeviationNs == Approx(std::sqrt(20000.0)));
    CHECK(kernels[0].group.share == Approx(400.0 / 1100));

    const auto byOp = groupOperations(ops, GroupBy::Operation);
    REQUIRE(byOp.size() == 2);
    CHECK(byOp[0].group.op == "experts");
    CHECK(byOp[0].group.totalNs == 600);
    CHECK(byOp[1].group.totalNs == 500);

    const auto byLayer = groupOperations(ops, GroupBy::Layer);
    REQUIRE(byLayer.size() == 3);
    CHECK(byLayer[0].layer == -1);
    CHECK(byLayer[0].group.totalNs == 500);

    const auto byStep = groupOperations(ops, GroupBy::Step, std::nullopt, "decode");
    REQUIRE(byStep.size() == 1);
    CHECK(byStep[0].step == 1);
    CHECK(byStep[0].group.phase == "decode");
    CHECK(byStep[0].group.calls == 2);
    CHECK(byStep[0].group.share == Approx(1));

    const auto range = groupOperations(ops, GroupBy::Operation, TimeRange{100, 1200});
    REQUIRE(range.size() == 1);
    CHECK(range[0].group.totalNs == 500);
}

TEST_CASE("a model smaller than the last-level cache is resident where both sizes are recorded") {
    const std::string model = R"({"file_bytes":8700000})";
    const auto resident = [](const std::string& of, const std::string& machine) {
        return cacheResident({{"model", of}, {"machine", machine}});
    };
    CHECK(resident(model, R"({"last_level_cache_bytes":33554432})"));
    CHECK_FALSE(resident(R"({"file_bytes":98000000})", R"({"last_level_cache_bytes":33554432})"));
    CHECK_FALSE(resident(model, R"({"last_level_cache_bytes":0})"));
    CHECK_FALSE(resident(model, R"({"cpu_model":"of an older run"})"));
    CHECK_FALSE(resident("not JSON", R"({"last_level_cache_bytes":33554432})"));
    CHECK_FALSE(cacheResident({}));
    // The host's cache is nothing to a model in a device's memory.
    CHECK_FALSE(cacheResident({{"model", model},
                               {"machine", R"({"last_level_cache_bytes":33554432})"},
                               {"settings", R"({"backend":"cuda"})"}}));
}

TEST_CASE("the roof is the lower of bandwidth and arithmetic") {
    const std::map<std::string, std::string> meta{{"machine",
                                                   R"({"read_bandwidth_bytes_per_second": 1e10,
             "peak_operations_per_second": {"fp32": 5e10, "bf16": 1e11, "int8": 4e11}})"},
                                                  {"settings", R"({"numerics": "exact"})"}};
    const Ceilings c = ceilingsOf(meta);
    CHECK(c.operationsPerSecond == 1e11);  // int8 kernels do not run with exact numerics
    CHECK(c.operationKind == "bf16");
    CHECK(c.peaks.size() == 3);
    CHECK(c.ridge() == Approx(10));
    CHECK(c.roof(4) == Approx(4e10));
    CHECK(c.roof(40) == Approx(1e11));

    OperationGroup group;
    group.totalNs = 1000;
    group.bytes = 1000;
    group.flops = 4000;  // 4e9 operations a second, 4 a byte
    CHECK(shareOfRoof(group, c).share == Approx(0.1));
    CHECK(std::string(shareOfRoof(group, c).bound) == "memory");
    group.flops = 40000;  // 4e10 of 1e11
    CHECK(shareOfRoof(group, c).share == Approx(0.4));
    CHECK(std::string(shareOfRoof(group, c).bound) == "compute");
    group.flops = 0;  // only bytes: 1e9 of 1e10
    CHECK(shareOfRoof(group, c).share == Approx(0.1));
    CHECK(std::string(shareOfRoof(group, c).bound) == "memory");
    CHECK(shareOfRoof(group, {}).bound == nullptr);  // no roof is known
    group.bytes = 0;
    CHECK(std::isnan(shareOfRoof(group, c).share));
    CHECK(shareOfRoof(group, c).bound == nullptr);
    CHECK(std::isnan(ceilingsOf({}).roof(1)));

    RunSummary run;
    run.meta = meta;
    run.operations.resize(2);
    run.operations[0] = {"experts", "k", "decode", 1, 1000, 0, 0, 0, 0, 1000, 4000, 0.5};
    run.operations[1] = {"sample", "", "decode", 1, 1000, 0, 0, 0, 0, 0, 0, 0.5};
    const Roofline roofline = rooflineOf(run);
    CHECK(roofline.anyModelled());
    REQUIRE(roofline.points.size() == 1);
    CHECK(roofline.points[0].intensity == Approx(4));
    CHECK(roofline.points[0].memoryBound);
    CHECK(roofline.points[0].share == Approx(0.1));
}

TEST_CASE("the roof of a kernel is that of the arithmetic it uses") {
    for (const auto& [kernel, kind] :
         std::vector<std::pair<const char*, const char*>>{{"mxfp4_gemv_avx512_bf16", "int16"},
                                                          {"q8_0_gemm_avx512_vnni", "int16"},
                                                          {"q8_0_gemm_avx512", "fp32"},
                                                          {"mxfp4_gemm_avx512_bf16_int8", "int8"},
                                                          {"q4_k_gemv_avx2_int8", "int8"},
                                                          {"bf16_gemm_avx512_bf16", "bf16"},
                                                          {"bf16_gemm_avx512_vnni", "fp32"},
                                                          {"f32_gemv_avx512_bf16", "fp32"},
                                                          {"f16_gemm_avx2", "fp32"},
                                                          {"attention_f32", "fp32"},
                                                          {"embed_rows", ""}}) {
        INFO(kernel);
        CHECK(arithmeticOf(kernel) == kind);
    }
    RunSummary run;
    run.meta = {{"machine", R"({"read_bandwidth_bytes_per_second": 1e10,
        "peak_operations_per_second": {"fp32": 5e10, "int16": 1e11, "int8": 4e11}})"},
                {"settings", R"({"numerics": "exact"})"}};
    run.operations.resize(3);
    run.operations[0] = {
        "router", "f32_gemm_avx512_bf16", "prefill", 1, 1000, 0, 0, 0, 0, 100, 4000, 0.4};
    run.operations[1] = {
        "experts", "mxfp4_gemm_avx512_bf16", "prefill", 1, 1000, 0, 0, 0, 0, 100, 4000, 0.4};
    run.operations[2] = {"other", "unknown", "prefill", 1, 1000, 0, 0, 0, 0, 100, 4000, 0.2};
    const Roofline of = rooflineOf(run);  // 40 operations a byte: beyond every ridge
    REQUIRE(of.points.size() == 3);
    CHECK(of.points[0].roof == Approx(5e10));
    CHECK(of.points[0].operationKind == "fp32");
    CHECK_FALSE(of.points[0].memoryBound);
    CHECK(of.points[1].roof == Approx(1e11));
    CHECK(of.points[2].operationKind == "int16");  // the greatest that runs with these numerics
    CHECK(shareOfRoof(run.operations[0], of.ceilings).share == Approx(0.08));
    CHECK(of.bounds("fp32"));
    CHECK_FALSE(of.bounds("int8"));
    run.operations[0].bytes = 0;
    CHECK(shareOfRoof(run.operations[0], of.ceilings).share == Approx(0.08));
}
