// SPDX-License-Identifier: Apache-2.0
// Small runs of known rows for the tests of exports: one of the CPU, one with work on a device. The
// device's rows are made up, as their names say.
#pragma once

#include <cmath>
#include <filesystem>

#include "profiler/runfile/run_writer.h"

namespace moescope::test {

inline void writeCommon(RunWriter& writer, const char* degradation) {
    writer.setMeta("kind", "profile");
    writer.setMeta("degradation", degradation);
    writer.setMeta("started_utc", "2026-01-02T03:04:05Z");
    writer.setMeta("build", nlohmann::json{{"version", "0.1.0"}});
    writer.add(SequenceRow{0, "s", "", 4, 1});
    writer.add(StepRow{0, 0, "prefill", 0, 4, 1000, 2500});
    writer.add(StepRow{1, 0, "decode", 4, 1, 3000, 4000});
    writer.add(QualityRow{"dropped_records", 2, "records", false, "Two \"lost\"."});
}

inline void writeCpuRun(const std::filesystem::path& path) {
    RunWriter writer(path, RunWriter::Mode::Create);
    writeCommon(writer, "cpu spans");
    writer.add(OperationRow{0, 0, -1, "embed", "", 1000, 1200, 100, 0, 1});
    writer.add(OperationRow{1, 0, 0, "experts", "gemm \"a\\b\"", 1200, 2500, 2600, 5200, 2});
    writer.add(OperationRow{2, 0, -1, "sample", "", 2600, 2700, 0, 0, 1});
    writer.add(OperationRow{4096, 1, 0, "experts", "=gemv,x", 3000, 3800, 800, 1600, 2});
    writer.add(OperationRow{4097, 1, 1, "experts", "=gemv,x", 3500, 4000, 800, 1600, 2});
    writer.finish(RunStatus::Done);
}

inline DeviceEventRow syntheticKernel(std::int64_t operation, int layer, const char* name,
                                      std::int64_t startNs, std::int64_t endNs,
                                      std::int64_t correlation) {
    DeviceEventRow row;
    row.step = 0;
    row.layer = layer;
    row.op = "experts";
    row.operation = operation;
    row.kind = "kernel";
    row.name = name;
    row.shape.grid = {8, 2, 1};
    row.shape.block = {128, 1, 1};
    row.shape.registers = 40;
    row.shape.dynamicShared = 1024;
    row.stream = 7;
    row.startNs = startNs;
    row.endNs = endNs;
    row.launchStartNs = startNs - 50;
    row.launchEndNs = startNs - 20;
    row.correlation = correlation;
    return row;
}

/// Two kernels, a copy, a graph launch of two overlapping nodes, and a row without stamps.
inline void writeDeviceRun(const std::filesystem::path& path) {
    RunWriter writer(path, RunWriter::Mode::Create);
    writeCommon(writer, "activity (graph nodes)");
    writer.setMeta("device", nlohmann::json{{"device", "synthetic device"}});
    writer.add(OperationRow{0, 0, 0, "experts", "cuda", 1100, 1900, 0, 0, 0});
    writer.add(OperationRow{1, 0, 1, "experts", "cuda", 1910, 2400, 0, 0, 0});
    writer.add(syntheticKernel(1, 1, "synthetic_down", 1910, 2000, 12));  // arrives first
    writer.add(syntheticKernel(0, 0, "synthetic_up", 1100, 1500, 11));
    DeviceEventRow copy = syntheticKernel(0, 0, "HtoD", 1600, 1900, 13);
    copy.kind = "copy";
    copy.bytes = 4096;
    copy.launchStartNs = 1550;
    copy.launchEndNs = 1560;
    writer.add(copy);
    for (int node = 0; node < 2; ++node) {
        DeviceEventRow event =
            syntheticKernel(1, 1, "synthetic_node", 2100 + 50 * node, 2300 + 100 * node, 14);
        event.launchStartNs = 2050;
        event.launchEndNs = 2080;
        event.graph = 3;
        event.node = 100 + node;
        writer.add(event);
    }
    DeviceEventRow lost = syntheticKernel(1, 1, "synthetic_lost", 0, 0, 15);
    lost.valid = false;
    writer.add(lost);
    writer.finish(RunStatus::Done);
}

/// A copy of each direction, a set and a graph as a whole: rows that have no name of a kernel.
inline void writeKindsRun(const std::filesystem::path& path) {
    RunWriter writer(path, RunWriter::Mode::Create);
    writeCommon(writer, "activity (graphs)");
    std::int64_t correlation = 20;
    const auto add = [&](const char* kind, const char* name, std::int64_t graph) {
        const std::int64_t start = 1000 + 10 * correlation;
        DeviceEventRow row = syntheticKernel(0, 0, name, start, start + 10, correlation++);
        row.kind = kind;
        row.graph = graph;
        row.shape = {};
        writer.add(row);
    };
    for (const char* direction : {"host to device", "device to host", "device to device",
                                  "host to host", "device to another device"})
        add("copy", direction, 0);
    add("set", "", 0);
    add("graph", "", 3);
    writer.finish(RunStatus::Done);
}

/// Two counters sampled over time, with what no export can show among them.
inline void writeSampledRun(const std::filesystem::path& path) {
    RunWriter writer(path, RunWriter::Mode::Create);
    writeCommon(writer, "sampled counters");
    writer.add(SampleRow{-500, 500, "sm", 1});  // before the run
    writer.add(SampleRow{1000, 2000, "sm", 43.25});
    writer.add(SampleRow{1000, 2000, "dram", 1.5e12});
    writer.add(SampleRow{2000, 2000, "sm", 2});  // takes no time
    writer.add(SampleRow{2000, 3000, "sm", 12});
    writer.add(SampleRow{2000, 3000, "dram", std::nan("")});
    writer.finish(RunStatus::Done);
}

}  // namespace moescope::test
