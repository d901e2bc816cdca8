// SPDX-License-Identifier: Apache-2.0
#include "gui/models/roofline_models.h"

#include <algorithm>
#include <cmath>

#include "gui/data/colors.h"
#include "gui/data/format.h"

namespace moescope::gui {

RooflineModel::RooflineModel(QObject* parent) : RowModel(parent) {
    using Row = RooflinePoint;
    const auto name = [](const QString& title, const QString& tip, std::string Row::*of) {
        return TableColumn<Row>{
            title, tip, [of](const Row& r) -> QVariant { return text(r.*of); }, {}, false};
    };
    const auto rate = [](const QString& title, const QString& tip, double Row::*of) {
        return TableColumn<Row>{title,
                                tip,
                                [of](const Row& r) -> QVariant {
                                    return std::isnan(r.*of) ? QString()
                                                             : formatPerSecond(r.*of, "OP");
                                },
                                [of](const Row& r) -> QVariant { return r.*of; },
                                true,
                                {},
                                QStringLiteral("OP/s")};
    };
    const auto share = [](const QString& title, const QString& tip, double Row::*of) {
        return TableColumn<Row>{title, tip,
                                [of](const Row& r) -> QVariant {
                                    return std::isnan(r.*of) ? QString() : formatPercent(r.*of);
                                },
                                [of](const Row& r) -> QVariant { return r.*of; }};
    };
    setColumns({
        {tr("Operation"),
         {},
         [](const Row& r) -> QVariant { return operationTitle(r.op); },
         {},
         false,
         [](const Row& r, int role) -> QVariant {
             if (role == Qt::ToolTipRole) return text(r.op);
             return role == kColorRole ? QVariant(categoryColor(categoryOf(r.op))) : QVariant();
         }},
        name(tr("Kernel"), tr("Kernel that implements it"), &Row::kernel),
        name(tr("Phase"), {}, &Row::phase),
        share(tr("Of time"), tr("Of the time of all operations"), &Row::timeShare),
        {tr("Ops/byte"), tr("Operations for each byte of weights and cache"),
         [](const Row& r) -> QVariant { return formatNumber(r.intensity); },
         [](const Row& r) -> QVariant { return r.intensity; }},
        rate(tr("Arithmetic"), tr("Operations per second; a multiply-add counts two"),
             &Row::operationsPerSecond),
        rate(tr("Roof"), tr("The lower of memory and arithmetic at this intensity"), &Row::roof),
        share(tr("Of roof"), tr("Above 100 % of memory the data came from a cache"), &Row::share),
        name(tr("Peak of"), tr("Instructions that the kernel multiplies with"),
             &Row::operationKind),
        {tr("Bound by"),
         tr("Left of the ridge the memory, right of it the arithmetic"),
         [](const Row& r) -> QVariant {
             if (std::isnan(r.roof)) return QString();
             return r.memoryBound ? tr("memory") : tr("compute");
         },
         {},
         false},
        {tr("Origin"),
         tr("Of bytes and operations. Measured: by hardware counters. Modelled: the engine's count "
            "of what must be read and done"),
         [](const Row& r) -> QVariant { return text(r.origin()); },
         {},
         false},
    });
}

QPointF RooflineLayout::at(double intensity, double operationsPerSecond) const noexcept {
    return {area.left() + plane.right(intensity) * area.width(),
            area.bottom() - plane.up(operationsPerSecond) * area.height()};
}

std::optional<std::size_t> RooflineLayout::hit(const std::vector<RooflinePoint>& points, QPointF to,
                                               double reach) const noexcept {
    std::optional<std::size_t> found;
    double best = reach;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const QPointF away = at(points[i]) - to;
        // Nothing is nearer than inside, so that of several circles the one drawn last wins.
        const double outside =
            std::max(0.0, std::hypot(away.x(), away.y()) - pointRadius(points[i]));
        if (outside <= best) {
            best = outside;
            found = i;
        }
    }
    return found;
}

}  // namespace moescope::gui
