// SPDX-License-Identifier: Apache-2.0
#include "gui/models/heatmap_data.h"

#include <utility>

#include "gui/models/row_model.h"

namespace moescope::gui {

void HeatmapModel::setData(HeatmapData data) {
    beginResetModel();
    data_ = std::move(data);
    endResetModel();
}

int HeatmapModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : data_.rows();
}

int HeatmapModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() || data_.layers.empty() ? 0 : data_.experts;
}

QVariant HeatmapModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid() || index.row() >= rowCount() || index.column() >= columnCount()) return {};
    const HeatmapCell cell{index.row(), index.column()};
    switch (role) {
        case Qt::DisplayRole:
            return data_.format(data_.value(cell));
        case kValueRole:
            return data_.value(cell);
        case Qt::TextAlignmentRole:
            return int(Qt::AlignRight | Qt::AlignVCenter);
        case Qt::ToolTipRole:
            return data_.describe(cell);
        default:
            return {};
    }
}

QVariant HeatmapModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (role != Qt::DisplayRole || section < 0) return {};
    if (orientation == Qt::Horizontal)
        return section < columnCount() ? QVariant(section) : QVariant();
    return section < rowCount()
               ? QVariant(tr("layer %1").arg(data_.layers[static_cast<std::size_t>(section)]))
               : QVariant();
}

}  // namespace moescope::gui
