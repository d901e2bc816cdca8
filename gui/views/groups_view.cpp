// SPDX-License-Identifier: Apache-2.0
// Do groups of texts, or an evaluation's items by whom they speak of, use different experts? Lift
// by layer and expert, beside it the groups with their leading experts and the layers' divergence
// against chance.
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/specialization_models.h"
#include "gui/views/view.h"
#include "gui/widgets/heatmap_widget.h"
#include "profiler/analysis/item_groups.h"
#include "reports/item_comparisons.h"
#include "reports/specialization_text.h"

namespace moescope::gui {
namespace {

constexpr int kTexts = -1;  ///< in place of the index of a grouping: texts by their own group

struct Compared {
    Specialization of;
    std::string basis;  ///< of items: which tokens, and between what the names were exchanged
};

struct Opened {
    std::vector<ItemGrouping> groupings;
    bool texts = false;  ///< those can be compared, too
    int first = kTexts;  ///< the one that `compared` is of
    Compared compared;
};

Compared comparedItems(const RunReader& run, const ItemGrouping& grouping, const StopFlag* stop) {
    // The same words first, where the run holds them.
    ItemComparison one = compareItemGroups(run, {grouping}, {.stop = stop}).front();
    std::string basis = "Tokens of each item: " + tokensText(one) + "; names exchanged " +
                        exchangeText(one.of) + ".";
    return {std::move(one.of), std::move(basis)};
}

Opened openGroups(const RunReader& run, const StopFlag* stop) {
    Opened out;
    out.groupings = itemGroupings(run);
    out.compared.of = specialization(run, {.stop = stop});
    out.texts = !out.compared.of.empty();
    if (out.texts || out.groupings.empty()) return out;
    const auto counterparts =
        std::find_if(out.groupings.begin(), out.groupings.end(), [](const ItemGrouping& grouping) {
            return grouping.exchange == Exchange::WithinBlocks && grouping.key != kOutcome;
        });
    out.first = counterparts == out.groupings.end()
                    ? 0
                    : static_cast<int>(counterparts - out.groupings.begin());
    out.compared = comparedItems(run, out.groupings[static_cast<std::size_t>(out.first)], stop);
    return out;
}

class GroupsView : public View {
    Q_DECLARE_TR_FUNCTIONS(GroupsView)
public:
    GroupsView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          heatmap_(new HeatmapWidget(page())),
          matrixModel_(new HeatmapModel(this)),
          groupsModel_(new GroupExpertsModel(this)),
          layersModel_(new LayerDivergenceModel(this)),
          matrixTable_(new DataTable(tr("Lift as a table"), page())),
          groupsTable_(new DataTable(tr("Groups and their leading experts"), page())),
          layersTable_(new DataTable(tr("Divergence of the layers"), page())),
          caption_(new QLabel(page())),
          grouping_(new QComboBox(page())),
          group_(new QComboBox(page())),
          stack_(new QStackedWidget(page())),
          asTable_(tableSwitch(stack_)) {
        grouping_->setAccessibleName(tr("Groups that are compared"));
        group_->setAccessibleName(tr("Group"));
        for (QComboBox* box : {grouping_, group_})
            box->setSizeAdjustPolicy(QComboBox::AdjustToContents);
        matrixTable_->setSource(matrixModel_, false);
        matrixTable_->showAsMatrix(tr("Layer"));
        groupsTable_->setSource(groupsModel_, true);
        groupsTable_->setLeastWidth(0, 240);  // names stay whole, the list of experts gives way
        layersTable_->setSource(layersModel_, true);
        stack_->addWidget(heatmap_);
        stack_->addWidget(matrixTable_);
        layOut();
        connectAll();
    }

    DataTable* table() const override {
        if (layersTable_->hasFocus()) return layersTable_;
        return asTable_->isChecked() && !groupsTable_->hasFocus() ? matrixTable_ : groupsTable_;
    }
    void fit() override { heatmap_->fit(); }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfRouting(run); }

private:
    void forget() override {
        run_.reset();
        of_ = {};
        groupings_.clear();
        grouping_->clear();
        clearFigures();
    }

    void clearFigures() {
        updating_ = true;
        group_->clear();
        updating_ = false;
        heatmap_->setData({});
        matrixModel_->setData({});
        groupsModel_->setRows({});
        layersModel_->setRows({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        showBusy();
        startJob([run = run_](const StopFlag* stop) { return openGroups(run->reopen(stop), stop); },
                 [this](auto outcome) {
                     if (!outcome.value) {
                         showFailure(tr("The groups cannot be compared"), outcome.failure);
                         return;
                     }
                     listGroupings(std::move(*outcome.value));
                 });
    }

    void showBusy() {
        showState(tr("Comparing the groups"), tr("A permutation test over whole texts."));
    }

    void listGroupings(Opened opened) {
        groupings_ = std::move(opened.groupings);
        if (opened.texts) grouping_->addItem(tr("texts by their group"), kTexts);
        for (std::size_t i = 0; i < groupings_.size(); ++i)
            grouping_->addItem(
                tr("%1 by %2").arg(text(groupings_[i].suite), text(groupings_[i].key)),
                static_cast<int>(i));
        grouping_->setCurrentIndex(grouping_->findData(opened.first));
        grouping_->setEnabled(grouping_->count() > 1);
        show(std::move(opened.compared));
    }

    /// What the user chose in the list.
    void compare() {
        const int chosen = grouping_->currentData().toInt();
        showBusy();
        startJob(
            [run = run_,
             grouping =
                 chosen == kTexts ? ItemGrouping() : groupings_[static_cast<std::size_t>(chosen)],
             chosen](const StopFlag* stop) {
                const RunReader reader = run->reopen(stop);
                if (chosen == kTexts) return Compared{specialization(reader, {.stop = stop}), {}};
                return comparedItems(reader, grouping, stop);
            },
            [this](auto outcome) {
                if (!outcome.value) {
                    showFailure(tr("The groups cannot be compared"), outcome.failure);
                } else {
                    show(std::move(*outcome.value));
                }
            });
    }

    void layOut() {
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("&Groups"), grouping_);
        addLabelled(bar, tr("&Lift of"), group_);
        bar->addStretch();
        bar->addWidget(asTable_);
        caption_->setObjectName(QStringLiteral("caption"));
        caption_->setWordWrap(true);
        auto* tables = new QSplitter(Qt::Vertical, page());
        tables->addWidget(groupsTable_);
        tables->addWidget(layersTable_);
        auto* splitter = new QSplitter(page());
        splitter->addWidget(stack_);
        splitter->addWidget(tables);
        splitter->setStretchFactor(0, 3);
        splitter->setStretchFactor(1, 2);
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(caption_);
        layout->addWidget(splitter, 1);
    }

    void connectAll() {
        connect(grouping_, &QComboBox::activated, this, [this] { compare(); });
        connect(group_, &QComboBox::currentIndexChanged, this, [this] { showLift(); });
        connect(heatmap_, &HeatmapWidget::hovered, this, &View::status);
        connect(heatmap_, &HeatmapWidget::currentChanged, this,
                [this](HeatmapCell cell) { choose(cell.row, cell.column); });
        connect(matrixTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(index.row(), index.column()); });
        connect(layersTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(index.row(), -1); });
        connect(groupsTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { group_->setCurrentIndex(index.row() + 1); });
        connect(&selection(), &Selection::changed, this, [this] { highlight(); });
    }

    void show(Compared compared) {
        of_ = std::move(compared.of);
        if (of_.empty()) {
            clearFigures();
            caption_->setText(text(of_.reason));
            // The other groupings stay within reach.
            if (grouping_->count() > 1)
                showPage();
            else
                showState(tr("Nothing to compare"), text(of_.reason));
            return;
        }
        updating_ = true;
        group_->clear();
        group_->addItem(tr("the group that prefers it most"), kAnyGroup);
        for (std::size_t i = 0; i < of_.groups.size(); ++i)
            group_->addItem(text(of_.groups[i].name), static_cast<int>(i));
        groupsModel_->setRows(groupExperts(of_));
        layersModel_->setRows(of_.layers);
        groupsTable_->fitColumns(360);
        layersTable_->fitColumns(120);
        QStringList sentences;
        if (!compared.basis.empty()) sentences.append(text(compared.basis));
        for (const std::string& sentence : specializationSentences(of_))
            sentences.append(text(sentence));
        caption_->setText(sentences.join(QChar(' ')));
        updating_ = false;
        showPage();
        showLift();
    }

    void showLift() {
        if (updating_ || of_.empty()) return;
        const HeatmapData data = liftHeatmap(of_, group_->currentData().toInt());
        heatmap_->setData(data);
        matrixModel_->setData(data);
        highlight();
    }

    void choose(int row, int expert) {
        if (row < 0 || row >= static_cast<int>(of_.layers.size())) return;
        selection().edit([&](SelectionState& s) {
            s.layer = of_.layers[static_cast<std::size_t>(row)].layer;
            s.expert = expert >= 0 ? std::optional(expert) : std::nullopt;
        });
    }

    void highlight() {
        if (of_.empty()) return;
        const SelectionState& state = selection().state();
        const auto found =
            std::find_if(of_.layers.begin(), of_.layers.end(),
                         [&](const LayerSpecialization& l) { return state.layer == l.layer; });
        const int row =
            found == of_.layers.end() ? -1 : static_cast<int>(found - of_.layers.begin());
        const bool cell =
            row >= 0 && state.expert && *state.expert >= 0 && *state.expert < of_.experts;
        heatmap_->setCurrent(cell ? std::optional(HeatmapCell{row, *state.expert}) : std::nullopt);
        matrixTable_->selectSourceRow(cell ? row : -1, cell ? *state.expert : 0);
        layersTable_->selectSourceRow(row);
    }

    RunPtr run_;
    std::vector<ItemGrouping> groupings_;
    Specialization of_;
    HeatmapWidget* heatmap_;
    HeatmapModel* matrixModel_;
    GroupExpertsModel* groupsModel_;
    LayerDivergenceModel* layersModel_;
    DataTable *matrixTable_, *groupsTable_, *layersTable_;
    QLabel* caption_;
    QComboBox *grouping_, *group_;
    QStackedWidget* stack_;
    QPushButton* asTable_;
    bool updating_ = false;
};

}  // namespace

View* makeGroupsView(Selection& selection, QWidget* parent) {
    return new GroupsView(selection, parent);
}

}  // namespace moescope::gui
