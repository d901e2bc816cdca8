// SPDX-License-Identifier: Apache-2.0
// The one table of the program: sorting, row copying as TSV, CSV, bars and intervals in cells.
#pragma once

#include <QHash>
#include <QStyledItemDelegate>
#include <QTableView>
#include <vector>

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
    /// The whole text of a cell that shows a part of it, before the cell's own tip.
    bool helpEvent(QHelpEvent* event, QAbstractItemView* view, const QStyleOptionViewItem& option,
                   const QModelIndex& index) override;
    /// What helpEvent shows in a cell of that width; "": nothing.
    QString tip(const QStyleOptionViewItem& option, const QModelIndex& index) const;

protected:
    void initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const override;
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
    /// The row, or of a matrix the cell; without `chosen`. Row -1 clears.
    void selectSourceRow(int row, int column = 0);
    /// Columns as wide as their first rows need, `widest` pixels at most. Where the view is
    /// narrower, texts and bars give way before numbers do; where it is wider, the last of them
    /// takes the rest. Holds through later resizes, until a column is dragged.
    void fitColumns(int widest = 420);
    /// Call it when the rows have changed, before fitColumns.
    void showColumnIf(int column, bool shown);
    /// As high as its rows need, so that a small table never scrolls; after the columns are fitted.
    void fitHeight();
    /// Width that `column` gets from fitColumns instead of what its texts need (bars).
    void setPreferredWidth(int column, int width) { preferred_[column] = width; }
    /// What a column of texts keeps where the view is too narrow for all columns: it scrolls then.
    void setLeastWidth(int column, int width) { least_[column] = width; }
    /// Names beside values: no header, no stripes, long texts wrap.
    void showAsFacts();
    /// Cells that are chosen one by one, with names of rows too, which are `rows`.
    void showAsMatrix(const QString& rows);
    int compactWidth() const;  ///< that shows every column whole; for dividing a splitter

    /// Selected rows (of a matrix: cells), or all when none is: header line, then one line a row.
    QString toTsv() const;
    /// All rows, RFC 4180, raw values rather than shown texts, units in the titles; missing: empty.
    QString toCsv() const;

signals:
    /// A row, or of a matrix a cell, was selected by mouse or key: its index in the source. Not the
    /// current row: a table that gets the focus makes its first row current by itself, and a click
    /// on the row that is current already selects it again.
    void chosen(const QModelIndex& source);

protected:
    void selectionChanged(const QItemSelection& selected,
                          const QItemSelection& deselected) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    struct Column {
        int index, wide, compact, least;  ///< pixels; least: elided
        bool elastic, bar;                ///< elastic: text or bar
    };
    std::vector<Column> measure() const;
    void distribute();
    void distributeFacts();
    bool isFacts() const { return wordWrap(); }
    bool isMatrix() const { return selectionBehavior() == SelectItems; }

    QSortFilterProxyModel* proxy_ = nullptr;
    QString rowsTitle_;  ///< of a matrix
    QHash<int, int> preferred_, least_;
    int widest_ = 0;  ///< 0: not fitted
    bool distributing_ = false;
    bool selecting_ = false;  ///< not by hand
};

}  // namespace moescope::gui
