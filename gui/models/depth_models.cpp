// SPDX-License-Identifier: Apache-2.0
#include "gui/models/depth_models.h"

#include "gui/data/format.h"

namespace moescope::gui {

std::vector<DepthRow> depthRows(std::span<const DepthRun> runs) {
    std::vector<DepthRow> rows;
    for (const DepthRun& run : runs)
        for (const DepthLayer& layer : run.profile.of) rows.push_back({text(run.title), layer});
    return rows;
}

DepthModel::DepthModel(QObject* parent) : RowModel(parent) {
    using Row = DepthRow;
    std::vector<TableColumn<Row>> columns{
        {tr("Run"), {}, [](const Row& r) -> QVariant { return r.run; }, {}, false},
        {tr("Layer"),
         {},
         [](const Row& r) -> QVariant { return r.of.layer; },
         [](const Row& r) -> QVariant { return r.of.layer; }},
        {tr("Depth"), tr("Middle of the layer over the layers of its model"),
         [](const Row& r) -> QVariant { return formatFixed(r.of.depth, 3); },
         [](const Row& r) -> QVariant { return r.of.depth; }},
    };
    for (const DepthFigure& figure : depthFigures())
        columns.push_back(
            {heading(figure.title), text(figure.help),
             [&figure](const Row& r) -> QVariant { return text(figure.text(figure.value(r.of))); },
             [&figure](const Row& r) -> QVariant { return figure.value(r.of); }});
    columns.back().unit = QStringLiteral("ns");
    columns.push_back({tr("Entropy by chance"),
                       tr("Normalised, of a router without favourites for as many tokens"),
                       [](const Row& r) -> QVariant { return formatFixed(r.of.chanceEntropy, 4); },
                       [](const Row& r) -> QVariant { return r.of.chanceEntropy; }});
    setColumns(std::move(columns));
}

}  // namespace moescope::gui
