// SPDX-License-Identifier: Apache-2.0
// The order of calls of a sampling session, what it makes of the samples, and what it does when a
// call fails, with a scripted CUPTI.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/core/error.h"
#include "profiler/cupti/device_clock.h"
#include "profiler/cupti/sampling_session.h"
#include "profiler/runfile/run_reader.h"
#include "tests/profiler/fake_counters.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using namespace moescope::cupti;
using test::counterScript;
using test::did;
using test::TempDir;

namespace {

constexpr std::int64_t kInterval = 1000;  // ns
constexpr std::size_t kMetrics = 7;

struct Stamps {
    std::int64_t start = 0, end = 0;  ///< ns after sampling began, unless `raw`
    bool raw = false;
};

/// One call of decode.
struct Batch {
    std::vector<Stamps> samples;
    std::uint32_t result = kSuccess;
    std::uint8_t overflow = 0;
};

Batch batchOf(std::vector<Stamps> samples) {
    return {std::move(samples), kSuccess, 0};
}

struct SamplingScript {
    std::mutex mutex;
    std::deque<Batch> batches;
    std::vector<Stamps> decoded;  ///< what the data image holds
    std::int64_t startedNs = 0;
    std::atomic<std::int64_t> aheadNs{0};  ///< of the system's clock
    std::atomic<bool> endless{false};      ///< decoding always says that more waits
    SamplingConfigParams config;
    std::uint32_t hostType = 0;
};
SamplingScript script;

/// Stands still but for what a script sets: how long a test takes is no gap between samples.
std::int64_t scriptedClock() noexcept {
    static const std::int64_t begun = realtimeNs();
    return begun + script.aheadNs;
}

CounterApi fakeSampling() {
    CounterApi api = test::fakeHost();
    {
        const std::lock_guard guard(script.mutex);
        script.batches.clear();
        script.decoded.clear();
        script.startedNs = 0;
        script.aheadNs = 0;
        script.endless = false;
    }
    api.hostInitialize = [](HostInitializeParams* p) {
        p->host = reinterpret_cast<HostObject*>(1);
        script.hostType = p->profilerType;
        return did("hostInitialize");
    };
    api.samplingAvailability = [](SamplingAvailabilityParams* p) {
        if (p->image == nullptr) p->bytes = 16;
        return did("samplingAvailability");
    };
    api.samplingEnable = [](SamplingEnableParams* p) {
        p->object = reinterpret_cast<SamplingObject*>(2);
        return did("samplingEnable");
    };
    api.samplingDisable = [](SamplingObjectParams*) { return did("samplingDisable"); };
    api.samplingConfigure = [](SamplingConfigParams* p) {
        script.config = *p;
        return did("samplingConfigure");
    };
    api.samplingDataSize = [](SamplingSizeParams* p) {
        p->bytes = 256;
        return did("samplingDataSize");
    };
    api.samplingDataInitialize = [](SamplingImageParams*) {
        const std::lock_guard guard(script.mutex);
        script.decoded.clear();
        return did("samplingDataInitialize");
    };
    api.samplingStart = [](SamplingObjectParams*) {
        const std::lock_guard guard(script.mutex);
        if (script.startedNs == 0) script.startedNs = scriptedClock();
        return did("samplingStart");
    };
    api.samplingStop = [](SamplingObjectParams*) { return did("samplingStop"); };
    api.samplingDecode = [](SamplingDecodeParams* p) {
        const std::lock_guard guard(script.mutex);
        p->stopReason = 2;  // end of records
        p->overflow = 0;
        const std::uint32_t result = did("samplingDecode");
        if (script.endless && result == kSuccess)
            script.batches.push_front(batchOf({{script.aheadNs, script.aheadNs + kInterval}}));
        if (result != kSuccess || script.batches.empty()) return result;
        const Batch batch = script.batches.front();
        script.batches.pop_front();
        script.decoded.insert(script.decoded.end(), batch.samples.begin(), batch.samples.end());
        if (script.endless || !script.batches.empty()) p->stopReason = kStopCounterDataFull;
        p->overflow = batch.overflow;
        return batch.result;
    };
    api.samplingCount = [](SamplingCountParams* p) {
        const std::lock_guard guard(script.mutex);
        p->total = kInterval;
        p->populated = p->completed = script.decoded.size();
        return did("samplingCount");
    };
    api.samplingInfo = [](SamplingInfoParams* p) {
        const std::lock_guard guard(script.mutex);
        const Stamps& stamps = script.decoded.at(p->sample);
        const std::int64_t base = stamps.raw ? 0 : script.startedNs;
        p->start = std::uint64_t(base + stamps.start);
        p->end = std::uint64_t(base + stamps.end);
        return did("samplingInfo");
    };
    return api;
}

/// `count` samples without a gap from `first` intervals on.
Batch regular(std::int64_t first, std::int64_t count) {
    Batch batch;
    for (std::int64_t i = first; i < first + count; ++i)
        batch.samples.push_back({i * kInterval, (i + 1) * kInterval});
    return batch;
}

/// A session from its making to its end, and what the run file holds of it.
struct Sampled {
    std::vector<SampleRow> rows;
    std::map<std::string, QualityRow> quality;

    /// `settled`: what the session's own thread has to have done before the end.
    explicit Sampled(
        const CounterApi& counters, std::deque<Batch> batches,
        const std::function<bool()>& settled = [] { return true; }) {
        const TempDir dir;
        const auto path = dir / "s.moescope";
        const CuptiApi api;
        RunWriter writer(path, RunWriter::Mode::Create);
        const RunClock clock;
        SamplingSession session(api, counters, kInterval, &scriptedClock);
        {
            const std::lock_guard guard(script.mutex);
            script.batches = std::move(batches);
        }
        session.attach(writer, clock);
        for (int i = 0; i < 1000 && !settled(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        session.finish();
        writer.finish(RunStatus::Done);
        const RunReader run(path);
        run.samples([&](const SampleRow& row) {
            rows.push_back(row);
            return true;
        });
        for (const QualityRow& row : run.quality()) quality[row.name] = row;
        CHECK(run.meta("degradation") == "sampled counters");
        CHECK(run.metaJson("sampling").at("chip") == "FAKE100");
        CHECK(run.metaJson("sampling").at("interval_ns") == kInterval);
    }
    bool allOk() const {
        return quality.at("lost_samples").ok && quality.at("disordered_samples").ok &&
               quality.at("empty_samples").ok;
    }
};

}  // namespace

TEST_CASE("samples arrive with their times and values, the first of a start is left out") {
    const CounterApi counters = fakeSampling();
    // The first begins where nobody knows, on another clock even: it is never judged.
    const Sampled run(counters, {batchOf({{75, 76, true}}), regular(1, 5), regular(6, 4)});
    REQUIRE(run.rows.size() == 9 * kMetrics);
    CHECK(run.allOk());
    for (std::size_t i = 0; i < run.rows.size(); ++i) {
        const SampleRow& row = run.rows[i];
        CHECK(row.metric == sampledMetrics().metrics[i % kMetrics]);
        CHECK(row.endNs - row.startNs == kInterval);
        CHECK(std::abs(double(row.startNs)) < 1e9);  // on the run's clock, which just began
    }
    CHECK(run.rows[kMetrics].startNs - run.rows[0].startNs == kInterval);
    CHECK(run.quality.at("lost_samples").note.find("9 samples of 1000 ns") == 0);
    CHECK(script.hostType == kSamplingType);
    CHECK(script.config.interval == std::uint64_t(kInterval));
    CHECK(script.config.trigger == kTriggerTimeInterval);
    CHECK(script.config.bufferBytes == SamplingSession::kBufferBytes);
    CHECK(script.config.configBytes == 64);
    CHECK(counterScript.countOf("samplingStart") == 1);
    CHECK(counterScript.countOf("samplingStop") == 1);
    CHECK(counterScript.countOf("samplingDisable") == 1);
    CHECK(counterScript.countOf("hostDeinitialize") == 1);
}

TEST_CASE("gaps between samples are counted as the samples that are missing in them") {
    const CounterApi counters = fakeSampling();
    const Sampled run(counters, {regular(0, 3), regular(6, 2), batchOf({{8400, 9400}})});
    CHECK(run.rows.size() == 5 * kMetrics);
    CHECK(run.quality.at("lost_samples").value == 3);  // the last begins less than half one late
    CHECK_FALSE(run.quality.at("lost_samples").ok);
    CHECK(run.quality.at("disordered_samples").ok);
}

TEST_CASE("samples out of order, without length and of another time are told apart") {
    const CounterApi counters = fakeSampling();
    const Sampled run(
        counters, {regular(0, 2), batchOf({{3000, 4000}, {2000, 3000}, {4000, 4000}, {5000, 4500}}),
                   batchOf({{0, 7, true}, {75, 76, true}})});
    CHECK(run.rows.size() == 5 * kMetrics);  // kept as they came, those of another time left out
    CHECK(run.quality.at("disordered_samples").value == 4);
    const std::string& note = run.quality.at("disordered_samples").note;
    CHECK(note.find("before: 2.") != std::string::npos);
    CHECK(note.find("left out: 2 (the first from 0 to 7, ") != std::string::npos);
    CHECK(run.quality.at("empty_samples").value == 1);
    CHECK_FALSE(run.quality.at("empty_samples").ok);
}

TEST_CASE("a full buffer is told, and sampling begins anew") {
    const CounterApi counters = fakeSampling();
    Batch full = regular(0, 3);
    full.result = kOutOfMemory;
    const Sampled run(counters, {full}, [] { return counterScript.countOf("samplingStart") == 2; });
    CHECK(counterScript.countOf("samplingStart") == 2);
    CHECK(counterScript.countOf("samplingStop") == 2);
    CHECK(run.rows.size() == 2 * kMetrics);  // what was decoded before is kept
    CHECK_FALSE(run.quality.at("lost_samples").ok);
    CHECK(run.quality.at("lost_samples").note.find("full 1 times") != std::string::npos);

    const CounterApi again = fakeSampling();
    Batch flagged = regular(0, 3);
    flagged.overflow = 1;
    const Sampled told(again, {flagged});
    CHECK(told.quality.at("lost_samples").note.find("full 1 times") != std::string::npos);
    CHECK_FALSE(told.quality.at("lost_samples").ok);
}

TEST_CASE("samples that begin late or end early are lost") {
    const auto read = [] { return counterScript.countOf("samplingDecode") > 0; };
    constexpr std::int64_t kLong = 10'000;  // intervals: 10 ms
    {
        const CounterApi counters = fakeSampling();
        const Sampled run(counters, {regular(kLong - 1, 5)}, read);  // the first is left out
        CHECK(run.quality.at("lost_samples").value == kLong);
        CHECK_FALSE(run.quality.at("lost_samples").ok);
    }
    const CounterApi counters = fakeSampling();
    const Sampled run(counters, {regular(0, 5)}, [&] {
        script.aheadNs = (5 + kLong) * kInterval;  // nothing more came until the end
        return read();
    });
    CHECK(run.quality.at("lost_samples").value == kLong);
    CHECK_FALSE(run.quality.at("lost_samples").ok);
    const CounterApi again = fakeSampling();
    const Sampled good(again, {regular(0, 5)}, [&] {
        script.aheadNs = 7 * kInterval;
        return read();
    });
    CHECK(good.quality.at("lost_samples").ok);
}

TEST_CASE("samples that wait unread at the end are lost") {
    const CounterApi counters = fakeSampling();
    script.endless = true;
    const Sampled run(counters, {});
    CHECK_FALSE(run.quality.at("lost_samples").ok);
    CHECK(run.quality.at("lost_samples").note.find("waiting to be read") != std::string::npos);
}

TEST_CASE("a run without a single sample is not a good one") {
    const CounterApi counters = fakeSampling();
    const Sampled run(counters, {});
    CHECK(run.rows.empty());
    CHECK_FALSE(run.quality.at("lost_samples").ok);
    CHECK(run.quality.at("lost_samples").note.find("0 samples") == 0);
}

TEST_CASE("what keeps sampling from beginning is an error that names the call and its code") {
    const std::map<std::string, std::string> functions{
        {"initialize", "cuptiProfilerInitialize"},
        {"chipName", "cuptiDeviceGetChipName"},
        {"samplingAvailability", "cuptiPmSamplingGetCounterAvailability"},
        {"samplingEnable", "cuptiPmSamplingEnable"},
        {"samplingConfigure", "cuptiPmSamplingSetConfig"},
        {"samplingDataSize", "cuptiPmSamplingGetCounterDataSize"},
        {"samplingDataInitialize", "cuptiPmSamplingCounterDataImageInitialize"},
        {"hostInitialize", "FAKE100"},
        {"hostAddMetrics", "FAKE100"}};
    const CuptiApi api;
    for (const auto& [call, name] : functions) {
        const CounterApi counters = fakeSampling();
        counterScript.fail = call;
        counterScript.code = kInsufficientPrivileges;
        INFO(call);
        const std::string what =
            test::thrownBy<Error>([&] { SamplingSession(api, counters, kInterval); });
        CHECK(what.find(name) != std::string::npos);
        CHECK(what.find("(35)") != std::string::npos);
        const bool enabled =
            counterScript.countOf("samplingEnable") == 1 && call != "samplingEnable";
        CHECK(counterScript.countOf("samplingDisable") == (enabled ? 1 : 0));
        CHECK(counterScript.countOf("samplingStart") == 0);
    }
    const CounterApi counters = fakeSampling();
    counterScript.passes = 2;
    CHECK(test::thrownBy<Error>([&] {
              SamplingSession(api, counters, kInterval);
          }).find("2 passes") != std::string::npos);
    CHECK(counterScript.countOf("samplingEnable") == 0);
}

TEST_CASE("sampling that fails in the middle ends, keeps what it has and names the call") {
    const std::map<std::string, std::string> functions{
        {"samplingStart", "cuptiPmSamplingStart"},
        {"samplingStop", "cuptiPmSamplingStop"},
        {"samplingDecode", "cuptiPmSamplingDecodeData"},
        {"samplingCount", "cuptiPmSamplingGetCounterDataInfo"},
        {"samplingInfo", "cuptiPmSamplingCounterDataGetSampleInfo"},
        {"hostEvaluate", "cuptiProfilerHostEvaluateToGpuValues"}};
    for (const auto& [call, name] : functions) {
        const CounterApi counters = fakeSampling();
        counterScript.fail = call;
        counterScript.code = kHardwareBusy;
        counterScript.goodCalls = call == "samplingInfo" || call == "hostEvaluate" ? 3 : 0;
        INFO(call);
        const Sampled run(counters, {regular(0, 3), regular(3, 3)});
        const QualityRow& row = run.quality.at("lost_samples");
        CHECK_FALSE(row.ok);
        CHECK(row.note.find(name) != std::string::npos);
        CHECK(row.note.find("(26)") != std::string::npos);
        CHECK(row.note.find("DCGM") != std::string::npos);
        if (call == "samplingInfo") CHECK(run.rows.size() == 2 * kMetrics);
        if (call == "hostEvaluate") CHECK(run.rows.size() == 3 * kMetrics);
        CHECK(counterScript.countOf("samplingDisable") == 1);
    }
}

TEST_CASE("a session that is abandoned stops and touches the writer no more") {
    const CounterApi counters = fakeSampling();
    const TempDir dir;
    const CuptiApi api;
    SamplingSession session(api, counters, kInterval);
    {
        RunWriter writer(dir / "s.moescope", RunWriter::Mode::Create);
        session.attach(writer, RunClock{});
        session.abandon();
    }
    session.finish();
    CHECK(counterScript.countOf("samplingStop") == 1);
    CHECK(counterScript.countOf("samplingDisable") == 1);
}
