// SPDX-License-Identifier: Apache-2.0
// A table over a snapshot of rows: a subclass says what its columns are, nothing else.
#pragma once

#include <QAbstractTableModel>
#include <QString>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

namespace moescope::gui {

/// Roles beside Qt's. Delegates draw bars and intervals; proxies sort by the raw value.
enum TableRole : int {
    kValueRole = Qt::UserRole,  ///< number or string to sort by; invalid: missing, sorted last
    kBarRole,                   ///< double 0..1: a bar behind the text
    kColorRole,                 ///< QColor: of the bar, or of a swatch before the text
    kIntervalRole,  ///< QVariantList {low, value, high, chance, axisLow, axisHigh}; NaN: none
    kSectionRole,   ///< bool: the row is a heading
    kExportRole,  ///< raw value for a file; invalid: missing. In a header: the title with the unit
};

template <class Row>
struct TableColumn {
    QString title, tip;
    std::function<QVariant(const Row&)> text;
    std::function<QVariant(const Row&)> value{};            ///< sorts by text when empty
    bool number = true;                                     ///< right aligned
    std::function<QVariant(const Row&, int role)> extra{};  ///< further roles
    QString unit{};                                         ///< of the raw value, in exports
    std::function<QVariant(const Row&)> exported{};         ///< where it is not what is sorted by
};

/// NaN stands for a value that there is none of; it would also upset every order.
inline QVariant orMissing(const QVariant& value) {
    return value.userType() == QMetaType::Double && std::isnan(value.toDouble()) ? QVariant()
                                                                                 : value;
}

template <class Row>
class RowModel : public QAbstractTableModel {
public:
    using QAbstractTableModel::QAbstractTableModel;

    void setRows(std::vector<Row> rows) {
        beginResetModel();
        rows_ = std::move(rows);
        endResetModel();
    }
    const std::vector<Row>& rows() const noexcept { return rows_; }
    const Row& row(int index) const { return rows_[static_cast<std::size_t>(index)]; }

    int rowCount(const QModelIndex& parent = {}) const override {
        return parent.isValid() ? 0 : static_cast<int>(rows_.size());
    }
    int columnCount(const QModelIndex& parent = {}) const override {
        return parent.isValid() ? 0 : static_cast<int>(columns_.size());
    }

    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override {
        if (!index.isValid() || index.row() >= rowCount() || index.column() >= columnCount())
            return {};
        const Row& row = this->row(index.row());
        const TableColumn<Row>& column = columns_[static_cast<std::size_t>(index.column())];
        switch (role) {
            case Qt::DisplayRole:
                return column.text(row);
            case kExportRole:
                if (column.exported) return orMissing(column.exported(row));
                [[fallthrough]];
            case kValueRole:
                return orMissing(column.value ? column.value(row) : column.text(row));
            case Qt::TextAlignmentRole:
                return int(Qt::AlignVCenter | (column.number ? Qt::AlignRight : Qt::AlignLeft));
            default:
                return column.extra ? column.extra(row, role) : QVariant();
        }
    }
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override {
        if (orientation != Qt::Horizontal || section < 0 || section >= columnCount()) {
            return QAbstractTableModel::headerData(section, orientation, role);
        }
        const TableColumn<Row>& column = columns_[static_cast<std::size_t>(section)];
        switch (role) {
            case Qt::DisplayRole:
                return column.title;
            case kExportRole:
                return column.unit.isEmpty()
                           ? column.title
                           : column.title + QStringLiteral(" (") + column.unit + QChar(')');
            case Qt::ToolTipRole:
                return column.tip.isEmpty() ? QVariant() : column.tip;
            case Qt::TextAlignmentRole:
                return int(Qt::AlignVCenter | (column.number ? Qt::AlignRight : Qt::AlignLeft));
            default:
                return {};
        }
    }

protected:
    void setColumns(std::vector<TableColumn<Row>> columns) { columns_ = std::move(columns); }

private:
    std::vector<Row> rows_;
    std::vector<TableColumn<Row>> columns_;
};

}  // namespace moescope::gui
