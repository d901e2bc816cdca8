// SPDX-License-Identifier: Apache-2.0
// The first look at a run: notices, headline figures, operations by time, where it came from.
#include <QHeaderView>
#include <QLabel>
#include <QSplitter>
#include <QVBoxLayout>
#include <iterator>

#include "gui/data/format.h"
#include "gui/models/facts.h"
#include "gui/models/operation_groups.h"
#include "gui/models/routing_models.h"
#include "gui/views/view.h"

namespace moescope::gui {
namespace {

DataTable* makeFactsTable(const QString& name, QAbstractItemModel* model, QWidget* parent) {
    auto* table = new DataTable(name, parent);
    table->setSource(model, false);
    table->showAsFacts();
    table->setFrameShape(QFrame::NoFrame);
    return table;
}

class SummaryView : public View {
    Q_DECLARE_TR_FUNCTIONS(SummaryView)
public:
    SummaryView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          headline_(new FactsModel(this)),
          origin_(new FactsModel(this)),
          operations_(new OperationsModel(this)) {
        headlineTable_ = makeFactsTable(tr("Headline figures"), headline_, page());
        originTable_ = makeFactsTable(tr("Origin of the run"), origin_, page());
        operationsTable_ = new DataTable(tr("Operations by time"), page());
        operationsTable_->setSource(operations_, true);
        operationsTable_->setPreferredWidth(5, 150);
        operationsTable_->setLeastWidth(0, 165);  // two operations of attention differ at the end
        operationsTable_->setColumnHidden(1, true);
        operationsTable_->setColumnHidden(2, true);
        for (const int column : {8, 9, 11, 12, 13, 14, 15, 16})
            operationsTable_->setColumnHidden(column, true);
        auto* left = new QSplitter(Qt::Vertical, page());
        left->addWidget(headlineTable_);
        left->addWidget(operationsTable_);
        left->setSizes({330, 270});
        auto* columns = new QSplitter(page());
        columns->addWidget(left);
        columns->addWidget(originTable_);
        columns->setSizes({530, 470});
        title_ = new QLabel(page());
        QFont large = font();
        large.setPointSizeF(large.pointSizeF() * 1.35);
        large.setBold(true);
        title_->setFont(large);
        title_->setContentsMargins(8, 8, 8, 2);
        title_->setTextInteractionFlags(Qt::TextSelectableByMouse);
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(4, 0, 4, 4);
        layout->addWidget(title_);
        layout->addWidget(columns, 1);
        connect(operationsTable_, &QTableView::activated, this, [this](const QModelIndex& index) {
            const std::string op = operations_->row(operationsTable_->sourceRow(index)).group.op;
            this->selection().edit([&](SelectionState& s) { s.operation = text(op); });
            emit viewRequested(QStringLiteral("kernels"));
        });
    }

    DataTable* table() const override {
        return originTable_->hasFocus()       ? originTable_
               : operationsTable_->hasFocus() ? operationsTable_
                                              : headlineTable_;
    }

private:
    void forget() override {
        for (FactsModel* facts : {headline_, origin_}) facts->setRows({});
        operations_->setRows({});
    }

    void open(RunPtr run) override {
        const std::string model = run->modelName();
        title_->setText(model.empty() ? text(run->path.filename().string()) : text(model));
        std::vector<FactRow> headline = headlineFacts(*run);
        appendRouting(*run, headline);
        std::vector<FactRow> scores = scoreFacts(*run);
        headline.insert(headline.end(), std::make_move_iterator(scores.begin()),
                        std::make_move_iterator(scores.end()));
        headline_->setRows(std::move(headline));
        origin_->setRows(originFacts(*run));
        operations_->setRows(groupOperations(run->operations, GroupBy::Operation));
        operationsTable_->setVisible(operations_->rowCount() > 0);
        for (DataTable* table : {headlineTable_, originTable_}) {
            table->clearSpans();
            for (int row = 0; row < table->model()->rowCount(); ++row) {
                if (table->model()->index(row, 0).data(kSectionRole).toBool())
                    table->setSpan(row, 0, 1, 2);
            }
            table->fitColumns(260);
        }
        operationsTable_->fitColumns();
    }

    void appendRouting(const RunData& run, std::vector<FactRow>& rows) const {
        const LayerRouting* worst = nullptr;
        for (const LayerRouting& layer : run.summary.routing) {
            if (layer.balance.tokens > 0 && (worst == nullptr || layer.excess > worst->excess))
                worst = &layer;
        }
        if (worst == nullptr) return;
        rows.push_back({tr("Routing"), {}, {}, true});
        rows.push_back({tr("Experts"),
                        tr("%1 of %2 per token, %3")
                            .arg(run.summary.topK)
                            .arg(run.summary.experts)
                            .arg(formatCounted(
                                static_cast<std::int64_t>(run.summary.routing.size()), "layer")),
                        {},
                        false});
        rows.push_back({tr("Least balanced layer"),
                        tr("layer %1: max/mean %2 (%3 by chance)")
                            .arg(worst->layer)
                            .arg(formatNumber(worst->balance.maxOverMean),
                                 formatNumber(worst->null.maxOverMean)),
                        {},
                        false});
    }

    FactsModel *headline_, *origin_;
    OperationsModel* operations_;
    QLabel* title_;
    DataTable *headlineTable_, *originTable_, *operationsTable_;
};

}  // namespace

View* makeSummaryView(Selection& selection, QWidget* parent) {
    return new SummaryView(selection, parent);
}

}  // namespace moescope::gui
