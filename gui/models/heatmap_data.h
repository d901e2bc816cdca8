// SPDX-License-Identifier: Apache-2.0
// What a heat map shows: a value for each expert of each layer, and how it is said in words. The
// picture and its table twin are both made from it.
#pragma once

#include <QAbstractTableModel>
#include <QCoreApplication>
#include <QString>
#include <cstdint>
#include <functional>
#include <vector>

#include "gui/models/heatmap_layout.h"

namespace moescope::gui {

enum class Ramp : std::uint8_t {
    Sequential,  ///< viridis: more is brighter
    Diverging,   ///< blue, white, orange: the middle means "as expected"
};

struct HeatmapData {
    std::vector<int> layers;     ///< of the rows
    int experts = 0;             ///< columns
    std::vector<double> values;  ///< (layers, experts) row-major; NaN: nothing to show
    ColorRange range;
    Ramp ramp = Ramp::Sequential;
    QString column;                                ///< what a column is; empty: an expert
    QString unit;                                  ///< beside the legend's upper end
    std::function<QString(double)> format;         ///< a value, in cells and legend
    std::function<QString(HeatmapCell)> describe;  ///< a cell, in a sentence
    std::function<double(double)> exported{};      ///< a value for a file; empty: as it is

    int rows() const noexcept { return static_cast<int>(layers.size()); }
    double value(HeatmapCell cell) const noexcept {
        return values[static_cast<std::size_t>(cell.row) * static_cast<std::size_t>(experts) +
                      static_cast<std::size_t>(cell.column)];
    }
};

/// Layers down, experts across; the cell's text is the formatted value.
class HeatmapModel : public QAbstractTableModel {
    Q_DECLARE_TR_FUNCTIONS(HeatmapModel)
public:
    using QAbstractTableModel::QAbstractTableModel;
    void setData(HeatmapData data);
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    HeatmapData data_;
};

}  // namespace moescope::gui
