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
            return orMissing(data_.value(cell));
        case kExportRole:
            return orMissing(data_.exported ? data_.exported(data_.value(cell))
                                            : data_.value(cell));
        case Qt::TextAlignmentRole:
            return int(Qt::AlignRight | Qt::AlignVCenter);
        case Qt::ToolTipRole:
            return data_.describe(cell);
        default:
            return {};
    }
}

QVariant HeatmapModel::headerData(int section, Qt::Orientation orientation, int role) const {
    const bool forFile = role == kExportRole, across = orientation == Qt::Horizontal;
    if ((role != Qt::DisplayRole && !forFile) || section < 0 ||
        section >= (across ? columnCount() : rowCount()))
        return {};
    if (across && !forFile) return section;
    if (across)
        return data_.column.isEmpty() ? tr("expert %1").arg(section)
                                      : tr("%1 %2").arg(data_.column).arg(section);
    const int layer = data_.layers[static_cast<std::size_t>(section)];
    return forFile ? QVariant(layer) : QVariant(tr("layer %1").arg(layer));
}

}  // namespace moescope::gui
