// SPDX-License-Identifier: Apache-2.0
// Does a hot expert cost time? Launches of the experts against their load, with the fitted cost.
// The selected time range and sequence limit it; the selected layer stands out.
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/load_models.h"
#include "gui/views/sequence_box.h"
#include "gui/views/view.h"
#include "gui/widgets/load_scatter.h"

namespace moescope::gui {
namespace {

/// What is shown, made in a worker.
struct Fitted {
    std::vector<ExpertLaunch> launches;
    std::vector<ExpertLoadPhase> phases;  ///< the one phase; empty without launches
};

class ExpertTimeView : public View {
    Q_DECLARE_TR_FUNCTIONS(ExpertTimeView)
public:
    ExpertTimeView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          scatter_(new LoadScatterWidget(page())),
          launchesModel_(new LaunchesModel(this)),
          fitModel_(new LoadFitModel(this)),
          quartersModel_(new LoadQuartersModel(this)),
          launchesTable_(new DataTable(tr("Launches of the experts"), page())),
          fitTable_(new DataTable(tr("What a launch of the experts costs"), page())),
          quartersTable_(new DataTable(tr("Launches by how hot they are"), page())),
          phase_(new QComboBox(page())),
          axis_(new QComboBox(page())),
          sequence_(new SequenceBox(page())),
          stack_(new QStackedWidget(page())),
          asTable_(tableSwitch(stack_)),
          verdict_(new QLabel(page())) {
        phase_->setAccessibleName(tr("Phase"));
        axis_->addItem(tr("at equal tokens and active experts"), true);
        axis_->addItem(tr("as measured"), false);
        axis_->setAccessibleName(tr("Time"));
        axis_->setMinimumWidth(150);  // in a small window its text gives way
        axis_->setToolTip(
            tr("At equal tokens and active experts: what the fit says of tokens, active experts "
               "and layer is taken out of each time, so that the line can be seen in the points"));
        verdict_->setWordWrap(true);
        verdict_->setTextFormat(Qt::PlainText);
        verdict_->setTextInteractionFlags(Qt::TextSelectableByMouse);
        launchesTable_->setSource(launchesModel_, true);
        fitTable_->setSource(fitModel_, false);
        quartersTable_->setSource(quartersModel_, false);
        layOut();
        connect(phase_, &QComboBox::activated, this, [this] { refresh(); });
        connect(axis_, &QComboBox::activated, this, [this] { showPoints(); });
        sequence_->selectIn(selection);
        connect(scatter_, &LoadScatterWidget::hovered, this, &View::status);
        connect(scatter_, &LoadScatterWidget::launchActivated, this,
                [this](const ExpertLaunch& launch) { choose(launch); });
        connect(launchesTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(launchesModel_->row(index.row())); });
        connect(&selection, &Selection::changed, this, [this] { follow(); });
    }

    DataTable* table() const override {
        return quartersTable_->hasFocus() ? quartersTable_
               : asTable_->isChecked()    ? launchesTable_
                                          : fitTable_;
    }

    std::optional<Lack> lack(const RunData& run) const override {
        const std::optional<Lack> times = lackOfTimes(run);
        return times ? times : lackOfTokenRouting(run);
    }

private:
    void forget() override {
        run_.reset();
        load_.reset();
        fitted_ = {};
        launchesModel_->setRows({});
        fitModel_->setRows({});
        quartersModel_->setRows({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        showState(tr("Reading the experts of each token…"), {});
        sequence_->setSequences(run_->summary.sequences, true);
        startJob(
            [run = run_](const StopFlag* stop) {
                return std::make_shared<const ExpertLoad>(expertLoad(
                    run->reopen(stop), run->steps, run->operations, run->summary.experts));
            },
            [this](auto outcome) {
                if (!outcome.value) {
                    showFailure(tr("The launches cannot be shown"), outcome.failure);
                } else if ((*outcome.value)->phases.empty()) {
                    showState(tr("This run cannot tell whether a hot expert costs time"),
                              text((*outcome.value)->reason));
                } else {
                    load_ = std::move(*outcome.value);
                    showPage();
                    listPhases();
                    refresh();
                }
            });
    }

    void layOut() {
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("&Phase"), phase_);
        addLabelled(bar, tr("Se&quence"), sequence_);
        addLabelled(bar, tr("T&ime"), axis_);
        bar->addStretch();
        bar->addWidget(asTable_);
        stack_->addWidget(scatter_);
        stack_->addWidget(launchesTable_);
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(verdict_);
        layout->addWidget(stack_, 1);
        layout->addWidget(fitTable_);
        layout->addWidget(quartersTable_);
    }

    /// The first shown is the one that can answer, where one can.
    void listPhases() {
        phase_->clear();
        int answering = 0;
        for (const ExpertLoadPhase& phase : load_->phases) {
            if (phase.fit.coefficients.back().estimated) answering = phase_->count();
            phase_->addItem(text(phase.phase));
        }
        phase_->setCurrentIndex(answering);
    }

    void refresh() {
        if (!load_) return;
        const SelectionState& state = selection().state();
        shownSequence_ = state.sequence;
        shownRange_ = state.range;
        sequence_->choose(shownSequence_);
        startJob(
            [run = run_, load = load_, phase = phase_->currentText().toStdString(),
             sequence = shownSequence_, range = shownRange_] {
                Fitted out{chosenLaunches(*load, run->steps, phase, sequence, range), {}};
                out.phases = expertLoadPhases(out.launches, run->steps, run->summary.experts);
                return out;
            },
            [this](auto outcome) {
                if (outcome.value) show(std::move(*outcome.value));
            });
    }

    void show(Fitted fitted) {
        fitted_ = std::move(fitted);
        const bool any = !fitted_.phases.empty();
        const ExpertLoadPhase phase = any ? fitted_.phases.front() : ExpertLoadPhase();
        QString says =
            any ? tr("%1. %2").arg(formatCounted(phase.launches, "launch"), text(phase.verdict))
                : tr("No launch of this phase is in what is selected.");
        if (any && phase.fit.estimated()) says += ' ' + text(phase.basis());
        if (shownRange_) says += tr(" Only the selected time range (Esc: all).");
        verdict_->setText(says);
        launchesModel_->setRows(fitted_.launches);
        fitModel_->setRows(phase.fit.coefficients);
        quartersModel_->setRows(phase.quarters);
        launchesTable_->fitColumns(160);
        for (DataTable* table : {fitTable_, quartersTable_}) {
            table->fitColumns(260);
            table->fitHeight();
            table->setVisible(table->model()->rowCount() > 0);
        }
        showPoints();
    }

    void showPoints() {
        if (!load_) return;
        const ExpertLoadPhase phase =
            fitted_.phases.empty() ? ExpertLoadPhase() : fitted_.phases.front();
        axis_->setEnabled(phase.fit.estimated() && phase.fit.coefficients.back().estimated);
        scatter_->setPoints(fitted_.launches,
                            loadScatter(fitted_.launches, phase, axis_->currentData().toBool()));
        scatter_->setLayer(selection().state().layer);
    }

    void choose(const ExpertLaunch& launch) {
        selection().edit([&](SelectionState& s) {
            s.layer = launch.layer;
            s.expert = launch.hottestExpert;
        });
    }

    void follow() {
        if (!load_) return;
        const SelectionState& state = selection().state();
        if (state.sequence != shownSequence_ || state.range != shownRange_)
            refresh();
        else
            scatter_->setLayer(state.layer);
    }

    RunPtr run_;
    std::shared_ptr<const ExpertLoad> load_;  ///< null until it is read, or when there is none
    Fitted fitted_;
    LoadScatterWidget* scatter_;
    LaunchesModel* launchesModel_;
    LoadFitModel* fitModel_;
    LoadQuartersModel* quartersModel_;
    DataTable *launchesTable_, *fitTable_, *quartersTable_;
    QComboBox *phase_, *axis_;
    SequenceBox* sequence_;
    QStackedWidget* stack_;
    QPushButton* asTable_;
    QLabel* verdict_;
    std::optional<std::int64_t> shownSequence_;
    std::optional<TimeRange> shownRange_;
};

}  // namespace

View* makeExpertTimeView(Selection& selection, QWidget* parent) {
    return new ExpertTimeView(selection, parent);
}

}  // namespace moescope::gui
