// SPDX-License-Identifier: Apache-2.0
// Experts on several GPUs: the table of placements, and the load of the GPUs by layer.
#pragma once

#include <QCoreApplication>
#include <memory>

#include "gui/models/heatmap_data.h"
#include "gui/models/row_model.h"
#include "reports/parallel_lines.h"

namespace moescope::gui {

using ForecastPtr = std::shared_ptr<const ParallelForecast>;

/// One row for each number of GPUs and placement.
class PlacementsModel : public RowModel<ParallelLine> {
    Q_DECLARE_TR_FUNCTIONS(PlacementsModel)
public:
    explicit PlacementsModel(QObject* parent = nullptr);
    /// Null: empty. The columns of costs are there where costs are told.
    void setForecast(ForecastPtr forecast);

private:
    ForecastPtr forecast_;  // the rows point into it
};

/// Layers down, GPUs across by their numbers: load over the mean of all. `placed` (n_layer) is what
/// one would run with, for the names of a GPU's experts.
HeatmapData gpuLoadHeatmap(const ExpertParallel& of, const PlacementFigures& figures,
                           std::vector<ExpertPlacement> placed);
/// The same with the busiest of each step first, which is another GPU in each step.
HeatmapData rankedLoadHeatmap(const ExpertParallel& of, const PlacementFigures& figures);

}  // namespace moescope::gui
