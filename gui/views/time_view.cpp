// SPDX-License-Identifier: Apache-2.0
// Where the wall time went, and what tokens waited for. The selected time range limits both, the
// selected sequence the tokens: wall time belongs to no sequence where several run at once. The
// selected operation stands out; a clicked token becomes the selected one.
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QScrollArea>
#include <QVBoxLayout>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/time_models.h"
#include "gui/views/sequence_box.h"
#include "gui/views/view.h"
#include "gui/widgets/stacked_bars_widget.h"
#include "gui/widgets/token_chart.h"

namespace moescope::gui {
namespace {

struct Times {
    std::vector<PhaseTime> breakdown;
    std::shared_ptr<const TokenLatency> latency;
};

class TimeView : public View {
    Q_DECLARE_TR_FUNCTIONS(TimeView)
public:
    TimeView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          breakdownModel_(new BreakdownModel(this)),
          latencyModel_(new LatencyModel(this)),
          partsModel_(new TokenPartsModel(this)),
          timesModel_(new TokenTimesModel(this)),
          breakdownTable_(new DataTable(tr("Wall time by cause"), page())),
          latencyTable_(new DataTable(tr("Latency of tokens"), page())),
          partsTable_(new DataTable(tr("What a token's time went to"), page())),
          timesTable_(new DataTable(tr("Time of each token"), page())),
          breakdownBars_(new StackedBarsWidget(tr("Wall time by cause"), page())),
          latencyBars_(new StackedBarsWidget(tr("What a token's time went to"), page())),
          chart_(new TokenChart(page())),
          sequence_(new SequenceBox(page())),
          kind_(new QComboBox(page())),
          tokens_(new QStackedWidget(page())),
          asTable_(tableSwitch(tokens_)),
          range_(new QLabel(page())),
          tokensTitle_(new QLabel(page())) {
        breakdownTable_->setSource(breakdownModel_, false);
        latencyTable_->setSource(latencyModel_, false);
        partsTable_->setSource(partsModel_, false);
        timesTable_->setSource(timesModel_, true);
        for (const int share : {2, 4, 6}) partsTable_->setPreferredWidth(share, 140);
        kind_->addItem(tr("output tokens"), false);
        kind_->addItem(tr("first tokens"), true);
        kind_->setAccessibleName(tr("Tokens of the chart"));
        layOut();
        connectAll();
    }

    DataTable* table() const override {
        for (DataTable* focused : {latencyTable_, partsTable_, timesTable_})
            if (focused->hasFocus()) return focused;
        return asTable_->isChecked() ? timesTable_ : breakdownTable_;
    }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfTimes(run); }

private:
    void forget() override {
        run_.reset();
        latency_.reset();
        chart_->setLatency(nullptr, false);
        breakdownModel_->setRows({});
        latencyModel_->setRows({});
        partsModel_->setRows({});
        timesModel_->setRows({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        showState(tr("Adding up the times…"), {});
        sequence_->setSequences(run_->summary.sequences, true);
        refresh();
    }

    QLabel* heading(const QString& title) const {
        auto* label = new QLabel(title, page());
        QFont bold = font();
        bold.setBold(true);
        label->setFont(bold);
        return label;
    }

    void layOut() {
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("Se&quence"), sequence_);
        addLabelled(bar, tr("&Chart of"), kind_);
        bar->addStretch();
        bar->addWidget(asTable_);
        auto* top = new QHBoxLayout;
        top->addWidget(heading(tr("Wall time of all sequences: computing, copying, idle")));
        top->addStretch();
        top->addWidget(range_);
        auto* pictures = new QWidget(page());
        auto* column = new QVBoxLayout(pictures);
        column->setContentsMargins(0, 0, 0, 0);
        column->addWidget(latencyBars_);
        column->addWidget(chart_, 1);
        tokens_->addWidget(pictures);
        auto* tables = new QWidget(page());
        auto* twins = new QVBoxLayout(tables);
        twins->setContentsMargins(0, 0, 0, 0);
        twins->addWidget(partsTable_);
        twins->addWidget(timesTable_, 1);
        timesTable_->setMinimumHeight(120);
        tokens_->addWidget(tables);
        auto* body = new QWidget(page());
        auto* content = new QVBoxLayout(body);
        content->setContentsMargins(8, 8, 8, 8);
        content->addLayout(top);
        content->addWidget(breakdownBars_);
        content->addWidget(breakdownTable_);
        content->addSpacing(6);
        tokensTitle_->setFont(heading({})->font());
        content->addWidget(tokensTitle_);
        content->addLayout(bar);
        content->addWidget(latencyTable_);
        content->addWidget(tokens_, 1);
        // A small window scrolls instead of squeezing the pictures.
        auto* scroll = new QScrollArea(page());
        scroll->setWidget(body);
        scroll->setWidgetResizable(true);
        scroll->setFrameShape(QFrame::NoFrame);
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(0, 0, 0, 0);
        layout->addWidget(scroll, 1);
    }

    void connectAll() {
        connect(kind_, &QComboBox::currentIndexChanged, this, [this] { showChart(); });
        sequence_->selectIn(selection());
        for (StackedBarsWidget* bars : {breakdownBars_, latencyBars_}) {
            connect(bars, &StackedBarsWidget::hovered, this, &View::status);
            connect(bars, &StackedBarsWidget::operationActivated, this,
                    [this](const QString& operation) { choose(operation); });
        }
        connect(chart_, &TokenChart::hovered, this, &View::status);
        connect(chart_, &TokenChart::tokenActivated, this, &TimeView::chooseToken);
        connect(timesTable_, &DataTable::chosen, this, [this](const QModelIndex& index) {
            const TokenTimeRow row = timesModel_->row(index.row());
            chooseToken(row.sequence, row.position);
        });
        connect(partsTable_, &DataTable::chosen, this, [this](const QModelIndex& index) {
            choose(partsModel_->row(index.row()).part.operation);
        });
        connect(&selection(), &Selection::changed, this, [this] { follow(); });
    }

    void choose(const QString& operation) {
        selection().edit([&](SelectionState& s) { s.operation = operation; });
    }

    void chooseToken(std::int64_t sequence, std::int64_t position) {
        // The selected sequence limits every view, but a click must not take away the tokens beside
        // the clicked one.
        clicked_ = true;
        selection().edit([&](SelectionState& s) {
            s.sequence = sequence;
            s.position = position;
        });
        clicked_ = false;
    }

    void refresh() {
        seen_ = selection().state().sequence;
        shown_ = {seen_, selection().state().range};
        sequence_->choose(shown_.sequence);
        range_->setText(extentText(shown_.range));
        startJob(
            [run = run_, filter = shown_] {
                return Times{timeBreakdown(run->steps, run->kernels(), filter.range),
                             std::make_shared<const TokenLatency>(
                                 tokenLatency(run->steps, run->operations, run->summary.sequences,
                                              run->meta("kind"), filter))};
            },
            [this](auto outcome) {
                if (!outcome.value) {
                    showFailure(tr("The times cannot be shown"), outcome.failure);
                    return;
                }
                showPage();
                show(std::move(*outcome.value));
            });
    }

    void show(Times times) {
        latency_ = std::move(times.latency);
        const bool ofRange = shown_.range.has_value();
        breakdownBars_->setBars(breakdownBars(times.breakdown, ofRange));
        latencyBars_->setBars(latencyBars(*latency_));
        breakdownModel_->setOfRange(ofRange);
        breakdownModel_->setRows(std::move(times.breakdown));
        latencyModel_->setRows(latencyRows(*latency_));
        partsModel_->setLatency(*latency_);
        timesModel_->setRows(tokenTimes(*latency_));
        for (DataTable* table : {breakdownTable_, latencyTable_, partsTable_}) {
            table->fitColumns(220);
            table->fitHeight();
        }
        timesTable_->fitColumns(260);
        const bool any = !latency_->tokens.empty();
        latencyTable_->setVisible(any);
        tokens_->setVisible(any);
        tokensTitle_->setText(
            any ? tr("Tokens: how long each took, and what for")
                : tr("No token was generated here, so that there is no latency of tokens."));
        showChart();
        highlight();
    }

    void showChart() {
        if (latency_) chart_->setLatency(latency_, kind_->currentData().toBool());
        highlight();
    }

    void follow() {
        if (!run_ || (run_->operations.size() == 0 && run_->steps.empty())) return;
        const SelectionState& state = selection().state();
        const bool same = state.sequence == seen_ || clicked_;
        seen_ = state.sequence;
        if (!same || state.range != shown_.range) {
            refresh();
        } else {
            highlight();
        }
    }

    void highlight() {
        const SelectionState& state = selection().state();
        latencyBars_->setHighlight(state.operation);
        chart_->setHighlight(state.operation);
        chart_->setCurrent(state.sequence, state.position);
        int found = -1;
        for (int i = 0; i < partsModel_->rowCount() && !state.operation.isEmpty(); ++i)
            if (partsModel_->row(i).part.operation == state.operation) found = i;
        partsTable_->selectSourceRow(found);
        int token = -1;
        for (int i = 0; i < timesModel_->rowCount() && token < 0 && state.position; ++i) {
            const TokenTimeRow& row = timesModel_->row(i);
            if (row.sequence == state.sequence && row.position == *state.position) token = i;
        }
        timesTable_->selectSourceRow(token);
    }

    RunPtr run_;
    std::shared_ptr<const TokenLatency> latency_;
    TokenFilter shown_;
    std::optional<std::int64_t> seen_;  ///< last sequence of the selection; also by a click here
    BreakdownModel* breakdownModel_;
    LatencyModel* latencyModel_;
    TokenPartsModel* partsModel_;
    TokenTimesModel* timesModel_;
    DataTable *breakdownTable_, *latencyTable_, *partsTable_, *timesTable_;
    StackedBarsWidget *breakdownBars_, *latencyBars_;
    TokenChart* chart_;
    SequenceBox* sequence_;
    QComboBox* kind_;
    QStackedWidget* tokens_;
    QPushButton* asTable_;
    QLabel *range_, *tokensTitle_;
    bool clicked_ = false;
};

}  // namespace

View* makeTimeView(Selection& selection, QWidget* parent) {
    return new TimeView(selection, parent);
}

}  // namespace moescope::gui
