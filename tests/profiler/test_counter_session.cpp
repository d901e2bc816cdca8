// SPDX-License-Identifier: Apache-2.0
// The order of calls of a counter session, and what it does when one fails, with a scripted CUPTI.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "profiler/cupti/counter_session.h"
#include "profiler/runfile/run_reader.h"
#include "tests/profiler/fake_counters.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using namespace moescope::cupti;
using test::counterScript;
using test::did;
using test::TempDir;

namespace {

struct RangeScript {
    std::vector<std::string> ranges;  ///< pushed since the start
    std::size_t lost = 0;             ///< of these, lost in each step
};
RangeScript script;

CounterApi fakeCounters() {
    script = {};
    CounterApi api = test::fakeHost();
    api.availability = [](AvailabilityParams* p) {
        if (p->image == nullptr) p->bytes = 16;
        return did("availability");
    };
    api.rangeEnable = [](RangeEnableParams* p) {
        p->object = reinterpret_cast<RangeObject*>(2);
        return did("rangeEnable");
    };
    api.rangeDisable = [](RangeObjectParams*) { return did("rangeDisable"); };
    api.rangeDataSize = [](RangeSizeParams* p) {
        p->bytes = 256;
        return did("rangeDataSize");
    };
    api.rangeDataInitialize = [](RangeImageParams*) { return did("rangeDataInitialize"); };
    api.rangeConfigure = [](RangeConfigParams*) { return did("rangeConfigure"); };
    api.rangeStart = [](RangeObjectParams*) {
        script.ranges.clear();
        return did("rangeStart");
    };
    api.rangeStop = [](RangeStopParams*) { return did("rangeStop"); };
    api.rangePush = [](RangePushParams* p) {
        script.ranges.emplace_back(p->name);
        return did("rangePush");
    };
    api.rangePop = [](RangeObjectParams*) { return did("rangePop"); };
    api.rangeDecode = [](RangeDecodeParams* p) {
        p->dropped = script.lost;
        return did("rangeDecode");
    };
    api.rangeCount = [](RangeCountParams* p) {
        p->ranges = script.ranges.size() - script.lost;
        return did("rangeCount");
    };
    api.rangeInfo = [](RangeInfoParams* p) {
        const std::uint32_t result = did("rangeInfo");
        // As with CUPTI, there is a name to free only when the call succeeded.
        if (result == kSuccess) p->name = ::strdup(script.ranges[p->range].c_str());
        return result;
    };
    return api;
}

void step(TraceSink& sink, int position) {
    sink.stepBegin({0, StepKind::Decode, position, 1});
    for (int layer = 0; layer < 3; ++layer) {
        sink.opBegin(Op::Experts, layer);
        sink.opEnd({});
    }
    sink.stepEnd();
}

/// Four steps; the quality row and the counters of the run.
struct Counted {
    std::vector<CounterRow> rows;
    QualityRow quality;
    explicit Counted(const CounterApi& counters) {
        const TempDir dir;
        const auto path = dir / "c.moescope";
        const CuptiApi api;
        RunWriter writer(path, RunWriter::Mode::Create);
        SpanTracer tracer(writer, RunClock{});
        CounterSession session(api, counters, nullptr, metricSet("basic"));
        session.attach(writer, tracer);
        for (int i = 0; i < 4; ++i) step(session, i);
        tracer.finish();
        session.finish();
        writer.finish(RunStatus::Done);
        const RunReader run(path);
        rows = run.counters();
        for (const QualityRow& row : run.quality())
            if (row.name == "missing_counter_ranges") quality = row;
        CHECK(run.meta("degradation") == "counters");
        CHECK(run.metaJson("counters").at("chip") == "FAKE100");
        CHECK(run.operationCount() == 12);
    }
};

std::int64_t countOf(const std::string& call) {
    return counterScript.countOf(call);
}

}  // namespace

TEST_CASE("each operation has its counters, and each step a fresh room for them") {
    const CounterApi counters = fakeCounters();
    const Counted run(counters);
    REQUIRE(run.rows.size() == 4 * 3 * 11);
    CHECK(run.rows.front().operation == 0);
    CHECK(run.rows.back().operation == 3 * 4096 + 2);
    CHECK(run.rows.back().value == 210);
    CHECK(run.quality.ok);
    CHECK(countOf("rangeConfigure") == 4);
    CHECK(countOf("rangePush") == 12);
    CHECK(countOf("rangePop") == 12);
    CHECK(countOf("rangeDisable") == 1);
    CHECK(countOf("hostDeinitialize") == 1);
}

TEST_CASE(
    "a set of several passes, missing rights and a failing start are errors that leave "
    "nothing on") {
    const CuptiApi api;
    const CounterApi counters = fakeCounters();
    counterScript.passes = 2;
    CHECK(test::thrownBy<Error>([&] {
              CounterSession(api, counters, nullptr, metricSet("basic"));
          }).find("2 passes") != std::string::npos);
    CHECK(countOf("rangeEnable") == 0);
    for (const char* call :
         {"initialize", "chipName", "availability", "hostInitialize", "hostAddMetrics",
          "rangeEnable", "rangeDataSize", "rangeDataInitialize", "rangeConfigure"}) {
        fakeCounters();
        counterScript.fail = call;
        counterScript.code = kInsufficientPrivileges;
        INFO(call);
        CHECK_FALSE(test::thrownBy<Error>([&] {
                        CounterSession(api, counters, nullptr, metricSet("basic"));
                    }).empty());
        const bool enabled = countOf("rangeEnable") == 1 && counterScript.fail != "rangeEnable";
        CHECK(countOf("rangeDisable") == (enabled ? 1 : 0));
    }
}

TEST_CASE("counting that fails in the middle ends, and the run goes on") {
    for (const char* call : {"rangeStart", "rangePush", "rangePop", "rangeStop", "rangeDecode",
                             "rangeCount", "rangeInfo", "hostEvaluate"}) {
        const CounterApi counters = fakeCounters();
        counterScript.fail = call;
        counterScript.code = kHardwareBusy;
        INFO(call);
        const Counted run(counters);
        CHECK_FALSE(run.quality.ok);
        CHECK(run.quality.note.find("DCGM") != std::string::npos);
    }
    const CounterApi counters = fakeCounters();
    script.lost = 1;
    const Counted run(counters);
    CHECK(run.quality.value == 4);
    CHECK_FALSE(run.quality.ok);
}

TEST_CASE("of a step whose reading fails, what was read is kept, and only that counts as read") {
    for (const char* call : {"rangeInfo", "hostEvaluate"}) {
        const CounterApi counters = fakeCounters();
        counterScript.fail = call;
        counterScript.goodCalls = 4;  // a step of three operations and one of the next
        INFO(call);
        const Counted run(counters);
        CHECK(run.rows.size() == 4 * 11);
        CHECK(run.quality.value == 2);
        CHECK_FALSE(run.quality.ok);
    }
}
