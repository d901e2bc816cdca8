// SPDX-License-Identifier: Apache-2.0
// How near to what the machine can do each kernel comes. The same points and roofs as in the
// report; the selected operation stands out.
#include <QHeaderView>
#include <QLabel>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/roofline_models.h"
#include "gui/views/view.h"
#include "gui/widgets/roofline_widget.h"

namespace moescope::gui {
namespace {

class RooflineView : public View {
    Q_DECLARE_TR_FUNCTIONS(RooflineView)
public:
    RooflineView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          chart_(new RooflineWidget(page())),
          model_(new RooflineModel(this)),
          table_(new DataTable(tr("Roofline"), page())),
          caption_(new QLabel(page())) {
        caption_->setWordWrap(true);
        caption_->setTextFormat(Qt::PlainText);
        caption_->setTextInteractionFlags(Qt::TextSelectableByMouse);
        table_->setSource(model_, true);
        table_->setTextElideMode(Qt::ElideMiddle);
        // Else columns that are hidden keep their room: Qt leaves their sizes to the stretching.
        table_->horizontalHeader()->setStretchLastSection(false);
        // Two operations of attention must not look the same; what is too wide then scrolls.
        table_->setLeastWidth(0, 165);
        table_->setLeastWidth(1, 110);
        table_->setLeastWidth(10, 75);
        auto* splitter = new QSplitter(Qt::Vertical, page());
        splitter->addWidget(chart_);
        splitter->addWidget(table_);
        splitter->setStretchFactor(0, 3);
        splitter->setStretchFactor(1, 2);
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addWidget(caption_);
        layout->addWidget(splitter, 1);
        connect(chart_, &RooflineWidget::hovered, this, &View::status);
        connect(chart_, &RooflineWidget::pointActivated, this, [this](int row) { choose(row); });
        connect(table_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(index.row()); });
        connect(&selection, &Selection::changed, this, [this] { highlight(); });
    }

    DataTable* table() const override { return table_; }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfOperations(run); }

private:
    void forget() override { model_->setRows({}); }

    void open(RunPtr run) override {
        showState(tr("Reading what counters saw…"), {});
        startJob(
            [run](const StopFlag* stop) {
                return rooflineOf(run->summary, countedWork(run->reopen(stop)));
            },
            [this](auto outcome) {
                if (!outcome.value) {
                    showFailure(tr("The roofline cannot be shown"), outcome.failure);
                } else if (outcome.value->points.empty()) {
                    showState(tr("This run has no operations with bytes and arithmetic"),
                              tr("moescope profile MODEL --prompt TEXT --out RUN records them, as "
                                 "eval --trace does."));
                } else {
                    show(std::move(*outcome.value));
                }
            });
    }

    void show(Roofline roofline) {
        QString says = text(ceilingsSentence(roofline.ceilings));
        if (roofline.anyModelled()) says += QChar(' ') + text(kModelledNote);
        caption_->setText(says);
        const bool roofs = std::any_of(roofline.points.begin(), roofline.points.end(),
                                       [](const RooflinePoint& p) { return p.bound() != nullptr; });
        for (const int column : RooflineModel::kOfRoof) table_->setColumnHidden(column, !roofs);
        model_->setRows(roofline.points);
        table_->fitColumns(320);
        chart_->setRoofline(std::move(roofline));
        showPage();
        highlight();
    }

    void choose(int row) {
        selection().edit([&](SelectionState& s) { s.operation = text(model_->row(row).op); });
        table_->selectSourceRow(row);
    }

    void highlight() {
        const QString& operation = selection().state().operation;
        chart_->setHighlight(operation);
        const QModelIndex current = table_->currentIndex();
        // Two rows of one operation (prefill, decode): stay on the one that was clicked.
        if (current.isValid() && table_->selectionModel()->isRowSelected(current.row()) &&
            text(model_->row(table_->sourceRow(current)).op) == operation)
            return;
        int found = -1;
        for (int i = 0; i < model_->rowCount() && found < 0; ++i)
            if (text(model_->row(i).op) == operation) found = i;
        table_->selectSourceRow(found);
    }

    RooflineWidget* chart_;
    RooflineModel* model_;
    DataTable* table_;
    QLabel* caption_;
};

}  // namespace

View* makeRooflineView(Selection& selection, QWidget* parent) {
    return new RooflineView(selection, parent);
}

}  // namespace moescope::gui
