// SPDX-License-Identifier: Apache-2.0
// Timeline above; below, what the selected (or visible) time is made of and what the counters were
// in it.
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QScrollArea>
#include <QSplitter>
#include <QTimer>
#include <QVBoxLayout>
#include <limits>

#include "gui/data/format.h"
#include "gui/data/loader.h"
#include "gui/models/row_model.h"
#include "gui/views/view.h"
#include "gui/widgets/timeline_widget.h"
#include "reports/numbers.h"

namespace moescope::gui {
namespace {

struct ShareRow {
    QString title;
    std::uint8_t category = 0;
    std::int64_t busyNs = 0;
    double share = 0;  ///< of the range
};

class ShareModel : public RowModel<ShareRow> {
    Q_DECLARE_TR_FUNCTIONS(ShareModel)
public:
    explicit ShareModel(QObject* parent) : RowModel(parent) {
        const auto swatch = [](const ShareRow& r, int role) -> QVariant {
            return role == kColorRole ? QVariant(categoryColor(r.category)) : QVariant();
        };
        const auto bar = [swatch](const ShareRow& r, int role) -> QVariant {
            return role == kBarRole ? QVariant(r.share) : swatch(r, role);
        };
        setColumns({
            {tr("Operation"),
             {},
             [](const ShareRow& r) -> QVariant { return r.title; },
             {},
             false,
             swatch},
            {tr("Busy"),
             tr("Time within the range"),
             [](const ShareRow& r) -> QVariant {
                 return formatDuration(static_cast<double>(r.busyNs));
             },
             [](const ShareRow& r) -> QVariant { return qlonglong(r.busyNs); },
             true,
             {},
             QStringLiteral("ns")},
            {tr("Share of the range"),
             {},
             [](const ShareRow& r) -> QVariant { return formatPercent(r.share); },
             [](const ShareRow& r) -> QVariant { return r.share; },
             true,
             bar},
        });
    }
};

struct CounterRow {
    QString title, metric;
    SampleSpread spread;
};

class CounterModel : public RowModel<CounterRow> {
    Q_DECLARE_TR_FUNCTIONS(CounterModel)
public:
    explicit CounterModel(QObject* parent) : RowModel(parent) {
        const auto metric = [](const CounterRow& r, int role) -> QVariant {
            return role == Qt::ToolTipRole ? QVariant(r.metric) : QVariant();
        };
        const auto column = [&](const QString& title, const QString& tip,
                                float SampleSpread::*of) -> TableColumn<CounterRow> {
            const auto value = [of](const CounterRow& r) {
                return r.spread.sampled ? static_cast<double>(r.spread.*of)
                                        : std::numeric_limits<double>::quiet_NaN();
            };
            return {title,
                    tip,
                    [value](const CounterRow& r) -> QVariant {
                        return text(formatCounter(r.metric.toStdString(), value(r)));
                    },
                    [value](const CounterRow& r) -> QVariant { return value(r); },
                    true,
                    metric};
        };
        setColumns({{tr("Counter"), tr("Sampled over time"),
                     [](const CounterRow& r) -> QVariant { return r.title; },
                     [](const CounterRow& r) -> QVariant { return r.metric; }, false, metric},
                    column(tr("Mean"), tr("Within the range"), &SampleSpread::mean),
                    column(tr("Least"), tr("Of one sample"), &SampleSpread::low),
                    column(tr("Greatest"), tr("Of one sample"), &SampleSpread::high)});
    }
};

constexpr int kLanesHeight = 230, kLeastLanesHeight = 150, kTableHeight = 400,
              kLeastTableHeight = 120;  ///< pixels

class TimelineView : public View {
    Q_DECLARE_TR_FUNCTIONS(TimelineView)
public:
    TimelineView(Selection& selection, QWidget* parent)
        : View(selection, parent),
          timeline_(new TimelineWidget(page())),
          model_(new ShareModel(this)),
          table_(new DataTable(tr("Time by operation"), page())),
          counterModel_(new CounterModel(this)),
          counters_(new DataTable(tr("Sampled counters"), page())),
          caption_(new QLabel(page())),
          hits_(new QLabel(page())),
          search_(new QLineEdit(page())),
          settle_(new QTimer(this)),
          splitter_(new QSplitter(Qt::Vertical, page())) {
        table_->setSource(model_, true);
        counters_->setSource(counterModel_, true);
        counters_->hide();
        caption_->setWordWrap(true);
        search_->setPlaceholderText(tr("Find an operation (Ctrl+F)"));
        search_->setClearButtonEnabled(true);
        search_->setMaximumWidth(240);
        auto* bar = new QHBoxLayout;
        bar->setContentsMargins(8, 8, 8, 0);
        bar->addWidget(search_);
        bar->addWidget(hits_);
        bar->addStretch();
        bar->addWidget(new QLabel(
            tr("wheel or W, S: zoom   A, D: move   drag: select a range   F: all"), page()));
        connect(search_, &QLineEdit::textChanged, this, [this] { search(); });
        auto* below = new QWidget(page());
        auto* column = new QVBoxLayout(below);
        column->setContentsMargins(8, 6, 8, 8);
        column->addWidget(caption_);
        auto* tables = new QHBoxLayout;
        tables->addWidget(table_, 1);
        tables->addWidget(counters_, 1);
        column->addLayout(tables, 1);
        // Strips that a small window has no room for are scrolled to.
        auto* scroll = new QScrollArea(page());
        scroll->setWidget(timeline_);
        scroll->setWidgetResizable(true);
        scroll->setFrameShape(QFrame::NoFrame);
        scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
        scroll->setMinimumHeight(kLeastLanesHeight);
        splitter_->addWidget(scroll);
        splitter_->addWidget(below);
        splitter_->setStretchFactor(0, 0);
        splitter_->setStretchFactor(1, 1);
        splitter_->setSizes({kLanesHeight, kTableHeight});
        auto* layout = new QVBoxLayout(page());
        layout->setContentsMargins(0, 0, 0, 0);
        layout->addLayout(bar);
        layout->addWidget(splitter_, 1);
        // The table follows the picture once it stands still; the picture never waits for the
        // table.
        settle_->setSingleShot(true);
        settle_->setInterval(60);
        connect(settle_, &QTimer::timeout, this, [this] { summarizeRange(); });
        connect(timeline_, &TimelineWidget::viewChanged, settle_, qOverload<>(&QTimer::start));
        connect(timeline_, &TimelineWidget::hovered, this, &View::status);
        connect(timeline_, &TimelineWidget::rangeSelected, this,
                [this](std::optional<TimeRange> range) {
                    this->selection().edit([&](SelectionState& s) { s.range = range; });
                });
        connect(timeline_, &TimelineWidget::operationActivated, this,
                [this](const QString& operation, int layer) {
                    this->selection().edit([&](SelectionState& s) {
                        s.operation = operation;
                        s.layer = layer >= 0 ? std::optional(layer) : std::nullopt;
                        s.expert.reset();
                    });
                });
        connect(&selection, &Selection::changed, this, [this] { follow(); });
    }

    DataTable* table() const override { return table_; }
    QLineEdit* searchField() const override { return search_; }
    void fit() override { timeline_->fit(); }
    std::optional<Lack> lack(const RunData& run) const override { return lackOfTimes(run); }

private:
    void forget() override {
        data_.reset();
        timeline_->setTimeline(nullptr);
        model_->setRows({});
        counterModel_->setRows({});
    }

    void open(RunPtr run) override {
        showState(tr("Building the timeline…"), {});
        startJob([run] { return std::make_shared<const Timeline>(buildTimeline(run)); },
                 [this](auto outcome) {
                     if (!outcome.value) {
                         showFailure(tr("The timeline cannot be built"), outcome.failure);
                         return;
                     }
                     data_ = *outcome.value;
                     showPage();
                     timeline_->setTimeline(data_);
                     counters_->setVisible(!data_->strips.empty());
                     makeRoom();
                     search();
                     follow();
                 });
    }

    /// Strips of counters need more than the lanes alone; the height that was chosen by hand stays
    /// where it suffices.
    void makeRoom() {
        const int wanted = timeline_->sizeHint().height();
        const QList<int> sizes = splitter_->sizes();
        if (data_->strips.empty() || sizes.front() >= wanted) return;
        splitter_->setSizes(
            {wanted, std::max(kLeastTableHeight, sizes.front() + sizes.back() - wanted)});
    }

    void search() {
        const TimelineWidget::Hits hits = timeline_->setSearch(search_->text());
        hits_->setText(search_->text().trimmed().isEmpty()
                           ? QString()
                           : formatCounted(hits.names, "name") + QStringLiteral(", ") +
                                 formatCounted(hits.calls, "call"));
    }

    void follow() {
        if (!data_) return;
        timeline_->setSelectedRange(selection().state().range);
        timeline_->setHighlight(selection().state().operation);
        summarizeRange();
    }

    void summarizeCounters(TimeRange range) {
        std::vector<CounterRow> rows;
        for (std::size_t i = 0; i < data_->strips.size(); ++i) {
            const SampleCurve& curve = data_->run->samples[i];
            rows.push_back(
                {data_->strips[i].title, text(curve.metric), sampleSpread(curve, range)});
        }
        const bool first = counterModel_->rowCount() == 0;
        counterModel_->setRows(std::move(rows));
        if (first) counters_->fitColumns();
    }

    void summarizeRange() {
        if (!data_) return;
        const TimelineMapping& m = timeline_->mapping();
        const std::optional<TimeRange> selected = selection().state().range;
        const TimeRange range = selected.value_or(TimeRange{
            static_cast<std::int64_t>(m.startNs), static_cast<std::int64_t>(m.startNs + m.spanNs)});
        summarizeCounters(range);
        RangeStatistics sum;
        for (const TimelineLane& lane : data_->data.lanes) {
            if (!lane.showsOperations()) continue;
            const RangeStatistics s = lane.statistics(range);
            sum.events += s.events;
            sum.busyNs += s.busyNs;
            for (std::size_t c = 0; c < kMaxCategories; ++c) sum.byCategory[c] += s.byCategory[c];
        }
        const double length =
            static_cast<double>(std::max<std::int64_t>(1, range.endNs - range.beginNs));
        std::vector<ShareRow> rows;
        const std::uint8_t unknown = categoryOf({});
        const auto add = [&](const QString& title, std::uint8_t category, std::int64_t ns) {
            if (ns > 0) rows.push_back({title, category, ns, static_cast<double>(ns) / length});
        };
        for (std::uint8_t c = 0; c < kMaxCategories; ++c)
            if (c != unknown) add(categoryTitle(c), c, sum.byCategory[c]);
        if (sum.byCategory[unknown] > 0) {
            const OperationColumns& ops = data_->run->operations;
            const std::vector<std::int64_t> busy = busyByName(data_->data, ops, unknown, range);
            for (std::size_t op = 0; op < busy.size(); ++op)
                add(operationTitle(ops.opNames[op]), unknown, busy[op]);
        }
        std::sort(rows.begin(), rows.end(),
                  [](const ShareRow& a, const ShareRow& b) { return a.busyNs > b.busyNs; });
        const bool first = model_->rowCount() == 0;
        model_->setRows(std::move(rows));
        if (first) table_->fitColumns();
        // What a profile does before its first step is no part of it, and not drawn.
        const QString before =
            data_->data.beginNs > 0 && data_->run->meta("kind") == "profile"
                ? tr(". Times count from the begin of the run, whose first %1 (measuring the "
                     "machine, warming up) have no steps")
                      .arg(formatDuration(static_cast<double>(data_->data.beginNs)))
                : QString();
        caption_->setText(
            tr("<b>%1</b>: %2, %3, busy %4%5%6")
                .arg(selected ? tr("Selected range") : tr("Visible range"), formatDuration(length),
                     formatCounted(sum.events, "operation"),
                     formatPercent(static_cast<double>(sum.busyNs) / length),
                     data_->data.hidden > 0
                         ? tr(" (%1 not drawn)")
                               .arg(formatCounted(data_->data.hidden, "overlapping event"))
                         : QString(),
                     before));
    }

    TimelineWidget* timeline_;
    ShareModel* model_;
    DataTable* table_;
    CounterModel* counterModel_;
    DataTable* counters_;
    QLabel *caption_, *hits_;
    QLineEdit* search_;
    QTimer* settle_;
    QSplitter* splitter_;
    TimelinePtr data_;
};

}  // namespace

View* makeTimelineView(Selection& selection, QWidget* parent) {
    return new TimelineView(selection, parent);
}

}  // namespace moescope::gui
