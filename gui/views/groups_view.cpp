// SPDX-License-Identifier: Apache-2.0
// Do groups of texts use different experts? Lift by layer and expert, beside it the groups with
// their leading experts and the layers' divergence against chance.
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
#include "reports/specialization_text.h"

namespace moescope::gui {
namespace {

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
          group_(new QComboBox(page())),
          stack_(new QStackedWidget(page())),
          asTable_(tableSwitch(stack_)) {
        group_->setAccessibleName(tr("Group"));
        group_->setSizeAdjustPolicy(QComboBox::AdjustToContents);
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
        of_ = {};
        group_->clear();
        matrixModel_->setData({});
        groupsModel_->setRows({});
        layersModel_->setRows({});
    }

    void open(RunPtr run) override {
        showState(tr("Comparing the groups"), tr("A permutation test over whole texts."));
        startJob(
            [run](const StopFlag* stop) {
                return specialization(run->reopen(stop), {.stop = stop});
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
        addLabelled(bar, tr("&Lift of"), group_);
        bar->addStretch();
        bar->addWidget(asTable_);
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

    void show(Specialization of) {
        of_ = std::move(of);
        if (of_.empty()) {
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

    Specialization of_;
    HeatmapWidget* heatmap_;
    HeatmapModel* matrixModel_;
    GroupExpertsModel* groupsModel_;
    LayerDivergenceModel* layersModel_;
    DataTable *matrixTable_, *groupsTable_, *layersTable_;
    QLabel* caption_;
    QComboBox* group_;
    QStackedWidget* stack_;
    QPushButton* asTable_;
    bool updating_ = false;
};

}  // namespace

View* makeGroupsView(Selection& selection, QWidget* parent) {
    return new GroupsView(selection, parent);
}

}  // namespace moescope::gui
