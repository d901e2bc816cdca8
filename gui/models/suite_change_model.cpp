// SPDX-License-Identifier: Apache-2.0
#include "gui/models/suite_change_model.h"

#include <limits>

#include "gui/data/format.h"
#include "reports/metric_lines.h"

namespace moescope::gui {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

SuiteChangeModel::SuiteChangeModel(QObject* parent) : RowModel(parent) {
    using Row = MetricChange;
    setColumns({
        {tr("Suite"), {}, [](const Row& r) -> QVariant { return text(r.suite); }, {}, false},
        {tr("Metric"), {}, [](const Row& r) -> QVariant { return text(r.name); }, {}, false},
        {tr("Group"),
         {},
         [](const Row& r) -> QVariant { return text(groupTitle(r.name, r.group)); },
         {},
         false},
        {tr("Baseline"),
         {},
         [](const Row& r) -> QVariant { return formatNumber(r.before.value); },
         [](const Row& r) -> QVariant { return r.before.value; },
         true,
         [](const Row& r, int role) -> QVariant {
             return role == Qt::ToolTipRole ? QVariant(text(scoreCell(&r.before))) : QVariant();
         }},
        {tr("This run"),
         {},
         [](const Row& r) -> QVariant {
             return r.after ? formatNumber(r.after->value) : QString();
         },
         [](const Row& r) -> QVariant { return r.after ? r.after->value : kNone; },
         true,
         [](const Row& r, int role) -> QVariant {
             return role == Qt::ToolTipRole && r.after ? QVariant(text(scoreCell(&*r.after)))
                                                       : QVariant();
         }},
        {tr("Difference"), tr("This run less the baseline"),
         [](const Row& r) -> QVariant {
             return (r.difference > 0 ? QStringLiteral("+") : QString()) +
                    formatNumber(r.difference);
         },
         [](const Row& r) -> QVariant { return r.difference; }},
        {tr("95 % interval"), tr("Of the difference"),
         [](const Row& r) -> QVariant {
             return r.low && r.high
                        ? tr("%1 to %2").arg(formatNumber(*r.low), formatNumber(*r.high))
                        : QString();
         },
         [](const Row& r) -> QVariant { return r.low.value_or(kNone); }},
        {QStringLiteral("p"), tr("Of the paired test, adjusted (Holm)"),
         [](const Row& r) -> QVariant { return text(probabilityCell(r.holm)); },
         [](const Row& r) -> QVariant { return r.holm.value_or(kNone); }},
        {tr("Items"), tr("That both runs scored"),
         [](const Row& r) -> QVariant { return r.p ? formatCount(r.items) : QString(); },
         [](const Row& r) -> QVariant { return qlonglong(r.items); }},
        {tr("Note"), {}, [](const Row& r) -> QVariant { return text(r.note); }, {}, false},
    });
}

}  // namespace moescope::gui
