// SPDX-License-Identifier: Apache-2.0
// The view "Cache": its tables, the pixels of its curves, and what it does with the selection.
#include <QAbstractItemModelTester>
#include <QComboBox>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <cmath>

#include "gui/app/main_window.h"
#include "gui/models/cache_models.h"
#include "gui/widgets/curve_widget.h"
#include "tests/gui/make_sample_run.h"
#include "tests/profiler/routing_traces.h"

using namespace moescope::gui;
using moescope::ExpertCache;
using Mode = QAbstractItemModelTester::FailureReportingMode;

class TestCache : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_;

private slots:
    void initTestCase() {
        applyTheme(Theme::Light);
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        test::makeSampleRun(sample_.toStdString());
    }

    void tablesKeepTheRules() {
        const ExpertCache cache = moescope::expertCache(moescope::test::fixtureB());
        CacheSizeModel sizes;
        CacheLayerModel layers;
        const QAbstractItemModelTester first(&sizes, Mode::Fatal), second(&layers, Mode::Fatal);
        sizes.setRows(cacheSizes(cache, cache.all, {3e6}));
        layers.setRows(cacheLayers(cache));
        QCOMPARE(sizes.rowCount(), 3);
        QCOMPARE(sizes.index(1, 0).data().toString(), QStringLiteral("3"));
        QCOMPARE(sizes.index(1, 1).data().toString(), QStringLiteral("0.583"));
        // One text has neither an interval nor another half: missing, and shown as such.
        QCOMPARE(sizes.index(1, 2).data().toString(), QStringLiteral("n/a"));
        QVERIFY(!sizes.index(1, 2).data(kValueRole).isValid());
        const int bytes = sizes.firstBytesColumn();
        QCOMPARE(sizes.index(1, bytes).data(kExportRole).toDouble(), 9e6);
        QVERIFY(std::abs(sizes.index(1, bytes + 1).data(kExportRole).toDouble() - 2.5e6) < 1);
        QVERIFY(std::abs(sizes.index(1, bytes + 3).data(kExportRole).toDouble() - 50'000) < 1);
        QCOMPARE(layers.index(0, 1).data().toString(), QStringLiteral("0.400"));
    }

    void thePointerFindsTheNearestSize() {
        moescope::CurveSet set;
        set.x = {4, 8, 16};
        const auto layout = CurveLayout::of(set, QRect(10, 20, 120, 100));
        QCOMPARE(layout.at(4, 1), QPointF(10, 20));
        QCOMPARE(layout.at(16, 0), QPointF(130, 120));
        QCOMPARE(layout.nearest(set, layout.at(9, 0.3)), std::optional<std::size_t>(1));
        QCOMPARE(layout.nearest(set, QPointF(5, 60)), std::optional<std::size_t>());
        QCOMPARE(CurveLayout::of({}, QRect(0, 0, 9, 9)).nearest({}, QPointF(4, 4)),
                 std::optional<std::size_t>());
    }

    void theSelectedLayerIsDrawnAndTheBoxSelectsOne() {
        MainWindow window;
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("cache"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        auto* view = window.view(QStringLiteral("cache"));
        QComboBox *layer = nullptr, *part = nullptr;
        for (QComboBox* box : view->findChildren<QComboBox*>()) {
            if (box->accessibleName() == QLatin1String("Layer")) layer = box;
            if (box->accessibleName() == QLatin1String("Tokens")) part = box;
        }
        QVERIFY(layer != nullptr && part != nullptr);
        QCOMPARE(layer->count(), 13);
        const auto lru = [&] {
            return view->table()->model()->index(4, 1).data(kValueRole).toDouble();
        };
        const double mean = lru();
        window.selection().edit([](SelectionState& s) { s.layer = 3; });
        QCOMPARE(layer->currentText(), QStringLiteral("3"));
        QVERIFY(std::abs(lru() - mean) > 1e-6);
        layer->setCurrentIndex(6);
        emit layer->activated(6);
        QCOMPARE(window.selection().state().layer, std::optional<int>(5));
        window.selection().clear();
        QCOMPARE(layer->currentIndex(), 0);
        QCOMPARE(lru(), mean);

        part->setCurrentIndex(2);
        emit part->activated(2);
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QVERIFY(std::abs(lru() - mean) > 1e-6);
    }

    void sizesUnderThePointerAreTold() {
        CurveWidget widget(QStringLiteral("Hits"));
        const ExpertCache cache = moescope::expertCache(moescope::test::fixtureB());
        widget.setCurves(moescope::cacheCurves(cache, cache.all));
        widget.resize(500, 300);
        widget.show();
        QVERIFY(QTest::qWaitForWindowExposed(&widget));
        QSignalSpy hovered(&widget, &CurveWidget::hovered);
        QSignalSpy activated(&widget, &CurveWidget::activated);
        const QPoint at = widget.layout().at(3, 0.5).toPoint();
        QTest::mouseMove(&widget, at - QPoint(2, 0));
        QTest::mouseMove(&widget, at);
        QVERIFY(!hovered.isEmpty());
        QVERIFY(hovered.last().first().toString().startsWith(
            QStringLiteral("3 experts of each layer in fast memory: LRU 58.3 %, LFU 58.3 %")));
        QTest::mouseClick(&widget, Qt::LeftButton, {}, at);
        QCOMPARE(activated.last().first().toInt(), 1);
    }
};

QTEST_MAIN(TestCache)
#include "test_cache.moc"
