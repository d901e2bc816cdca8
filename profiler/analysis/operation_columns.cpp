// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/operation_columns.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace moescope {

std::uint16_t OperationCollector::Names::of(const std::string& name,
                                            std::vector<std::string>& names) {
    if (last < names.size() && names[last] == name) return last;
    const auto found = index.find(name);
    if (found != index.end()) return last = found->second;
    if (names.size() >= std::numeric_limits<std::uint16_t>::max())
        return last = static_cast<std::uint16_t>(names.size() - 1);
    names.push_back(name);
    last = static_cast<std::uint16_t>(names.size() - 1);
    index.emplace(name, last);
    return last;
}

OperationCollector::OperationCollector(std::span<const StepRow> steps) {
    Names phases;
    steps_.reserve(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i)
        steps_.emplace(steps[i].id, Step{static_cast<std::int32_t>(i),
                                         phases.of(steps[i].kind, columns_.phaseNames)});
}

void OperationCollector::add(const OperationRow& row) {
    OperationColumns& out = columns_;
    if (!any_ || row.step != lastId_) {
        any_ = true;
        lastId_ = row.step;
        const auto found = steps_.find(row.step);
        if (found != steps_.end()) {
            last_ = found->second;
        } else {
            Names phases;  // rare: a killed run whose last step was never written
            for (std::size_t i = 0; i < out.phaseNames.size(); ++i)
                phases.index.emplace(out.phaseNames[i], static_cast<std::uint16_t>(i));
            last_ = {-1, phases.of({}, out.phaseNames)};
        }
    }
    out.startNs.push_back(row.startNs);
    out.endNs.push_back(std::max(row.startNs, row.endNs));
    out.bytes.push_back(row.bytes);
    out.flops.push_back(row.flops);
    out.layer.push_back(row.layer);
    out.step.push_back(last_.index);
    out.phase.push_back(last_.phase);
    out.op.push_back(ops_.of(row.op, out.opNames));
    out.kernel.push_back(kernels_.of(row.kernel, out.kernelNames));
}

OperationColumns loadOperations(const RunReader& run, std::span<const StepRow> steps,
                                std::size_t limit) {
    OperationCollector collector(steps);
    run.operations([&](const OperationRow& row) {
        if (collector.columns().size() >= limit) return false;
        collector.add(row);
        return true;
    });
    return collector.take();
}

OperationColumns loadDeviceWork(const RunReader& run, std::span<const StepRow> steps,
                                std::size_t limit) {
    OperationCollector collector(steps);
    std::vector<std::int64_t> launches;
    OperationRow row;
    run.deviceEvents([&](const DeviceEventRow& event) {
        if (!event.valid) return true;
        if (launches.size() >= limit) return false;
        row.step = event.step;
        row.layer = event.layer;
        row.op = event.op;
        row.kernel = event.kind == "copy"  ? "[CUDA memcpy " + event.name + "]"
                     : event.kind == "set" ? "[CUDA memset]"
                                           : event.name;
        row.startNs = event.startNs;
        row.endNs = event.endNs;
        row.bytes = event.bytes;
        collector.add(row);
        launches.push_back(event.launchStartNs.value_or(-1));
        return true;
    });
    OperationColumns columns = collector.take();
    columns.launchNs = std::move(launches);
    std::vector<std::size_t> order(columns.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return columns.startNs[a] < columns.startNs[b];
    });
    const auto sort = [&](auto& column) {
        auto sorted = column;
        for (std::size_t i = 0; i < order.size(); ++i) sorted[i] = column[order[i]];
        column = std::move(sorted);
    };
    for (auto* column :
         {&columns.startNs, &columns.endNs, &columns.bytes, &columns.flops, &columns.launchNs})
        sort(*column);
    for (auto* column : {&columns.layer, &columns.step}) sort(*column);
    for (auto* column : {&columns.op, &columns.kernel, &columns.phase}) sort(*column);
    return columns;
}

}  // namespace moescope
