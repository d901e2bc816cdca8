// SPDX-License-Identifier: Apache-2.0
// The shapes that `moescope shapes` sets side by side, and what their tensors alone say of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "engine/formats/checkpoint.h"
#include "engine/model/shape_family.h"
#include "engine/model/shape_figures.h"
#include "profiler/analysis/balance.h"
#include "profiler/simulation/parallel_cost.h"

namespace moescope::cli {

struct ListedShape {
    std::string name;
    std::optional<SynthConfig> config;  ///< random weights of this shape; none: a model, by `name`
    ModelSpec spec;
    ShapeFigures figures;
    double totalDeviation = 0, activeDeviation = 0;  ///< from the first shape's; 0.02: 2 % more
    bool far = false;    ///< of a family: the kept count is no equal of the base's
    BalanceNull chance;  ///< of ShapeList::chanceTokens tokens; NaN without experts

    bool random() const noexcept { return config.has_value() || spec.synthetic; }
    /// Draws the weights, or maps them.
    std::unique_ptr<Checkpoint> open(const StopFlag* stop) const;
};

struct ShapeList {
    std::vector<ListedShape> shapes;      ///< the first is what the others are compared with
    std::vector<std::string> impossible;  ///< "NAME: why there is no such shape"
    bool family = false;                  ///< of one base, by --layers and --experts
    ShapeKeep keep = ShapeKeep::Total;
    int context = 0;  ///< tokens of a sequence that caches and work are counted for
    int chanceTokens = 0;
    const GpuHardware* hardware = nullptr;
};

/// --layers, --experts, --keep, --hardware, --context, --chance-tokens.
void addShapeOptions(Options& options);
/// Of the positional "model". Reads configurations and tables of tensors, no weights.
ShapeList readShapes(const Options& options);

void printShapes(const ShapeList& list);
/// Of one shape, and what they have in common.
nlohmann::json shapeJson(const ListedShape& shape, const ShapeList& list);
nlohmann::json settingJson(const ShapeList& list);

/// A JSON configuration for each shape of a family into the folder; returns their paths. Throws
/// before anything is written when one is there and may not be replaced.
std::vector<std::string> writeShapes(const ShapeList& list, const std::string& folder,
                                     bool overwrite);

}  // namespace moescope::cli
