// SPDX-License-Identifier: Apache-2.0
// The one table of the program: sorting, row copying as TSV, CSV, bars and intervals in cells.
#pragma once

#include <QStyledItemDelegate>
#include <QTableView>

class QSortFilterProxyModel;

namespace moescope::gui {

/// Paints kBarRole, kColorRole, kIntervalRole and kSectionRole of a RowModel.
class CellDelegate : public QStyledItemDelegate {
    Q_OBJECT
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override;
    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
};

class DataTable : public QTableView {
    Q_OBJECT
public:
    explicit DataTable(const QString& accessibleName, QWidget* parent = nullptr);

    /// Shows `source`; `sortable` puts a proxy between (small tables only: it copies indices).
    void setSource(QAbstractItemModel* source, bool sortable);
    /// Shows a proxy made elsewhere.
    void setProxy(QSortFilterProxyModel* proxy);
    QSortFilterProxyModel* proxy() const noexcept { return proxy_; }
    int sourceRow(const QModelIndex& viewIndex) const;
    void selectSourceRow(int row);  ///< -1 clears
    /// Columns as wide as their first rows need, `widest` pixels at most; the last takes the rest.
    void fitColumns(int widest = 420);

    /// Selected rows, or all when none is: header line, then one line a row.
    QString toTsv() const;
    QString toCsv() const;  ///< all rows, RFC 4180, raw values rather than shown texts

private:
    QSortFilterProxyModel* proxy_ = nullptr;
};

}  // namespace moescope::gui
