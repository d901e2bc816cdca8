// SPDX-License-Identifier: Apache-2.0
// The view "Groups" of an evaluation: items by whom they speak of.
#include <QComboBox>
#include <QLabel>
#include <QTemporaryDir>
#include <QTest>

#include "gui/app/main_window.h"
#include "gui/widgets/heatmap_widget.h"
#include "tests/profiler/routed_suite.h"

using namespace moescope::gui;

namespace {

/// Eight cases told of two people each: a name, then two words that all have.
QString evaluation(const QString& path) {
    moescope::test::Suite suite(path.toStdString());
    for (int place = 0; place < 8; ++place)
        for (const bool male : {false, true}) {
            const std::string id = std::to_string(place) + (male ? "m" : "f");
            suite.item(id, male ? R"({"gender":"male"})" : R"({"gender":"female"})",
                       std::to_string(place), {{male ? 8 : 9, male ? 2 : 3}, {1, 0}, {2, 1}},
                       male ? 1 : 0);
        }
    suite.read();
    return path;
}

}  // namespace

class TestGroups : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;

private slots:
    void initTestCase() { applyTheme(Theme::Light); }

    void itemsOfOneSuiteAreComparedByWhomTheySpeakOf() {
        MainWindow window;
        window.show();
        window.openRun(evaluation(folder_.filePath(QStringLiteral("r.moescope"))));
        window.showView(QStringLiteral("groups"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("groups"));
        QVERIFY(view->showsPage());
        auto* groupings = view->findChildren<QComboBox*>().at(0);
        QCOMPARE(groupings->accessibleName(), QStringLiteral("Groups that are compared"));
        QCOMPARE(groupings->currentText(), QStringLiteral("loans by gender"));
        QCOMPARE(groupings->count(), 2);  // no texts by their group: there is one suite
        QCOMPARE(groupings->itemText(1), QStringLiteral("loans by outcome"));
        auto* caption = view->findChild<QLabel*>(QStringLiteral("caption"));
        QVERIFY(caption->text().startsWith(QStringLiteral(
            "Tokens of each item: the 2.0 behind what differs; names exchanged within 8 cases.")));
        // The name itself is not among them.
        QCOMPARE(view->findChild<HeatmapWidget*>()->layout().columns, 4);
        QVERIFY(view->table()->model()->rowCount() == 2);

        groupings->setCurrentIndex(1);
        emit groupings->activated(1);
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QVERIFY(view->showsPage());
        QCOMPARE(view->table()->model()->index(0, 0).data().toString(), QStringLiteral("right"));
    }

    void theRunAfterHasItsOwnGroupings() {
        MainWindow window;
        window.show();
        window.openRun(evaluation(folder_.filePath(QStringLiteral("a.moescope"))));
        window.showView(QStringLiteral("groups"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        const QString plain = folder_.filePath(QStringLiteral("b.moescope"));
        {
            moescope::test::Suite suite(plain.toStdString());
            suite.item("only", "{}", "c", {{1, 0}});
            suite.read();
        }
        window.openRun(plain);
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("groups"));
        QVERIFY(!view->showsPage());
        QCOMPARE(view->findChildren<QComboBox*>().at(0)->count(), 0);
    }
};

QTEST_MAIN(TestGroups)
#include "test_groups.moc"
