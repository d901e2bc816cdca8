// SPDX-License-Identifier: Apache-2.0
// The view of evaluations: what is drawn of a metric, what is shown of a written reply, and what of
// it selects in other views.
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>

#include "gui/models/evaluation_models.h"
#include "gui/views/view.h"
#include "gui/widgets/data_table.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;

class TestEvaluations : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    RunPtr run_;

    static DataTable* tableNamed(const View& view, const QString& name) {
        for (DataTable* table : view.findChildren<DataTable*>())
            if (table->accessibleName() == name) return table;
        return nullptr;
    }

private slots:
    void initTestCase() {
        const std::string path = folder_.filePath(QStringLiteral("run.moescope")).toStdString();
        test::makeSampleRun(path, {.sequences = 12});
        run_ = loadRun(path);
    }

    void intervalsAreDrawnOnAnAxisOfTheirQuantity() {
        MetricsModel model;
        model.setMetrics({{1, "likelihood_difference", "", 0.973, 0.707, 1.239, {}, {}, "t", 60},
                          {1, "ss", "", 55, 50.0, 60.0, {}, 50.0, "t", 60},
                          {1, "accuracy", "", 0.5, 0.4, 0.6, {}, 0.25, "Wilson", 60},
                          {1, "reply_tokens", "", 42, 30.0, 54.0, {}, {}, "t", 60}});
        const auto axis = [&](int row) {
            for (int column = 0; column < model.columnCount(); ++column) {
                const auto bar = model.index(row, column).data(kIntervalRole).toList();
                if (bar.size() == 6) return std::pair(bar[4].toDouble(), bar[5].toDouble());
            }
            return std::pair(-1.0, -1.0);
        };
        QCOMPARE(axis(0).first, 0.0);
        QVERIFY(axis(0).second > 1.239 && axis(0).second < 1.3);
        QCOMPARE(axis(1), std::pair(0.0, 100.0));
        QCOMPARE(axis(2), std::pair(0.0, 1.0));
        QVERIFY(axis(3).second > 54 && axis(3).second < 60);
    }

    void aWrittenReplyIsShownBehindItsPrompt() {
        moescope::ItemRow item;
        item.id = "cow";
        item.prompt = "Which animal gives milk?";
        item.target = "cow";
        item.score = 0;
        QCOMPARE(itemText(item), QStringLiteral("Which animal gives milk?"));
        item.detail = R"({"reply": "I would rather not say.", "reasoning": "Hm."})";
        QCOMPARE(itemText(item), QStringLiteral("Which animal gives milk?\n\n--- Reasoning ---\nHm."
                                                "\n\n--- Reply ---\nI would rather not say."));
        QVERIFY(itemCaption(item).startsWith(
            QStringLiteral("cow: no answer in the reply, expected “cow”, score 0")));
        item.choices = R"(["cow", "hen", "frog"])";
        item.detail = R"({"reply": "Answer: C", "finish": "length", "order": [2, 0, 1]})";
        item.answer = "hen";
        const auto choices = choicesOf(item, false);
        QCOMPARE(choices.size(), std::size_t{3});
        QCOMPARE(choices[1].choice, QStringLiteral("B. cow"));
        QVERIFY(choices[1].target && choices[2].chosen && !choices[0].chosen);
        QVERIFY(itemCaption(item).contains(QStringLiteral("the reply was cut off")));
        item.detail = R"({"order": [7, 0, 1]})";  // of a damaged file
        QCOMPARE(choicesOf(item, false)[0].choice, QStringLiteral("cow"));
        item.detail = R"({"reply": ""})";
        QVERIFY(itemText(item).endsWith(QStringLiteral("(nothing)")));
    }

    void whatASuiteLacksIsHiddenOrSaid() {
        Selection selection;
        const std::unique_ptr<View> view(makeEvaluationsView(selection, nullptr));
        view->resize(1200, 800);
        view->show();
        view->setRun(run_);
        const DataTable* items = tableNamed(*view, QStringLiteral("Items"));
        const auto says = [&](const QString& what) {
            const auto labels = view->findChildren<QLabel*>();
            return std::any_of(labels.begin(), labels.end(), [&](const QLabel* label) {
                return label->isVisible() && label->text().contains(what);
            });
        };
        QVERIFY(!items->isColumnHidden(ItemsModel::kExpectedColumn));
        QVERIFY(!says(QStringLiteral("NOT FINISHED")));
        DataTable* metrics = tableNamed(*view, QStringLiteral("Metrics"));
        QVERIFY(says(QStringLiteral("Method: Wilson")));  // of the first, which is chosen
        metrics->selectSourceRow(1);                      // of 13 items
        QVERIFY(says(QStringLiteral("Caution: n is small: too few items to conclude")));
        tableNamed(*view, QStringLiteral("Suites"))->selectSourceRow(1);
        QVERIFY(items->isColumnHidden(ItemsModel::kExpectedColumn));  // no item has a right answer
        QVERIFY(says(QStringLiteral("25 of 30 items evaluated: NOT FINISHED")));
    }

    void anItemWithoutARightAnswerHasADash() {
        ItemsModel model;
        moescope::ItemRow item;
        model.setRows({item});
        QCOMPARE(model.index(0, ItemsModel::kExpectedColumn).data().toString(),
                 QStringLiteral("–"));
    }

    void aHiddenColumnTakesNoRoomAfterOtherRows() {
        Selection selection;
        const std::unique_ptr<View> view(makeEvaluationsView(selection, nullptr));
        auto written = std::make_shared<RunData>(*run_);
        for (moescope::ItemRow& item : written->suites[0].items) item.logLikelihoods = "[]";
        view->resize(1200, 800);
        view->show();
        view->setRun(written);
        const QHeaderView* header =
            tableNamed(*view, QStringLiteral("Choices"))->horizontalHeader();
        QVERIFY(header->isSectionHidden(ChoicesModel::kLogLikelihoodColumn));
        int shown = 0;
        for (int i = 0; i < header->count(); ++i) shown += header->sectionSize(i);
        QCOMPARE(header->length(), shown);
    }

    void repeatsAreNumberedAndTheirRepliesCounted() {
        Selection selection;
        const std::unique_ptr<View> view(makeEvaluationsView(selection, nullptr));
        view->resize(1200, 800);
        view->show();
        view->setRun(run_);
        DataTable* items = tableNamed(*view, QStringLiteral("Items"));
        QVERIFY(items->isColumnHidden(ItemsModel::kRepeatColumn));
        auto repeated = std::make_shared<RunData>(*run_);
        moescope::gui::SuiteData& suite = repeated->suites[0];
        suite.suite.settings = R"({"repeats":2})";
        suite.suite.items = 20;
        for (std::size_t i = 0; i < suite.items.size(); ++i) {
            suite.items[i].id = std::to_string(i / 2);
            suite.items[i].repeat = static_cast<std::int64_t>(i % 2);
        }
        suite.items.pop_back();
        repeated->summary.itemCounts[suite.suite.id] = {39, 39};
        view->setRun(repeated);
        QVERIFY(!items->isColumnHidden(ItemsModel::kRepeatColumn));
        QCOMPARE(items->model()->index(1, ItemsModel::kRepeatColumn).data().toInt(), 2);
        DataTable* suites = tableNamed(*view, QStringLiteral("Suites"));
        QCOMPARE(suites->model()->index(0, 1).data().toString(),
                 QStringLiteral("39 of 40 replies, NOT FINISHED"));
        bool counted = false;
        for (const QLabel* label : view->findChildren<QLabel*>())
            counted = counted || label->text() == QStringLiteral("39 of 39 replies");
        QVERIFY(counted);
    }

    void searchingItemsSelectsNothingElsewhereAndAClickDoes() {
        Selection selection;
        const std::unique_ptr<View> view(makeEvaluationsView(selection, nullptr));
        view->resize(1200, 800);
        view->show();
        view->setRun(run_);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        view->searchField()->setText(QStringLiteral("arc"));
        view->searchField()->clear();
        QVERIFY(!selection.state().sequence);
        QVERIFY(!selection.canUndo());

        DataTable* items = tableNamed(*view, QStringLiteral("Items"));
        QVERIFY(items != nullptr);
        selection.edit([](SelectionState& s) { s.position = 7; });
        const auto click = [&](int row) {
            const QModelIndex index = items->model()->index(row, 1);
            items->scrollTo(index);
            QTest::mouseClick(items->viewport(), Qt::LeftButton, {},
                              items->visualRect(index).center());
        };
        click(3);
        const std::optional<std::int64_t> third = selection.state().sequence;
        QVERIFY(third.has_value());
        QVERIFY(!selection.state().position);  // of another sequence
        click(5);
        QVERIFY(selection.state().sequence != third);
        selection.undo();
        QCOMPARE(selection.state().sequence, third);
        QCOMPARE(items->currentIndex().row(), 3);
    }
};

QTEST_MAIN(TestEvaluations)
#include "test_evaluations.moc"
