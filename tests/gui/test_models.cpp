// SPDX-License-Identifier: Apache-2.0
// Item models over the sample run, each under QAbstractItemModelTester, and the loader.
#include <QAbstractItemModelTester>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/core/error.h"
#include "gui/data/format.h"
#include "gui/data/run_data.h"
#include "gui/models/evaluation_models.h"
#include "gui/models/facts.h"
#include "gui/models/operation_groups.h"
#include "gui/models/routing_models.h"
#include "gui/models/specialization_models.h"
#include "gui/models/token_models.h"
#include "reports/headline.h"
#include "reports/numbers.h"
#include "reports/specialization_text.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;
using moescope::GroupBy;
using moescope::OperationColumns;
using moescope::OperationGroupRow;
using Mode = QAbstractItemModelTester::FailureReportingMode;

class TestModels : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    RunPtr run_;
    std::filesystem::path path_;

private slots:
    void initTestCase() {
        path_ = folder_.filePath(QStringLiteral("sample.moescope")).toStdString();
        test::makeSampleRun(path_);
        run_ = loadRun(path_);
    }

    void loadsEverything() {
        // 3 sequences x (1 prefill of 62 operations + 24 decode steps of 63).
        QCOMPARE(run_->operations.size(), std::size_t{3 * (62 + 24 * 63)});
        QCOMPARE(run_->steps.size(), std::size_t{75});
        QCOMPARE(run_->suites.size(), std::size_t{2});
        QCOMPARE(run_->modelName(), std::string("sample-moe-20b"));
        std::int64_t assignments = 0;
        for (const RoutingCell& cell : run_->routing) assignments += cell.count;
        QCOMPARE(assignments,
                 std::int64_t{3 * 64 * 4 * 12});  // sequences x tokens x top-k x layers
    }

    void figuresOfTheWholeRunSaySoBesideAPart() {
        const auto sections = [&](const SelectionState& selection) {
            QStringList names;
            for (const FactRow& fact : selectionFacts(*run_, selection))
                if (fact.section) names << fact.name;
            return names;
        };
        SelectionState selection;
        selection.layer = 3;
        selection.expert = 5;
        selection.operation = QStringLiteral("router");
        QVERIFY(sections(selection).filter(QStringLiteral("whole run")).isEmpty());
        SelectionState ranged = selection;
        ranged.range = TimeRange{0, 1000};
        QCOMPARE(sections(ranged).filter(QStringLiteral("whole run")).size(), 4);
        selection.sequence = 1;
        QCOMPARE(sections(selection).filter(QStringLiteral("whole run")),
                 (QStringList{QStringLiteral("Router, decode, whole run"),
                              QStringLiteral("Router, prefill, whole run"),
                              QStringLiteral("Layer 3, whole run"),
                              QStringLiteral("Expert 5 of layer 3, whole run")}));
    }

    void modelsKeepTheRules() {
        OperationsModel operations;
        SuitesModel suites;
        MetricsModel metrics;
        ItemsModel items;
        ItemsFilter filter;
        ChoicesModel choices;
        FactsModel facts;
        HeatmapModel matrix;
        LayerBalanceModel balance;
        TokenExpertsModel experts;
        TokenTableModel tokens;
        LayerDivergenceModel divergence;
        GroupExpertsModel groups;
        filter.setSourceModel(&items);
        std::vector<std::unique_ptr<QAbstractItemModelTester>> testers;
        for (QAbstractItemModel* model : std::initializer_list<QAbstractItemModel*>{
                 &operations, &suites, &metrics, &items, &filter, &choices, &facts, &matrix,
                 &balance, &experts, &tokens, &divergence, &groups}) {
            testers.push_back(std::make_unique<QAbstractItemModelTester>(model, Mode::Fatal));
        }
        const SequencePtr sequence = loadSequence(moescope::RunReader(path_), 1);
        operations.setRows(groupOperations(run_->operations, GroupBy::Kernel));
        suites.setRows({{run_->suites[0].suite, 40}});
        metrics.setMetrics(run_->suites[0].metrics);
        items.setRows(run_->suites[0].items);
        choices.setRows(choicesOf(run_->suites[0].items[0], true));
        facts.setRows(originFacts(*run_));
        matrix.setData(loadHeatmap(loadMatrix(*run_), LoadScale::Share));
        balance.setRows(layerBalance(loadMatrix(*run_), 4));
        experts.setRows(tokenExperts(*sequence, 3));
        tokens.setRows(tokenTable(*sequence, 3));
        const std::filesystem::path six =
            folder_.filePath(QStringLiteral("six.moescope")).toStdString();
        test::makeSampleRun(six, {.sequences = 6});
        const moescope::Specialization of = moescope::specialization(moescope::RunReader(six));
        divergence.setRows(of.layers);
        groups.setRows(groupExperts(of));
        QCOMPARE(divergence.rowCount(), 12);
        QCOMPARE(groups.rowCount(), 2);
        QCOMPARE(matrix.rowCount(), 12);
        QCOMPARE(matrix.columnCount(), 32);
        QCOMPARE(experts.rowCount(), 12);
        QCOMPARE(tokens.rowCount(), 64);
        operations.setRows({});
        matrix.setData({});
    }

    void liftsByHand() {
        // One layer, two groups, three experts. Expert 2 is chosen by nobody.
        moescope::Specialization of;
        of.groups = {{"a", 2, 8}, {"b", 2, 8}};
        of.experts = 3;
        of.liftThreshold = 1.5;
        moescope::LayerSpecialization layer;
        layer.layer = 4;
        const double none = std::nan("");
        layer.probability = {1, 0, 0, 0.25, 0.75, 0};
        layer.lift = {1.6, 0, none, 0.4, 2, none};
        layer.dominant = {0, 1, -1};
        layer.expertQ = {0.2, 0.01, none};
        of.layers = {layer};
        const HeatmapData a = liftHeatmap(of, 0);
        QCOMPARE(a.layers, std::vector<int>{4});
        QCOMPARE(a.value({0, 0}), std::log2(1.6));
        QCOMPARE(rampPosition(a.value({0, 1}), a.range), 0.0);  // never chosen by a
        QVERIFY(std::isnan(a.value({0, 2})));
        QCOMPARE(a.format(a.value({0, 0})), formatLift(1.6));
        QCOMPARE(a.format(a.value({0, 2})), text(moescope::kNoData));
        const HeatmapData any = liftHeatmap(of, kAnyGroup);
        QCOMPARE(any.value({0, 1}), 1.0);
        QVERIFY(any.describe({0, 1}).contains(QStringLiteral("b chooses it 2.00") + QChar(0x00D7)));
        const QString own = moescope::gui::text(moescope::reliablyText(of));
        QVERIFY(any.describe({0, 1}).contains(own));
        QVERIFY(!any.describe({0, 0}).contains(own));
        // The window calls an expert a group's own in the words of the reports and the terminal.
        const std::vector<GroupExpertsRow> groups = groupExperts(of);
        QCOMPARE(groups[0].leading, QStringLiteral("none reliably"));
        QCOMPARE(groups[1].leading, QStringLiteral("L4 e1 x2.0"));
        QVERIFY(any.describe({0, 2}).contains(QStringLiteral("nobody")));
    }

    void groupsAgreeWithTheOperations() {
        std::int64_t all = 0;
        const OperationColumns& ops = run_->operations;
        for (std::size_t i = 0; i < ops.size(); ++i) all += ops.endNs[i] - ops.startNs[i];
        for (const GroupBy by :
             {GroupBy::Kernel, GroupBy::Operation, GroupBy::Phase, GroupBy::Layer}) {
            std::int64_t sum = 0, calls = 0;
            for (const OperationGroupRow& row : groupOperations(ops, by)) {
                sum += row.group.totalNs;
                calls += row.group.calls;
            }
            QCOMPARE(sum, all);
            QCOMPARE(calls, static_cast<std::int64_t>(ops.size()));
        }
        QCOMPARE(groupOperations(ops, GroupBy::Phase).size(), std::size_t{2});
        QCOMPARE(groupOperations(ops, GroupBy::Layer).size(), std::size_t{13});
        QCOMPARE(groupOperations(ops, GroupBy::Operation).front().group.op, std::string("experts"));
        const TimeRange none{0, 1};
        QVERIFY(groupOperations(ops, GroupBy::Kernel, none).empty());
    }

    void layerThreeAlwaysChoosesExpertFive() {
        const LoadMatrix all = loadMatrix(*run_), one = loadMatrix(*run_, 1);
        QCOMPARE(all.count(3, 5), std::int64_t{192});
        QCOMPARE(one.count(3, 5), std::int64_t{64});
        QCOMPARE(one.totals[3], std::int64_t{256});
        const SequencePtr sequence = loadSequence(moescope::RunReader(path_), 1);
        QCOMPARE(sequence->topK, 4);
        for (std::size_t t = 0; t < sequence->tokens.size(); ++t)
            QCOMPARE(int(sequence->experts[sequence->at(3, t)]), 5);
    }

    void noticesSayWhatTheRunIs() {
        QStringList words;
        for (const Notice& notice : notices(*run_)) words << notice.text;
        const QString all = words.join(QChar('\n'));
        QVERIFY(all.contains(QStringLiteral("Synthetic")));
        QVERIFY(all.contains(QStringLiteral("clock")));
        QVERIFY(!all.contains(QStringLiteral("dropped")));
        const std::filesystem::path partial =
            folder_.filePath(QStringLiteral("partial.moescope")).toStdString();
        test::SampleShape shape;
        shape.status = moescope::RunStatus::Interrupted;
        test::makeSampleRun(partial, shape);
        QVERIFY(notices(*loadRun(partial)).front().text.contains(QStringLiteral("interrupted")));
    }

    void noticesSayWhatFailedAndHowMuchAsTheTerminalDoes() {
        RunData run;
        run.summary.quality = {
            {"cut", 1, "sequences", false, "Sequences of 38 that did not finish."},
            {"share", 0.9, "ratio", false, "Operation time over wall time."},
            {"timings", 0, "steps", false, "Nothing was timed."},
            {"lost_records", 7, "records", false, ""},
            {"bad_device_stamps", 2, "records", false, ""}};
        QStringList words;
        for (const Notice& notice : notices(run)) words << notice.text;
        QVERIFY(words.contains(
            QStringLiteral("cut = 1 sequence: Sequences of 38 that did not finish.")));
        QVERIFY(words.contains(QStringLiteral("share = 90 %: Operation time over wall time.")));
        QVERIFY(words.contains(QStringLiteral("timings = 0 steps: Nothing was timed.")));
        QVERIFY(words.contains(QStringLiteral("lost records = 7 records")));
        QVERIFY(words.contains(QStringLiteral("zero or negative stamps = 2 records")));
    }

    void originIsToldInWordsAndUnits() {
        RunData run;
        run.summary.meta["model"] =
            R"({"parameters":{"active":3733216,"total":11817696},"file_bytes":8678528,"odd_ns":1500})";
        QStringList lines;
        for (const FactRow& row : originFacts(run)) lines << row.name + QChar('=') + row.value;
        QVERIFY(lines.contains(QStringLiteral("Parameters=11.8 M total, 3.73 M active a token")));
        QVERIFY(lines.contains(QStringLiteral("File size=8.68 MB")));
        QVERIFY(lines.contains(QStringLiteral("Odd=1.50 µs")));
    }

    void bandwidthIsThatOfTheReports() {
        QString shown;
        for (const FactRow& row : headlineFacts(*run_))
            if (row.name == QStringLiteral("Decode bandwidth")) shown = row.value;
        const auto figures = moescope::headline(run_->summary);
        const auto found = std::find_if(figures.begin(), figures.end(), [](const auto& figure) {
            return figure.label == "Decode bandwidth";
        });
        QVERIFY(found != figures.end());
        QCOMPARE(shown, formatPerSecond(found->value, "B"));
    }

    void scoresAreThoseOfTheReportsOfGroupsToo() {
        RunData run = *run_;
        run.suites[1].metrics = {{2, "flip_rate", "gender=female", 0.4, 0.2, 0.6, {}, {}, "m", 30},
                                 {2, "flip_rate", "gender=male", 0.1, 0.0, 0.2, {}, {}, "m", 30},
                                 {2, "items_too_long", "", 4, {}, {}, {}, {}, "count", 30}};
        run.summary.metrics = run.suites[1].metrics;
        QStringList lines;
        for (const FactRow& row : scoreFacts(run)) lines << row.name + QChar('=') + row.value;
        const auto flips = lines.filter(QStringLiteral("flip_rate="));
        QCOMPARE(flips.size(), 1);
        QVERIFY2(flips[0].contains(QStringLiteral("=0.4")) &&
                     flips[0].contains(QStringLiteral("gender=female")),
                 qPrintable(flips[0]));
        QCOMPARE(lines.filter(QStringLiteral("Counts=items_too_long: 4 of 30 items")).size(), 1);
        QCOMPARE(lines.filter(QStringLiteral("items_too_long=")).size(), 0);
    }

    void aTestIsAColumnOfItsMetricAndACountIsNone() {
        MetricsModel model;
        model.setMetrics({{2, "ss", "", 55, 50.0, 60.0, {}, 50.0, "t interval", 90, 12},
                          {2, "ss_p", "", 0.0125, {}, {}, {}, {}, "sign flips", 90, 12},
                          {2, "icat", "", 70, {}, {}, {}, {}, "lms min(ss, 100 - ss) / 50", 90, 12},
                          {2, "items_too_long", "", 3, {}, {}, {}, {}, "count", 93}});
        QCOMPARE(model.rowCount(), 2);
        QStringList first;
        for (int column = 0; column < model.columnCount(); ++column)
            first << model.index(0, column).data().toString();
        QVERIFY2(first.contains(QStringLiteral("0.013")), qPrintable(first.join(QChar(' '))));
        QVERIFY(first.contains(QStringLiteral("90 in 12 clusters")));
        QVERIFY(
            first.contains(QStringLiteral("few clusters: too few independent items to "
                                          "conclude; the interval includes chance")));
    }

    void captionsLeaveOutWhatAnItemHasNot() {
        moescope::ItemRow item;
        item.id = "pair-1";
        item.score = 1;
        QCOMPARE(itemCaption(item), QStringLiteral("pair-1: score ") + formatNumber(1.0));
        item.answer = "was\nhired";
        item.target = "hired";
        QCOMPARE(itemCaption(item),
                 QStringLiteral("pair-1: answered “was hired”, expected “hired”, score ") +
                     formatNumber(1.0));
    }

    void itemsFilterFindsWrongAnswers() {
        ItemsModel items;
        ItemsFilter filter;
        filter.setSourceModel(&items);
        items.setRows(run_->suites[0].items);
        QCOMPARE(filter.rowCount(), 40);
        filter.setWrongOnly(true);
        QCOMPARE(filter.rowCount(), 10);
        filter.setText(QStringLiteral("arc-8"));
        QCOMPARE(filter.rowCount(), 1);
        const auto choices = choicesOf(items.row(0), true);
        QCOMPARE(choices.size(), std::size_t{4});
        QCOMPARE(choices[0].logLikelihood, -1.1);
        QVERIFY(choices[0].chosen && choices[1].target && !choices[2].chosen);
        moescope::ItemRow longer = items.row(0);
        longer.detail = R"({"answer_norm":2})";
        QVERIFY(choicesOf(longer, true)[2].perCharacter &&
                !choicesOf(longer, true)[0].perCharacter);
        // BBQ records that answer, but none of its metrics counts it.
        QVERIFY(!choicesOf(longer, false)[2].perCharacter);
        items.setRows({longer});
        QCOMPARE(items.index(0, ItemsModel::kPerCharacterColumn).data().toString(),
                 choicesOf(longer, true)[2].choice);
        moescope::ItemRow broken;
        broken.choices = "{not json";
        QVERIFY(choicesOf(broken, true).empty());
    }

    void routingThatContradictsItsSizeIsRefused() {
        moescope::RoutingTokensRow row{0, 0, 0, 3, 2, {1, 2, 3}, {}};
        QVERIFY_EXCEPTION_THROWN(makeSequence({}, {}, {row}, "x.moescope"), moescope::Error);
    }

    void aFileThatIsNoRunIsRefused() {
        const std::filesystem::path path =
            folder_.filePath(QStringLiteral("broken.moescope")).toStdString();
        std::ofstream(path) << "not a database";
        QVERIFY_EXCEPTION_THROWN(loadRun(path), moescope::Error);
        QVERIFY_EXCEPTION_THROWN(
            loadRun(folder_.filePath(QStringLiteral("absent.moescope")).toStdString()),
            moescope::Error);
    }

    void tokenLayoutWrapsAndFinds() {
        const std::vector<TokenLayout::Item> items{
            {40, false}, {40, false}, {40, false}, {10, true}, {30, false}};
        const TokenLayout layout = TokenLayout::arrange(items, 100, 20, 4);
        QCOMPARE(layout.boxes[1], QRect(44, 0, 40, 20));
        QCOMPARE(layout.boxes[2], QRect(0, 24, 40, 20));  // does not fit
        QCOMPARE(layout.boxes[4], QRect(0, 48, 30, 20));  // after a line break
        QCOMPARE(layout.tokenAt({50, 5}), 1);
        QCOMPARE(layout.tokenAt({42, 5}), -1);
        QCOMPARE(layout.height, 68);
    }

    void numbersReadWell() {
        QCOMPARE(formatDuration(999.6), QStringLiteral("1.00 µs"));
        QCOMPARE(formatDuration(1234567), QStringLiteral("1.23 ms"));
        QCOMPARE(formatBytes(12.1e9), QStringLiteral("12.1 GB"));
        QCOMPARE(formatPercent(0.123), QStringLiteral("12.3 %"));
        QCOMPARE(formatPercent(0.0123), QStringLiteral("1.2 %"));
        // As terminal and reports write them.
        QCOMPARE(formatNumber(10659.2), QStringLiteral("10,659"));
        QCOMPARE(formatCount(1234567), QStringLiteral("1,234,567"));
        QCOMPARE(formatPerSecond(1.0474e12, "OP"), QStringLiteral("1.05 TOP/s"));
        QCOMPARE(formatTimes(std::nan("")), text(moescope::kNoData));
        QCOMPARE(formatNumber(0.01234), QStringLiteral("0.0123"));
        QCOMPARE(text(std::string("a\xFF")), QStringLiteral("a\uFFFD"));
    }
};

QTEST_GUILESS_MAIN(TestModels)
#include "test_models.moc"
