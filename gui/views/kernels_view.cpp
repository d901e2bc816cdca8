// SPDX-License-Identifier: Apache-2.0
// Operations and kernels as a table: group, sort, filter; the selected time range limits it.
#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QSortFilterProxyModel>
#include <QVBoxLayout>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/operation_groups.h"
#include "gui/views/view.h"

namespace moescope::gui {
namespace {

class KernelsView : public View {
    Q_DECLARE_TR_FUNCTIONS(KernelsView)
public:
    KernelsView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          model_(new OperationsModel(this)),
          table_(new DataTable(tr("Operations and kernels"), page())),
          groupBy_(new QComboBox(page())),
          search_(new QLineEdit(page())),
          allColumns_(new QCheckBox(tr("&All columns"), page())),
          range_(new QLabel(page())) {
        groupBy_->addItem(tr("Kernel"), int(GroupBy::Kernel));
        groupBy_->addItem(tr("Operation"), int(GroupBy::Operation));
        groupBy_->addItem(tr("Phase"), int(GroupBy::Phase));
        groupBy_->addItem(tr("Layer"), int(GroupBy::Layer));
        groupBy_->addItem(tr("Step"), int(GroupBy::Step));
        groupBy_->setAccessibleName(tr("Group by"));
        search_->setPlaceholderText(tr("Filter (Ctrl+F)"));
        search_->setClearButtonEnabled(true);
        search_->setMaximumWidth(260);
        table_->setSource(model_, true);
        table_->setPreferredWidth(5, 150);
        table_->setLeastWidth(5, 84);
        // Where the last column stretches, hidden ones keep their place as an empty stripe
        // (Qt 6.4).
        table_->horizontalHeader()->setStretchLastSection(false);
        // Names of kernels begin and end with what tells them apart.
        table_->setTextElideMode(Qt::ElideMiddle);
        table_->setLeastWidth(0, 170);
        table_->setLeastWidth(1, 190);
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("&Group by"), groupBy_);
        bar->addWidget(search_);
        bar->addWidget(allColumns_);
        bar->addStretch();
        bar->addWidget(range_);
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(table_, 1);
        connect(groupBy_, &QComboBox::currentIndexChanged, this, [this] { refresh(); });
        connect(search_, &QLineEdit::textChanged, this,
                [this](const QString& text) { table_->proxy()->setFilterFixedString(text); });
        connect(allColumns_, &QCheckBox::toggled, this, [this] { fitColumns(); });
        connect(&selection, &Selection::changed, this, [this] { follow(); });
        connect(table_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(model_->row(index.row())); });
    }

    DataTable* table() const override { return table_; }
    QLineEdit* searchField() const override { return search_; }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfOperations(run); }

private:
    void forget() override {
        run_.reset();
        model_->setRows({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        model_->setCeilings(run_->ceilings);
        showPage();
        refresh();
    }

    void refresh() {
        if (!run_) return;
        const auto by = static_cast<GroupBy>(groupBy_->currentData().toInt());
        shownRange_ = selection().state().range;
        range_->setText(extentText(shownRange_));
        startJob(
            [run = run_, by, range = shownRange_] {
                return groupOperations(by == GroupBy::Kernel ? run->kernels() : run->operations, by,
                                       range);
            },
            [this, by](auto outcome) {
                if (outcome.value) show(std::move(*outcome.value), by);
            });
    }

    void show(std::vector<OperationGroupRow> rows, GroupBy by) {
        model_->setRows(std::move(rows));
        table_->setColumnHidden(1, by != GroupBy::Kernel);
        table_->setColumnHidden(
            2, by != GroupBy::Kernel && by != GroupBy::Phase && by != GroupBy::Step);
        fitColumns();
        highlight();
    }

    /// The window is too narrow for every column: what a first look does not need comes when asked
    /// for, rather than all of it by scrolling.
    void fitColumns() {
        for (const int column : OperationsModel::kDetails)
            table_->setColumnHidden(column, !allColumns_->isChecked());
        table_->fitColumns(240);
    }

    void follow() {
        if (!run_) return;
        if (selection().state().range != shownRange_) {
            refresh();
        } else {
            highlight();
        }
    }

    void highlight() {
        const SelectionState& state = selection().state();
        const auto by = static_cast<GroupBy>(groupBy_->currentData().toInt());
        int found = -1;
        for (int i = 0; i < model_->rowCount() && found < 0; ++i) {
            const OperationGroupRow& row = model_->row(i);
            const bool same = by == GroupBy::Layer ? state.layer && row.layer == state.layer
                                                   : !state.operation.isEmpty() &&
                                                         text(row.group.op) == state.operation;
            if (same) found = i;
        }
        const QModelIndex current = table_->currentIndex();
        // Two rows of one operation (prefill, decode): stay on the one that was clicked.
        if (found >= 0 && current.isValid() &&
            table_->selectionModel()->isRowSelected(current.row()) &&
            model_->row(table_->sourceRow(current)).group.op == model_->row(found).group.op &&
            by != GroupBy::Layer)
            return;
        table_->selectSourceRow(found);
    }

    void choose(const OperationGroupRow& row) {
        if (static_cast<GroupBy>(groupBy_->currentData().toInt()) == GroupBy::Step) return;
        selection().edit([&](SelectionState& s) {
            if (row.layer) {
                s.layer = *row.layer >= 0 ? row.layer : std::nullopt;
                s.expert.reset();
            } else {
                s.operation = text(row.group.op);
            }
        });
    }

    RunPtr run_;
    OperationsModel* model_;
    DataTable* table_;
    QComboBox* groupBy_;
    QLineEdit* search_;
    QCheckBox* allColumns_;
    QLabel* range_;
    std::optional<TimeRange> shownRange_;
};

}  // namespace

View* makeKernelsView(Selection& selection, QWidget* parent) {
    return new KernelsView(selection, parent);
}

}  // namespace moescope::gui
