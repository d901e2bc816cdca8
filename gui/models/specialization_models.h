// SPDX-License-Identifier: Apache-2.0
// Which experts a group of texts prefers: the matrix of lifts, the layers' divergence, the groups.
#pragma once

#include <QCoreApplication>
#include <vector>

#include "gui/models/heatmap_data.h"
#include "gui/models/row_model.h"
#include "profiler/analysis/specialization.h"

namespace moescope::gui {

inline constexpr int kAnyGroup = -1;

/// log2 of the lift of `group` (index into of.groups), or of each expert's greatest with kAnyGroup.
/// Symmetric about 0, ends at a lift of 1/4 and 4.
HeatmapData liftHeatmap(const Specialization& of, int group);

QString formatLift(double lift);  ///< "2.37×"; "-" for NaN

class LayerDivergenceModel : public RowModel<LayerSpecialization> {
    Q_DECLARE_TR_FUNCTIONS(LayerDivergenceModel)
public:
    explicit LayerDivergenceModel(QObject* parent = nullptr);
};

struct GroupExpertsRow {
    TextGroup group;
    QString leading;  ///< experts that are reliably its own, greatest lift first
};
std::vector<GroupExpertsRow> groupExperts(const Specialization& of);

class GroupExpertsModel : public RowModel<GroupExpertsRow> {
    Q_DECLARE_TR_FUNCTIONS(GroupExpertsModel)
public:
    explicit GroupExpertsModel(QObject* parent = nullptr);
};

}  // namespace moescope::gui
