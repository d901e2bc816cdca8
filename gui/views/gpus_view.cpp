// SPDX-License-Identifier: Apache-2.0
// Experts on several GPUs: placements judged on texts that they were not decided on, and for the
// chosen one the load of the GPUs by layer.
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>
#include <tuple>
#include <utility>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/parallel_models.h"
#include "gui/views/view.h"
#include "gui/widgets/heatmap_widget.h"

namespace moescope::gui {
namespace {

class GpusView : public View {
    Q_DECLARE_TR_FUNCTIONS(GpusView)
public:
    GpusView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          heatmap_(new HeatmapWidget(page())),
          matrixModel_(new HeatmapModel(this)),
          placementsModel_(new PlacementsModel(this)),
          matrixTable_(new DataTable(tr("Load of the GPUs as a table"), page())),
          placementsTable_(new DataTable(tr("Placements of the experts"), page())),
          caption_(new QLabel(page())),
          shown_(new QLabel(page())),
          step_(new QComboBox(page())),
          tokens_(new QComboBox(page())),
          heldOut_(new QComboBox(page())),
          machine_(new QComboBox(page())),
          order_(new QComboBox(page())),
          stack_(new QStackedWidget(page())),
          asTable_(tableSwitch(stack_)) {
        step_->addItem(tr("decoding side by side"), int(StepMix::Decode));
        step_->addItem(tr("evaluating prompts"), int(StepMix::Prefill));
        for (const int tokens : {1, 8, 64, 256, 1024, 4096})
            tokens_->addItem(formatCount(tokens), tokens);
        tokens_->setCurrentIndex(tokens_->findData(ExpertParallelOptions().tokens));
        heldOut_->addItem(tr("the other half of the texts"), int(HeldOut::Halves));
        heldOut_->addItem(tr("a group of texts not seen"), int(HeldOut::Groups));
        for (const GpuHardware& gpu : gpuHardware()) {
            machine_->addItem(text(gpu.name).toUpper());
            machine_->setItemData(machine_->count() - 1, text(gpu.description), Qt::ToolTipRole);
        }
        order_->addItem(tr("by number"), false);
        order_->addItem(tr("busiest of a step first"), true);
        for (QComboBox* box : {step_, tokens_, heldOut_, machine_})
            box->setMinimumWidth(70);  // in a small window their texts give way
        caption_->setWordWrap(true);
        caption_->setTextFormat(Qt::PlainText);
        shown_->setTextFormat(Qt::PlainText);
        matrixTable_->setSource(matrixModel_, false);
        matrixTable_->showAsMatrix(tr("Layer"));
        placementsTable_->setSource(placementsModel_, true);
        stack_->addWidget(heatmap_);
        stack_->addWidget(matrixTable_);
        layOut();
        connectAll();
    }

    DataTable* table() const override {
        return asTable_->isChecked() && !placementsTable_->hasFocus() ? matrixTable_
                                                                      : placementsTable_;
    }
    void fit() override { heatmap_->fit(); }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfTokenRouting(run); }

private:
    void forget() override {
        run_.reset();
        trace_.reset();
        forecast_.reset();
        placementsModel_->setForecast(nullptr);
        matrixModel_->setData({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        showState(tr("Reading the experts of each token…"), {});
        startJob(
            [run = run_](const StopFlag* stop) {
                const RunReader reader = run->reopen(stop);
                auto trace = std::make_shared<const RoutingTrace>(
                    routingTrace(reader, run->summary.experts, TracePart::All, stop));
                const auto layers = static_cast<int>(trace->layers.size());
                return std::pair(std::move(trace), expertShapeOf(reader, layers));
            },
            [this](auto outcome) {
                if (!outcome.value) {
                    showFailure(tr("The experts of the tokens cannot be read"), outcome.failure);
                    return;
                }
                std::tie(trace_, shape_) = std::move(*outcome.value);
                if (trace_->empty()) {
                    showState(tr("This run cannot be spread over GPUs"), text(trace_->reason));
                } else {
                    simulate();
                }
            });
    }

    void layOut() {
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("&Step"), step_);
        addLabelled(bar, tr("&Tokens"), tokens_);
        addLabelled(bar, tr("&Judged on"), heldOut_);
        addLabelled(bar, tr("&Machine"), machine_);
        bar->addStretch();
        bar->addWidget(asTable_);
        auto* below = new QWidget(page());
        auto* column = new QVBoxLayout(below);
        column->setContentsMargins(0, 0, 0, 0);
        auto* above = new QHBoxLayout;
        above->addWidget(shown_, 1);
        addLabelled(above, tr("GPU&s"), order_);
        column->addLayout(above);
        column->addWidget(stack_, 1);
        auto* splitter = new QSplitter(Qt::Vertical, page());
        splitter->addWidget(placementsTable_);
        splitter->addWidget(below);
        splitter->setStretchFactor(0, 2);
        splitter->setStretchFactor(1, 3);
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(caption_);
        layout->addWidget(splitter, 1);
    }

    void connectAll() {
        for (QComboBox* box : {step_, tokens_, heldOut_, machine_})
            connect(box, &QComboBox::activated, this, [this] { simulate(); });
        connect(order_, &QComboBox::activated, this, [this] { showLoad(); });
        connect(heatmap_, &HeatmapWidget::hovered, this, &View::status);
        connect(heatmap_, &HeatmapWidget::currentChanged, this,
                [this](HeatmapCell cell) { chooseLayer(cell.row); });
        connect(matrixTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { chooseLayer(index.row()); });
        connect(placementsTable_, &DataTable::chosen, this, [this](const QModelIndex& index) {
            const ParallelLine& line = placementsModel_->row(index.row());
            chosen_ = {line.gpus, line.figures->policy};
            showLoad();
        });
        connect(&selection(), &Selection::changed, this, [this] { highlight(); });
    }

    void simulate() {
        if (!trace_ || trace_->empty()) return;
        ExpertParallelOptions options;
        options.mix = StepMix(step_->currentData().toInt());
        options.tokens = tokens_->currentData().toInt();
        options.heldOut = HeldOut(heldOut_->currentData().toInt());
        const GpuHardware* hardware = &gpuHardware()[std::size_t(machine_->currentIndex())];
        startJob(
            [trace = trace_, shape = shape_, hardware, options](const StopFlag* stop) mutable {
                options.stop = stop;
                return std::make_shared<const ParallelForecast>(
                    ParallelForecast{expertParallel(*trace, options), shape, hardware});
            },
            [this](auto outcome) {
                if (outcome.value) {
                    show(std::move(*outcome.value));
                } else {
                    showFailure(tr("The GPUs cannot be simulated"), outcome.failure);
                }
            });
    }

    void show(ForecastPtr forecast) {
        forecast_ = std::move(forecast);
        placementsModel_->setForecast(forecast_);
        placementsTable_->fitColumns(200);
        QStringList sentences;
        for (const std::string& sentence : parallelSentences(*forecast_))
            sentences.append(text(sentence));
        caption_->setText(sentences.join(QChar(' ')));
        showPage();
        showLoad();
        placementsTable_->scrollToTop();
    }

    /// Of the chosen placement; of the last one where that is not there.
    void showLoad() {
        if (!forecast_ || forecast_->of.empty()) return;
        const ExpertParallel& of = forecast_->of;
        const PlacementFigures* figures = of.find(chosen_.first, chosen_.second);
        if (figures == nullptr) figures = &of.figures.back();
        const bool ranked = order_->currentData().toBool();
        const HeatmapData data =
            ranked ? rankedLoadHeatmap(of, *figures)
                   : gpuLoadHeatmap(
                         of, *figures,
                         placementsToUse(*trace_, of.options, figures->policy, figures->gpus));
        heatmap_->setData(data);
        matrixModel_->setData(data);
        shown_->setText(tr("Load by layer on %1, %2: mean over steps and judged parts")
                            .arg(formatCounted(figures->gpus, "GPU"),
                                 text(placementPolicyName(figures->policy))));
        const auto row = figures - of.figures.data();
        placementsTable_->selectSourceRow(static_cast<int>(row));
        highlight();
    }

    void chooseLayer(int row) {
        if (!forecast_ || row < 0 || row >= static_cast<int>(forecast_->of.layers.size())) return;
        const int layer = forecast_->of.layers[static_cast<std::size_t>(row)];
        selection().edit([&](SelectionState& s) { s.layer = layer; });
    }

    void highlight() {
        if (!forecast_) return;
        const std::vector<int>& layers = forecast_->of.layers;
        const std::optional<int> layer = selection().state().layer;
        const auto found = layer ? std::find(layers.begin(), layers.end(), *layer) : layers.end();
        const bool any = found != layers.end();
        const int row = any ? static_cast<int>(found - layers.begin()) : -1;
        heatmap_->setCurrent(any ? std::optional(HeatmapCell{row, 0}) : std::nullopt);
        matrixTable_->selectSourceRow(row, 0);
    }

    RunPtr run_;
    std::shared_ptr<const RoutingTrace> trace_;
    ExpertShape shape_;
    ForecastPtr forecast_;
    std::pair<int, PlacementPolicy> chosen_{0, PlacementPolicy::Contiguous};
    HeatmapWidget* heatmap_;
    HeatmapModel* matrixModel_;
    PlacementsModel* placementsModel_;
    DataTable *matrixTable_, *placementsTable_;
    QLabel *caption_, *shown_;
    QComboBox *step_, *tokens_, *heldOut_, *machine_, *order_;
    QStackedWidget* stack_;
    QPushButton* asTable_;
};

}  // namespace

View* makeGpusView(Selection& selection, QWidget* parent) {
    return new GpusView(selection, parent);
}

}  // namespace moescope::gui
