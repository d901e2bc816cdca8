// SPDX-License-Identifier: Apache-2.0
// The decoding thread's half of DeviceProfiler: from attributed events to counts and rows.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "profiler/cupti/device_profiler.h"
#include "profiler/runfile/copy_directions.h"

namespace moescope::cupti {
namespace {

constexpr std::size_t kRowsAtOnce = 2048;
/// Steps for which late kernels of an operation are awaited before its time is written.
constexpr std::int64_t kLateSteps = 64;
/// Steps of which it is remembered whether their operations have the device's times. Records come
/// later only after more launches than the correlator remembers.
constexpr std::int64_t kRememberedSteps = 65536;
constexpr std::int64_t kClockSlackNs = 5000;  // how exactly CUPTI's clocks are joined
/// Heat and the power brake as NVML tells them, whose other bits are CUPTI's.
constexpr std::uint32_t kThrottleNvml = 0xE0;
constexpr std::uint32_t kThrottled = kThrottlePowerCap | kThrottleHardware | kThrottleNvml;
/// No slowdown: there was nothing to do, or somebody chose the clocks.
constexpr std::uint32_t kThrottleHarmless = kThrottleIdle | kThrottleUserClocks;

const char* kindName(RecordKind kind) {
    switch (kind) {
        case RecordKind::Kernel:
            return "kernel";
        case RecordKind::Memcpy:
            return "copy";
        case RecordKind::Memset:
            return "set";
        default:
            return "graph";
    }
}

LaunchShapeRow shapeRow(const LaunchShape& shape) {
    return {shape.grid,      shape.block,        shape.cluster,
            shape.registers, shape.staticShared, shape.dynamicShared};
}

}  // namespace

void DeviceProfiler::onOther(const Record& record) {
    if (record.kind == RecordKind::Overhead) addOverhead(record);
    if (record.kind == RecordKind::Environment && duringRun(record.startNs)) addSample(record);
}

/// Loading the model comes before, what CUPTI does to end after.
bool DeviceProfiler::duringRun(std::int64_t ns) const noexcept {
    return ns >= attachedNs_.load(std::memory_order_acquire) && ns < endedNs_.load();
}

void DeviceProfiler::addOverhead(const Record& record) {
    const std::int64_t start =
        std::max(record.startNs, attachedNs_.load(std::memory_order_acquire));
    const std::int64_t end = std::min(record.endNs, endedNs_.load());
    if (end <= start) return;
    const bool loading = record.detail == overheadDetail(kOverheadModuleLoading) ||
                         record.detail == overheadDetail(kOverheadLazyLoading);
    // Unsigned, so that damaged stamps cannot overflow.
    (loading ? counts_.loadingNs : counts_.overheadNs) += std::uint64_t(end - start);
}

void DeviceProfiler::addSample(const Record& record) {
    const auto& values = record.environment;
    if (record.detail == kSpeed) {
        mhz_.add(values[0]);
        ++counts_.speedSamples;
        if ((values[4] & kThrottled) != 0)
            ++counts_.throttledSamples;
        else if ((values[4] & ~kThrottleHarmless) != 0)
            ++counts_.unclearSamples;
    } else if (record.detail == kTemperature) {
        celsius_.add(values[0]);
    } else if (record.detail == kPower) {
        milliwatts_.add(values[0]);
        powerLimitMilliwatts_ = values[1];
    }
}

void DeviceProfiler::Sampled::add(std::uint32_t value) noexcept {
    least = samples == 0 ? value : std::min(least, value);
    most = std::max(most, value);
    ++samples;
}

/// Whether the host was in a step then.
bool DeviceProfiler::insideStep(std::int64_t launchNs) const {
    const std::lock_guard guard(stepsMutex_);
    auto after =
        std::upper_bound(stepTimes_.begin(), stepTimes_.end(), launchNs,
                         [](std::int64_t ns, const std::pair<std::int64_t, std::int64_t>& s) {
                             return ns < s.first;
                         });
    return after != stepTimes_.begin() && launchNs <= std::prev(after)->second;
}

/// The writer is there, and the run was not abandoned.
bool DeviceProfiler::attached() const noexcept {
    return attachedNs_.load(std::memory_order_acquire) != std::numeric_limits<std::int64_t>::max();
}

/// The device's stamps are moved to the run's clock by one offset: after a step of the system's
/// clock they lie elsewhere, until it is set back. Stamps between two readings belong to either.
void DeviceProfiler::onBufferBegins() {
    if (!attached()) return;
    const std::int64_t moved = std::abs(clockOffset(*clock_, system_) - offsetNs_);
    counts_.clockMovedNs = std::max(counts_.clockMovedNs, moved);
    const bool held = std::exchange(clockHolds_, moved < kClockStepNs);
    stampsHold_ = held && clockHolds_;
}

void DeviceProfiler::onBufferEnds() {
    if (attached() && !rows_.empty()) writeRows(false);
}

void DeviceProfiler::onEvent(const DeviceEvent& event) {
    if (!attached()) {
        ++counts_.beforeRun;
        return;
    }
    const std::int64_t attached = attachedNs_;
    // The launch decides; where it is not known, the beginning, except of what has no stamp.
    const std::int64_t when = event.launchKnown ? event.launchStartNs : event.record.startNs;
    if (when != 0 && when < attached && !event.scope.hasStep()) {
        ++counts_.beforeRun;
        return;
    }
    if (!event.scope.hasStep() && event.launchKnown && !insideStep(when)) {
        ++counts_.betweenSteps;
    } else {
        count(event);
    }
    addRow(event);
    if (event.attributed && usable(event)) extendOperation(event);
    newestStep_ = std::max(newestStep_, event.scope.step);
    if (rows_.size() >= kRowsAtOnce) writeRows(false);
}

/// Whether the device's stamps say when it ran, on the run's clock.
bool DeviceProfiler::usable(const DeviceEvent& event) const noexcept {
    return event.fault == StampFault::None && stampsHold_ && event.record.startNs >= offsetNs_;
}

void DeviceProfiler::count(const DeviceEvent& event) {
    LaunchTotals one;
    LaunchOwner owner{event.scope.step, event.scope.operation(), 0};
    switch (event.record.kind) {
        case RecordKind::Kernel:
            one.kernels = 1;
            break;
        case RecordKind::Memcpy:
            one.copies = 1;
            break;
        case RecordKind::Memset:
            one.sets = 1;
            break;
        default:
            ++counts_.graphLaunches;
            owner.operation = LaunchOwner::kWholeGraph;
    }
    counts_.seen.add(one);
    if (owner.operation == LaunchOwner::kWholeGraph) {
        one.kernels = 1;
    } else if (event.record.node != 0) {
        owner.operation = LaunchOwner::kReplay;
        owner.graph = event.graph.value_or(0);
    }
    if (!event.scope.hasStep() || (event.record.node != 0 && !event.graph)) {
        balance_.recordedOfUnknown(one);
    } else {
        balance_.recorded(owner, one);
    }
    if (!event.attributed) ++counts_.unattributed;
    if (event.fault == StampFault::Zero) ++counts_.zeroStamps;
    if (event.fault == StampFault::Incomplete) ++counts_.incomplete;
    if (event.fault == StampFault::Negative) ++counts_.negative;
    if (event.fault != StampFault::None) return;
    if (event.launchKnown && event.record.startNs + kClockSlackNs < event.launchStartNs)
        ++counts_.earlyStarts;
    if (!usable(event)) {
        ++counts_.otherClock;
        return;
    }
    counts_.deviceNs += event.record.endNs - event.record.startNs;
}

const std::string& DeviceProfiler::kernelName(std::uint32_t id) {
    while (kernelNames_.size() <= id)
        kernelNames_.push_back(
            demangled(pipeline_->decoder().name(std::uint32_t(kernelNames_.size()))));
    return kernelNames_[id];
}

void DeviceProfiler::addRow(const DeviceEvent& event) {
    const Record& record = event.record;
    DeviceEventRow row;
    row.step = event.scope.step;
    if (event.attributed && event.scope.hasOperation()) {
        row.layer = event.scope.layer;
        row.op = std::string(opName(event.scope.op));
        row.operation = event.scope.operation();
    }
    row.kind = kindName(record.kind);
    if (record.kind == RecordKind::Kernel) row.name = kernelName(record.name);
    if (record.kind == RecordKind::Memcpy) row.name = copyDirection(record.detail);
    row.shape = shapeRow(record.shape);
    row.device = std::int32_t(record.device);
    row.stream = std::int32_t(record.stream);
    // A stamp that is absent stays 0; the others are moved to the run's clock, never clamped.
    row.startNs = record.startNs != 0 ? record.startNs - offsetNs_ : 0;
    row.endNs = record.endNs != 0 ? record.endNs - offsetNs_ : 0;
    row.valid = usable(event);
    if (event.launchKnown) {
        row.launchStartNs = event.launchStartNs - offsetNs_;
        row.launchEndNs = event.launchEndNs - offsetNs_;
    }
    row.correlation = record.correlation;
    row.graph = record.graph;
    row.node = std::int64_t(record.node);
    row.bytes = std::int64_t(record.value);
    rows_.emplace_back(std::move(row));
}

void DeviceProfiler::extendOperation(const DeviceEvent& event) {
    const std::int64_t start = event.record.startNs - offsetNs_;
    const std::int64_t end = event.record.endNs - offsetNs_;
    // A graph as a whole is all that is known of what it ran: an operation of its own.
    const bool graph = event.record.kind == RecordKind::GraphLaunch;
    const std::int64_t id = graph ? event.scope.step * kOperationsPerStep + kFirstGraphOperation
                                  : event.scope.operation();
    const auto [entry, added] = intervals_.try_emplace(
        id, Interval{start, end, graph ? -1 : event.scope.layer, event.scope.op, graph});
    if (added) return;
    entry->second.startNs = std::min(entry->second.startNs, start);
    entry->second.endNs = std::max(entry->second.endNs, end);
}

/// An operation that the host never announced, because a graph ran it.
OperationRow DeviceProfiler::replayedRow(std::int64_t id, const Interval& interval) {
    OperationRow row;
    row.id = id;
    row.step = id / kOperationsPerStep;
    row.layer = interval.layer;
    row.op = interval.graph ? "graph" : std::string(opName(interval.op));
    row.startNs = interval.startNs;
    row.endNs = interval.endNs;
    const std::lock_guard guard(workMutex_);
    const auto first = replayedWork_.lower_bound({row.step, std::numeric_limits<int>::min(), Op{}});
    for (auto at = first;
         interval.graph && at != replayedWork_.end() && std::get<0>(at->first) == row.step; ++at) {
        row.bytes += static_cast<std::int64_t>(at->second.bytes);
        row.flops += static_cast<std::int64_t>(at->second.flops);
    }
    if (interval.graph) return row;
    if (const auto work = replayedWork_.extract({row.step, interval.layer, interval.op})) {
        row.kernel = std::string(work.mapped().kernel);
        row.bytes = static_cast<std::int64_t>(work.mapped().bytes);
        row.flops = static_cast<std::int64_t>(work.mapped().flops);
        row.threads = work.mapped().threads;
    }
    return row;
}

/// Whether it had the device's time before.
bool DeviceProfiler::markTimed(std::int64_t id) {
    const std::int64_t step = id / kOperationsPerStep;
    if (step < newestStep_ - kRememberedSteps) return true;
    std::vector<bool>& ofStep = timed_[step];
    const auto index = std::size_t(id % kOperationsPerStep);
    if (index >= ofStep.size()) ofStep.resize(index + 1);
    const bool before = ofStep[index];
    ofStep[index] = true;
    return before;
}

/// Rows of events, and the times of those operations whose kernels should all have come. Rows with
/// the host's times must be there first: the tracer says how far it has written.
void DeviceProfiler::writeRows(bool last) {
    const std::int64_t through =
        last ? std::numeric_limits<std::int64_t>::max()
             : std::min((newestStep_ - kLateSteps) * kOperationsPerStep, tracer_->writtenThrough());
    for (auto entry = intervals_.begin(); entry != intervals_.end();) {
        const auto& [id, interval] = *entry;
        if (id > through) {
            ++entry;
            continue;
        }
        const bool more = markTimed(id);
        if (id % kOperationsPerStep >= kFirstGraphOperation && !more) {
            rows_.emplace_back(replayedRow(id, interval));
        } else {
            rows_.emplace_back(OperationTimeRow{id, interval.startNs, interval.endNs, more});
        }
        entry = intervals_.erase(entry);
    }
    {
        // Of steps whose rows are written: what no event asked for.
        const std::lock_guard guard(workMutex_);
        replayedWork_.erase(replayedWork_.begin(),
                            replayedWork_.lower_bound({through / kOperationsPerStep, -1, Op{}}));
    }
    balance_.settle();
    timed_.erase(timed_.begin(), timed_.lower_bound(newestStep_ - kRememberedSteps));
    writer_->add(std::exchange(rows_, {}));
}

}  // namespace moescope::cupti
