// SPDX-License-Identifier: Apache-2.0
// The view "Expert time": its tables, the points of its picture, and what it does with the
// selection.
#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <cmath>
#include <limits>

#include "gui/app/main_window.h"
#include "gui/models/load_models.h"
#include "gui/widgets/load_scatter.h"
#include "profiler/analysis/regression.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;
using moescope::ExpertLaunch;
using moescope::ExpertLoadPhase;
using moescope::StepRow;
using moescope::TimeRange;
using Mode = QAbstractItemModelTester::FailureReportingMode;

class TestExpertTime : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_;

    /// 30 steps of two layers. A launch takes 1000 ns, in layer 1 twice that, 10 ns more for each
    /// token, 5 for each active expert and 40 for each token in the hottest expert.
    static std::vector<ExpertLaunch> launches() {
        std::vector<ExpertLaunch> out;
        for (int step = 0; step < 30; ++step) {
            for (int layer = 0; layer < 2; ++layer) {
                ExpertLaunch launch;
                launch.step = step;
                launch.layer = layer;
                launch.tokens = 8 + step % 7;
                launch.activeExperts = 4 + (step * 3 + layer) % 5;
                launch.hottestLoad = 2 + (step * 5 + 2 * layer) % 6;
                launch.hottestExpert = step % 4;
                launch.assignments = 2 * launch.tokens;
                launch.ns = 1000 * (1 + layer) + 10 * launch.tokens + 5 * launch.activeExperts +
                            40 * launch.hottestLoad;
                out.push_back(launch);
            }
        }
        return out;
    }
    static std::vector<StepRow> steps() {
        std::vector<StepRow> out;
        for (int i = 0; i < 30; ++i)
            out.push_back({i, i / 10, i < 20 ? "prefill" : "decode", 0, 8, i * 100, i * 100 + 90});
        return out;
    }

private slots:
    void initTestCase() {
        applyTheme(Theme::Light);
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        test::makeSampleRun(sample_.toStdString());
    }

    void tablesKeepTheRules() {
        LaunchesModel all;
        LoadFitModel fit;
        LoadQuartersModel quarters;
        std::vector<std::unique_ptr<QAbstractItemModelTester>> testers;
        for (QAbstractItemModel* model :
             std::initializer_list<QAbstractItemModel*>{&all, &fit, &quarters})
            testers.push_back(std::make_unique<QAbstractItemModelTester>(model, Mode::Fatal));
        const auto phases = moescope::expertLoadPhases(launches(), steps(), 4);
        QCOMPARE(phases.size(), std::size_t{2});
        all.setRows(launches());
        fit.setRows(phases[0].fit.coefficients);
        quarters.setRows(phases[0].quarters);
        QCOMPARE(all.rowCount(), 60);
        QCOMPARE(quarters.rowCount(), 4);
        QCOMPARE(fit.rowCount(), 3);
        QVERIFY(qAbs(fit.index(2, 1).data(kValueRole).toDouble() - 40) < 1e-6);
        QCOMPARE(fit.index(2, 4).data().toString(), QStringLiteral("beyond noise"));
        const double none = std::numeric_limits<double>::quiet_NaN();
        fit.setRows(
            {{"tokens", 0, none, none, none, false}, {"active experts", 3, none, none, none}});
        QCOMPARE(fit.index(0, 1).data().toString(), QString());
        QCOMPARE(fit.index(0, 4).data().toString(), QStringLiteral("does not vary by itself"));
        QCOMPARE(fit.index(1, 4).data().toString(),
                 QStringLiteral("too few steps for an interval"));
    }

    void launchesAreChosenByStep() {
        moescope::ExpertLoad load;
        load.launches = launches();
        QCOMPARE(chosenLaunches(load, steps(), "prefill", {}, {}).size(), std::size_t{40});
        QCOMPARE(chosenLaunches(load, steps(), "prefill", 1, {}).size(), std::size_t{20});
        QCOMPARE(chosenLaunches(load, steps(), "decode", {}, TimeRange{2500, 2701}).size(),
                 std::size_t{6});
        QVERIFY(chosenLaunches(load, steps(), "decode", 0, {}).empty());
    }

    void adjustedPointsLieOnTheLine() {
        // Times without noise: with everything else taken out every point is on the line.
        const std::vector<ExpertLaunch> all = launches();
        std::vector<StepRow> prefill = steps();
        for (StepRow& step : prefill) step.kind = "prefill";
        const ExpertLoadPhase phase = moescope::expertLoadPhases(all, prefill, 4).front();
        const LoadScatter points = loadScatter(all, phase, true);
        QVERIFY(points.line.has_value());
        QVERIFY(qAbs(points.line->slope - 40) < 1e-6);
        QVERIFY(qAbs(points.line->ns - phase.meanNs) < 1e-6);
        for (std::size_t i = 0; i < all.size(); ++i)
            QVERIFY(qAbs(points.ns[i] - points.line->at(points.load[i], 40)) < 1e-6);
        const LoadScatter measured = loadScatter(all, phase, false);
        QVERIFY(!measured.line);
        QCOMPARE(measured.ns[7], double(all[7].ns));
        QVERIFY(!loadScatter(all, ExpertLoadPhase(), true).line);  // nothing was fitted
        QVERIFY(loadScatter({}, phase, true).load.empty());
    }

    void pointsAreFoundAndOutliersStayOnThePicture() {
        LoadScatter points;
        for (int i = 0; i < 100; ++i) {
            points.load.push_back(1 + i % 10);
            points.ns.push_back(100 + i);
        }
        points.ns[50] = 90'000;
        const ScatterLayout layout = ScatterLayout::of(points, QRect(50, 10, 400, 200));
        QVERIFY(layout.highY < 500);
        QCOMPARE(layout.shown(1, 90'000).y(), 10.0);
        for (const std::size_t i : {std::size_t{3}, std::size_t{50}, std::size_t{99}}) {
            const QPointF at = layout.shown(points.load[i], points.ns[i]);
            QVERIFY(layout.area.contains(at.toPoint()));
            QCOMPARE(layout.nearest(points, at, 0.01), std::optional(i));
        }
        QVERIFY(!layout.nearest(points, {51, 209}, 3));
        const ScatterLayout one = ScatterLayout::of({{4}, {100}, {}}, QRect(0, 0, 100, 100));
        QVERIFY(std::isfinite(one.at(4, 100).x()));
    }

    void pointsOffTheScaleAreTold() {
        LoadScatter points;
        for (int i = 0; i < 100; ++i) {
            points.load.push_back(1 + i % 10);
            points.ns.push_back(100 + i);
        }
        LoadScatterWidget widget;
        widget.resize(500, 300);
        widget.setPoints(std::vector<ExpertLaunch>(100), points);
        QVERIFY(!widget.axisTitle().contains(QStringLiteral("edge")));
        points.ns[50] = 90'000;
        points.ns[51] = -90'000;
        widget.setPoints(std::vector<ExpertLaunch>(100), points);
        QVERIFY(widget.axisTitle().contains(QStringLiteral("on the upper edge: longer")));
        QVERIFY(widget.axisTitle().contains(QStringLiteral("on the lower edge: shorter")));
    }

    void theViewFollowsTheSelection() {
        MainWindow window;
        window.resize(1300, 900);
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("expert-time"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("expert-time"));
        auto* scatter = view->findChild<LoadScatterWidget*>();
        QVERIFY(scatter != nullptr && scatter->isVisible());
        QSignalSpy launch(scatter, &LoadScatterWidget::launchActivated);
        const ScatterLayout& layout = scatter->layout();
        for (int y = layout.area.top(); y < layout.area.bottom() && launch.isEmpty(); y += 4) {
            for (int x = layout.area.left(); x < layout.area.right() && launch.isEmpty(); x += 4)
                QTest::mouseClick(scatter, Qt::LeftButton, {}, {x, y});
        }
        QCOMPARE(launch.count(), 1);
        QVERIFY(window.selection().state().layer.has_value());
        QVERIFY(window.selection().state().expert.has_value());
        window.selection().edit([](SelectionState& s) { s.range = TimeRange{0, 1}; });
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QCOMPARE(view->table()->model()->rowCount(), 0);
    }
};

QTEST_MAIN(TestExpertTime)
#include "test_expert_time.moc"
