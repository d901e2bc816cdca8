// SPDX-License-Identifier: Apache-2.0
// Expert load by layer: the matrix behind the heat map, and the balance of layers.
#pragma once

#include <QCoreApplication>
#include <optional>
#include <vector>

#include "gui/data/run_data.h"
#include "gui/models/heatmap_data.h"
#include "gui/models/row_model.h"

namespace moescope::gui {

/// Of one sequence, or of all.
LoadMatrix loadMatrix(const RunData& run, std::optional<std::int64_t> sequence = std::nullopt);

/// Balance of every layer of `matrix` with what chance alone would show. Simulates the uniform
/// router for token counts not met before: call it in a worker.
std::vector<LayerRouting> layerBalance(const LoadMatrix& matrix, int topK);

/// `matrix` in the chosen scale.
HeatmapData loadHeatmap(LoadMatrix matrix, LoadScale scale);

class LayerBalanceModel : public RowModel<LayerRouting> {
    Q_DECLARE_TR_FUNCTIONS(LayerBalanceModel)
public:
    explicit LayerBalanceModel(QObject* parent = nullptr);
};

QString formatLoad(double value, LoadScale scale);  ///< "3.1 %", "1.24x", "+0.31"

}  // namespace moescope::gui
