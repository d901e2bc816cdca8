// SPDX-License-Identifier: Apache-2.0
// What the sentences of a table's current row say in full: their columns are never wide enough.
#pragma once

#include <QLabel>
#include <vector>

#include "gui/widgets/data_table.h"

namespace moescope::gui {

class RowDetails : public QLabel {
    Q_OBJECT
public:
    /// Of `columns` of what the table shows, each behind its title. The table must have its source.
    RowDetails(DataTable* table, std::vector<int> columns, QWidget* parent = nullptr);

private:
    void showRow();

    DataTable* table_;
    std::vector<int> columns_;
};

}  // namespace moescope::gui
