// SPDX-License-Identifier: Apache-2.0
// The view "Time": its tables, the geometry of its pictures, and what it does with the selection.
#include <QAbstractItemModelTester>
#include <QPushButton>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <numeric>

#include "gui/app/main_window.h"
#include "gui/data/format.h"
#include "gui/models/time_models.h"
#include "gui/models/token_columns.h"
#include "gui/widgets/stacked_bars_widget.h"
#include "gui/widgets/token_chart.h"
#include "reports/terms.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;
using moescope::PhaseTime;
using moescope::TimeRange;
using moescope::TokenLatency;
using Mode = QAbstractItemModelTester::FailureReportingMode;

class TestTime : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_;
    RunPtr run_;
    std::vector<PhaseTime> time_;
    std::shared_ptr<const TokenLatency> latency_;

private slots:
    void initTestCase() {
        applyTheme(Theme::Light);
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        test::makeSampleRun(sample_.toStdString());
        run_ = loadRun(sample_.toStdString());
        time_ = moescope::timeBreakdown(run_->steps, run_->kernels());
        latency_ = std::make_shared<const TokenLatency>(moescope::tokenLatency(
            run_->steps, run_->operations, run_->summary.sequences, "profile"));
    }

    void tablesShowWhatTheAnalysisSays() {
        BreakdownModel breakdown;
        LatencyModel latency;
        TokenPartsModel parts;
        TokenTimesModel times;
        std::vector<std::unique_ptr<QAbstractItemModelTester>> testers;
        for (QAbstractItemModel* model :
             std::initializer_list<QAbstractItemModel*>{&breakdown, &latency, &parts, &times})
            testers.push_back(std::make_unique<QAbstractItemModelTester>(model, Mode::Fatal));
        breakdown.setRows(time_);
        QCOMPARE(breakdown.rowCount(), 3);
        QCOMPARE(breakdown.headerData(4, Qt::Horizontal, Qt::DisplayRole).toString(),
                 heading(moescope::kIdle));
        QCOMPARE(breakdown.index(0, 0).data().toString(), text(moescope::kWholeRun));
        for (int row = 0; row < 3; ++row) {
            double shares = 0;
            for (int c = 2; c < breakdown.columnCount(); ++c)
                shares += breakdown.index(row, c).data(kValueRole).toDouble();
            const moescope::TimeParts& parts = time_[std::size_t(row)].parts;
            const double idle = breakdown.index(row, 4).data(kValueRole).toDouble();
            QCOMPARE(idle, double(parts.idleNs()) / double(parts.wallNs));
            QVERIFY(qAbs(shares - idle - 1) < 1e-9);  // idle time is there with its causes too
        }
        latency.setRows(latencyRows(*latency_));
        QCOMPARE(latency.rowCount(), 2);
        QCOMPARE(latency.index(0, 0).data().toString(), text(moescope::kTimeToFirstToken));
        QCOMPARE(latency.index(0, 1).data(kValueRole).toInt(), 3);       // a sequence each
        QCOMPARE(latency.index(1, 1).data(kValueRole).toInt(), 3 * 24);  // decode steps
        QVERIFY(latency.index(1, 3).data(kValueRole).toDouble() <=
                latency.index(1, 5).data(kValueRole).toDouble());  // median, p95
        QCOMPARE(latency.index(1, latency.columnCount() - 1).data(kValueRole).toDouble(),
                 latency_->tpot.standardDeviation);
        parts.setLatency(*latency_);
        QCOMPARE(parts.columnCount(), 1 + 2 * 2);  // below 100 tokens no slowest 1 %
        QCOMPARE(parts.rowCount(), 8 + 2);         // 8 operations and two kinds of gaps
        QCOMPARE(parts.row(0).part.operation, QStringLiteral("experts"));
        double share = 0;
        for (const TokenPartRow& row : parts.rows()) share += row.share[1];
        QVERIFY(qAbs(share - 1) < 1e-6);
        times.setRows(tokenTimes(*latency_));
        QCOMPARE(times.rowCount(), 75);
        QCOMPARE(times.index(0, 3).data().toString(), QStringLiteral("first"));
        QCOMPARE(times.row(1).most.operation, QStringLiteral("experts"));
        parts.setLatency(TokenLatency());
        QCOMPARE(parts.rowCount(), 0);
    }

    void segmentsFillTheirBar() {
        const StackedBars bars = breakdownBars(time_);
        QCOMPARE(bars.bars.size(), std::size_t{3});
        const StackedBarsLayout layout{QRect(40, 3, 611, 72), 24};
        for (std::size_t b = 0; b < bars.bars.size(); ++b) {
            int x = 40;
            for (std::size_t p = 0; p < bars.parts.size(); ++p) {
                const QRect segment = layout.segmentRect(bars, {b, p});
                QCOMPARE(segment.left(), x);
                x += segment.width();
                if (segment.width() == 0) continue;
                QCOMPARE(layout.segmentAt(bars, segment.center()),
                         std::optional(StackSegment{b, p}));
            }
            QCOMPARE(x, 40 + 611);
        }
        QVERIFY(!layout.segmentAt(bars, {10, 10}));
        const StackedBars nothing{{{QStringLiteral("a"), Qt::red, {}}},
                                  {{QStringLiteral("b"), {0.0}}}};
        QCOMPARE(layout.segmentRect(nothing, {0, 0}).width(), 0);
    }

    void columnsKeepTheSlowest() {
        QCOMPARE(tokenColumns(*latency_, true, 500).size(), std::size_t{3});
        QCOMPARE(tokenColumns(*latency_, false, 500).size(), std::size_t{72});
        const std::vector<TokenColumn> few = tokenColumns(*latency_, false, 10);
        QCOMPARE(few.size(), std::size_t{10});
        std::size_t tokens = 0;
        std::int64_t longest = 0;
        for (const TokenColumn& column : few) {
            tokens += column.tokens;
            longest = std::max(longest, latency_->tokens[column.token].ns());
        }
        QCOMPARE(tokens, std::size_t{72});
        QCOMPARE(longest, latency_->tpot.max);
        QVERIFY(tokenColumns(*latency_, false, 0).empty());
        QVERIFY(tokenColumns(TokenLatency(), true, 9).empty());
    }

    void oneOutlierDoesNotFlattenTheChart() {
        moescope::Distribution times;
        times.max = 390;
        times.p95 = 100;
        QCOMPARE(tokenScaleNs(times), 390.0);
        times.max = 900;
        QCOMPARE(tokenScaleNs(times), 200.0);
        const TokenChartLayout layout{QRect(10, 20, 300, 100), 10, 200};
        QCOMPARE(layout.yOf(0), 120);
        QCOMPARE(layout.yOf(100), 70);
        QCOMPARE(layout.yOf(900), 20);
        for (std::size_t c = 0; c < 10; ++c)
            QCOMPARE(layout.columnAt(layout.columnRect(c).center()), std::optional(c));
        QVERIFY(!layout.columnAt({5, 50}));
    }

    void clicksChooseOperationsAndTokens() {
        StackedBarsWidget bars(QStringLiteral("bars"));
        bars.setBars(latencyBars(*latency_));
        bars.resize(700, bars.height());
        bars.show();
        QSignalSpy operation(&bars, &StackedBarsWidget::operationActivated);
        const QRect segment = bars.layout().segmentRect(latencyBars(*latency_), {1, 0});
        QTest::mouseClick(&bars, Qt::LeftButton, {}, segment.center());
        QCOMPARE(operation.count(), 1);
        QCOMPARE(operation[0][0].toString(), QStringLiteral("experts"));
        TokenChart chart;
        chart.resize(700, 220);
        chart.setLatency(latency_, false);
        chart.show();
        QSignalSpy token(&chart, &TokenChart::tokenActivated);
        QTest::mouseClick(&chart, Qt::LeftButton, {}, chart.layout().columnRect(30).center());
        QCOMPARE(token.count(), 1);
        QCOMPARE(token[0][0].toLongLong(), 1);       // 24 of the first sequence, then its 7th
        QCOMPARE(token[0][1].toLongLong(), 40 + 6);  // after 40 tokens of the prompt
        chart.setCurrent(1, 46);
        QTest::keyClick(&chart, Qt::Key_Right);
        QCOMPARE(token[1][1].toLongLong(), 47);
    }

    void theViewFollowsTheSelection() {
        MainWindow window;
        window.resize(1300, 900);
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("time"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("time"));
        auto* chart = view->findChild<TokenChart*>();
        QCOMPARE(chart->layout().columns, std::size_t{72});
        window.selection().edit([](SelectionState& s) { s.sequence = 2; });
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QCOMPARE(chart->layout().columns, std::size_t{24});
        QCOMPARE(view->table()->model()->rowCount(), 3);  // the machine's time is of no sequence
        QCOMPARE(view->table()->model()->index(0, 0).data().toString(),
                 QStringLiteral("whole run"));
        // Only the first prefill step: no decode, and no output token.
        const moescope::StepRow& step = run_->steps.front();
        window.selection().edit([&](SelectionState& s) {
            s.sequence.reset();
            s.range = TimeRange{step.startNs, step.endNs};
        });
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QCOMPARE(view->table()->model()->rowCount(), 2);
        QCOMPARE(view->table()->model()->index(0, 0).data().toString(),
                 QStringLiteral("selected range"));
        QCOMPARE(chart->layout().columns, std::size_t{0});
        window.selection().undo();
        window.selection().undo();
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QCOMPARE(chart->layout().columns, std::size_t{72});
        // A click on a token selects it, and the columns stay.
        QTest::mouseClick(chart, Qt::LeftButton, {}, chart->layout().columnRect(30).center());
        QCOMPARE(window.selection().state().position, std::optional<std::int64_t>(46));
        QVERIFY(!window.isBusy());
        QCOMPARE(chart->layout().columns, std::size_t{72});
        // The table twin marks the same token, and a choice there is one in the chart.
        for (QPushButton* button : view->findChildren<QPushButton*>())
            if (button->isCheckable()) button->click();
        QVERIFY(window.selection().state().operation.isEmpty());
        DataTable* table = nullptr;
        for (DataTable* each : view->findChildren<DataTable*>())
            if (each->model()->rowCount() == 75) table = each;
        QVERIFY(table != nullptr);
        QCOMPARE(table->currentIndex().siblingAtColumn(1).data(kValueRole).toInt(), 46);
        table->setCurrentIndex(table->currentIndex().siblingAtRow(0));
        QCOMPARE(window.selection().state().position, std::optional<std::int64_t>(39));
    }
};

QTEST_MAIN(TestTime)
#include "test_time.moc"
