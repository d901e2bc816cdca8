// SPDX-License-Identifier: Apache-2.0
// The text of a sequence with each token's experts; a token's choice in every layer beside it.
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QVBoxLayout>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/token_models.h"
#include "gui/views/sequence_box.h"
#include "gui/views/view.h"
#include "gui/widgets/token_text.h"

namespace moescope::gui {
namespace {

class TokensView : public View {
    Q_DECLARE_TR_FUNCTIONS(TokensView)
public:
    TokensView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          text_(new TokenText(page())),
          expertsModel_(new TokenExpertsModel(this)),
          tableModel_(new TokenTableModel(this)),
          expertsTable_(new DataTable(tr("Experts of the token"), page())),
          tokensTable_(new DataTable(tr("Tokens as a table"), page())),
          sequenceBox_(new SequenceBox(page())),
          layerBox_(new QComboBox(page())),
          idsBox_(new QComboBox(page())),
          search_(new QLineEdit(page())),
          hits_(new QLabel(page())),
          caption_(new QLabel(page())),
          stack_(new QStackedWidget(page())),
          asTable_(tableSwitch(stack_)) {
        layerBox_->setAccessibleName(tr("Layer"));
        idsBox_->setAccessibleName(tr("Expert ids"));
        idsBox_->addItem(tr("top expert"), int(TokenText::Ids::Top));
        idsBox_->addItem(tr("all experts"), int(TokenText::Ids::All));
        idsBox_->addItem(tr("no ids"), int(TokenText::Ids::None));
        search_->setPlaceholderText(tr("Search (Ctrl+F)"));
        search_->setClearButtonEnabled(true);
        search_->setMaximumWidth(200);
        caption_->setWordWrap(true);
        caption_->setTextFormat(Qt::PlainText);
        expertsTable_->setSource(expertsModel_, true);
        expertsTable_->setPreferredWidth(2, 120);
        tokensTable_->setSource(tableModel_, true);
        stack_->addWidget(text_);
        stack_->addWidget(tokensTable_);
        layOut();
        connectAll();
    }

    DataTable* table() const override {
        return asTable_->isChecked() && !expertsTable_->hasFocus() ? tokensTable_ : expertsTable_;
    }
    QLineEdit* searchField() const override { return search_; }
    std::optional<Lack> lack(const RunData& run) const override {
        if (!run.summary.sequences.empty()) return {};
        return Lack{tr("This run has no sequences"),
                    tr("Profiles, evaluations and imported traces record the sequences they ran.")};
    }

private:
    void forget() override {
        run_.reset();
        sequence_.reset();
        requested_.reset();
        text_->setSequence(nullptr, -1);
        expertsModel_->setRows({});
        tableModel_->setRows({});
    }

    void open(RunPtr run) override {
        run_ = std::move(run);
        sequenceBox_->setSequences(run_->summary.sequences, false);
        showState(tr("Reading the sequence…"), {});
        request(selection().state().sequence.value_or(run_->summary.sequences.front().id));
    }

    void layOut() {
        auto* bar = new QHBoxLayout;
        addLabelled(bar, tr("Se&quence"), sequenceBox_);
        addLabelled(bar, tr("&Layer"), layerBox_);
        addLabelled(bar, tr("S&how"), idsBox_);
        bar->addWidget(search_);
        bar->addWidget(hits_);
        bar->addStretch();
        bar->addWidget(asTable_);
        auto* side = new QWidget(page());
        auto* column = new QVBoxLayout(side);
        column->setContentsMargins(0, 0, 0, 0);
        column->addWidget(caption_);
        column->addWidget(expertsTable_, 1);
        auto* splitter = new QSplitter(page());
        splitter->addWidget(stack_);
        splitter->addWidget(side);
        splitter->setStretchFactor(0, 1);
        splitter->setSizes({500, 500});
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(8, 8, 8, 8);
        layout->addLayout(bar);
        layout->addWidget(splitter, 1);
    }

    void connectAll() {
        connect(sequenceBox_, &QComboBox::activated, this, [this] {
            selection().edit([&](SelectionState& s) {
                s.sequence = sequenceBox_->chosen();
                s.position.reset();
            });
        });
        connect(layerBox_, &QComboBox::activated, this, [this] {
            selection().edit([&](SelectionState& s) {
                s.layer = layerBox_->currentData().toInt();
                s.expert.reset();
            });
        });
        connect(idsBox_, &QComboBox::currentIndexChanged, this, [this] {
            text_->setIds(static_cast<TokenText::Ids>(idsBox_->currentData().toInt()));
        });
        connect(search_, &QLineEdit::textChanged, this,
                [this](const QString& needle) { search(needle); });
        connect(search_, &QLineEdit::returnPressed, this, [this] { text_->findNext(1); });
        connect(text_, &TokenText::hovered, this, &View::status);
        connect(text_, &TokenText::currentChanged, this, [this](int token) { choose(token); });
        connect(tokensTable_, &DataTable::chosen, this,
                [this](const QModelIndex& index) { choose(index.row()); });
        connect(expertsTable_, &DataTable::chosen, this, [this](const QModelIndex& index) {
            const TokenExpertsRow row = expertsModel_->row(index.row());
            selection().edit([&](SelectionState& s) {
                s.layer = row.layer;
                s.expert =
                    row.experts.empty() ? std::nullopt : std::optional<int>(row.experts.front());
            });
        });
        connect(&selection(), &Selection::changed, this, [this] { follow(); });
    }

    void request(std::int64_t id) {
        requested_ = id;
        sequenceBox_->choose(id);
        startJob(
            [run = run_, id](const StopFlag* stop) { return loadSequence(run->reopen(stop), id); },
            [this](auto outcome) {
                if (!outcome.value) {
                    showFailure(tr("The sequence cannot be shown"), outcome.failure);
                    return;
                }
                showPage();
                show(std::move(*outcome.value));
            });
    }

    void show(SequencePtr sequence) {
        sequence_ = std::move(sequence);
        layerBox_->clear();
        for (const int layer : sequence_->layers) layerBox_->addItem(QString::number(layer), layer);
        layerBox_->setEnabled(layerBox_->count() > 0);
        if (sequence_->tokens.empty())
            showState(tr("No tokens were recorded for this sequence"),
                      tr("Routing counts may still be in the Experts view."));
        layer_ = -1;
        text_->setSequence(sequence_, -1);
        applyLayer();
        search(search_->text());
        showToken();
    }

    void applyLayer() {
        const SelectionState& state = selection().state();
        int layer = sequence_->layers.empty() ? 0 : sequence_->layers.front();
        if (state.layer && sequence_->layerIndex(*state.layer) >= 0) layer = *state.layer;
        if (layer == layer_) return;
        layer_ = layer;
        layerBox_->setCurrentIndex(layerBox_->findData(layer));
        text_->setLayer(layer);
        tableModel_->setRows(tokenTable(*sequence_, layer));
        tokensTable_->fitColumns(260);
    }

    /// The selected token; the first with routing when none is, so that the table is not empty.
    int currentToken() const {
        const SelectionState& state = selection().state();
        if (!sequence_) return -1;
        for (std::size_t i = 0; state.position && i < sequence_->tokens.size(); ++i) {
            if (sequence_->tokens[i].position == *state.position) return static_cast<int>(i);
        }
        return firstRoutedToken(*sequence_);
    }

    void showToken() {
        const int token = currentToken();
        text_->setCurrent(token);
        tokensTable_->selectSourceRow(token);
        expertsModel_->setRows(token < 0
                                   ? std::vector<TokenExpertsRow>()
                                   : tokenExperts(*sequence_, static_cast<std::size_t>(token)));
        if (token < 0) {
            caption_->setText(
                sequence_ && sequence_->layers.empty()
                    ? tr("This run kept no per-token routing; only counts, see Experts.")
                    : tr("Click a token to see its experts in every layer."));
        } else {
            const TokenRow& row = sequence_->tokens[static_cast<std::size_t>(token)];
            QString caption = tr("Token “%1” at position %2, %3")
                                  .arg(tokenLabel(row))
                                  .arg(row.position)
                                  .arg(row.prompt ? tr("prompt") : tr("generated"));
            if (row.logProbability)
                caption += tr(", log-probability %1").arg(formatNumber(*row.logProbability));
            caption_->setText(caption);
            expertsTable_->fitColumns(240);
            const int layer = sequence_->layerIndex(layer_);
            if (layer >= 0) expertsTable_->selectSourceRow(layer);
        }
    }

    void search(const QString& needle) {
        const int hits = text_->setSearch(needle);
        hits_->setText(needle.isEmpty() ? QString() : formatCounted(hits, "hit"));
    }

    void choose(int token) {
        if (!sequence_) return;
        selection().edit([&](SelectionState& s) {
            s.sequence = sequence_->sequence.id;
            s.position = sequence_->tokens[static_cast<std::size_t>(token)].position;
        });
    }

    void follow() {
        if (!run_ || run_->summary.sequences.empty()) return;
        const std::int64_t id = selection().state().sequence.value_or(
            requested_.value_or(run_->summary.sequences.front().id));
        if (id != requested_) {
            if (run_->sequence(id) != nullptr) request(id);
            return;
        }
        if (!sequence_) return;
        applyLayer();
        showToken();
    }

    RunPtr run_;
    SequencePtr sequence_;
    std::optional<std::int64_t> requested_;
    int layer_ = -1;
    TokenText* text_;
    TokenExpertsModel* expertsModel_;
    TokenTableModel* tableModel_;
    DataTable *expertsTable_, *tokensTable_;
    SequenceBox* sequenceBox_;
    QComboBox *layerBox_, *idsBox_;
    QLineEdit* search_;
    QLabel *hits_, *caption_;
    QStackedWidget* stack_;
    QPushButton* asTable_;
};

}  // namespace

View* makeTokensView(Selection& selection, QWidget* parent) {
    return new TokensView(selection, parent);
}

}  // namespace moescope::gui
