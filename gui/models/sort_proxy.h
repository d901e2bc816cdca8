// SPDX-License-Identifier: Apache-2.0
// Sorts a table by its raw values; rows without one come last, whichever the order.
#pragma once

#include <QSortFilterProxyModel>

namespace moescope::gui {

class SortProxy : public QSortFilterProxyModel {
public:
    explicit SortProxy(QObject* parent = nullptr);

protected:
    bool lessThan(const QModelIndex& left, const QModelIndex& right) const override;
};

}  // namespace moescope::gui
