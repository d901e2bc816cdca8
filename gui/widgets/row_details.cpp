// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/row_details.h"

#include <utility>

namespace moescope::gui {

RowDetails::RowDetails(DataTable* table, std::vector<int> columns, QWidget* parent)
    : QLabel(parent), table_(table), columns_(std::move(columns)) {
    setWordWrap(true);
    setTextFormat(Qt::PlainText);
    setTextInteractionFlags(Qt::TextSelectableByMouse);
    connect(table->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
            [this] { showRow(); });
    connect(table->model(), &QAbstractItemModel::modelReset, this, [this] { showRow(); });
    showRow();
}

void RowDetails::showRow() {
    const QModelIndex current = table_->currentIndex();
    const QAbstractItemModel& model = *table_->model();
    QStringList lines;
    for (const int column : columns_) {
        const QString said =
            current.isValid() ? current.siblingAtColumn(column).data().toString() : QString();
        if (!said.isEmpty())
            lines << tr("%1: %2").arg(model.headerData(column, Qt::Horizontal).toString(), said);
    }
    setText(lines.join(QChar('\n')));
    setVisible(!lines.isEmpty());
}

}  // namespace moescope::gui
