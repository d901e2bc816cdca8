// SPDX-License-Identifier: Apache-2.0
// History of the selection.
#include <QSignalSpy>
#include <QTest>

#include "gui/data/selection.h"

using namespace moescope::gui;

class TestSelection : public QObject {
    Q_OBJECT
private slots:
    void undoAndRedoGiveBackEarlierStates() {
        Selection selection;
        QSignalSpy changed(&selection, &Selection::changed);
        selection.edit([](SelectionState& s) { s.layer = 3; });
        selection.edit([](SelectionState& s) { s.expert = 7; });
        selection.edit([](SelectionState& s) { s.range = TimeRange{10, 20}; });
        selection.undo();
        QVERIFY(!selection.state().range);
        QCOMPARE(selection.state().expert, std::optional(7));
        selection.undo();
        QVERIFY(!selection.state().expert);
        selection.redo();
        QCOMPARE(selection.state().expert, std::optional(7));
        QCOMPARE(changed.count(), 6);
    }

    void anEqualStateIsNoChange() {
        Selection selection;
        selection.edit([](SelectionState& s) { s.layer = 3; });
        QSignalSpy changed(&selection, &Selection::changed);
        selection.edit([](SelectionState& s) { s.layer = 3; });
        QCOMPARE(changed.count(), 0);
        selection.undo();
        QVERIFY(!selection.canUndo());
        QVERIFY(selection.canRedo());
    }

    void aRunThatIsReadAgainKeepsWhatItStillHas() {
        Selection selection;
        selection.edit([](SelectionState& s) { s.layer = 1; });
        selection.edit([](SelectionState& s) { s.layer = 9; });
        selection.edit([](SelectionState& s) { s.expert = 2; });
        selection.edit([](SelectionState& s) { s.layer = 3; });
        selection.undo();
        QSignalSpy changed(&selection, &Selection::changed);
        selection.restrict([](SelectionState& s) {
            if (s.layer == 9) s.layer.reset();
        });
        QCOMPARE(changed.count(), 1);
        QVERIFY(!selection.state().layer);
        QCOMPARE(selection.state().expert, std::optional(2));
        selection.undo();
        QCOMPARE(selection.state(), SelectionState());
        selection.undo();
        QCOMPARE(selection.state().layer, std::optional(1));
        selection.redo();
        selection.redo();
        selection.redo();
        QCOMPARE(selection.state().layer, std::optional(3));
        QVERIFY(!selection.canRedo());
    }

    void aNewChangeDropsWhatWasUndone() {
        Selection selection;
        selection.edit([](SelectionState& s) { s.layer = 1; });
        selection.undo();
        selection.edit([](SelectionState& s) { s.layer = 2; });
        QVERIFY(!selection.canRedo());
        selection.reset();
        QVERIFY(!selection.canUndo());
        QCOMPARE(selection.state(), SelectionState());
    }
};

QTEST_GUILESS_MAIN(TestSelection)
#include "test_selection.moc"
