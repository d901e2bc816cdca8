// SPDX-License-Identifier: Apache-2.0
// The roofline as a table and as pixels.
#pragma once

#include <QCoreApplication>
#include <QRect>
#include <array>
#include <optional>

#include "gui/models/row_model.h"
#include "profiler/analysis/roofline.h"
#include "reports/roofline_plane.h"

namespace moescope::gui {

class RooflineModel : public RowModel<RooflinePoint> {
    Q_DECLARE_TR_FUNCTIONS(RooflineModel)
public:
    explicit RooflineModel(QObject* parent = nullptr);
    /// Roof, of roof, peak of, bound by: empty where the run knows no roof.
    static constexpr std::array kOfRoof{6, 7, 8, 9};
};

struct RooflineLayout {
    QRect area;
    RooflinePlane plane;

    QPointF at(double intensity, double operationsPerSecond) const noexcept;
    QPointF at(const RooflinePoint& point) const noexcept {
        return at(point.intensity, point.operationsPerSecond);
    }
    /// Index of the point whose circle holds `to`, of several the last, which is drawn on top;
    /// else of the nearest circle within `reach` pixels.
    std::optional<std::size_t> hit(const std::vector<RooflinePoint>& points, QPointF to,
                                   double reach) const noexcept;
};

}  // namespace moescope::gui
