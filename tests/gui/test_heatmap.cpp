// SPDX-License-Identifier: Apache-2.0
// Cells of the heat map: layout, scales, colours.
#include <QTest>
#include <cmath>

#include "gui/data/colors.h"
#include "gui/models/heatmap_layout.h"

using namespace moescope::gui;

class TestHeatmap : public QObject {
    Q_OBJECT
private slots:
    void everyPixelBelongsToTheCellThatCoversIt_data() {
        QTest::addColumn<int>("cellSize");
        QTest::newRow("fitted") << 0;
        QTest::newRow("fixed") << 9;
    }
    void everyPixelBelongsToTheCellThatCoversIt() {
        QFETCH(int, cellSize);
        const HeatmapLayout layout{QRect(40, 20, 613, 211), 24, 37, cellSize,
                                   cellSize > 0 ? QPoint(15, 3) : QPoint()};
        int covered = 0;
        for (int row = 0; row < layout.rows; ++row) {
            for (int column = 0; column < layout.columns; ++column) {
                const QRect cell = layout.cellRect({row, column}).intersected(layout.area);
                if (cell.isEmpty()) continue;
                for (const QPoint corner : {cell.topLeft(), cell.bottomRight(), cell.center()}) {
                    QCOMPARE(layout.cellAt(corner), std::optional(HeatmapCell{row, column}));
                    ++covered;
                }
            }
        }
        QVERIFY(covered > 500);
        QVERIFY(!layout.cellAt({10, 30}));
    }

    void scalesByHand() {
        // One layer, four experts, 8 assignments: shares 1/2, 1/4, 1/4, 0.
        const LoadMatrix m{{0}, 4, {4, 2, 2, 0}, {8}};
        QCOMPARE(m.value(0, 0, LoadScale::Share), 0.5);
        QCOMPARE(m.value(0, 0, LoadScale::Uniform), 2.0);
        QCOMPARE(m.value(0, 0, LoadScale::Log), 1.0);
        QVERIFY(std::isinf(m.value(0, 3, LoadScale::Log)));
        QCOMPARE(loadRange(m, LoadScale::Uniform), (ColorRange{0, 2}));
        QCOMPARE(loadRange(m, LoadScale::Log), (ColorRange{-1, 1}));
        QCOMPARE(rampPosition(m.value(0, 3, LoadScale::Log), {-1, 1}), 0.0);
        const LoadMatrix empty{{0}, 2, {0, 0}, {0}};
        QVERIFY(std::isnan(empty.value(0, 0, LoadScale::Share)));
    }

    void viridisHasItsEnds() {
        QCOMPARE(viridis(0), qRgb(0x44, 0x01, 0x54));
        QCOMPARE(viridis(1), qRgb(0xFD, 0xE7, 0x25));
        QCOMPARE(viridis(std::nan("")), viridis(0));
    }

    void textOnEveryCategoryIsReadable() {
        for (std::uint8_t c = 0; c < categories().size(); ++c) {
            const QColor fill = categoryColor(c);
            QVERIFY2(contrastRatio(contrastText(fill), fill) >= 4.5, categories()[c].title);
        }
        for (int expert = 0; expert < 128; ++expert) {
            for (const bool dark : {false, true}) {
                const QColor fill = expertColor(expert, dark);
                QVERIFY(contrastRatio(contrastText(fill), fill) >= 4.5);
            }
        }
    }
};

QTEST_GUILESS_MAIN(TestHeatmap)
#include "test_heatmap.moc"
