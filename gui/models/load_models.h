// SPDX-License-Identifier: Apache-2.0
// Time of the experts' launches against their load: tables, and the points of the picture.
#pragma once

#include <QCoreApplication>
#include <QPoint>
#include <QRect>
#include <optional>
#include <span>
#include <vector>

#include "gui/models/row_model.h"
#include "profiler/analysis/expert_load.h"

namespace moescope::gui {

/// Launches of a phase, of one sequence or all, in steps that begin within the range.
std::vector<ExpertLaunch> chosenLaunches(const ExpertLoad& load, std::span<const StepRow> steps,
                                         std::string_view phase,
                                         std::optional<std::int64_t> sequence,
                                         std::optional<TimeRange> range);

/// The fitted cost of load: passes through (load, ns) with `slope` ns a token, of which the 95 %
/// interval is [low, high]; NaN where it could not be told.
struct LoadLine {
    double load = 0, ns = 0;
    double slope = 0, low = 0, high = 0;
    double at(double x, double with) const noexcept { return ns + with * (x - load); }
};

struct LoadScatter {
    std::vector<double> load;  ///< (n_launches) tokens of the busiest expert
    std::vector<double> ns;    ///< (n_launches)
    std::optional<LoadLine> line;
};
/// As measured, without a line: the time also depends on tokens and active experts, so that the
/// slope would not follow the points. Or `adjusted`: what the fit says of tokens, active experts
/// and layer is taken out, the mean stays, and the line is the fit of what is drawn (partial
/// residuals). Without a fit of these very launches the points are as measured.
LoadScatter loadScatter(std::span<const ExpertLaunch> launches, const ExpertLoadPhase& phase,
                        bool adjusted);

/// Pixels of a scatter plot. The upper edge leaves out few far outliers, which are drawn on it.
struct ScatterLayout {
    QRect area;
    double lowX = 0, highX = 1, lowY = 0, highY = 1;

    static ScatterLayout of(const LoadScatter& points, QRect area);
    QPointF at(double x, double y) const noexcept;
    QPointF shown(double x, double y) const noexcept;  ///< no farther than the edges
    /// Index of the nearest point within `radius` pixels.
    std::optional<std::size_t> nearest(const LoadScatter& points, QPointF to,
                                       double radius) const noexcept;
};

class LoadFitModel : public RowModel<Coefficient> {
    Q_DECLARE_TR_FUNCTIONS(LoadFitModel)
public:
    explicit LoadFitModel(QObject* parent = nullptr);
};

/// Coolest quarter of the launches first.
class LoadQuartersModel : public RowModel<LoadQuarter> {
    Q_DECLARE_TR_FUNCTIONS(LoadQuartersModel)
public:
    explicit LoadQuartersModel(QObject* parent = nullptr);
};

/// The table twin of the points.
class LaunchesModel : public RowModel<ExpertLaunch> {
    Q_DECLARE_TR_FUNCTIONS(LaunchesModel)
public:
    explicit LaunchesModel(QObject* parent = nullptr);
};

}  // namespace moescope::gui
