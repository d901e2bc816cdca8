// SPDX-License-Identifier: Apache-2.0
// Views whose run is replaced by another: nothing of the run before may stay, arrive late or be
// read from another file of its name.
#include <QFile>
#include <QLabel>
#include <QTemporaryDir>
#include <QTest>
#include <QThreadPool>

#include "gui/views/view.h"
#include "gui/widgets/timeline_widget.h"
#include "gui/widgets/token_text.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;

class TestRunChange : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;

    RunPtr make(const QString& name, const test::SampleShape& shape = {}) {
        const std::string path = folder_.filePath(name).toStdString();
        QFile::remove(folder_.filePath(name));
        test::makeSampleRun(path, shape);
        return loadRun(path);
    }

private slots:
    void aClickOnATokenOfTheRunBeforeDoesNothing() {
        const RunPtr before = make(QStringLiteral("before.moescope"));
        const RunPtr after = make(QStringLiteral("after.moescope"));
        Selection selection;
        const std::unique_ptr<View> view(makeTokensView(selection, nullptr));
        view->resize(1200, 700);
        view->show();
        view->setRun(before);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        auto* text = view->findChild<TokenText*>();
        const QPoint token = text->tokenRect(3).center();
        QTest::mouseClick(text->viewport(), Qt::LeftButton, {}, token);
        QCOMPARE(selection.state().position, std::optional<std::int64_t>(3));
        selection.clear();
        view->setRun(after);
        QTest::mouseClick(text->viewport(), Qt::LeftButton, {}, token);
        QVERIFY(!selection.state().position);
        for (const DataTable* table : view->findChildren<DataTable*>())
            QCOMPARE(table->model()->rowCount(), 0);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy() && view->showsPage(), 20000);
    }

    void aTimelineThatIsBuiltTooLateIsDropped() {
        const RunPtr small = make(QStringLiteral("small.moescope"), {.layers = 1, .sequences = 1});
        auto large = std::make_shared<RunData>(*make(QStringLiteral("large.moescope")));
        moescope::OperationColumns& ops = large->operations;
        const auto twice = [](auto& column) {
            const auto size = static_cast<std::ptrdiff_t>(column.size());
            column.resize(2 * column.size());
            std::copy_n(column.begin(), size, column.begin() + size);
        };
        while (ops.size() < 400'000) {
            for (auto* column : {&ops.startNs, &ops.endNs, &ops.bytes, &ops.flops}) twice(*column);
            for (auto* column : {&ops.layer, &ops.step}) twice(*column);
            for (auto* column : {&ops.op, &ops.kernel, &ops.phase}) twice(*column);
        }
        Selection selection;
        const std::unique_ptr<View> view(makeTimelineView(selection, nullptr));
        view->setRun(large);
        view->setRun(small);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QCOMPARE(view->findChild<TimelineWidget*>()->mapping().endNs,
                 static_cast<double>(small->endNs()));
    }

    void noViewShowsAJobOfTheRunBefore() {
        const RunPtr whole = make(QStringLiteral("whole.moescope"), {.sequences = 6});
        auto bare = std::make_shared<RunData>(*whole);
        bare->operations = bare->device = {};
        bare->steps.clear();
        bare->routing.clear();
        bare->suites.clear();
        bare->summary = {};
        for (const auto make : {makeGroupsView, makeKernelsView, makeTimeView, makeTimelineView,
                                makeExpertsView, makeTokensView}) {
            Selection selection;
            const std::unique_ptr<View> view(make(selection, nullptr));
            view->setRun(whole);
            view->setRun(bare);
            QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
            QVERIFY(!view->showsPage());
            for (const DataTable* table : view->findChildren<DataTable*>())
                QCOMPARE(table->model()->rowCount(), 0);
        }
    }

    void aFileThatTookTheNameOfTheRunIsNotReadForIt() {
        const QString name = QStringLiteral("replaced.moescope");
        const RunPtr run = make(name);
        (void)run->reopen();
        make(name, {.layers = 2, .sequences = 6});
        QVERIFY_EXCEPTION_THROWN((void)run->reopen(), moescope::Error);
        for (const auto make :
             {makeTokensView, makeRooflineView, makeExpertTimeView, makeGroupsView}) {
            Selection selection;
            const std::unique_ptr<View> view(make(selection, nullptr));
            view->setRun(run);
            QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
            QVERIFY(!view->showsPage());
            bool said = false;
            for (const QLabel* label : view->findChildren<QLabel*>())
                said = said || label->text().contains(QStringLiteral("F5"));
            QVERIFY(said);
        }
    }

    void aRunThatIsBeingWrittenIsReadOn() {
        const RunPtr run =
            make(QStringLiteral("running.moescope"), {.status = moescope::RunStatus::Running});
        QVERIFY(!run->reopen().steps().empty());
    }

    void jobsStopWithTheirOwnerAndWhenTheyAreReplaced() {
        const auto untilStopped = [](const moescope::StopFlag* stop) {
            for (;;) moescope::throwIfStopped(stop);
            return 0;
        };
        bool delivered = false;
        {
            QObject owner;
            runInBackground(&owner, untilStopped, [&](auto) { delivered = true; });
        }
        QVERIFY(QThreadPool::globalInstance()->waitForDone(10000));
        QVERIFY(!delivered);
        QObject owner;
        const auto stop = runInBackground(
            &owner, untilStopped, [&](auto outcome) { delivered = outcome.failure.interrupted; });
        stop->store(true);
        QTRY_VERIFY_WITH_TIMEOUT(delivered, 10000);
    }
};

QTEST_MAIN(TestRunChange)
#include "test_run_change.moc"
