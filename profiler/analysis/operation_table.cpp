// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/operation_table.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace moescope {
namespace {

struct Gathered {
    std::size_t first = 0;  ///< an operation of the group, for its names
    std::vector<std::int64_t> durations;
    std::int64_t bytes = 0, flops = 0;
};

/// Packs what distinguishes groups into one number: op, kernel, phase are 16 bits each.
std::uint64_t keyOf(const OperationColumns& ops, std::size_t i, GroupBy by) {
    switch (by) {
        case GroupBy::Operation:
            return ops.op[i];
        case GroupBy::Phase:
            return ops.phase[i];
        case GroupBy::Layer:
            return static_cast<std::uint32_t>(ops.layer[i]);
        case GroupBy::Step:
            return static_cast<std::uint32_t>(ops.step[i]);
        case GroupBy::Kernel:
            break;
    }
    return (std::uint64_t{ops.op[i]} << 32) | (std::uint64_t{ops.kernel[i]} << 16) | ops.phase[i];
}

OperationGroupRow finish(const OperationColumns& ops, GroupBy by, Gathered& gathered) {
    OperationGroupRow row;
    OperationGroup& group = row.group;
    const std::size_t i = gathered.first;
    if (by == GroupBy::Kernel || by == GroupBy::Operation) group.op = ops.opNames[ops.op[i]];
    if (by == GroupBy::Kernel) group.kernel = ops.kernelNames[ops.kernel[i]];
    if (by == GroupBy::Kernel || by == GroupBy::Phase || by == GroupBy::Step)
        group.phase = ops.phaseNames[ops.phase[i]];
    if (by == GroupBy::Layer) row.layer = ops.layer[i];
    if (by == GroupBy::Step) row.step = ops.step[i];
    group.setTimes(gathered.durations);
    group.bytes = gathered.bytes;
    group.flops = gathered.flops;
    return row;
}

}  // namespace

std::vector<OperationGroupRow> groupOperations(const OperationColumns& ops, GroupBy by,
                                               const std::optional<TimeRange>& range,
                                               std::string_view phase) {
    std::unordered_map<std::uint64_t, Gathered> groups;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (range && (ops.startNs[i] < range->beginNs || ops.startNs[i] >= range->endNs)) continue;
        if (!phase.empty() && ops.phaseNames[ops.phase[i]] != phase) continue;
        Gathered& group = groups[keyOf(ops, i, by)];
        if (group.durations.empty()) group.first = i;
        group.durations.push_back(ops.durationNs(i));
        group.bytes += ops.bytes[i];
        group.flops += ops.flops[i];
    }
    std::vector<OperationGroupRow> rows;
    std::int64_t total = 0;
    for (auto& [key, gathered] : groups) {
        rows.push_back(finish(ops, by, gathered));
        total += rows.back().group.totalNs;
    }
    for (OperationGroupRow& row : rows) {
        row.group.share =
            total > 0 ? static_cast<double>(row.group.totalNs) / static_cast<double>(total) : 0;
    }
    const auto order = [](const OperationGroupRow& r) {
        return std::tuple(-r.group.totalNs, r.layer.value_or(-1), r.step.value_or(-1), r.group.op,
                          r.group.kernel, r.group.phase);
    };
    std::sort(rows.begin(), rows.end(),
              [&](const auto& a, const auto& b) { return order(a) < order(b); });
    return rows;
}

}  // namespace moescope
