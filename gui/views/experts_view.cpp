// SPDX-License-Identifier: Apache-2.0
// Layer x expert load: heat map or the same as a table, beside it the balance of each layer.
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QTimer>
#include <QVBoxLayout>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/routing_models.h"
#include "gui/views/sequence_box.h"
#include "gui/views/view.h"
#include "gui/widgets/heatmap_widget.h"

namespace moescope::gui {
namespace {

class ExpertsView : public View {
    Q_DECLARE_TR_FUNCTIONS(ExpertsView)
public:
    ExpertsView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          heatmap_(new HeatmapWidget(page())),
          matrixModel_(new HeatmapModel(this)),
          balanceModel_(new LayerBalanceModel(this)),
          matrixTable_(new DataTable(tr("Expert load as a table"), page())),
          balanceTable_(new DataTable(tr("Balance of the layers"), page())),
          caption_(new QLabel(page())),
          scale_(new QComboBox(page())),
          sequence_(new SequenceBox(page())),
          stack_(new QStackedWidget(page())),
          asTable_(tableSwitch(stack_)) {
        scale_->addItem(tr("× uniform"), int(LoadScale::Uniform));
        scale_->addItem(tr("Share"), int(LoadScale::Share));
        scale_->addItem(tr("Log₂ of × uniform"), int(LoadScale::Log));
        scale_->setAccessibleName(tr("Scale"));
        matrixTable_->setSource(matrixModel_, false);
        matrixTable_->showAsMatrix(tr("Layer"));
        balanceTable_->setSource(balanceModel_, true);
        stack_->addWidget(heatmap_);
        stack_->addWidget(matrixTable_);
        layOut();
        connect(scale_, &QComboBox::currentIndexChanged, this, [this] { showMatrix(); });
        connect(heatmap_, &HeatmapWidget::hovered, this, &View::status);
        connect(heatmap_, &HeatmapWidget::currentChanged, this,
                [this](HeatmapCell cell) { choose(cell.row, cell.column); });
        connect(matrixTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(index.row(), index.column()); });
        connect(balanceTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(index.row(), -1); });
        sequence_->selectIn(selection);
        connect(&selection, &Selection::changed, this, [this] { follow(); });
    }

    DataTable* table() const override {
        return asTable_->isChecked() && !balanceTable_->hasFocus() ? matrixTable_ : balanceTable_;
    }
    void fit() override { heatmap_->fit(); }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfRouting(run); }

private:
    void forget() override {
        run_.reset();
        matrix_ = {};
        matrixModel_->setData({});
        balanceModel_->setRows({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        showPage();
        sequence_->setSequences(run_->summary.sequences, true);
        reload();
    }

    void layOut() {
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("S&cale"), scale_);
        addLabelled(bar, tr("Se&quence"), sequence_);
        bar->addStretch();
        bar->addWidget(asTable_);
        caption_->setWordWrap(true);
        splitter_ = new QSplitter(page());
        splitter_->addWidget(stack_);
        splitter_->addWidget(balanceTable_);
        splitter_->setStretchFactor(0, 1);
        connect(splitter_, &QSplitter::splitterMoved, this, [this] { divided_ = true; });
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(caption_);
        layout->addWidget(splitter_, 1);
    }

    /// The table gets what its columns need, the picture the rest, until the user divides anew.
    void divide() {
        constexpr int kLeastPicture = 220;
        const int room = splitter_->width() - splitter_->handleWidth();
        if (divided_ || room <= 0) return;
        const int table =
            std::clamp(balanceTable_->compactWidth(), 0, std::max(0, room - kLeastPicture));
        splitter_->setSizes({room - table, table});
    }
    void resizeEvent(QResizeEvent* event) override {
        View::resizeEvent(event);
        QTimer::singleShot(0, this, [this] { divide(); });  // once the splitter has its size
    }

    void showCaption() {
        std::int64_t tokens = 0;  // of the busiest layer; a dense layer among them has none
        for (const LayerRouting& row : balanceModel_->rows())
            tokens = std::max(tokens, row.balance.tokens);
        caption_->setText(
            (shown_ ? tr("Load per expert, per layer, accumulated over the %1 routed tokens of "
                         "sequence %2")
                          .arg(formatCount(tokens))
                          .arg(*shown_)
                    : tr("Load per expert, per layer, accumulated over %1 routed tokens of all "
                         "sequences")
                          .arg(formatCount(tokens))));
    }

    void reload() {
        shown_ = selection().state().sequence;
        sequence_->choose(shown_);
        matrix_ = loadMatrix(*run_, shown_);
        showMatrix();
        startJob(
            [matrix = matrix_, topK = run_->summary.topK] { return layerBalance(matrix, topK); },
            [this](auto outcome) {
                if (!outcome.value) return;
                balanceModel_->setRows(std::move(*outcome.value));
                balanceTable_->fitColumns(120);
                showCaption();
                divide();
                highlight();
            });
    }

    void showMatrix() {
        const auto scale = static_cast<LoadScale>(scale_->currentData().toInt());
        const HeatmapData data = loadHeatmap(matrix_, scale);
        heatmap_->setData(data);
        matrixModel_->setData(data);
        highlight();
    }

    void choose(int row, int expert) {
        if (row < 0 || row >= static_cast<int>(matrix_.layers.size())) return;
        selection().edit([&](SelectionState& s) {
            s.layer = matrix_.layers[static_cast<std::size_t>(row)];
            s.expert = expert >= 0 ? std::optional(expert) : std::nullopt;
        });
    }

    void follow() {
        if (!run_ || run_->routing.empty()) return;
        if (selection().state().sequence != shown_) {
            reload();
        } else {
            highlight();
        }
    }

    void highlight() {
        const SelectionState& state = selection().state();
        int row = -1;
        if (state.layer) {
            const auto found =
                std::lower_bound(matrix_.layers.begin(), matrix_.layers.end(), *state.layer);
            if (found != matrix_.layers.end() && *found == *state.layer)
                row = static_cast<int>(found - matrix_.layers.begin());
        }
        const bool cell =
            row >= 0 && state.expert && *state.expert >= 0 && *state.expert < matrix_.experts;
        heatmap_->setCurrent(cell ? std::optional(HeatmapCell{row, *state.expert}) : std::nullopt);
        matrixTable_->selectSourceRow(cell ? row : -1, cell ? *state.expert : 0);
        if (row < balanceModel_->rowCount()) balanceTable_->selectSourceRow(row);
    }

    RunPtr run_;
    LoadMatrix matrix_;
    HeatmapWidget* heatmap_;
    HeatmapModel* matrixModel_;
    LayerBalanceModel* balanceModel_;
    DataTable *matrixTable_, *balanceTable_;
    QLabel* caption_;
    QComboBox* scale_;
    SequenceBox* sequence_;
    QStackedWidget* stack_;
    QPushButton* asTable_;
    QSplitter* splitter_ = nullptr;
    bool divided_ = false;  ///< by hand
    std::optional<std::int64_t> shown_;
};

}  // namespace

View* makeExpertsView(Selection& selection, QWidget* parent) {
    return new ExpertsView(selection, parent);
}

}  // namespace moescope::gui
