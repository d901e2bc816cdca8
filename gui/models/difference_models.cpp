// SPDX-License-Identifier: Apache-2.0
#include "gui/models/difference_models.h"

#include <cmath>

#include "gui/data/colors.h"
#include "gui/data/format.h"
#include "reports/terms.h"

namespace moescope::gui {

DifferenceModel::DifferenceModel(QObject* parent) : RowModel(parent) {
    using Row = DifferenceRow;
    const auto time = [](const QString& title, const QString& tip, double Row::*of) {
        return TableColumn<Row>{title,
                                tip,
                                [of](const Row& r) -> QVariant {
                                    return std::isfinite(r.*of) ? formatDuration(r.*of) : QString();
                                },
                                [of](const Row& r) -> QVariant { return r.*of; },
                                true,
                                {},
                                QStringLiteral("ns")};
    };
    const auto chance = [](const QString& title, const QString& tip, double Row::*of) {
        return TableColumn<Row>{title, tip,
                                [of](const Row& r) -> QVariant {
                                    return std::isfinite(r.*of) ? formatFixed(r.*of, 4) : QString();
                                },
                                [of](const Row& r) -> QVariant { return r.*of; }};
    };
    const auto change = [](const Row& r) { return r.difference / r.baseNs; };
    setColumns({
        {tr("Phase"), {}, [](const Row& r) -> QVariant { return text(r.phase); }, {}, false},
        {tr("Operation"),
         tr("The step is all of a token's time, what lies between operations included"),
         [](const Row& r) -> QVariant {
             return r.op.empty() ? text(kWholeStep) : operationTitle(r.op);
         },
         {},
         false,
         [](const Row& r, int role) -> QVariant {
             if (r.op.empty() || role != kColorRole) return {};
             return categoryColor(categoryOf(r.op));
         }},
        time(tr("Baseline"), tr("Time per token"), &Row::baseNs),
        time(tr("This run"), tr("Time per token"), &Row::otherNs),
        time(tr("Difference"), tr("This run less the baseline"), &Row::difference),
        {tr("Change"), tr("Difference / baseline"),
         [change](const Row& r) -> QVariant {
             const double share = change(r);
             if (!std::isfinite(share)) return QString();
             return (share > 0 ? QStringLiteral("+") : QString()) + formatPercent(share);
         },
         [change](const Row& r) -> QVariant { return change(r); }},
        time(tr("95 % low"), tr("Of the difference"), &Row::low),
        time(tr("95 % high"), tr("Of the difference"), &Row::high),
        chance(QStringLiteral("p"), tr("Chance of such a difference by noise within the runs"),
               &Row::p),
        chance(QStringLiteral("q"), tr("p, adjusted for the number of rows"), &Row::q),
        {tr("Verdict"),
         tr("Real where q is below 0.05"),
         [](const Row& r) -> QVariant { return text(differenceVerdict(r)); },
         {},
         false},
    });
}

}  // namespace moescope::gui
