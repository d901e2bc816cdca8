// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/device_profiler.h"

#include <ctime>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

namespace moescope::cupti {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

/// Between two requests for CUPTI's buffers, which are full after some 15000 launches only.
constexpr std::int64_t kFlushNs = 1'000'000'000;

std::string today() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[16] = {};
    std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}

}  // namespace

std::unique_ptr<DeviceProfiler> DeviceProfiler::start(const DeviceProfilerOptions& options) {
    std::string reason;
    auto library = loadCupti(reason);
    auto driver = loadDriver();
    // Without a driver CUPTI answers 999 to everything: the cause is looked for first.
    Availability found = probeAvailability(nullptr, "", driver.get());
    AvailabilityFacts facts = found.facts;
    facts.library = library != nullptr;
    facts.libraryReason = reason;
    if (library) {
        facts.libraryPath = library->path.string();
        facts.cuptiVersion = library->version;
    }
    const Availability availability = explain(std::move(facts));
    return std::unique_ptr<DeviceProfiler>(new DeviceProfiler(std::move(library), std::move(driver),
                                                              options, availability.activity,
                                                              availability.toJson()));
}

DeviceProfiler::DeviceProfiler(std::unique_ptr<CuptiLibrary> library,
                               std::unique_ptr<DriverApi> driver,
                               const DeviceProfilerOptions& options, std::string reason,
                               nlohmann::json device)
    : library_(std::move(library)),
      driver_(std::move(driver)),
      device_(std::move(device)),
      reason_(std::move(reason)),
      system_(options.system),
      attachedNs_(kNever),
      endedNs_(kNever) {
    level_ = options.collector.level;
    wholeSteps_ = options.wholeSteps;
    samples_ = options.collector.sampleEnvironment;
    if (!reason_.empty()) return;
    synchronize_ = [this] {
        // On the engine's thread, where the context is current. An error of the device is the
        // engine's to report; the records of what ran are fetched all the same.
        driver_->contextSynchronize();
    };
    startCollector(library_->api, options);
}

DeviceProfiler::DeviceProfiler(const CuptiApi& api, std::function<void()> synchronize,
                               const DeviceProfilerOptions& options, nlohmann::json device)
    : synchronize_(std::move(synchronize)),
      device_(std::move(device)),
      system_(options.system),
      attachedNs_(kNever),
      endedNs_(kNever) {
    level_ = options.collector.level;
    wholeSteps_ = options.wholeSteps;
    samples_ = options.collector.sampleEnvironment;
    startCollector(api, options);
}

DeviceProfiler::~DeviceProfiler() = default;

void DeviceProfiler::startCollector(const CuptiApi& api, const DeviceProfilerOptions& options) {
    pipeline_ = std::make_unique<Pipeline>(static_cast<DeviceEventSink&>(*this), api.nextRecord);
    if (!options.capture.empty())
        pipeline_->setCapture(std::make_unique<CaptureWriter>(
            options.capture, nlohmann::json{{"device", device_},
                                            {"level", degradationName(level_)},
                                            {"date", today()},
                                            {"synthetic", options.syntheticCapture}}));
    collector_ =
        std::make_unique<ActivityCollector>(api, *pipeline_, pipeline_->nodes(), options.collector);
    try {
        collector_->start();
    } catch (const CollectorError& error) {
        reason_ = error.what();
        collector_.reset();
    }
}

void DeviceProfiler::attach(RunWriter& writer, SpanTracer& tracer, const RunClock& clock) {
    writer_ = &writer;
    tracer_ = &tracer;
    clock_ = &clock;
    offsetNs_ = clockOffset(clock, system_);
    writer.setMeta("device", device_);
    if (recording()) {
        writer.setMeta("degradation", degradationName(level_));
        // Replaced at the end.
        writer.add(deviceTrace(false,
                               "The run has not ended: its latest operations may have the "
                               "host's times, and device work of about its last second may "
                               "be absent."));
    } else {
        writer.setMeta("degradation_reason", reason_);
    }
    // Last: from here on the decoding thread uses the above.
    attachedNs_.store(system_(), std::memory_order_release);
}

QualityRow DeviceProfiler::deviceTrace(bool ok, const char* note) const {
    return {"device_trace", level_ == TraceLevel::Node ? 2.0 : 1.0, "level", ok, note};
}

void DeviceProfiler::popScopes(int depth) {
    for (; depth_ > depth; --depth_) collector_->popScope();
}

void DeviceProfiler::stepBegin(const StepInfo& step) {
    tracer_->stepBegin(step);
    if (!recording()) return;
    popScopes(0);  // an exception may have cut the last step short
    ++steps_;
    const std::int64_t id = tracer_->openStep();
    pipeline_->stepBegan(id);
    stepStartNs_ = system_();
    {
        const std::lock_guard guard(stepsMutex_);
        stepTimes_.emplace_back(stepStartNs_, kNever);
    }
    collector_->pushScope(packScope({id, -1, -1, Op::Embed}));
    depth_ = 1;
}

void DeviceProfiler::stepEnd() {
    if (recording() && tracer_->openStep() >= 0) {
        popScopes(0);
        pipeline_->stepEnded();
        const std::int64_t now = system_();
        wallNs_ += now - stepStartNs_;
        const std::lock_guard guard(stepsMutex_);
        stepTimes_.back().second = now;
    }
    tracer_->stepEnd();
    // After the step's time was taken. What CUPTI holds back a kill of the process would lose.
    if (!recording() || clock_->now() - flushedNs_ < kFlushNs) return;
    flushedNs_ = clock_->now();
    collector_->flush();
}

void DeviceProfiler::opBegin(Op op, int layer) {
    if (!recording()) {
        tracer_->opBegin(op, layer);
        return;
    }
    // Before the tracer takes its time: the cost of a scope is not the operation's.
    const int inStep = tracer_->openStep() >= 0 ? 1 : 0;
    popScopes(inStep);
    openOp_ = op;
    openLayer_ = layer;
    workInGraph_ = false;
    tracer_->opBegin(op, layer);
    const std::int64_t id = tracer_->openOperation();
    if (id >= 0) {
        const Scope scope{id / kOperationsPerStep, std::int32_t(id % kOperationsPerStep), layer,
                          op};
        pipeline_->scopes().add(scope);
        collector_->pushScope(packScope(scope));
        ++depth_;
    }
    // A back end that captures while the session announces operations need not repeat them.
    if (ledger_.capturing()) pipeline_->nodes().setOperation(layer, op);
}

void DeviceProfiler::opEnd(const OpWork& work) {
    // Bytes and operations are where the time is: here are only the copies beside the graph.
    tracer_->opEnd(std::exchange(workInGraph_, false) ? OpWork{0, 0, work.threads, {}} : work);
    if (recording()) popScopes(tracer_->openStep() >= 0 ? 1 : 0);
}

/// As the scope on top of CUPTI's stack says it: an operation that the tracer kept, or the step.
LaunchOwner DeviceProfiler::openOwner() const noexcept {
    if (tracer_ == nullptr) return {};
    const std::int64_t operation = tracer_->openOperation();
    if (operation < 0) return {tracer_->openStep(), -1, 0};
    return {operation / kOperationsPerStep, operation, 0};
}

void DeviceProfiler::launched(const LaunchCounts& counts) noexcept {
    ledger_.launched(counts);
    if (!recording() || ledger_.capturing()) return;
    balance_.counted(openOwner(), {counts.kernels, counts.copies, counts.sets});
}

void DeviceProfiler::captureBegin(std::uint64_t graph) noexcept {
    ledger_.captureBegin(graph);
    if (!recording()) return;
    pipeline_->nodes().beginCapture(graph);
    const std::int64_t open = tracer_ != nullptr ? tracer_->openOperation() : -1;
    if (open < 0) return;
    for (const ScopeTable::Entry& entry : pipeline_->scopes().entries(open / kOperationsPerStep))
        if (entry.index == open % kOperationsPerStep)
            pipeline_->nodes().setOperation(entry.layer, entry.op);
}

void DeviceProfiler::captureOp(Op op, int layer) noexcept {
    if (recording()) pipeline_->nodes().setOperation(layer, op);
}

void DeviceProfiler::captureEnd() noexcept {
    ledger_.captureEnd();
    if (recording()) pipeline_->nodes().endCapture();
}

void DeviceProfiler::replay(std::uint64_t graph) noexcept {
    const LaunchTotals nodes = ledger_.replay(graph);
    if (!recording()) return;
    LaunchOwner owner = openOwner();
    if (level_ == TraceLevel::Graph) {
        owner.operation = LaunchOwner::kWholeGraph;
        balance_.counted(owner, {1, 0, 0});
    } else {
        owner.operation = LaunchOwner::kReplay;
        owner.graph = graph;
        balance_.counted(owner, nodes);
    }
}

void DeviceProfiler::replayed(Op op, int layer, const OpWork& work) noexcept {
    if (!recording()) return;
    if (tracer_->openOperation() >= 0 && op == openOp_ && layer == openLayer_) {
        // Node by node its kernels lengthen the announced operation, which has its work.
        if (level_ == TraceLevel::Node) return;
        workInGraph_ = true;
    }
    const std::lock_guard guard(workMutex_);
    replayedWork_[{tracer_->openStep(), layer, op}] = work;
}

void DeviceProfiler::finish() {
    if (finished_ || writer_ == nullptr) return;
    finished_ = true;
    if (!collector_) {
        writer_->add(QualityRow{"device_trace", 0, "level", false,
                                "The device was not watched: " + reason_ + "."});
        return;
    }
    popScopes(0);
    endedNs_.store(system_());  // what CUPTI does to end is no part of the run
    collector_->stop(synchronize_);
    pipeline_->finish();
    writeRows(true);
    if (CaptureWriter* capture = pipeline_->capture()) capture->finish(tail());
    for (QualityRow& row : deviceQuality(qualityFacts())) writer_->add(std::move(row));
    writer_->add(
        deviceTrace(true, level_ == TraceLevel::Node
                              ? "Every kernel was recorded, those of graphs too."
                              : "Graphs were recorded as a whole: their kernels are not known."));
    describeSamples();
}

void DeviceProfiler::describeSamples() {
    if (mhz_.samples > 0) device_["sm_mhz"] = {{"slowest", mhz_.least}, {"fastest", mhz_.most}};
    if (celsius_.samples > 0)
        device_["celsius"] = {{"least", celsius_.least}, {"most", celsius_.most}};
    if (milliwatts_.samples > 0)
        device_["watts"] = {{"least", milliwatts_.least / 1000.0},
                            {"most", milliwatts_.most / 1000.0},
                            {"limit", powerLimitMilliwatts_ / 1000.0}};
    if (mhz_.samples + celsius_.samples + milliwatts_.samples > 0)
        writer_->setMeta("device", device_);
}

void DeviceProfiler::abandon() noexcept {
    if (finished_) return;
    finished_ = true;
    attachedNs_.store(kNever);
    try {
        if (collector_) collector_->stop([] {});
    } catch (...) {
        // The run has failed already, and said why.
    }
}

nlohmann::json DeviceProfiler::tail() const {
    const auto totals = [](const LaunchTotals& sum) {
        return nlohmann::json{{"kernels", sum.kernels}, {"copies", sum.copies}, {"sets", sum.sets}};
    };
    return {{"eager", totals(ledger_.eager())}, {"replayed", totals(ledger_.replayed())},
            {"replays", ledger_.replays()},     {"dropped", collector_->statistics().dropped},
            {"seen", totals(counts_.seen)},     {"unattributed", counts_.unattributed}};
}

DeviceQualityFacts DeviceProfiler::qualityFacts() const {
    DeviceQualityFacts facts;
    facts.level = level_;
    facts.counts = counts_;
    facts.expectedEager = ledger_.eager();
    facts.expectedReplayed = ledger_.replayed();
    facts.steps = steps_;
    facts.difference = balance_.difference();
    facts.replays = ledger_.replays();
    facts.unknownReplays = ledger_.unknownReplays();
    for (const auto& [graph, counted] : ledger_.graphs()) {
        const CapturedNodes seen = pipeline_->nodes().captured(graph);
        facts.graphs.emplace_back(counted, LaunchTotals{seen.kernels, seen.copies, seen.sets});
    }
    facts.unknownOriginals = pipeline_->nodes().unknownOriginals();
    facts.collector = collector_->statistics();
    facts.decoder = pipeline_->decoder().statistics();
    facts.correlator = pipeline_->correlator().statistics();
    facts.wallNs = wallNs_;
    facts.sampled = samples_;
    facts.counts.clockMovedNs =
        std::max(counts_.clockMovedNs, std::abs(clockOffset(*clock_, system_) - offsetNs_));
    return facts;
}

}  // namespace moescope::cupti
