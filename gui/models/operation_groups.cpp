// SPDX-License-Identifier: Apache-2.0
#include "gui/models/operation_groups.h"

#include <cmath>

#include "gui/data/colors.h"
#include "gui/data/format.h"
#include "reports/terms.h"

namespace moescope::gui {
OperationsModel::OperationsModel(QObject* parent) : RowModel(parent) {
    using Row = OperationGroupRow;
    const QString kNs = QStringLiteral("ns");
    const auto name = [](const Row& r) -> QVariant {
        if (r.step) return *r.step < 0 ? tr("no step") : tr("step %1").arg(*r.step);
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
    const auto rate = [](double perSecond, const char* unit) {
        return perSecond > 0 ? formatPerSecond(perSecond, unit) : QString();
    };
    setColumns({
        {tr("Operation"), tr("Operation of the forward pass, or the layer"), name,
         [name](const Row& r) -> QVariant {
             return r.step ? QVariant(*r.step) : r.layer ? QVariant(*r.layer) : name(r);
         },
         false, swatch},
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
        {tr("Total"),
         tr("Time of all calls together"),
         duration(&OperationGroup::totalNs),
         raw(&OperationGroup::totalNs),
         true,
         {},
         kNs},
        {tr("Share"), tr("Of the time of all operations shown"),
         [](const Row& r) -> QVariant { return formatPercent(r.group.share); },
         [](const Row& r) -> QVariant { return r.group.share; }, true, bar},
        {tr("Median"),
         tr("Half of the calls took no longer"),
         duration(&OperationGroup::medianNs),
         raw(&OperationGroup::medianNs),
         true,
         {},
         kNs},
        {tr("p95"),
         tr("95 % of the calls took no longer"),
         duration(&OperationGroup::p95Ns),
         raw(&OperationGroup::p95Ns),
         true,
         {},
         kNs},
        {tr("Min"),
         {},
         duration(&OperationGroup::minNs),
         raw(&OperationGroup::minNs),
         true,
         {},
         kNs},
        {heading(kMax),
         {},
         duration(&OperationGroup::maxNs),
         raw(&OperationGroup::maxNs),
         true,
         {},
         kNs},
        {tr("Bandwidth"),
         tr("Weights and cache read, per second of the operation"),
         [rate](const Row& r) -> QVariant { return rate(r.group.bytesPerSecond(), "B"); },
         [](const Row& r) -> QVariant { return r.group.bytesPerSecond(); },
         true,
         {},
         QStringLiteral("B/s")},
        {tr("Arithmetic"),
         tr("Floating-point operations per second; a multiply-add counts two"),
         [rate](const Row& r) -> QVariant { return rate(r.group.flopsPerSecond(), "FLOP"); },
         [](const Row& r) -> QVariant { return r.group.flopsPerSecond(); },
         true,
         {},
         QStringLiteral("FLOP/s")},
        {tr("Mean"),
         tr("Total / calls"),
         duration(&OperationGroup::meanNs),
         [](const Row& r) -> QVariant { return r.group.meanNs; },
         true,
         {},
         kNs},
        {tr("p99"),
         tr("99 % of the calls took no longer"),
         duration(&OperationGroup::p99Ns),
         raw(&OperationGroup::p99Ns),
         true,
         {},
         kNs},
        {heading(kStdDev),
         tr("Standard deviation of the calls"),
         [](const Row& r) -> QVariant {
             return std::isnan(r.group.standardDeviationNs)
                        ? QString()
                        : formatDuration(r.group.standardDeviationNs);
         },
         [](const Row& r) -> QVariant { return r.group.standardDeviationNs; },
         true,
         {},
         kNs},
        {tr("Of roof"),
         tr("Share of the lower roof that this run measured, which is told beside. Above 100 % of "
            "the memory's the data came from a cache"),
         [this](const Row& r) -> QVariant {
             const double share = shareOfRoof(r.group, ceilings_).share;
             return std::isnan(share) ? QString() : formatPercent(share);
         },
         [this](const Row& r) -> QVariant { return shareOfRoof(r.group, ceilings_).share; }},
        {tr("Bound by"),
         tr("Memory: bandwidth; compute: rate of arithmetic"),
         [this](const Row& r) -> QVariant {
             const char* bound = shareOfRoof(r.group, ceilings_).bound;
             return bound != nullptr ? text(bound) : QString();
         },
         {},
         false},
    });
}

}  // namespace moescope::gui
