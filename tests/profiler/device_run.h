// SPDX-License-Identifier: Apache-2.0
// Runs with a scripted CUPTI in place of a GPU: the engine's calls, and what the run file holds.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "profiler/cupti/buffer_exchange.h"
#include "profiler/cupti/device_profiler.h"
#include "profiler/record/run_recorder.h"
#include "profiler/runfile/run_reader.h"
#include "tests/profiler/fake_cupti.h"
#include "tests/profiler/temp_dir.h"

namespace moescope::test {

inline constexpr int kLayers = 3;

inline RunFacts deviceRunFacts() {
    RunFacts facts;
    facts.kind = "profile";
    facts.command = {"moescope", "profile"};
    facts.model = {{"name", "fake"}};
    return facts;
}

/// A step whose operations launch their kernels one by one.
inline void eagerStep(cupti::DeviceProfiler& profiler, FakeCupti& fake, int position) {
    profiler.stepBegin({0, position == 0 ? StepKind::Prefill : StepKind::Decode, position, 1});
    for (int layer = 0; layer < kLayers; ++layer) {
        for (const Op op : {Op::Attention, Op::Experts}) {
            profiler.opBegin(op, layer);
            fake.launch(op == Op::Attention ? "_Z9attentionPf" : "_Z3moePf");
            fake.launch("_Z3addPf");
            profiler.launched({2, 0, 0});
            profiler.opEnd({1000, 2000, 1, "moe"});
        }
    }
    profiler.opBegin(Op::Head, -1);
    fake.launch("_Z4headPf");
    fake.copy(4096);
    profiler.launched({1, 1, 0});
    profiler.opEnd({500, 0, 1, "head"});
    profiler.stepEnd();
}

/// The same captured once: what `announce` false means is that the session names no operations.
inline std::vector<std::uint64_t> captureGraph(cupti::DeviceProfiler& profiler, FakeCupti& fake) {
    std::vector<std::uint64_t> nodes;
    profiler.captureBegin(1);
    for (int layer = 0; layer < kLayers; ++layer) {
        for (const Op op : {Op::Attention, Op::Experts}) {
            profiler.captureOp(op, layer);
            nodes.push_back(fake.createNode());
            nodes.push_back(fake.createNode());
            profiler.launched({2, 0, 0});
        }
    }
    profiler.captureEnd();
    return nodes;
}

inline std::map<std::string, QualityRow> qualityOf(const std::filesystem::path& path) {
    std::map<std::string, QualityRow> rows;
    for (const QualityRow& row : RunReader(path).quality()) rows[row.name] = row;
    return rows;
}

inline std::vector<DeviceEventRow> deviceEvents(const std::filesystem::path& path) {
    std::vector<DeviceEventRow> rows;
    RunReader(path).deviceEvents([&](const DeviceEventRow& row) {
        rows.push_back(row);
        return true;
    });
    return rows;
}

/// Records `body` into a run file and returns its path.
template <typename Body>
std::filesystem::path record(const TempDir& dir, FakeCupti& fake, Body body,
                             cupti::DeviceProfilerOptions options = {}) {
    const auto path = dir / "r.moescope";
    const cupti::CuptiApi api = fake.api();
    cupti::DeviceProfiler profiler(api, [] {}, options, {{"device", "fake"}});
    fake.launch("_Z4loadPf");  // before the run: not part of it
    RunRecorder recorder(path, deviceRunFacts());
    recorder.setDevice(profiler);
    REQUIRE(recorder.trace() == &profiler);
    REQUIRE(recorder.launches() == &profiler);
    recorder.record([&] { body(profiler); });
    return path;
}

}  // namespace moescope::test
