// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/sampling_session.h"

#include <chrono>
#include <exception>
#include <utility>

#include "engine/core/error.h"

namespace moescope::cupti {
namespace {

constexpr std::chrono::milliseconds kPeriod{10};
/// A sample this far from the time in which it was taken is on another clock.
constexpr std::int64_t kForeignNs = 1'000'000'000;
/// What beginning and ending themselves may take, in which nobody can say whether samples are due.
constexpr std::int64_t kEdgeNs = 5'000'000;
/// Rooms full of samples that one waking decodes at most: stop() must not wait for ever.
constexpr int kMostRounds = 256;

std::string failureText(const CuptiApi& api, const char* function, std::uint32_t result) {
    const std::string text = resultText(api, result), reason = resultReason(api, result);
    return std::string(function) + " gave " + text +
           (reason.find(text) == std::string::npos ? ": " + reason : std::string());
}

std::string text(std::int64_t value) {
    return std::to_string(value);
}

}  // namespace

SamplingSession::SamplingSession(const CuptiApi& api, const CounterApi& counters,
                                 std::int64_t intervalNs, SystemClock system)
    : api_(api), counters_(counters), intervalNs_(intervalNs), system_(system) {
    const auto check = [&](std::uint32_t result, const char* function) {
        if (result != kSuccess)
            throw Error("counters cannot be sampled: " + failureText(api_, function, result));
    };
    InitializeParams initialize;
    check(counters_.initialize(&initialize), "cuptiProfilerInitialize");
    ChipNameParams chip;
    check(counters_.chipName(&chip), "cuptiDeviceGetChipName");
    chip_ = chip.chip;
    // Before the device is enabled: this call fails while anything counts on it.
    SamplingAvailabilityParams available;
    check(counters_.samplingAvailability(&available), "cuptiPmSamplingGetCounterAvailability");
    availability_.resize(available.bytes);
    available.image = availability_.data();
    check(counters_.samplingAvailability(&available), "cuptiPmSamplingGetCounterAvailability");
    host_ = std::make_unique<CounterHost>(counters_, api_, chip_, availability_, kSamplingType);
    const std::vector<std::string>& metrics = sampledMetrics().metrics;
    plan_ = planMetrics(api_, counters_, *host_, chip_, metrics);
    if (plan_.passes != 1)
        throw Error("counters cannot be sampled: the metrics need " + std::to_string(plan_.passes) +
                        " passes on " + chip_,
                    "sampling has one pass: nothing is run twice");
    for (const std::string& metric : metrics) names_.push_back(metric.c_str());
    values_.resize(names_.size());
    SamplingEnableParams enable;
    check(counters_.samplingEnable(&enable), "cuptiPmSamplingEnable");
    object_ = enable.object;
    configure();
    if (failure_.empty()) return;
    disable();
    throw Error("counters cannot be sampled: " + failure_);
}

SamplingSession::~SamplingSession() {
    abandon();
}

/// False, and the end of sampling, when it failed.
bool SamplingSession::ok(std::uint32_t result, const char* function) {
    if (result == kSuccess) return true;
    if (failure_.empty()) failure_ = failureText(api_, function, result);
    return false;
}

void SamplingSession::configure() {
    SamplingConfigParams config;
    config.object = object_;
    config.configBytes = plan_.image.size();
    config.config = plan_.image.data();
    config.bufferBytes = kBufferBytes;
    config.interval = static_cast<std::uint64_t>(intervalNs_);
    if (!ok(counters_.samplingConfigure(&config), "cuptiPmSamplingSetConfig")) return;
    SamplingSizeParams size;
    size.object = object_;
    size.names = names_.data();
    size.count = names_.size();
    size.maxSamples = kSamplesAtOnce;
    if (!ok(counters_.samplingDataSize(&size), "cuptiPmSamplingGetCounterDataSize")) return;
    data_.resize(size.bytes);
    emptyData();
}

/// Makes room: decoding adds to what is there.
bool SamplingSession::emptyData() {
    SamplingImageParams image;
    image.object = object_;
    image.bytes = data_.size();
    image.data = data_.data();
    return ok(counters_.samplingDataInitialize(&image),
              "cuptiPmSamplingCounterDataImageInitialize");
}

bool SamplingSession::start() {
    SamplingObjectParams params;
    params.object = object_;
    first_ = true;
    sampling_ = ok(counters_.samplingStart(&params), "cuptiPmSamplingStart");
    return sampling_;
}

bool SamplingSession::stop() {
    if (!std::exchange(sampling_, false)) return true;
    SamplingObjectParams params;
    params.object = object_;
    return ok(counters_.samplingStop(&params), "cuptiPmSamplingStop");
}

/// Once: CUPTI crashes when it is done twice.
void SamplingSession::disable() noexcept {
    if (object_ == nullptr) return;
    SamplingObjectParams params;
    params.object = std::exchange(object_, nullptr);
    counters_.samplingDisable(&params);
}

void SamplingSession::attach(RunWriter& writer, const RunClock& clock) {
    writer_ = &writer;
    clock_ = &clock;
    writer.setMeta("degradation", "sampled counters");
    writer.setMeta("sampling", nlohmann::json{{"chip", chip_},
                                              {"metrics", sampledMetrics().metrics},
                                              {"passes", plan_.passes},
                                              {"interval_ns", intervalNs_}});
    offsetNs_ = clockOffset(clock, system_);
    startedNs_ = system_();
    const bool started = start();
    begunNs_ = system_();
    if (started) thread_ = std::thread([this] { poll(); });
}

void SamplingSession::poll() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kPeriod, [this] { return ending_; })) {
        lock.unlock();
        try {
            if (!drain()) return;
        } catch (const std::exception& error) {  // the writer's: finish reports it too
            failure_ = error.what();
            return;
        }
        lock.lock();
    }
}

/// Decodes until nothing waits, or for some rounds. False when it failed.
bool SamplingSession::drain() {
    unread_ = true;
    for (int round = 0; round < kMostRounds && unread_; ++round) {
        const Decoded decoded = decode();
        if (!decoded.good) return false;
        unread_ = decoded.more;
    }
    return true;
}

SamplingSession::Decoded SamplingSession::decode() {
    SamplingDecodeParams params;
    params.object = object_;
    params.data = data_.data();
    params.bytes = data_.size();
    const std::uint32_t result = counters_.samplingDecode(&params);
    const bool full = result == kOutOfMemory;  // of the hardware's buffer
    if (!full && !ok(result, "cuptiPmSamplingDecodeData")) return {};
    if (full || params.overflow != 0) ++overflows_;
    SamplingCountParams count;
    count.data = data_.data();
    count.bytes = data_.size();
    if (!ok(counters_.samplingCount(&count), "cuptiPmSamplingGetCounterDataInfo")) return {};
    std::vector<AnyRow> rows;
    bool read = true;
    for (std::size_t sample = 0; sample < count.completed && read; ++sample)
        read = readSample(sample, rows);
    // What was read before a failure is kept.
    if (!rows.empty()) writer_->add(std::move(rows));
    if (!read) return {};
    // The room is megabytes, and most wakings of a slow interval find nothing.
    if ((full || count.populated > 0) && !emptyData()) return {};
    // A buffer that was full takes nothing more until sampling begins anew.
    if (full && sampling_ && !(stop() && start())) return {};
    return {true, params.stopReason == kStopCounterDataFull && count.completed > 0};
}

/// False when it failed: then nothing of the sample is in `rows`.
bool SamplingSession::readSample(std::size_t sample, std::vector<AnyRow>& rows) {
    SamplingInfoParams info;
    info.object = object_;
    info.data = data_.data();
    info.bytes = data_.size();
    info.sample = sample;
    if (!ok(counters_.samplingInfo(&info), "cuptiPmSamplingCounterDataGetSampleInfo")) return false;
    // The first after a start begins when nobody can say: its stamps are another's or none.
    if (std::exchange(first_, false)) {
        ++skipped_;
        return true;
    }
    const auto begin = static_cast<std::int64_t>(info.start);
    const auto end = static_cast<std::int64_t>(info.end);
    if (begin < startedNs_ - kForeignNs || end < startedNs_ - kForeignNs ||
        begin > system_() + kForeignNs || end > system_() + kForeignNs) {
        ++foreign_;
        if (foreignStamps_.empty())
            foreignStamps_ = std::to_string(info.start) + " to " + std::to_string(info.end);
        return true;
    }
    if (!ok(host_->evaluate(data_, sample, names_, values_),
            "cuptiProfilerHostEvaluateToGpuValues"))
        return false;
    judge(begin, end);
    for (std::size_t i = 0; i < values_.size(); ++i)
        rows.emplace_back(SampleRow{begin - offsetNs_, end - offsetNs_, names_[i], values_[i]});
    return true;
}

/// Counts what is wrong with the stamps, which are kept as they came.
void SamplingSession::judge(std::int64_t start, std::int64_t end) {
    if (end == start) ++empty_;
    if (end > start) lengthNs_ += end - start;
    if (samples_++ > 0) {
        if (start <= lastStartNs_ || end < start) ++disordered_;
        countGap(start - lastEndNs_, 0);
    } else {
        countGap(start - begunNs_, kEdgeNs + intervalNs_);  // that of the first, left out
    }
    lastStartNs_ = start;
    lastEndNs_ = end;
}

/// Samples follow each other without a gap; less than half an interval is no sample.
void SamplingSession::countGap(std::int64_t ns, std::int64_t slackNs) {
    if (ns > slackNs && 2 * ns > intervalNs_) lost_ += (ns + intervalNs_ / 2) / intervalNs_;
}

void SamplingSession::joinThread() noexcept {
    {
        const std::lock_guard guard(mutex_);
        ending_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void SamplingSession::finish() {
    if (finished_ || writer_ == nullptr) return;
    finished_ = true;
    joinThread();
    const std::int64_t endedNs = system_();
    if (stop() && failure_.empty()) drain();
    disable();
    if (samples_ > 0) countGap(endedNs - lastEndNs_, kEdgeNs + intervalNs_);
    for (QualityRow& row : quality()) writer_->add(std::move(row));
}

void SamplingSession::abandon() noexcept {
    joinThread();
    finished_ = true;
    if (object_ != nullptr) stop();
    disable();
}

std::vector<QualityRow> SamplingSession::quality() const {
    std::string note = failure_.empty() ? "" : "Sampling ended early: " + failure_ + ". ";
    note += text(samples_) + " samples";
    if (samples_ > 0) note += " of " + text(lengthNs_ / samples_) + " ns on average";
    note += ", asked for every " + text(intervalNs_) +
            " ns; lost are the gaps between them, before the first and after the last. The "
            "hardware's buffer was full " +
            text(overflows_) + " times; " + text(skipped_) + " at a start are left out.";
    if (unread_ && failure_.empty()) note += " Some were still waiting to be read at the end.";
    const bool whole =
        lost_ == 0 && overflows_ == 0 && samples_ > 0 && !unread_ && failure_.empty();
    std::string order = "Samples that do not begin after the one before: " + text(disordered_) +
                        ". Of another time, and left out: " + text(foreign_);
    if (foreign_ > 0)
        order +=
            " (the first from " + foreignStamps_ + ", sampling began at " + text(startedNs_) + ")";
    return {{"lost_samples", double(lost_), "samples", whole, std::move(note)},
            {"disordered_samples", double(disordered_ + foreign_), "samples",
             disordered_ + foreign_ == 0, order + "."},
            {"empty_samples", double(empty_), "samples", empty_ == 0,
             "Samples that end when they begin; kept, and left out of every mean."}};
}

}  // namespace moescope::cupti
