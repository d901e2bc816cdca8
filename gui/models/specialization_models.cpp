// SPDX-License-Identifier: Apache-2.0
#include "gui/models/specialization_models.h"

#include <cmath>
#include <limits>
#include <utility>

#include "gui/data/format.h"
#include "reports/specialization_text.h"

namespace moescope::gui {
namespace {

constexpr double kGreatestLog = 2;  ///< colours end at a lift of 4 and 1/4

QString translated(const char* text) {
    return QCoreApplication::translate("Specialization", text);
}

std::size_t liftAt(const Specialization& of, int group, int expert) {
    return static_cast<std::size_t>(group) * static_cast<std::size_t>(of.experts) +
           static_cast<std::size_t>(expert);
}

QString describeLift(const Specialization& of, int group, HeatmapCell cell) {
    const LayerSpecialization& layer = of.layers[static_cast<std::size_t>(cell.row)];
    const auto expert = static_cast<std::size_t>(cell.column);
    const int shown = group == kAnyGroup ? layer.dominant[expert] : group;
    QString said = translated("layer %1, expert %2: ").arg(layer.layer).arg(cell.column);
    if (shown < 0) return said + translated("nobody chose it");
    const std::size_t at = liftAt(of, shown, cell.column);
    said += translated("%1 chooses it %2 as often as all groups do, %3 of its assignments")
                .arg(text(of.groups[static_cast<std::size_t>(shown)].name),
                     formatLift(layer.lift[at]), formatPercent(layer.probability[at]));
    if (layer.dominant[expert] == shown && of.reliable(layer, expert))
        said += translated("; its own (%1): q %2")
                    .arg(text(reliablyText(of)), formatNumber(layer.expertQ[expert], 2));
    return said;
}

}  // namespace

QString formatLift(double lift) {
    return formatTimes(lift);
}

HeatmapData liftHeatmap(const Specialization& of, int group) {
    HeatmapData data;
    data.experts = of.experts;
    data.range = {-kGreatestLog, kGreatestLog};
    data.ramp = Ramp::Diverging;
    data.unit = translated("lift");
    data.format = [](double log) { return formatLift(std::exp2(log)); };
    data.exported = [](double log) { return std::exp2(log); };
    for (const LayerSpecialization& layer : of.layers) {
        data.layers.push_back(layer.layer);
        for (int expert = 0; expert < of.experts; ++expert) {
            const double lift = group == kAnyGroup ? layer.topLift(static_cast<std::size_t>(expert))
                                                   : layer.lift[liftAt(of, group, expert)];
            data.values.push_back(std::log2(lift));  // -infinity: never chosen by this group
        }
    }
    data.describe = [of, group](HeatmapCell cell) { return describeLift(of, group, cell); };
    return data;
}

LayerDivergenceModel::LayerDivergenceModel(QObject* parent) : RowModel(parent) {
    using Row = LayerSpecialization;
    const auto column = [](const QString& title, const QString& tip, auto get) {
        return TableColumn<Row>{title, tip,
                                [get](const Row& r) -> QVariant { return formatNumber(get(r)); },
                                [get](const Row& r) -> QVariant { return get(r); }};
    };
    setColumns({
        {tr("Layer"),
         {},
         [](const Row& r) -> QVariant { return r.layer; },
         [](const Row& r) -> QVariant { return r.layer; }},
        column(
            tr("Divergence"),
            tr("Jensen-Shannon divergence of the groups' expert shares, bits: what one choice of "
               "an expert tells about the group"),
            [](const Row& r) { return r.divergence; }),
        column(tr("Chance"), tr("The same with the groups' names shuffled over the texts, mean"),
               [](const Row& r) { return r.nullMean; }),
        column(tr("p"), tr("Share of shufflings with as much divergence"),
               [](const Row& r) { return r.p; }),
        column(tr("q"), tr("p adjusted over the layers (Benjamini and Hochberg)"),
               [](const Row& r) { return r.q; }),
    });
}

std::vector<GroupExpertsRow> groupExperts(const Specialization& of) {
    constexpr std::size_t kLeading = 5;
    std::vector<GroupExpertsRow> rows;
    for (std::size_t group = 0; group < of.groups.size(); ++group)
        rows.push_back({of.groups[group], text(leadingExpertsText(of, group, kLeading))});
    return rows;
}

GroupExpertsModel::GroupExpertsModel(QObject* parent) : RowModel(parent) {
    using Row = GroupExpertsRow;
    const auto leading = [](const Row& r) -> QVariant { return r.leading; };
    setColumns({
        {tr("Group"), {}, [](const Row& r) -> QVariant { return text(r.group.name); }, {}, false},
        {tr("Texts"),
         {},
         [](const Row& r) -> QVariant { return formatCount(r.group.sequences); },
         [](const Row& r) -> QVariant { return qlonglong(r.group.sequences); }},
        {tr("Leading experts"),
         text(kLeadingExpertsTitle),
         leading,
         {},
         false,
         [leading](const Row& r, int role) -> QVariant {
             return role == Qt::ToolTipRole ? leading(r) : QVariant();
         }},
    });
}

}  // namespace moescope::gui
