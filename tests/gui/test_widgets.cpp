// SPDX-License-Identifier: Apache-2.0
// Painted widgets: clicks, keys, zoom, and pixels at computed places.
#include <QApplication>
#include <QCheckBox>
#include <QLineEdit>
#include <QSignalSpy>
#include <QTest>
#include <memory>

#include "gui/app/theme.h"
#include "gui/data/colors.h"
#include "gui/models/operation_groups.h"
#include "gui/models/routing_models.h"
#include "gui/widgets/data_table.h"
#include "gui/widgets/heatmap_widget.h"
#include "gui/widgets/timeline_widget.h"
#include "gui/widgets/token_text.h"

using namespace moescope::gui;
using moescope::OperationColumns;

class TestWidgets : public QObject {
    Q_OBJECT

    static LoadMatrix matrix() {
        // 2 layers x 3 experts: shares 1, 0, 0 and 1/3 each.
        return {{0, 5}, 3, {6, 0, 0, 2, 2, 2}, {6, 6}};
    }
    static TimelinePtr timeline() {
        auto run = std::make_shared<RunData>();
        OperationColumns& ops = run->operations;
        ops.opNames = {"experts", "attention"};
        ops.kernelNames = {"k"};
        ops.phaseNames = {"decode"};
        for (int i = 0; i < 4; ++i) {  // [0, 800) [1000, 1800) ...
            ops.startNs.push_back(i * 1000);
            ops.endNs.push_back(i * 1000 + 800);
            ops.bytes.push_back(100);
            ops.flops.push_back(0);
            ops.layer.push_back(i);
            ops.step.push_back(-1);
            ops.op.push_back(static_cast<std::uint16_t>(i % 2));
            ops.kernel.push_back(0);
            ops.phase.push_back(0);
        }
        return std::make_shared<const Timeline>(buildTimeline(run));
    }

private slots:
    void initTestCase() { applyTheme(Theme::Light); }

    void clickOnTheHeatmapChoosesItsCell() {
        HeatmapWidget widget;
        widget.resize(400, 300);
        widget.setData(loadHeatmap(matrix(), LoadScale::Uniform));
        widget.show();
        QSignalSpy chosen(&widget, &HeatmapWidget::currentChanged);
        QTest::mouseClick(widget.viewport(), Qt::LeftButton, {},
                          widget.layout().cellRect({1, 2}).center());
        QCOMPARE(chosen.count(), 1);
        QCOMPARE(widget.current(), std::optional(HeatmapCell{1, 2}));
        QTest::keyClick(&widget, Qt::Key_Left);
        QTest::keyClick(&widget, Qt::Key_Up);
        QCOMPARE(widget.current(), std::optional(HeatmapCell{0, 1}));
        QTest::keyClick(&widget, Qt::Key_Up);  // stays at the edge
        QCOMPARE(widget.current(), std::optional(HeatmapCell{0, 1}));
    }

    void heatmapCellsHaveTheRampsColours() {
        HeatmapWidget widget;
        widget.resize(400, 300);
        widget.setData(loadHeatmap(matrix(), LoadScale::Uniform));  // range 0..3
        widget.show();
        const QImage image = widget.viewport()->grab().toImage();
        QCOMPARE(image.pixel(widget.layout().cellRect({0, 0}).center()), viridis(1));
        QCOMPARE(image.pixel(widget.layout().cellRect({0, 1}).center()), viridis(0));
        QCOMPARE(image.pixel(widget.layout().cellRect({1, 1}).center()), viridis(1.0 / 3));
    }

    void timelineDrawsEventsWhereTheyAre() {
        TimelineWidget widget;
        widget.resize(700, 200);
        widget.show();
        widget.setTimeline(timeline());
        const QImage image = widget.grab().toImage();
        const auto pixelAt = [&](double ns) {
            return QColor(image.pixel(static_cast<int>(widget.mapping().xOf(ns)),
                                      widget.laneRect(1).top() + 3));  // below the layers
        };
        QCOMPARE(pixelAt(400), categoryColor(categoryOf("experts")));
        QCOMPARE(pixelAt(1400), categoryColor(categoryOf("attention")));
        QVERIFY(pixelAt(900) != categoryColor(categoryOf("experts")));  // the gap
    }

    void timelineFadesByOperationNotByCategory() {
        auto run = std::make_shared<RunData>(*timeline()->run);
        run->operations.opNames = {"foo_norm", "bar_norm"};  // both of category "other"
        for (const int events : {4, 4000}) {                 // as boxes, as columns
            OperationColumns& ops = run->operations;
            for (int i = static_cast<int>(ops.size()); i < events; ++i) {
                ops.startNs.push_back(i * 1000);
                ops.endNs.push_back(i * 1000 + 800);
                ops.bytes.push_back(100);
                ops.flops.push_back(0);
                ops.layer.push_back(-1);
                ops.step.push_back(-1);
                ops.op.push_back(1);
                ops.kernel.push_back(0);
                ops.phase.push_back(0);
            }
            TimelineWidget widget;
            widget.resize(700, 200);
            widget.show();
            widget.setTimeline(std::make_shared<const Timeline>(buildTimeline(run)));
            const int y = widget.laneRect(1).bottom() - 2;
            const auto pixelAt = [&](double ns) {
                return QColor(
                    widget.grab().toImage().pixel(static_cast<int>(widget.mapping().xOf(ns)), y));
            };
            const double other = (events - 1) * 1000 + 400;
            const QColor full = pixelAt(other);
            const TimelineWidget::Hits hits = widget.setSearch(QStringLiteral("FOO"));
            QCOMPARE(hits.names, 1);
            QCOMPARE(hits.calls, 2);
            QVERIFY(pixelAt(other) != full);
            widget.setSearch(QStringLiteral("bar"));
            QCOMPARE(pixelAt(other), full);
            widget.setSearch({});
            widget.setHighlight(QStringLiteral("foo_norm"));
            QVERIFY(pixelAt(other) != full);
            widget.setHighlight({});
            QCOMPARE(pixelAt(other), full);
        }
    }

    void timelineDragSelectsAndKeysZoomAboutTheCentre() {
        TimelineWidget widget;
        widget.resize(700, 200);
        widget.show();
        widget.setTimeline(timeline());
        QSignalSpy selected(&widget, &TimelineWidget::rangeSelected);
        const int y = widget.laneRect(0).center().y();
        const int x0 = static_cast<int>(widget.mapping().xOf(500)),
                  x1 = static_cast<int>(widget.mapping().xOf(2500));
        QTest::mousePress(&widget, Qt::LeftButton, {}, {x0, y});
        QTest::mouseMove(&widget, {x0 + 30, y});
        QTest::mouseMove(&widget, {x1, y});
        QTest::mouseRelease(&widget, Qt::LeftButton, {}, {x1, y});
        QCOMPARE(selected.count(), 1);
        const auto range = selected[0][0].value<std::optional<TimeRange>>();
        QVERIFY(range && std::abs(range->beginNs - 500) < 10 && std::abs(range->endNs - 2500) < 10);
        QTest::keyClick(&widget, Qt::Key_F);  // fits the range
        QVERIFY(std::abs(widget.mapping().startNs - 500) < 10);
        QTest::keyClick(&widget, Qt::Key_F);  // then all
        QCOMPARE(widget.mapping().startNs, 0.0);
    }

    void clickOnATokenChoosesIt() {
        std::vector<moescope::TokenRow> tokens;
        for (int i = 0; i < 5; ++i)
            tokens.push_back({0, i, i, i == 2 ? "needle" : " word", i < 3, {}});
        const SequencePtr sequence =
            makeSequence({}, tokens, {{0, 4, 0, 5, 1, {1, 2, 3, 1, 2}, {}}}, "test");
        TokenText widget;
        widget.resize(500, 200);
        widget.setSequence(sequence, 4);
        widget.show();
        QSignalSpy chosen(&widget, &TokenText::currentChanged);
        QTest::mouseClick(widget.viewport(), Qt::LeftButton, {}, widget.tokenRect(3).center());
        QCOMPARE(chosen.count(), 1);
        QCOMPARE(widget.current(), 3);
        QTest::keyClick(&widget, Qt::Key_Left);
        QCOMPARE(widget.current(), 2);
        QCOMPARE(widget.setSearch(QStringLiteral("WORD")), 4);
        QCOMPARE(widget.setSearch(QStringLiteral("wordneedle")), 1);  // across tokens
        const QImage image = widget.viewport()->grab().toImage();
        QCOMPARE(image.pixel(widget.tokenRect(0).topLeft() + QPoint(3, 3)),
                 expertColor(1, false).rgb());
    }

    void tablesCopyRowsAndWriteCsv() {
        OperationsModel model;
        moescope::OperationGroup group;
        group.op = "a,b";
        group.calls = 3;
        group.totalNs = 1500;
        model.setRows({{group, std::nullopt}});
        DataTable table(QStringLiteral("test"));
        table.setSource(&model, true);
        QVERIFY(table.toTsv().contains(QStringLiteral("a,b\t")));
        QVERIFY(table.toTsv().contains(QStringLiteral("1.50 µs")));
        QVERIFY(table.toCsv().contains(QStringLiteral("\"a,b\"")));
        QVERIFY(table.toCsv().contains(QStringLiteral(",1500,")));  // raw, not "1.50 µs"
        QVERIFY(table.toCsv().contains(QStringLiteral(",Total (ns),")));
        QVERIFY(!table.toCsv().contains(QStringLiteral("nan")));  // missing: an empty field
    }

    void missingValuesAreSortedLast() {
        TokenTableModel model;
        std::vector<TokenTableRow> rows;
        for (const std::optional<double> logp :
             {std::optional<double>(), std::optional(-1.5), std::optional<double>(),
              std::optional(-0.5), std::optional(-2.5)})
            rows.push_back(
                {{0, static_cast<std::int64_t>(rows.size()), -1, "t", true, logp}, {}, {}});
        model.setRows(rows);
        DataTable table(QStringLiteral("test"));
        table.setSource(&model, true);
        const auto order = [&] {
            QStringList positions;
            for (int row = 0; row < model.rowCount(); ++row)
                positions << table.model()->index(row, 0).data().toString();
            return positions.join(QChar(' '));
        };
        table.sortByColumn(4, Qt::AscendingOrder);
        QCOMPARE(order(), QStringLiteral("4 1 3 0 2"));
        table.sortByColumn(4, Qt::DescendingOrder);
        QCOMPARE(order(), QStringLiteral("3 1 4 0 2"));
    }

    void matricesNameTheirRowsAndCopyTheSelectedCells() {
        HeatmapModel model;
        model.setData(loadHeatmap(matrix(), LoadScale::Uniform));
        DataTable table(QStringLiteral("test"));
        table.setSource(&model, false);
        table.showAsMatrix(QStringLiteral("Layer"));
        QCOMPARE(table.toCsv(), QStringLiteral("Layer,expert 0,expert 1,expert 2\r\n"
                                               "0,3,0,0\r\n5,1,1,1\r\n"));
        QCOMPARE(table.toTsv().count(QChar('\n')), 3);
        QSignalSpy chosen(&table, &DataTable::chosen);
        table.setCurrentIndex(model.index(1, 2));
        QCOMPARE(chosen.count(), 1);
        QCOMPARE(chosen[0][0].toModelIndex(), model.index(1, 2));
        QCOMPARE(table.toTsv(), QStringLiteral("Layer\t2\nlayer 5\t1.00×\n"));
        table.selectSourceRow(0, 0);
        QCOMPARE(chosen.count(), 1);  // not by hand
    }

    void boxesAndFieldsAreSeenInBothThemes() {
        for (const Theme theme : {Theme::Dark, Theme::Light}) {
            applyTheme(theme);
            QCheckBox box;
            QLineEdit field;
            for (QWidget* widget : {static_cast<QWidget*>(&box), static_cast<QWidget*>(&field)}) {
                widget->resize(60, 30);
                const QImage image = widget->grab().toImage();
                double best = 1;
                for (int x = 0; x < image.width(); ++x) {
                    best = std::max(best,
                                    contrastRatio(image.pixelColor(x, image.height() / 2),
                                                  QApplication::palette().color(QPalette::Base)));
                }
                QVERIFY2(best >= 3, qPrintable(QString::number(best)));
            }
        }
        applyTheme(Theme::Light);
    }
};

QTEST_MAIN(TestWidgets)
#include "test_widgets.moc"
