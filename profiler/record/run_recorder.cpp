// SPDX-License-Identifier: Apache-2.0
#include "profiler/record/run_recorder.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "engine/core/error.h"
#include "profiler/record/machine.h"
#include "profiler/runfile/run_reader.h"

namespace moescope {
namespace {

std::string utcNow() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

}  // namespace

RunRecorder::Start RunRecorder::startOf(const std::filesystem::path& path, const RunFacts& facts,
                                        RunWriter::Mode mode) {
    Start start;
    if (mode != RunWriter::Mode::Resume) return start;
    const RunReader run(path);
    if (run.meta("kind") != facts.kind) {
        throw Error(path.string() + ": is a run of kind \"" + run.meta("kind") +
                    "\" and cannot be resumed as \"" + facts.kind + "\"");
    }
    for (const StepRow& step : run.steps()) {
        start.step = std::max(start.step, step.id + 1);
        start.ns = std::max(start.ns, step.endNs);
    }
    return start;
}

RunRecorder::RunRecorder(const std::filesystem::path& path, const RunFacts& facts,
                         RunWriter::Mode mode, bool overwrite)
    : RunRecorder(path, facts, mode, overwrite, startOf(path, facts, mode)) {}

RunRecorder::RunRecorder(const std::filesystem::path& path, const RunFacts& facts,
                         RunWriter::Mode mode, bool overwrite, Start start)
    : writer_(path, mode, overwrite), clock_(start.ns) {
    writeFacts(facts, mode == RunWriter::Mode::Resume);
    tracer_ = std::make_unique<SpanTracer>(writer_, clock_, start.step);
    if (facts.routing) routing_ = std::make_unique<RoutingRecorder>(writer_, *facts.routing);
}

void RunRecorder::writeFacts(const RunFacts& facts, bool resumed) {
    writer_.setMeta("kind", facts.kind);
    writer_.setMeta("command", nlohmann::json(facts.command));
    nlohmann::json machine = machineFacts();
    if (facts.bandwidthThreads > 0) {
        machine["read_bandwidth_bytes_per_second"] = streamBandwidth(facts.bandwidthThreads);
        machine["read_bandwidth_threads"] = facts.bandwidthThreads;
    }
    writer_.setMeta("machine", machine);
    writer_.setMeta("build", buildFacts());
    writer_.setMeta("model", facts.model);
    writer_.setMeta("settings", facts.settings);
    writer_.setMeta("synthetic", facts.synthetic ? "true" : "false");
    writer_.setMeta("degradation", "cpu spans");
    writer_.setMeta(resumed ? "resumed_utc" : "started_utc", utcNow());
    if (facts.routing) {
        writer_.setMeta("routing", nlohmann::json{{"experts", facts.routing->experts},
                                                  {"top_k", facts.routing->topK},
                                                  {"layers", facts.routing->layers}});
    }
    // A kill at any later moment leaves a file that says what it is and can be resumed.
    writer_.flush();
}

void RunRecorder::finish(RunStatus status, const std::string& error) {
    if (finished_) return;
    finished_ = true;
    tracer_->finish();
    if (routing_) routing_->finish();
    writer_.add(MemoryRow{"peak_rss", peakRssBytes()});
    writer_.setMeta("ended_utc", utcNow());
    writer_.finish(status, error);
}

void RunRecorder::finishAfter(const std::exception_ptr& cause) noexcept {
    // The first cause is what the user must see: a disk that fails while we say goodbye is not.
    try {
        std::rethrow_exception(cause);
    } catch (const Interrupted&) {
        try {
            finish(RunStatus::Interrupted);
        } catch (const std::exception&) {
        }
    } catch (const std::exception& error) {
        try {
            finish(RunStatus::Failed, error.what());
        } catch (const std::exception&) {
        }
    } catch (...) {
        finished_ = true;
    }
}

RunRecorder::~RunRecorder() {
    if (finished_) return;
    try {
        finish(RunStatus::Failed, "the run ended before it was finished");
    } catch (const std::exception&) {
        // Nothing more can be done here; what was committed stays readable.
    }
}

}  // namespace moescope
