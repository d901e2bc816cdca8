// SPDX-License-Identifier: Apache-2.0
#include "gui/models/timeline_lanes.h"

#include <QCoreApplication>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace moescope::gui {
namespace {

constexpr std::size_t kMaxOverlap = 8;

/// Greedy interval partitioning: each event goes to the first lane that is free at its start.
void addLanes(TimelineData& data, const QString& title, TimelineLane::Kind kind,
              std::vector<TimelineLane::Event> events) {
    std::stable_sort(events.begin(), events.end(),
                     [](const auto& a, const auto& b) { return a.startNs < b.startNs; });
    std::vector<std::vector<TimelineLane::Event>> lanes;
    for (const TimelineLane::Event& event : events) {
        auto free = std::find_if(lanes.begin(), lanes.end(), [&](const auto& lane) {
            return lane.back().endNs <= event.startNs;
        });
        if (free == lanes.end()) {
            if (lanes.size() == kMaxOverlap) {
                ++data.hidden;
                continue;
            }
            free = lanes.insert(lanes.end(), std::vector<TimelineLane::Event>());
            if (lanes.size() == 1) free->reserve(events.size());
        }
        free->push_back(event);
    }
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        data.lanes.emplace_back(i == 0 ? title : title + QStringLiteral(" (%1)").arg(i + 1), kind,
                                std::move(lanes[i]));
    }
}

std::vector<TimelineLane::Event> layerEvents(const OperationColumns& ops) {
    std::vector<TimelineLane::Event> events;
    const auto deepest = std::max_element(ops.layer.begin(), ops.layer.end());
    const std::int64_t layers = deepest == ops.layer.end() ? 0 : std::int64_t{*deepest} + 1;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (ops.layer[i] < 0) continue;
        const bool same = !events.empty() && i > 0 && ops.layer[i] == ops.layer[i - 1] &&
                          ops.step[i] == ops.step[i - 1];
        if (same) {
            events.back().endNs = std::max(events.back().endNs, ops.endNs[i]);
            continue;
        }
        const std::int64_t place =
            layers <= kMaxCategories ? ops.layer[i] : ops.layer[i] * kMaxCategories / layers;
        events.push_back({ops.startNs[i], ops.endNs[i], static_cast<std::uint32_t>(i),
                          static_cast<std::uint8_t>(place)});
    }
    return events;
}

}  // namespace

TimelineLane::TimelineLane(QString title, Kind kind, std::vector<Event> events)
    : title_(std::move(title)), kind_(kind), events_(std::move(events)) {
    CategoryTimes sum{};
    before_.reserve(events_.size() / kBlock + 1);
    for (std::size_t i = 0; i < events_.size(); ++i) {
        if (i % kBlock == 0) before_.push_back(sum);
        sum[events_[i].category] += events_[i].endNs - events_[i].startNs;
    }
}

std::size_t TimelineLane::firstEndingAfter(std::int64_t ns) const noexcept {
    // Events do not overlap, so their ends ascend as their starts do.
    const auto it = std::partition_point(events_.begin(), events_.end(),
                                         [&](const Event& e) { return e.endNs <= ns; });
    return static_cast<std::size_t>(it - events_.begin());
}

const TimelineLane::Event* TimelineLane::eventAt(std::int64_t ns) const noexcept {
    const std::size_t i = firstEndingAfter(ns);
    return i < events_.size() && events_[i].startNs <= ns ? &events_[i] : nullptr;
}

CategoryTimes TimelineLane::busyBefore(std::int64_t ns) const noexcept {
    if (events_.empty()) return {};
    const std::size_t end = firstEndingAfter(ns);  // all before it are over
    const std::size_t block = std::min(end / kBlock, before_.size() - 1);
    CategoryTimes sum = before_[block];
    for (std::size_t i = block * kBlock; i < end; ++i)
        sum[events_[i].category] += events_[i].endNs - events_[i].startNs;
    if (end < events_.size() && events_[end].startNs < ns)
        sum[events_[end].category] += ns - events_[end].startNs;
    return sum;
}

RangeStatistics TimelineLane::statistics(TimeRange range) const noexcept {
    RangeStatistics result;
    const std::size_t first = firstEndingAfter(range.beginNs);
    const auto last = std::partition_point(events_.begin(), events_.end(),
                                           [&](const Event& e) { return e.startNs < range.endNs; });
    result.events =
        std::max<std::int64_t>(0, (last - events_.begin()) - static_cast<std::int64_t>(first));
    const CategoryTimes from = busyBefore(range.beginNs), to = busyBefore(range.endNs);
    for (std::size_t c = 0; c < kMaxCategories; ++c) {
        result.byCategory[c] = to[c] - from[c];
        result.busyNs += result.byCategory[c];
    }
    return result;
}

std::vector<std::array<float, kMaxCategories>> TimelineLane::columns(const TimelineMapping& mapping,
                                                                     int columns) const {
    std::vector<std::array<float, kMaxCategories>> out(
        static_cast<std::size_t>(std::max(columns, 0)));
    const double step = mapping.spanNs / std::max(columns, 1);
    const auto edge = [&](int i) {
        return static_cast<std::int64_t>(std::llround(mapping.startNs + step * i));
    };
    CategoryTimes from = busyBefore(edge(0));
    for (int i = 0; i < columns; ++i) {
        const CategoryTimes to = busyBefore(edge(i + 1));
        const auto width = static_cast<float>(std::max<std::int64_t>(1, edge(i + 1) - edge(i)));
        for (std::size_t c = 0; c < kMaxCategories; ++c) {
            out[static_cast<std::size_t>(i)][c] = static_cast<float>(to[c] - from[c]) / width;
        }
        from = to;
    }
    return out;
}

TimelineData makeTimeline(const RunData& run) {
    TimelineData data;
    std::vector<TimelineLane::Event> steps;
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
        const StepRow& step = run.steps[i];
        steps.push_back({step.startNs, std::max(step.startNs, step.endNs),
                         static_cast<std::uint32_t>(i), categoryOf(step.kind)});
    }
    const OperationColumns& ops = run.operations;
    std::vector<std::uint8_t> category;
    for (const std::string& name : ops.opNames) category.push_back(categoryOf(name));
    std::vector<TimelineLane::Event> events;
    events.reserve(ops.size());
    for (std::size_t i = 0; i < ops.size(); ++i) {
        events.push_back(
            {ops.startNs[i], ops.endNs[i], static_cast<std::uint32_t>(i), category[ops.op[i]]});
    }
    addLanes(data, QCoreApplication::translate("Timeline", "Steps"), TimelineLane::Kind::Steps,
             std::move(steps));
    addLanes(data, QCoreApplication::translate("Timeline", "Layers"), TimelineLane::Kind::Layers,
             layerEvents(ops));
    addLanes(data, QCoreApplication::translate("Timeline", "Operations"),
             TimelineLane::Kind::Operations, std::move(events));
    bool any = false;
    for (const TimelineLane& lane : data.lanes) {
        data.beginNs = any ? std::min(data.beginNs, lane.events().front().startNs)
                           : lane.events().front().startNs;
        data.endNs =
            any ? std::max(data.endNs, lane.events().back().endNs) : lane.events().back().endNs;
        any = true;
    }
    return data;
}

std::vector<std::int64_t> busyByName(const TimelineData& timeline, const OperationColumns& ops,
                                     std::uint8_t category, TimeRange range) {
    std::vector<std::int64_t> busy(ops.opNames.size());
    for (const TimelineLane& lane : timeline.lanes) {
        if (!lane.showsOperations()) continue;
        const auto events = lane.events();
        for (std::size_t i = lane.firstEndingAfter(range.beginNs);
             i < events.size() && events[i].startNs < range.endNs; ++i) {
            if (events[i].category != category) continue;
            busy[ops.op[events[i].id]] +=
                std::min(events[i].endNs, range.endNs) - std::max(events[i].startNs, range.beginNs);
        }
    }
    return busy;
}

}  // namespace moescope::gui
