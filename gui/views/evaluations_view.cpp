// SPDX-License-Identifier: Apache-2.0
// Suites, their metrics with intervals, and items down to prompt, choices and log-likelihoods.
#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPlainTextEdit>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <set>

#include "gui/data/format.h"
#include "gui/models/evaluation_models.h"
#include "gui/views/view.h"
#include "gui/widgets/row_details.h"
#include "reports/headline.h"
#include "reports/metric_lines.h"
#include "reports/ranking.h"

namespace moescope::gui {
namespace {

/// Has room for the longest name of a metric, "demographic_parity_difference".
constexpr int kNameWidth = 260;

class EvaluationsView : public View {
    Q_DECLARE_TR_FUNCTIONS(EvaluationsView)
public:
    EvaluationsView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          suites_(new SuitesModel(this)),
          metrics_(new MetricsModel(this)),
          items_(new ItemsModel(this)),
          filter_(new ItemsFilter(this)),
          choices_(new ChoicesModel(this)),
          suitesTable_(new DataTable(tr("Suites"), page())),
          metricsTable_(new DataTable(tr("Metrics"), page())),
          itemsTable_(new DataTable(tr("Items"), page())),
          choicesTable_(new DataTable(tr("Choices"), page())),
          groups_(new QComboBox(page())),
          wrongOnly_(new QCheckBox(tr("&Wrong only"), page())),
          search_(new QLineEdit(page())),
          count_(new QLabel(page())),
          prompt_(new QPlainTextEdit(page())),
          counts_(new QLabel(page())),
          caption_(new QLabel(page())) {
        suitesTable_->setSource(suites_, true);
        suitesTable_->setLeastWidth(0, 80);
        suitesTable_->setSelectionMode(QAbstractItemView::SingleSelection);
        metricsTable_->setSource(metrics_, true);
        metricsTable_->setPreferredWidth(MetricsModel::kIntervalColumn, 150);
        metricsTable_->setLeastWidth(0, kNameWidth);  // intervals and methods give way first
        metricsTable_->setLeastWidth(1, 120);
        filter_->setSourceModel(items_);
        itemsTable_->setProxy(filter_);
        itemsTable_->setLeastWidth(1, 90);
        // Else a column that is hidden keeps its room: Qt leaves its size to the stretching.
        for (DataTable* table : {metricsTable_, itemsTable_})
            table->horizontalHeader()->setStretchLastSection(false);
        choicesTable_->setSource(choices_, false);
        search_->setPlaceholderText(tr("Search (Ctrl+F)"));
        search_->setClearButtonEnabled(true);
        search_->setMaximumWidth(240);
        groups_->setAccessibleName(tr("Groups"));
        prompt_->setReadOnly(true);
        prompt_->setAccessibleName(tr("Prompt of the item, and the reply"));
        caption_->setWordWrap(true);
        caption_->setTextFormat(Qt::PlainText);
        counts_->setWordWrap(true);
        counts_->setTextFormat(Qt::PlainText);
        layOut();
        connectAll();
    }

    DataTable* table() const override {
        for (DataTable* table : {suitesTable_, metricsTable_, choicesTable_}) {
            if (table->hasFocus()) return table;
        }
        return itemsTable_;
    }
    QLineEdit* searchField() const override { return search_; }
    std::optional<Lack> lack(const RunData& run) const override {
        if (!run.suites.empty()) return {};
        return Lack{tr("This run has no evaluations"),
                    tr("moescope eval MODEL --suite NAME --out RUN makes one.")};
    }

protected:
    void forget() override {
        run_.reset();
        suites_->setRows({});
        metrics_->setMetrics({});
        items_->setRows({});
        showItem({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        showPage();
        std::vector<SuiteTableRow> rows;
        for (const SuiteData& suite : run_->suites)
            rows.push_back({suite.suite, itemCounts(run_->summary, suite.suite)});
        suites_->setRows(std::move(rows));
        suitesTable_->fitColumns(260);
        suitesTable_->selectSourceRow(0);
        followSelection();
    }

private:
    void layOut() {
        auto* top = new QSplitter(page());
        auto* metricsPane = new QWidget(page());
        auto* metricsColumn = new QVBoxLayout(metricsPane);
        metricsColumn->setContentsMargins(0, 0, 0, 0);
        metricsColumn->addWidget(metricsTable_, 1);
        metricsColumn->addWidget(new RowDetails(
            metricsTable_, {MetricsModel::kCautionColumn, MetricsModel::kMethodColumn},
            metricsPane));
        metricsColumn->addWidget(counts_);
        top->addWidget(suitesTable_);
        top->addWidget(metricsPane);
        top->setSizes({290, 710});
        auto* bar = new QHBoxLayout;
        auto* label = new QLabel(tr("&Metrics of"), page());
        label->setBuddy(groups_);
        bar->addWidget(label);
        bar->addWidget(groups_);
        bar->addSpacing(16);
        bar->addWidget(wrongOnly_);
        bar->addWidget(search_);
        bar->addWidget(count_);
        bar->addStretch();
        auto* detail = new QWidget(page());
        auto* column = new QVBoxLayout(detail);
        column->setContentsMargins(0, 0, 0, 0);
        column->addWidget(caption_);
        column->addWidget(prompt_, 3);
        column->addWidget(choicesTable_, 2);
        auto* bottom = new QSplitter(page());
        bottom->addWidget(itemsTable_);
        bottom->addWidget(detail);
        bottom->setSizes({680, 320});
        auto* lower = new QWidget(page());
        auto* lowerColumn = new QVBoxLayout(lower);
        lowerColumn->setContentsMargins(0, 0, 0, 0);
        lowerColumn->addLayout(bar);
        lowerColumn->addWidget(bottom, 1);
        auto* splitter = new QSplitter(Qt::Vertical, page());
        splitter->addWidget(top);
        splitter->addWidget(lower);
        splitter->setSizes({260, 420});
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addWidget(splitter);
    }

    void connectAll() {
        connect(suitesTable_->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
                [this](const QModelIndex& i) {
                    if (i.isValid() && run_)
                        showSuite(static_cast<std::size_t>(suitesTable_->sourceRow(i)));
                });
        connect(groups_, &QComboBox::activated, this, [this] { showMetrics(); });
        connect(wrongOnly_, &QCheckBox::toggled, this, [this](bool on) {
            filter_->setWrongOnly(on);
            showCount();
        });
        connect(search_, &QLineEdit::textChanged, this, [this](const QString& text) {
            filter_->setText(text);
            showCount();
        });
        connect(itemsTable_->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
                [this](const QModelIndex& i) { showItem(i); });
        connect(itemsTable_, &QAbstractItemView::clicked, this,
                [this](const QModelIndex& i) { chooseItem(i); });
        connect(itemsTable_, &QAbstractItemView::activated, this,
                [this](const QModelIndex& i) { chooseItem(i); });
        connect(&selection(), &Selection::changed, this, [this] { followSelection(); });
    }

    void showSuite(std::size_t index) {
        suite_ = index;
        groups_->clear();
        groups_->addItem(tr("everything"), QString());
        std::set<QString> keys;
        for (const MetricRow& metric : run_->suites[index].metrics) {
            const QString group = text(metric.group);
            if (!group.isEmpty()) keys.insert(group.section(QChar('='), 0, 0));
        }
        for (const QString& key : keys) groups_->addItem(tr("groups of %1").arg(key), key);
        showMetrics();
        items_->setRows(run_->suites[index].items);
        itemsTable_->showColumnIf(ItemsModel::kRepeatColumn, repeated());
        itemsTable_->showColumnIf(ItemsModel::kPerCharacterColumn,
                                  countsPerCharacter(run_->suites[index].metrics));
        const std::vector<ItemRow>& items = run_->suites[index].items;
        itemsTable_->showColumnIf(ItemsModel::kExpectedColumn,
                                  std::any_of(items.begin(), items.end(), [](const ItemRow& item) {
                                      return !item.target.empty();
                                  }));
        itemsTable_->fitColumns(190);
        showCount();
        if (filter_->rowCount() > 0) itemsTable_->selectRow(0);
        showItem(itemsTable_->currentIndex());
    }

    void showMetrics() {
        const QString key = groups_->currentData().toString();
        std::vector<MetricRow> rows;
        for (const MetricRow& metric : run_->suites[suite_].metrics) {
            if (key.isEmpty() || metric.group.empty() ||
                text(metric.group).section(QChar('='), 0, 0) == key)
                rows.push_back(metric);
        }
        metrics_->setMetrics(rows);
        QStringList notes;
        const SuiteRow& suite = run_->suites[suite_].suite;
        if (const ItemCounts counts = itemCounts(run_->summary, suite); isUnfinished(suite, counts))
            notes << tr("%1. The metrics come with the last item: eval --resume goes on.")
                         .arg(text(evaluatedItems(suite, counts)));
        for (const std::string& note : itemCountNotes(rows)) notes << text(note);
        counts_->setText(notes.join(QChar('\n')));
        counts_->setVisible(!notes.isEmpty());
        // What no metric of the suite has takes the room of what one has.
        const auto any = [&](auto has) {
            return std::any_of(metrics_->rows().begin(), metrics_->rows().end(), has);
        };
        metricsTable_->showColumnIf(MetricsModel::kChanceColumn, any([](const MetricTableRow& row) {
                                        return row.metric.chance.has_value();
                                    }));
        metricsTable_->showColumnIf(MetricsModel::kTestColumn, any([](const MetricTableRow& row) {
                                        return row.test.has_value();
                                    }));
        metricsTable_->fitColumns(kNameWidth);
        metricsTable_->selectSourceRow(0);
    }

    void showCount() {
        count_->setText(tr("%1 of %2")
                            .arg(formatCount(filter_->rowCount()),
                                 formatCounted(items_->rowCount(), repeated() ? "reply" : "item")));
    }

    bool repeated() const {
        return run_ && suite_ < run_->suites.size() && repeatsOf(run_->suites[suite_].suite) > 1;
    }

    void showItem(const QModelIndex& index) {
        if (!index.isValid()) {
            prompt_->clear();
            prompt_->setPlaceholderText(
                tr("Choose an item to see its prompt, choices and what the model made of them."));
            caption_->clear();
            choices_->setRows({});
            return;
        }
        const ItemRow& item = items_->row(itemsTable_->sourceRow(index));
        prompt_->setPlaceholderText(tr("This item has no prompt text."));
        prompt_->setPlainText(itemText(item));
        caption_->setText(itemCaption(item));
        choices_->setRows(choicesOf(item, countsPerCharacter(run_->suites[suite_].metrics)));
        choicesTable_->setVisible(choices_->rowCount() > 0);
        choicesTable_->showColumnIf(
            ChoicesModel::kLogLikelihoodColumn,  // a written reply has none
            std::any_of(choices_->rows().begin(), choices_->rows().end(),
                        [](const ChoiceRow& row) { return !std::isnan(row.logLikelihood); }));
        choicesTable_->fitColumns(220);
    }

    /// Opening a run, moving through its items or searching them selects nothing in the other
    /// views; clicking an item does, and so does Enter.
    void chooseItem(const QModelIndex& index) {
        if (!index.isValid()) return;
        const std::int64_t sequence = items_->row(itemsTable_->sourceRow(index)).sequence;
        if (sequence < 0) return;
        selection().edit([&](SelectionState& s) {
            s.sequence = sequence;
            s.position.reset();
        });
    }

    /// The item of the sequence that is selected elsewhere, or by undo.
    void followSelection() {
        const std::optional<std::int64_t> wanted = selection().state().sequence;
        const QModelIndex current = itemsTable_->currentIndex();
        if (!wanted || !run_ || run_->suites.empty()) return;
        if (current.isValid() && items_->row(itemsTable_->sourceRow(current)).sequence == *wanted)
            return;
        const auto& rows = items_->rows();
        const auto found = std::find_if(rows.begin(), rows.end(), [&](const ItemRow& item) {
            return item.sequence == *wanted;
        });
        if (found != rows.end())
            itemsTable_->selectSourceRow(static_cast<int>(found - rows.begin()));
    }

    RunPtr run_;
    std::size_t suite_ = 0;
    SuitesModel* suites_;
    MetricsModel* metrics_;
    ItemsModel* items_;
    ItemsFilter* filter_;
    ChoicesModel* choices_;
    DataTable *suitesTable_, *metricsTable_, *itemsTable_, *choicesTable_;
    QComboBox* groups_;
    QCheckBox* wrongOnly_;
    QLineEdit* search_;
    QLabel* count_;
    QPlainTextEdit* prompt_;
    QLabel *counts_, *caption_;
};

}  // namespace

View* makeEvaluationsView(Selection& selection, QWidget* parent) {
    return new EvaluationsView(selection, parent);
}

}  // namespace moescope::gui
