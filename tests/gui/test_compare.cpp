// SPDX-License-Identifier: Apache-2.0
// The view "Compare": the difference of two runs with its noise test.
#include <QAbstractItemModelTester>
#include <QComboBox>
#include <QFile>
#include <QLabel>
#include <QSettings>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <limits>
#include <memory>

#include "gui/app/application.h"
#include "gui/app/main_window.h"
#include "gui/data/loader.h"
#include "gui/models/difference_models.h"
#include "gui/views/depth_pane.h"
#include "profiler/runfile/run_writer.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;
using moescope::DifferenceRow;
using moescope::RunStatus;
using moescope::RunWriter;
using Mode = QAbstractItemModelTester::FailureReportingMode;

class TestCompare : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_, baseline_, untimed_;

    static bool says(const View& view, const QString& what) {
        const auto labels = view.findChildren<QLabel*>();
        return std::any_of(labels.begin(), labels.end(),
                           [&](const QLabel* label) { return label->text().contains(what); });
    }

private slots:
    void initTestCase() {
        QCoreApplication::setOrganizationName(QStringLiteral("moescope-test"));
        QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, folder_.path());
        applyTheme(Theme::Light);
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        baseline_ = folder_.filePath(QStringLiteral("baseline.moescope"));
        test::makeSampleRun(sample_.toStdString());
        test::SampleShape shape;
        shape.generatedTokens = 30;
        test::makeSampleRun(baseline_.toStdString(), shape);
        untimed_ = folder_.filePath(QStringLiteral("untimed.moescope"));
        RunWriter evaluation(untimed_.toStdString(), RunWriter::Mode::Create);
        evaluation.setMeta("kind", "eval");
        evaluation.finish(RunStatus::Done);
    }

    void tableTellsNoiseFromDifferences() {
        DifferenceModel model;
        const QAbstractItemModelTester tester(&model, Mode::Fatal);
        const double none = std::numeric_limits<double>::quiet_NaN();
        model.setRows({{"decode", "", 1e6, 1.2e6, 2e5, 1e5, 3e5, 0.001, 0.002},
                       {"decode", "experts", 1e6, 9e5, -1e5, -2e5, -1e4, 0.01, 0.03},
                       {"decode", "router", 1e5, 1.01e5, 1e3, -1e3, 3e3, 0.4, 0.5},
                       {"decode", "head", none, 1e5, none, none, none, none, none}});
        const int verdict = model.columnCount() - 1;
        const QStringList wanted{QStringLiteral("slower"), QStringLiteral("faster"),
                                 QStringLiteral("noise"), QStringLiteral("not tested")};
        for (int row = 0; row < model.rowCount(); ++row)
            QCOMPARE(model.index(row, verdict).data().toString(), wanted[row]);
        QCOMPARE(model.index(0, 1).data().toString(), QStringLiteral("whole step"));
        QCOMPARE(model.index(0, 5).data().toString(), QStringLiteral("+20.0 %"));
        QCOMPARE(model.index(3, 4).data().toString(), QString());
    }

    void theViewComparesWithTheChosenRun() {
        MainWindow window;
        window.show();
        window.openRun(baseline_);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr, 20000);
        window.openRun(sample_);
        window.showView(QStringLiteral("compare"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("compare"));
        QCOMPARE(view->table()->model()->rowCount(), 0);
        auto* baselines = view->findChild<QComboBox*>();
        const int at = baselines->findData(baseline_);  // one of the recent runs
        QVERIFY(at > 0);
        QVERIFY(baselines->findData(sample_) < 0);
        window.setBaseline(baseline_);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QVERIFY(view->table()->model()->rowCount() > 10);
        QCOMPARE(baselines->currentIndex(), baselines->findData(baseline_));
        // A file that cannot be read is said where the numbers would be.
        window.setBaseline(QStringLiteral("/nowhere/at/all.moescope"));
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QCOMPARE(view->table()->model()->rowCount(), 0);
        QVERIFY(says(*view, QStringLiteral("/nowhere/at/all.moescope")));
        // With what to do about it, where that is known: a file of a later schema.
        const QString other = folder_.filePath(QStringLiteral("newer.moescope"));
        QVERIFY(QFile::copy(untimed_, other));
        QFile file(other);
        constexpr qint64 kUserVersionInHeader = 60;
        QVERIFY(file.open(QIODevice::ReadWrite) && file.seek(kUserVersionInHeader));
        QCOMPARE(file.write(QByteArray(4, 1)), qint64{4});
        file.close();
        const auto reading = attempt([&] { return loadRun(other.toStdString()); });
        QVERIFY(!reading.failure.hint.isEmpty());
        window.setBaseline(other);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QVERIFY(says(*view, reading.failure.what));
        QVERIFY(says(*view, reading.failure.hint));
    }

    void layersOfBothRunsAreDrawnOverTheirDepth() {
        test::SampleShape shape;
        shape.layers = 6;
        const QString shallow = folder_.filePath(QStringLiteral("shallow.moescope"));
        test::makeSampleRun(shallow.toStdString(), shape);
        Selection selection;
        const std::unique_ptr<View> view(makeCompareView(selection, nullptr));
        view->setBaseline(shallow);
        view->setRun(loadRun(sample_.toStdString()));
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        auto* pane = view->findChild<DepthPane*>();
        QVERIFY(pane != nullptr && !pane->isHidden());
        const QAbstractItemModel* rows = pane->table()->model();
        QCOMPARE(rows->rowCount(), 6 + 12);  // the baseline first
        QCOMPARE(rows->index(0, 0).data().toString(),
                 QStringLiteral("shallow.moescope (the baseline)"));
        QCOMPARE(rows->index(0, 2).data().toString(), QStringLiteral("0.083"));  // 0.5 / 6
        QCOMPARE(rows->index(6, 2).data().toString(), QStringLiteral("0.042"));  // 0.5 / 12
        for (int column = 3; column < rows->columnCount(); ++column)
            QVERIFY(rows->index(17, column).data(kValueRole).toDouble() > 0);
        // Of a baseline without routing this run's line stays, and it is told of.
        view->setBaseline(untimed_);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QCOMPARE(rows->rowCount(), 12);
        QVERIFY(says(*view, QStringLiteral("untimed.moescope (the baseline) has no line.")));
    }

    void theViewSaysWhatKeepsTheRunsFromBeingCompared() {
        test::SampleShape shape;
        shape.promptTokens = 90;
        const QString lengthy = folder_.filePath(QStringLiteral("lengthy.moescope"));
        test::makeSampleRun(lengthy.toStdString(), shape);
        MainWindow window;
        window.show();
        window.openRuns({sample_, lengthy});
        window.showView(QStringLiteral("compare"));
        const View* view = window.view(QStringLiteral("compare"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        QVERIFY(says(*view, QStringLiteral("Beside the baseline: prefill of 270 tokens instead of "
                                           "120: a difference in speed")));
        QVERIFY(says(*view, QStringLiteral("Beside the baseline: max/mean over ")));
    }

    void theFirstOfSeveralRunsIsTheBaselineAsOnTheCommandLine() {
        MainWindow window;
        window.openRuns({baseline_, sample_});
        window.showView(QStringLiteral("compare"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        QCOMPARE(window.run()->path.string(), sample_.toStdString());
        const View* view = window.view(QStringLiteral("compare"));
        QCOMPARE(view->findChild<QComboBox*>()->currentData().toString(), baseline_);
        QVERIFY(says(*view, QStringLiteral("sample.moescope (this run) against baseline.moescope "
                                           "(the baseline). ")));
        // --baseline names the first one, wherever it stands.
        const Options options = parseOptions(
            {sample_, QStringLiteral("--baseline"), baseline_, QStringLiteral("--view=compare")});
        QCOMPARE(options.runs, QStringList({baseline_, sample_}));
        QCOMPARE(options.baseline, QString());
        QCOMPARE(parseOptions({QStringLiteral("--baseline"), baseline_}).baseline, baseline_);
    }

    void theViewComparesTheSuitesOfTwoEvaluations() {
        QStringList made;
        for (const bool right : {false, true}) {
            made << folder_.filePath(right ? QStringLiteral("after.moescope")
                                           : QStringLiteral("before.moescope"));
            RunWriter writer(made.back().toStdString(), RunWriter::Mode::Create);
            writer.setMeta("kind", "eval");
            writer.add(moescope::SuiteRow{1, "s", "", "S", "capability", "", 20, "{}"});
            for (int i = 0; i < 20; ++i)
                writer.add(moescope::ItemRow{1, std::to_string(i), i, "{}", "", "[]", "[]", "", "",
                                             right ? 1.0 : 0.0, 1, 1, -1,
                                             right ? R"({"right":true})" : R"({"right":false})"});
            writer.add(moescope::MetricRow{
                1, "accuracy", "", right ? 1.0 : 0.0, {}, {}, {}, 0.5, "Wilson", 20, 20, 0});
            writer.finish(RunStatus::Done);
        }
        Selection selection;
        const std::unique_ptr<View> view(makeCompareView(selection, nullptr));
        view->setRun(loadRun(made[1].toStdString()));
        view->setBaseline(made[0]);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        const QAbstractItemModel* table = view->table()->model();
        QCOMPARE(table->rowCount(), 1);
        QStringList cells;
        for (int column = 0; column < table->columnCount(); ++column)
            cells << table->index(0, column).data().toString();
        QCOMPARE(cells.mid(0, 6), QStringList({QStringLiteral("s"), QStringLiteral("accuracy"),
                                               QStringLiteral("all"), QStringLiteral("0"),
                                               QStringLiteral("1.00"), QStringLiteral("+1.00")}));
        QCOMPARE(cells[7], QStringLiteral("0.00010"));  // of 10,000 draws
        QCOMPARE(cells[8], QStringLiteral("20"));
        QVERIFY(says(*view, QStringLiteral("sign-flip permutation test")));
        // A profile is no evaluation: there is nothing to compare, and that is said.
        view->setBaseline(baseline_);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QCOMPARE(view->table()->model()->rowCount(), 0);
    }

    void aRunIsNotComparedWithItself() {
        Selection selection;
        const std::unique_ptr<View> view(makeCompareView(selection, nullptr));
        view->setRun(loadRun(sample_.toStdString()));
        const QString link = folder_.filePath(QStringLiteral("link.moescope"));
        QVERIFY(QFile::link(sample_, link));
        for (const QString& same : {sample_, link}) {
            view->setBaseline(same);
            QVERIFY(!view->isBusy());
            QCOMPARE(view->table()->model()->rowCount(), 0);
            QVERIFY(says(*view, QStringLiteral("This run is the baseline")));
            QCOMPARE(view->findChild<QComboBox*>()->currentText(), QStringLiteral("this run"));
        }
    }

    void aRunWithoutTimesLeavesNothingOfTheOneBefore() {
        Selection selection;
        const std::unique_ptr<View> view(makeCompareView(selection, nullptr));
        view->setRun(loadRun(sample_.toStdString()));
        view->setBaseline(baseline_);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QVERIFY(view->table()->model()->rowCount() > 10);
        view->setRun(loadRun(untimed_.toStdString()));
        QCOMPARE(view->table()->model()->rowCount(), 0);
        // A comparison under way does not arrive either, and none is begun.
        view->setRun(loadRun(sample_.toStdString()));
        QVERIFY(view->isBusy());
        view->setRun(loadRun(untimed_.toStdString()));
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QCOMPARE(view->table()->model()->rowCount(), 0);
        view->setBaseline(baseline_);
        QVERIFY(!view->isBusy());
    }
};

QTEST_MAIN(TestCompare)
#include "test_compare.moc"
