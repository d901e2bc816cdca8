// SPDX-License-Identifier: Apache-2.0
#include "gui/models/parallel_models.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "gui/data/format.h"

namespace moescope::gui {
namespace {

constexpr double kGreatestLog = 1;  ///< colours end at twice and half the mean

QString translated(const char* text) {
    return QCoreApplication::translate("GpuLoad", text);
}

TableColumn<ParallelLine> tableColumn(const ParallelColumn& column) {
    TableColumn<ParallelLine> out{
        heading(column.title), text(column.help),
        [write = column.text](const ParallelLine& line) -> QVariant { return text(write(line)); }};
    out.number = column.value != nullptr;
    if (out.number)
        out.value = [read = column.value](const ParallelLine& line) -> QVariant {
            return read(line);
        };
    return out;
}

HeatmapData loadHeatmap(const ExpertParallel& of, int gpus, const std::vector<double>& loads) {
    HeatmapData data;
    data.layers = of.layers;
    data.experts = gpus;
    data.range = {-kGreatestLog, kGreatestLog};
    data.ramp = Ramp::Diverging;
    data.unit = translated("of the mean");
    data.format = [](double log) { return formatTimes(std::exp2(log)); };
    data.exported = [](double log) { return std::exp2(log); };
    for (const double load : loads) data.values.push_back(std::log2(load));
    return data;
}

}  // namespace

PlacementsModel::PlacementsModel(QObject* parent) : RowModel(parent) {
    setForecast(nullptr);
}

void PlacementsModel::setForecast(ForecastPtr forecast) {
    setRows({});  // those of the forecast before, which ends here
    beginResetModel();
    std::vector<TableColumn<ParallelLine>> columns;
    for (const ParallelColumn& column : parallelColumns(forecast ? *forecast : ParallelForecast()))
        columns.push_back(tableColumn(column));
    setColumns(std::move(columns));
    endResetModel();
    forecast_ = std::move(forecast);
    if (forecast_) setRows(parallelLines(*forecast_));
}

HeatmapData gpuLoadHeatmap(const ExpertParallel& of, const PlacementFigures& figures,
                           std::vector<ExpertPlacement> placed) {
    HeatmapData data = loadHeatmap(of, figures.gpus, figures.gpuLoad);
    data.column = translated("GPU");
    data.describe = [layers = of.layers, load = figures.gpuLoad, gpus = figures.gpus,
                     placed = std::move(placed)](HeatmapCell cell) {
        const auto row = static_cast<std::size_t>(cell.row);
        const auto gpu = static_cast<std::size_t>(cell.column);
        QStringList experts;
        std::vector<int> held = placed[row].expertsOf[gpu];
        std::sort(held.begin(), held.end());
        for (const int expert : held) experts << QString::number(expert);
        return translated(
                   "layer %1: GPU %2 has %3 the mean load; decided on all texts it holds "
                   "experts %4")
            .arg(layers[row])
            .arg(cell.column)
            .arg(formatTimes(load[row * static_cast<std::size_t>(gpus) + gpu]),
                 experts.join(QStringLiteral(", ")));
    };
    return data;
}

HeatmapData rankedLoadHeatmap(const ExpertParallel& of, const PlacementFigures& figures) {
    HeatmapData data = loadHeatmap(of, figures.gpus, figures.rankedLoad);
    data.column = translated("GPU, busiest first");
    data.describe = [layers = of.layers, load = figures.rankedLoad,
                     gpus = figures.gpus](HeatmapCell cell) {
        const auto row = static_cast<std::size_t>(cell.row);
        const double value =
            load[row * static_cast<std::size_t>(gpus) + static_cast<std::size_t>(cell.column)];
        const QString which = cell.column == 0
                                  ? translated("the busiest GPU of a step")
                                  : translated("GPU %1 of a step by load").arg(cell.column + 1);
        return translated("layer %1: %2 has %3 the mean load")
            .arg(layers[row])
            .arg(which, formatTimes(value));
    };
    return data;
}

}  // namespace moescope::gui
