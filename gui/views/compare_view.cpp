// SPDX-License-Identifier: Apache-2.0
// Which operations got faster or slower against another run, and which scores of suites changed,
// and whether that is more than noise: the numbers of `moescope compare`; and the layers of both by
// depth. Shows what both runs hold.
#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QVBoxLayout>
#include <array>
#include <filesystem>
#include <system_error>

#include "gui/app/recent_runs.h"
#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/difference_models.h"
#include "gui/models/suite_change_model.h"
#include "gui/views/depth_pane.h"
#include "gui/views/view.h"
#include "gui/widgets/row_details.h"
#include "reports/comparison.h"
#include "reports/suite_comparison.h"

namespace moescope::gui {
namespace {

struct Compared {
    RunDifference times;
    std::vector<std::string> cautions;
    SuiteComparison suites;
    std::vector<DepthRun> depth;  ///< the baseline first
};

EvaluatedRun evaluatedRun(const RunPtr& run) {
    return {&run->summary, [run](std::int64_t id) -> std::span<const ItemRow> {
                for (const SuiteData& suite : run->suites)
                    if (suite.suite.id == id) return suite.items;
                return {};
            }};
}

DepthRun depthRun(const RunData& run, const QString& role) {
    return {run.path.filename().string() + " (" + role.toStdString() + ")", role.toStdString(),
            depthProfile(run.summary)};
}

class CompareView : public View {
    Q_DECLARE_TR_FUNCTIONS(CompareView)
public:
    CompareView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          model_(new DifferenceModel(this)),
          suiteModel_(new SuiteChangeModel(this)),
          table_(new DataTable(tr("Time per token, beside the baseline"), page())),
          suiteTable_(new DataTable(tr("Scores of suites, beside the baseline"), page())),
          scores_(new QWidget(page())),
          depth_(new DepthPane(page())),
          baselines_(new QComboBox(page())),
          caption_(new QLabel(page())) {
        baselines_->setAccessibleName(tr("Baseline"));
        baselines_->setMinimumContentsLength(28);
        auto* choose = new QPushButton(tr("&Other file…"), page());
        caption_->setWordWrap(true);
        caption_->setTextFormat(Qt::PlainText);
        caption_->setTextInteractionFlags(Qt::TextSelectableByMouse);
        table_->setSource(model_, true);
        suiteTable_->setSource(suiteModel_, true);
        for (const int names : {0, 1, 2}) suiteTable_->setLeastWidth(names, 130);
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("&Baseline"), baselines_);
        bar->addWidget(choose);
        bar->addStretch();
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(caption_);
        auto* tables = new QSplitter(Qt::Vertical, page());
        tables->setChildrenCollapsible(false);
        auto* scoresColumn = new QVBoxLayout(scores_);
        scoresColumn->setContentsMargins(0, 0, 0, 0);
        scoresColumn->addWidget(suiteTable_, 1);
        scoresColumn->addWidget(
            new RowDetails(suiteTable_, {SuiteChangeModel::kNoteColumn}, scores_));
        tables->addWidget(scores_);
        tables->addWidget(table_);
        tables->addWidget(depth_);
        layout->addWidget(tables, 1);
        connect(baselines_, &QComboBox::activated, this,
                [this] { setBaseline(baselines_->currentData().toString()); });
        connect(choose, &QPushButton::clicked, this, [this] {
            const QString path = QFileDialog::getOpenFileName(
                this, tr("Baseline"), QString(), tr("Runs (*.moescope);;All files (*)"));
            if (!path.isEmpty()) setBaseline(path);
        });
        connect(depth_, &DepthPane::hovered, this, &View::status);
        connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this,
                [this](const QItemSelection& chosen) {
                    if (chosen.isEmpty()) return;
                    const int row = table_->sourceRow(chosen.indexes().front());
                    this->selection().edit(
                        [&](SelectionState& s) { s.operation = text(model_->row(row).op); });
                });
    }

    DataTable* table() const override {
        if (depth_->table()->hasFocus() || (table_->isHidden() && scores_->isHidden()))
            return depth_->table();
        return suiteTable_->hasFocus() || table_->isHidden() ? suiteTable_ : table_;
    }

    std::optional<Lack> lack(const RunData& run) const override {
        if (!run.steps.empty() || !run.suites.empty() || !run.routing.empty()) return {};
        return Lack{tr("This run has neither times nor evaluations nor expert routing"),
                    tr("moescope profile records times and routing, moescope eval evaluates "
                       "suites.")};
    }

    void setBaseline(const QString& path) override {
        baseline_ = path;
        if (run_) compare();
    }

protected:
    void forget() override {
        run_.reset();
        model_->setRows({});
        suiteModel_->setRows({});
        depth_->setRuns({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        compare();
    }

private:
    bool isOpenRun(const QString& path) const {
        const std::filesystem::path file = path.toStdString();
        std::error_code missing;
        return file == run_->path || std::filesystem::equivalent(file, run_->path, missing);
    }

    void listBaselines() {
        baselines_->clear();
        baselines_->addItem(tr("choose a run"), QString());
        QStringList paths = recentRuns();
        if (!baseline_.isEmpty() && !paths.contains(baseline_)) paths.prepend(baseline_);
        for (const QString& path : paths) {
            const bool open = isOpenRun(path);
            if (open && path != baseline_) continue;
            baselines_->addItem(open ? tr("this run") : QFileInfo(path).fileName(), path);
            baselines_->setItemData(baselines_->count() - 1, path, Qt::ToolTipRole);
        }
        baselines_->setCurrentIndex(std::max(0, baselines_->findData(baseline_)));
    }

    void compare() {
        // Nothing of the baseline before may stay.
        model_->setRows({});
        suiteModel_->setRows({});
        depth_->setRuns({});
        scores_->setVisible(!run_->suites.empty());
        table_->setVisible(!run_->steps.empty());
        showPage();
        listBaselines();
        if (baseline_.isEmpty()) {
            caption_->setText(tr("Choose the run that this one is compared with."));
            return;
        }
        if (isOpenRun(baseline_)) {
            caption_->setText(tr("This run is the baseline: choose another to compare it with."));
            return;
        }
        caption_->setText(tr("Comparing…"));
        startJob(
            [run = run_, path = baseline_.toStdString()](const StopFlag* stop) {
                const RunPtr base = loadRun(path, stop);
                return Compared{
                    runDifference({base->steps, base->operations}, {run->steps, run->operations}),
                    allCautions(base->summary, run->summary),
                    compareSuites(std::array{evaluatedRun(base), evaluatedRun(run)}),
                    {depthRun(*base, tr("the baseline")), depthRun(*run, tr("this run"))}};
            },
            [this](auto outcome) {
                if (!outcome.value) {
                    const QString &what = outcome.failure.what, &hint = outcome.failure.hint;
                    caption_->setText(hint.isEmpty() ? what : what + QChar('\n') + hint);
                } else {
                    show(*outcome.value);
                }
            });
    }

    void show(const Compared& compared) {
        const RunDifference& difference = compared.times;
        QString says =
            tr("%1 (this run) against %2 (the baseline). ")
                .arg(text(run_->path.filename().string()), QFileInfo(baseline_).fileName());
        for (const std::string& caution : compared.cautions)
            says += tr("Beside the baseline: %1. ").arg(text(caution));
        const std::vector<MetricChange>& scores = compared.suites.changes;
        if (!run_->suites.empty()) {
            // Each is a line, so that a few are read; all of them are in `moescope compare`.
            constexpr std::size_t kMost = 5;
            const std::vector<std::string>& warnings = compared.suites.warnings;
            for (std::size_t i = 0; i < std::min(kMost, warnings.size()); ++i)
                says += QStringLiteral("\n! ") + text(warnings[i]);
            if (warnings.size() > kMost)
                says += QChar('\n') + tr("! and %1 more").arg(warnings.size() - kMost);
            if (!warnings.empty()) says += QChar('\n');
            if (!scores.empty()) says += text(kSuiteComparisonNote) + QChar(' ');
        }
        if (difference.rows.empty() && scores.empty())
            says += tr("The two runs have neither a phase nor a suite in common. ");
        for (const DifferencePhase& phase : difference.phases)
            says += text(phaseSentence(phase)) + QStringLiteral(". ");
        if (!difference.rows.empty()) says += text(kBetweenRunsNote);
        caption_->setText(says);
        model_->setRows(difference.rows);
        table_->fitColumns(260);
        suiteModel_->setRows(scores);
        suiteTable_->fitColumns(260);
        suiteTable_->selectSourceRow(0);
        depth_->setRuns(run_->routing.empty() ? std::vector<DepthRun>() : compared.depth);
        // A table without rows would take half of the room.
        table_->setVisible(!difference.rows.empty() || (scores.empty() && depth_->isHidden()));
        scores_->setVisible(!scores.empty());
    }

    RunPtr run_;
    QString baseline_;  ///< "": none chosen
    DifferenceModel* model_;
    SuiteChangeModel* suiteModel_;
    DataTable *table_, *suiteTable_;
    QWidget* scores_;  ///< suiteTable_ and what its row says
    DepthPane* depth_;
    QComboBox* baselines_;
    QLabel* caption_;
};

}  // namespace

View* makeCompareView(Selection& selection, QWidget* parent) {
    return new CompareView(selection, parent);
}

}  // namespace moescope::gui
