// SPDX-License-Identifier: Apache-2.0
#include "gui/models/operation_groups.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "gui/data/colors.h"
#include "gui/data/format.h"

namespace moescope::gui {
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
        case GroupBy::Kernel:
            break;
    }
    return (std::uint64_t{ops.op[i]} << 32) | (std::uint64_t{ops.kernel[i]} << 16) | ops.phase[i];
}

/// Nearest-rank quantile; reorders.
std::int64_t quantile(std::vector<std::int64_t>& values, double q) {
    const auto rank =
        static_cast<std::ptrdiff_t>(std::ceil(q * static_cast<double>(values.size()))) - 1;
    const auto at = values.begin() + std::clamp<std::ptrdiff_t>(
                                         rank, 0, static_cast<std::ptrdiff_t>(values.size()) - 1);
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

OperationGroupRow finish(const OperationColumns& ops, GroupBy by, Gathered& gathered) {
    OperationGroupRow row;
    OperationGroup& group = row.group;
    const std::size_t i = gathered.first;
    if (by == GroupBy::Kernel || by == GroupBy::Operation) group.op = ops.opNames[ops.op[i]];
    if (by == GroupBy::Kernel) group.kernel = ops.kernelNames[ops.kernel[i]];
    if (by == GroupBy::Kernel || by == GroupBy::Phase) group.phase = ops.phaseNames[ops.phase[i]];
    if (by == GroupBy::Layer) row.layer = ops.layer[i];
    group.calls = static_cast<std::int64_t>(gathered.durations.size());
    for (const std::int64_t ns : gathered.durations) group.totalNs += ns;
    group.minNs = *std::min_element(gathered.durations.begin(), gathered.durations.end());
    group.maxNs = *std::max_element(gathered.durations.begin(), gathered.durations.end());
    group.medianNs = quantile(gathered.durations, 0.5);
    group.p95Ns = quantile(gathered.durations, 0.95);
    group.bytes = gathered.bytes;
    group.flops = gathered.flops;
    return row;
}

}  // namespace

std::vector<OperationGroupRow> groupOperations(const OperationColumns& ops, GroupBy by,
                                               const std::optional<TimeRange>& range) {
    std::unordered_map<std::uint64_t, Gathered> groups;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (range && (ops.startNs[i] < range->beginNs || ops.startNs[i] >= range->endNs)) continue;
        Gathered& group = groups[keyOf(ops, i, by)];
        if (group.durations.empty()) group.first = i;
        group.durations.push_back(ops.endNs[i] - ops.startNs[i]);
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
        return std::tuple(-r.group.totalNs, r.layer.value_or(-1), r.group.op, r.group.kernel,
                          r.group.phase);
    };
    std::sort(rows.begin(), rows.end(),
              [&](const auto& a, const auto& b) { return order(a) < order(b); });
    return rows;
}

OperationsModel::OperationsModel(QObject* parent) : RowModel(parent) {
    using Row = OperationGroupRow;
    const auto name = [](const Row& r) -> QVariant {
        if (r.layer) return *r.layer < 0 ? tr("outside layers") : tr("layer %1").arg(*r.layer);
        return r.group.op.empty() ? tr("all operations") : operationTitle(r.group.op);
    };
    const auto swatch = [](const Row& r, int role) -> QVariant {
        if (r.group.op.empty()) return {};
        if (role == Qt::ToolTipRole) return text(r.group.op);
        return role == kColorRole ? QVariant(categoryColor(categoryOf(r.group.op))) : QVariant();
    };
    const auto bar = [](const Row& r, int role) -> QVariant {
        if (role == kBarRole) return r.group.share;
        return role == kColorRole ? QVariant(categoryColor(categoryOf(r.group.op))) : QVariant();
    };
    const auto duration = [](auto member) {
        return [member](const Row& r) -> QVariant {
            return formatDuration(static_cast<double>(r.group.*member));
        };
    };
    const auto raw = [](auto member) {
        return
            [member](const Row& r) -> QVariant { return static_cast<qlonglong>(r.group.*member); };
    };
    const auto rate = [](double perSecond, const QString& unit) {
        return perSecond > 0 ? formatRate(perSecond, unit) : QString();
    };
    setColumns({
        {tr("Operation"), tr("Operation of the forward pass, or the layer"), name,
         [name](const Row& r) -> QVariant { return r.layer ? QVariant(*r.layer) : name(r); }, false,
         swatch},
        {tr("Kernel"),
         tr("Kernel that implements it"),
         [](const Row& r) -> QVariant { return text(r.group.kernel); },
         {},
         false},
        {tr("Phase"),
         tr("Prefill evaluates the prompt, decode one token a step"),
         [](const Row& r) -> QVariant { return text(r.group.phase); },
         {},
         false},
        {tr("Calls"),
         {},
         [](const Row& r) -> QVariant { return formatCount(r.group.calls); },
         raw(&OperationGroup::calls)},
        {tr("Total"), tr("Time of all calls together"), duration(&OperationGroup::totalNs),
         raw(&OperationGroup::totalNs)},
        {tr("Share"), tr("Of the time of all operations shown"),
         [](const Row& r) -> QVariant { return formatPercent(r.group.share); },
         [](const Row& r) -> QVariant { return r.group.share; }, true, bar},
        {tr("Median"), tr("Half of the calls took no longer"), duration(&OperationGroup::medianNs),
         raw(&OperationGroup::medianNs)},
        {tr("p95"), tr("95 % of the calls took no longer"), duration(&OperationGroup::p95Ns),
         raw(&OperationGroup::p95Ns)},
        {tr("Min"), {}, duration(&OperationGroup::minNs), raw(&OperationGroup::minNs)},
        {tr("Max"), {}, duration(&OperationGroup::maxNs), raw(&OperationGroup::maxNs)},
        {tr("Bandwidth"), tr("Weights and cache read, per second of the operation"),
         [rate](const Row& r) -> QVariant {
             return rate(r.group.bytesPerSecond(), QStringLiteral("B/s"));
         },
         [](const Row& r) -> QVariant { return r.group.bytesPerSecond(); }},
        {tr("Arithmetic"), tr("Floating-point operations per second; a multiply-add counts two"),
         [rate](const Row& r) -> QVariant {
             return rate(r.group.flopsPerSecond(), QStringLiteral("FLOP/s"));
         },
         [](const Row& r) -> QVariant { return r.group.flopsPerSecond(); }},
    });
}

}  // namespace moescope::gui
