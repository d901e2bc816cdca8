// SPDX-License-Identifier: Apache-2.0
// The view "Roofline": the report's points and roofs as a table and as a picture.
#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <cmath>

#include "gui/app/main_window.h"
#include "gui/widgets/roofline_widget.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;
using moescope::Roofline;
using moescope::RooflinePlane;
using moescope::RooflinePoint;
using Mode = QAbstractItemModelTester::FailureReportingMode;

class TestRoofline : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_;

    static RooflinePoint point(const char* op, double intensity, double perSecond, double share) {
        RooflinePoint p;
        p.op = op;
        p.kernel = "matvec";
        p.phase = "decode";
        p.intensity = intensity;
        p.operationsPerSecond = perSecond;
        p.roof = std::min(1e11, 1e10 * intensity);
        p.share = perSecond / p.roof;
        p.memoryBound = intensity < 10;
        p.timeShare = share;
        p.operationKind = "bf16";
        return p;
    }
    static Roofline roofline() {
        Roofline of;
        of.ceilings.bytesPerSecond = 1e10;
        of.ceilings.operationsPerSecond = 1e11;
        of.ceilings.operationKind = "bf16";
        of.ceilings.peaks = {{"bf16", 1e11}, {"fp32", 9e10}};
        of.points = {point("experts", 4, 3e10, 0.64), point("attention", 40, 5e10, 0.3),
                     point("router", 0.5, 4e9, 0.01)};
        of.points[1].bytesMeasured = of.points[1].operationsMeasured = true;
        of.points[2].bytesMeasured = true;
        return of;
    }

private slots:
    void initTestCase() {
        applyTheme(Theme::Light);
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        test::makeSampleRun(sample_.toStdString());
    }

    void tableSaysWhatIsMeasuredAndWhatIsModelled() {
        RooflineModel model;
        const QAbstractItemModelTester tester(&model, Mode::Fatal);
        model.setRows(roofline().points);
        QCOMPARE(model.rowCount(), 3);
        const int origin = model.columnCount() - 1, share = 7, kind = 8, bound = 9;
        QCOMPARE(model.index(0, origin).data().toString(), QStringLiteral("modelled"));
        QCOMPARE(model.index(1, origin).data().toString(), QStringLiteral("measured"));
        QCOMPARE(model.index(2, origin).data().toString(), QStringLiteral("bytes measured"));
        QCOMPARE(model.index(0, share).data().toString(), QStringLiteral("75.0 %"));
        QCOMPARE(model.index(0, kind).data().toString(), QStringLiteral("bf16"));
        QCOMPARE(model.index(0, bound).data().toString(), QStringLiteral("memory"));
        QCOMPARE(model.index(1, bound).data().toString(), QStringLiteral("compute"));
        RooflinePoint unknown = point("experts", 4, 3e10, 0.5);
        unknown.roof = unknown.share = std::nan("");
        model.setRows({unknown});
        QCOMPARE(model.index(0, share).data().toString(), QString());
        QCOMPARE(model.index(0, bound).data().toString(), QString());
    }

    void bothAxesAreLogarithmicAndPointsAreFound() {
        const Roofline of = roofline();
        const RooflineLayout layout{QRect(100, 20, 500, 300), RooflinePlane::of(of)};
        const double step = layout.at(10, 1e10).x() - layout.at(1, 1e10).x();
        QVERIFY(qAbs(layout.at(100, 1e10).x() - layout.at(10, 1e10).x() - step) < 1e-9);
        QVERIFY(step > 0);
        QVERIFY(layout.at(1, 1e11).y() < layout.at(1, 1e10).y());
        for (std::size_t i = 0; i < of.points.size(); ++i) {
            const QPointF at = layout.at(of.points[i]);
            QVERIFY(layout.area.contains(at.toPoint()));
            QCOMPARE(layout.hit(of.points, at, 5), std::optional(i));
        }
        QVERIFY(!layout.hit(of.points, QPointF(layout.area.bottomRight()), 5));
        // A small point upon a large one is the one that is meant.
        const std::vector<RooflinePoint> same{point("experts", 4, 3e10, 1),
                                              point("router", 4, 3e10, 0)};
        QCOMPARE(layout.hit(same, layout.at(same[1]), 5), std::optional(std::size_t{1}));
        const QPointF beside(moescope::pointRadius(same[1]) + 2, 0);
        QCOMPARE(layout.hit(same, layout.at(same[1]) + beside, 5), std::optional(std::size_t{0}));
        QVERIFY(moescope::pointRadius(same[0]) > moescope::pointRadius(same[1]));
    }

    void pointerAndClickTellThePoint() {
        RooflineWidget chart;
        chart.resize(640, 400);
        chart.setRoofline(roofline());
        chart.show();
        QSignalSpy hovered(&chart, &RooflineWidget::hovered);
        QSignalSpy activated(&chart, &RooflineWidget::pointActivated);
        const QPoint at = chart.layout().at(roofline().points[1]).toPoint();
        QTest::mouseMove(&chart, at);
        QTRY_VERIFY(!hovered.isEmpty());
        const QString about = hovered.last().front().toString();
        QVERIFY2(about.startsWith(QStringLiteral("attention (matvec), decode: 40.0 operations")),
                 qPrintable(about));
        QVERIFY(about.endsWith(QStringLiteral("measured")));
        QTest::mouseClick(&chart, Qt::LeftButton, {}, at);
        QCOMPARE(activated.size(), 1);
        QCOMPARE(activated.front().front().toInt(), 1);
        chart.setRoofline({});  // nothing to draw is no reason to fail
        chart.grab();
    }

    void theViewShowsTheRunAndFollowsTheSelection() {
        MainWindow window;
        window.resize(1280, 800);
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("roofline"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("roofline"));
        QVERIFY(view->table()->model()->rowCount() >= 10);  // five operations of both phases
        for (const int column : RooflineModel::kOfRoof)
            QVERIFY(!view->table()->isColumnHidden(column));
        view->table()->selectRow(0);
        QVERIFY(!window.selection().state().operation.isEmpty());
        window.selection().edit([](SelectionState& s) { s.operation = QStringLiteral("router"); });
        const QModelIndex row = view->table()->selectionModel()->selectedRows().front();
        QCOMPARE(row.data().toString(), QStringLiteral("Router"));
    }

    void withoutCeilingsTheColumnsOfRoofsLeaveTheirRoomToTheOthers() {
        auto run = std::make_shared<RunData>(*loadRun(sample_.toStdString()));
        run->summary.meta.erase("machine");
        MainWindow window;
        View* view = window.view(QStringLiteral("roofline"));
        view->setRun(run);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QVERIFY(view->table()->model()->rowCount() >= 10);
        for (const int column : RooflineModel::kOfRoof)
            QVERIFY(view->table()->isColumnHidden(column));
        QCOMPARE(view->table()->columnViewportPosition(10),
                 view->table()->columnViewportPosition(5) + view->table()->columnWidth(5));
    }

    void whenTheRunCannotBeReadTheViewSaysWhatToDo() {
        const QString path = folder_.filePath(QStringLiteral("newer.moescope"));
        QVERIFY(QFile::copy(sample_, path));
        MainWindow window;
        window.show();
        window.openRun(path);
        window.showView(QStringLiteral("summary"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadWrite));
        QVERIFY(file.seek(63));  // the last byte of SQLite's user_version: the schema's
        QVERIFY(file.putChar(99));
        file.close();
        window.showView(QStringLiteral("roofline"));
        View* view = window.view(QStringLiteral("roofline"));
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QString page;
        for (const QLabel* label : view->findChildren<QLabel*>())
            if (label->isVisible()) page += label->text() + QChar('\n');
        QVERIFY2(page.contains(QStringLiteral("The roofline cannot be shown")), qPrintable(page));
        QVERIFY2(page.contains(QStringLiteral("version 99 is newer")), qPrintable(page));
        QVERIFY2(page.contains(QStringLiteral("use a newer moescope")), qPrintable(page));
    }
};

QTEST_MAIN(TestRoofline)
#include "test_roofline.moc"
