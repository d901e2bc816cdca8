// SPDX-License-Identifier: Apache-2.0
#include "profiler/record/run_recorder.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <utility>

#include "engine/core/error.h"
#include "profiler/record/compute_peaks.h"
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
    start.killed = run.meta("status") == runStatusName(RunStatus::Running);
    start.quality = run.quality();
    for (const QualityRow& row : start.quality)
        if (row.name == "killed_processes") start.killedBefore = row.value;
    for (const MemoryRow& row : run.memory())
        if (row.name == "peak_rss") start.peakRss = row.bytes;
    const nlohmann::json resumptions = run.metaJson("resumptions");
    if (resumptions.is_array()) start.resumptions = resumptions;
    return start;
}

RunRecorder::RunRecorder(const std::filesystem::path& path, const RunFacts& facts,
                         RunWriter::Mode mode, bool overwrite)
    : RunRecorder(path, facts, mode, overwrite, startOf(path, facts, mode)) {}

RunRecorder::RunRecorder(const std::filesystem::path& path, const RunFacts& facts,
                         RunWriter::Mode mode, bool overwrite, Start start)
    : writer_(path, mode, overwrite), clock_(start.ns), start_(std::move(start)) {
    if (mode == RunWriter::Mode::Resume) {
        writeResumption(facts, start_.resumptions);
    } else {
        writeFacts(facts);
    }
    if (facts.routing) {
        routingTopK_ = facts.routing->topK;
        expertLayers_ = facts.routing->expertLayers;
    }
    tracer_ = std::make_unique<SpanTracer>(writer_, clock_, start_.step);
    if (facts.routing) routing_ = std::make_unique<RoutingRecorder>(writer_, *facts.routing);
}

void RunRecorder::setDevice(cupti::DeviceProfiler& device) {
    device.attach(writer_, *tracer_, clock_);
    device_ = &device;
}

void RunRecorder::setCounters(cupti::CounterSession& counters) {
    counters.attach(writer_, *tracer_);
    counters_ = &counters;
}

void RunRecorder::setSampling(cupti::SamplingSession& sampling) {
    sampling.attach(writer_, clock_);
    sampling_ = &sampling;
}

TraceSink* RunRecorder::trace() noexcept {
    if (counters_ != nullptr) return counters_;
    if (device_ != nullptr) return device_;
    return tracer_.get();
}

LaunchSink* RunRecorder::launches() noexcept {
    return device_;
}

void RunRecorder::writeFacts(const RunFacts& facts) {
    writer_.setMeta("kind", facts.kind);
    writer_.setMeta("command", nlohmann::json(facts.command));
    nlohmann::json machine = machineFacts();
    if (facts.bandwidthThreads > 0) {
        machine["read_bandwidth_bytes_per_second"] = streamBandwidth(facts.bandwidthThreads);
        machine["read_bandwidth_threads"] = facts.bandwidthThreads;
        machine["peak_operations_per_second"] = computePeaks(facts.bandwidthThreads);
    }
    writer_.setMeta("machine", machine);
    writer_.setMeta("build", buildFacts());
    writer_.setMeta("model", facts.model);
    writer_.setMeta("settings", facts.settings);
    writer_.setMeta("synthetic", facts.synthetic ? "true" : "false");
    writer_.setMeta("degradation", "cpu spans");
    writer_.setMeta("started_utc", utcNow());
    if (facts.routing) {
        writer_.setMeta("routing", nlohmann::json{{"experts", facts.routing->experts},
                                                  {"top_k", facts.routing->topK},
                                                  {"layers", facts.routing->layers}});
    }
    // A kill at any later moment leaves a file that says what it is and can be resumed.
    writer_.flush();
}

/// The facts of the first process stay; what later ones add is listed beside them.
void RunRecorder::writeResumption(const RunFacts& facts, nlohmann::json earlier) {
    const std::string now = utcNow();
    earlier.push_back({{"utc", now},
                       {"command", facts.command},
                       {"settings", facts.settings},
                       {"machine", machineFacts()},
                       {"build", buildFacts()}});
    writer_.setMeta("resumptions", earlier);
    writer_.setMeta("resumed_utc", now);
    writer_.flush();
}

/// Whether the counts in the file account for every token that the run evaluated: the tokens are
/// those of its items, or of its steps, and not of the calls that brought the counts.
void RunRecorder::addRoutingSum() {
    writer_.flush();
    const RunReader run(writer_.path());
    std::int64_t tokens = 0, counted = 0;
    if (run.meta("kind") == "eval") {
        for (const SuiteRow& suite : run.suites())
            for (const ItemRow& item : run.items(suite.id)) tokens += item.tokens;
    } else {
        for (const StepRow& step : run.steps()) tokens += step.tokens;
    }
    for (const RoutingCountRow& row : run.routingCounts()) counted += row.count;
    const std::int64_t expected = tokens * routingTopK_ * expertLayers_;
    writer_.add(
        QualityRow{"routing_sum", double(counted - expected), "assignments", counted == expected,
                   "Routing counts in the file add up to " + std::to_string(counted) +
                       "; evaluated tokens x top-k x layers with experts is " +
                       std::to_string(expected) + "; " + std::to_string(routing_->rejected()) +
                       " ids were outside the model's experts."});
}

/// A resumed run is as good as the worst of its processes.
void RunRecorder::mergeEarlierQuality() {
    writer_.flush();
    std::map<std::string, QualityRow> now;
    for (const QualityRow& row : RunReader(writer_.path()).quality()) now[row.name] = row;
    for (QualityRow row : start_.quality) {
        const auto found = now.find(row.name);
        if (row.name == "routing_sum" || found == now.end()) continue;
        const QualityRow& later = found->second;
        if (row.unit == "records" || row.unit == "operations" || row.unit == "scopes") {
            row.value += later.value;
        } else {
            const bool lower = row.name == "op_time_share";
            row.value = lower ? std::min(row.value, later.value) : std::max(row.value, later.value);
        }
        row.ok = row.ok && later.ok;
        writer_.add(row);
    }
}

void RunRecorder::finish(RunStatus status, const std::string& error) {
    if (finished_) return;
    finished_ = true;
    tracer_->finish();
    if (device_ != nullptr) device_->finish();
    if (counters_ != nullptr) counters_->finish();
    if (sampling_ != nullptr) sampling_->finish();
    if (start_.step + tracer_->steps() == 0) writer_.setMeta("degradation", "not traced");
    if (!start_.quality.empty() && tracer_->steps() > 0) mergeEarlierQuality();
    if (start_.killed && start_.step + tracer_->steps() > 0)
        writer_.add(QualityRow{"killed_processes", start_.killedBefore + 1, "processes", false,
                               "A process of this run was killed: steps and operations that it had "
                               "not written yet are missing, also of items that are complete."});
    if (routing_) {
        routing_->finish();
        addRoutingSum();
    }
    writer_.add(MemoryRow{"peak_rss", std::max(start_.peakRss, peakRssBytes())});
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
    try {
        if (!finished_) finish(RunStatus::Failed, "the run ended before it was finished");
    } catch (const std::exception&) {
        // Nothing more can be done here; what was committed stays readable.
    }
    if (device_ != nullptr) device_->abandon();
    if (sampling_ != nullptr) sampling_->abandon();
}

}  // namespace moescope
