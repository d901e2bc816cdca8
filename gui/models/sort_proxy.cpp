// SPDX-License-Identifier: Apache-2.0
#include "gui/models/sort_proxy.h"

#include "gui/models/row_model.h"

namespace moescope::gui {

SortProxy::SortProxy(QObject* parent) : QSortFilterProxyModel(parent) {
    setSortRole(kValueRole);
    setFilterCaseSensitivity(Qt::CaseInsensitive);
    setFilterKeyColumn(-1);
}

bool SortProxy::lessThan(const QModelIndex& left, const QModelIndex& right) const {
    const bool noLeft = !left.data(sortRole()).isValid(),
               noRight = !right.data(sortRole()).isValid();
    if (!noLeft && !noRight) return QSortFilterProxyModel::lessThan(left, right);
    // Descending, Qt asks whether the row behind is less than the one before.
    return sortOrder() == Qt::AscendingOrder ? !noLeft && noRight : noLeft && !noRight;
}

}  // namespace moescope::gui
