// SPDX-License-Identifier: Apache-2.0
// What fast memory that holds only some experts of each layer would find of this run's routing:
// hits by size for each policy, beside them the layers. The selected layer is the one that is
// drawn.
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/cache_models.h"
#include "gui/views/view.h"
#include "gui/widgets/curve_widget.h"
#include "reports/cache_text.h"

namespace moescope::gui {
namespace {

/// What is shown, made in a worker.
struct Simulated {
    ExpertCache cache;
    ExpertBytes bytes;
};

class CacheView : public View {
    Q_DECLARE_TR_FUNCTIONS(CacheView)
public:
    CacheView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          curves_(new CurveWidget(tr("Hits by size of the cache"), page())),
          sizesModel_(new CacheSizeModel(this)),
          layersModel_(new CacheLayerModel(this)),
          sizesTable_(new DataTable(tr("Hits by size of the cache"), page())),
          layersTable_(new DataTable(tr("Layers"), page())),
          caption_(new QLabel(page())),
          layer_(new QComboBox(page())),
          part_(new QComboBox(page())),
          start_(new QComboBox(page())),
          stack_(new QStackedWidget(page())),
          asTable_(tableSwitch(stack_)) {
        layer_->setAccessibleName(tr("Layer"));
        layer_->setSizeAdjustPolicy(QComboBox::AdjustToContents);
        part_->setAccessibleName(tr("Tokens"));
        part_->addItem(tr("all"), static_cast<int>(TracePart::All));
        part_->addItem(tr("prompt"), static_cast<int>(TracePart::Prompt));
        part_->addItem(tr("generated"), static_cast<int>(TracePart::Generated));
        start_->setAccessibleName(tr("Begin of a text"));
        start_->addItem(tr("empty cache"), false);
        start_->addItem(tr("cache is kept"), true);
        caption_->setWordWrap(true);
        caption_->setTextFormat(Qt::PlainText);
        caption_->setTextInteractionFlags(Qt::TextSelectableByMouse);
        sizesTable_->setSource(sizesModel_, true);
        layersTable_->setSource(layersModel_, true);
        stack_->addWidget(curves_);
        stack_->addWidget(sizesTable_);
        layOut();
        connectAll();
    }

    DataTable* table() const override {
        return layersTable_->hasFocus() ? layersTable_ : sizesTable_;
    }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfTokenRouting(run); }

private:
    void forget() override {
        run_.reset();
        shown_ = {};
        layer_->clear();
        sizesModel_->setRows({});
        layersModel_->setRows({});
        curves_->setCurves({});
        curves_->setMarked({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        simulate();
    }

    void layOut() {
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("&Layer"), layer_);
        addLabelled(bar, tr("To&kens"), part_);
        addLabelled(bar, tr("At a text's &begin"), start_);
        bar->addStretch();
        bar->addWidget(asTable_);
        auto* splitter = new QSplitter(page());
        splitter->addWidget(stack_);
        splitter->addWidget(layersTable_);
        splitter->setSizes({650, 350});
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(caption_);
        layout->addWidget(splitter, 1);
    }

    void connectAll() {
        connect(layer_, &QComboBox::activated, this,
                [this] { chooseLayer(layer_->currentIndex() - 1); });
        connect(part_, &QComboBox::activated, this, [this] { simulate(); });
        connect(start_, &QComboBox::activated, this, [this] { simulate(); });
        connect(curves_, &CurveWidget::hovered, this, &View::status);
        connect(curves_, &CurveWidget::activated, this, [this](int index) {
            sizesTable_->selectSourceRow(index);
            curves_->setMarked(sizesModel_->row(index).size);
        });
        connect(sizesTable_, &DataTable::chosen, this, [this](const QModelIndex& index) {
            curves_->setMarked(sizesModel_->row(index.row()).size);
        });
        connect(layersTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { chooseLayer(index.row()); });
        connect(&selection(), &Selection::changed, this, [this] { showLayer(); });
    }

    void simulate() {
        showState(tr("Simulating caches of every size…"), {});
        startJob(
            [run = run_, part = static_cast<TracePart>(part_->currentData().toInt()),
             warm = start_->currentData().toBool()](const StopFlag* stop) {
                const RunReader reader = run->reopen(stop);
                Simulated out;
                out.cache = expertCache(routingTrace(reader, run->summary.experts, part, stop),
                                        {.warm = warm, .stop = stop});
                out.bytes = expertBytes(
                    reader,
                    expertLoad(reader, run->steps, run->operations, run->summary.experts).launches,
                    out.cache);
                return out;
            },
            [this](auto outcome) {
                if (!outcome.value) {
                    showFailure(tr("No cache can be simulated"), outcome.failure);
                } else if (outcome.value->cache.empty()) {
                    showState(tr("No cache can be simulated"), text(outcome.value->cache.reason));
                } else {
                    show(std::move(*outcome.value));
                }
            });
    }

    void show(Simulated simulated) {
        shown_ = std::move(simulated);
        layer_->clear();
        layer_->addItem(tr("mean of all"));
        for (const CacheLayer& layer : shown_.cache.layers)
            layer_->addItem(QString::number(layer.layer));
        QStringList sentences;
        for (const std::string& sentence : cacheSentences(shown_.cache, shown_.bytes))
            sentences.append(text(sentence));
        caption_->setText(sentences.join(QChar(' ')));
        layersModel_->setRows(cacheLayers(shown_.cache));
        layersTable_->fitColumns(120);
        showPage();
        showLayer();
    }

    /// Index into the layers; -1: the mean of all.
    void chooseLayer(int index) {
        selection().edit([&](SelectionState& s) {
            s.expert.reset();
            s.layer.reset();
            if (index >= 0) s.layer = shown_.cache.layers[static_cast<std::size_t>(index)].layer;
        });
    }

    void showLayer() {
        const std::vector<CacheLayer>& layers = shown_.cache.layers;
        if (layers.empty()) return;
        const auto found = std::find_if(layers.begin(), layers.end(), [&](const CacheLayer& l) {
            return selection().state().layer == l.layer;
        });
        const int index = found == layers.end() ? -1 : static_cast<int>(found - layers.begin());
        const CacheLayer& layer = found == layers.end() ? shown_.cache.all : *found;
        layer_->setCurrentIndex(index + 1);
        layersTable_->selectSourceRow(index);
        curves_->setCurves(cacheCurves(shown_.cache, layer));
        sizesModel_->setRows(cacheSizes(shown_.cache, layer, shown_.bytes));
        for (int column = sizesModel_->firstBytesColumn(); column < sizesModel_->columnCount();
             ++column)
            sizesTable_->showColumnIf(column, !shown_.bytes.empty());
        sizesTable_->fitColumns(160);
    }

    RunPtr run_;
    Simulated shown_;
    CurveWidget* curves_;
    CacheSizeModel* sizesModel_;
    CacheLayerModel* layersModel_;
    DataTable *sizesTable_, *layersTable_;
    QLabel* caption_;
    QComboBox *layer_, *part_, *start_;
    QStackedWidget* stack_;
    QPushButton* asTable_;
};

}  // namespace

View* makeCacheView(Selection& selection, QWidget* parent) {
    return new CacheView(selection, parent);
}

}  // namespace moescope::gui
