// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/counter_session.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "engine/core/error.h"

namespace moescope::cupti {

CounterSession::CounterSession(const CuptiApi& api, const CounterApi& counters, void* context,
                               const MetricSet& set)
    : api_(api), counters_(counters), set_(set) {
    const auto check = [&](std::uint32_t result, const char* what) {
        if (result != kSuccess) throw Error(std::string(what) + ": " + resultReason(api_, result));
    };
    InitializeParams initialize;
    check(counters_.initialize(&initialize), "counters cannot be used");
    ChipNameParams chip;
    check(counters_.chipName(&chip), "the GPU's chip is not known");
    chip_ = chip.chip;
    AvailabilityParams available;
    available.context = context;
    check(counters_.availability(&available), "counters cannot be used");
    availability_.resize(available.bytes);
    available.image = availability_.data();
    check(counters_.availability(&available), "counters cannot be used");
    host_ = std::make_unique<CounterHost>(counters_, api_, chip_, availability_);
    plan_ = planMetrics(api_, counters_, *host_, chip_, set_.metrics);
    if (plan_.passes != 1)
        throw Error("the counters \"" + std::string(set_.name) + "\" need " +
                        std::to_string(plan_.passes) + " passes on " + chip_,
                    "a set of one pass is needed: nothing is run twice");
    for (const std::string& metric : set_.metrics) names_.push_back(metric.c_str());
    RangeEnableParams enable;
    enable.context = context;
    check(counters_.rangeEnable(&enable), "counters cannot be switched on");
    object_ = enable.object;
    RangeSizeParams size;
    size.object = object_;
    size.names = names_.data();
    size.count = names_.size();
    size.maxRanges = kMaxRanges;
    size.maxTreeNodes = std::uint32_t(kMaxRanges);
    const std::uint32_t result = counters_.rangeDataSize(&size);
    if (result == kSuccess) {
        data_.resize(size.bytes);
        if (configure()) return;
    } else {
        ok(result, "the room for counters is not known");
    }
    RangeObjectParams disable;
    disable.object = object_;
    counters_.rangeDisable(&disable);
    object_ = nullptr;
    throw Error(failure_);
}

CounterSession::~CounterSession() {
    if (object_ == nullptr) return;
    RangeObjectParams disable;
    disable.object = object_;
    counters_.rangeDisable(&disable);
}

void CounterSession::attach(RunWriter& writer, SpanTracer& tracer) {
    writer_ = &writer;
    tracer_ = &tracer;
    writer.setMeta("degradation", "counters");
    writer.setMeta("counters", nlohmann::json{{"set", std::string(set_.name)},
                                              {"chip", chip_},
                                              {"metrics", set_.metrics},
                                              {"passes", plan_.passes}});
}

/// False, and the end of counting, when it failed.
bool CounterSession::ok(std::uint32_t result, const char* what) {
    if (result == kSuccess) return true;
    if (failure_.empty()) failure_ = std::string(what) + ": " + resultReason(api_, result);
    return false;
}

/// Empties the room for counters: each step uses all of it again.
bool CounterSession::configure() {
    RangeImageParams image;
    image.object = object_;
    image.bytes = data_.size();
    image.data = data_.data();
    if (!ok(counters_.rangeDataInitialize(&image), "the room for counters cannot be set up"))
        return false;
    RangeConfigParams config;
    config.object = object_;
    config.configBytes = plan_.image.size();
    config.config = plan_.image.data();
    config.dataBytes = data_.size();
    config.data = data_.data();
    config.maxRangesPerPass = kMaxRanges;
    return ok(counters_.rangeConfigure(&config), "the counters cannot be configured");
}

void CounterSession::stepBegin(const StepInfo& step) {
    tracer_->stepBegin(step);
    if (!failure_.empty()) return;
    if (read_ > 0 && !configure()) return;
    RangeObjectParams start;
    start.object = object_;
    started_ = ok(counters_.rangeStart(&start), "counting cannot start");
}

void CounterSession::opBegin(Op op, int layer) {
    tracer_->opBegin(op, layer);
    const std::int64_t operation = tracer_->openOperation();
    if (!started_ || operation < 0) return;
    // The name of a range is the id of its operation: the rows need no other key.
    const std::string name = std::to_string(operation);
    RangePushParams push;
    push.object = object_;
    push.name = name.c_str();
    open_ = ok(counters_.rangePush(&push), "a range cannot be opened");
    wanted_ += open_ ? 1 : 0;
}

void CounterSession::opEnd(const OpWork& work) {
    if (open_) {
        RangeObjectParams pop;
        pop.object = object_;
        ok(counters_.rangePop(&pop), "a range cannot be closed");
        open_ = false;
    }
    tracer_->opEnd(work);
}

void CounterSession::stepEnd() {
    tracer_->stepEnd();
    if (!started_) return;
    started_ = false;
    RangeStopParams stop;
    stop.object = object_;
    if (!ok(counters_.rangeStop(&stop), "counting cannot stop")) return;
    RangeDecodeParams decode;
    decode.object = object_;
    if (!ok(counters_.rangeDecode(&decode), "the counters cannot be decoded")) return;
    dropped_ += std::int64_t(decode.dropped);
    readRanges();
}

void CounterSession::readRanges() {
    RangeCountParams count;
    count.data = data_.data();
    count.bytes = data_.size();
    if (!ok(counters_.rangeCount(&count), "the ranges cannot be counted")) return;
    std::vector<AnyRow> rows;
    // What was read before a failure is kept, and only what is kept counts as read.
    for (std::size_t range = 0; range < count.ranges && readRange(range, rows); ++range) ++read_;
    writer_->add(std::move(rows));
}

bool CounterSession::readRange(std::size_t range, std::vector<AnyRow>& rows) {
    RangeInfoParams info;
    info.data = data_.data();
    info.bytes = data_.size();
    info.range = range;
    if (!ok(counters_.rangeInfo(&info), "a range cannot be read")) return false;
    std::int64_t operation = -1;
    std::from_chars(info.name, info.name + std::strlen(info.name), operation);
    std::free(const_cast<char*>(info.name));
    values_.resize(names_.size());
    if (!ok(host_->evaluate(data_, range, names_, values_), "the counters cannot be evaluated"))
        return false;
    for (std::size_t i = 0; i < values_.size(); ++i)
        rows.emplace_back(CounterRow{operation, set_.metrics[i], values_[i]});
    return true;
}

void CounterSession::finish() {
    const std::int64_t missing = wanted_ - read_;
    writer_->add(QualityRow{
        "missing_counter_ranges", double(missing), "operations", missing == 0 && failure_.empty(),
        failure_.empty() ? "Operations without counters; CUPTI says that it dropped " +
                               std::to_string(dropped_) + "."
                         : "Counting ended early: " + failure_ + "."});
}

}  // namespace moescope::cupti
