// SPDX-License-Identifier: Apache-2.0
// The whole window over the sample run, and the program's command line.
#include <QAction>
#include <QCheckBox>
#include <QComboBox>
#include <QDockWidget>
#include <QFile>
#include <QLabel>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QProcess>
#include <QScrollBar>
#include <QSet>
#include <QSettings>
#include <QStandardPaths>
#include <QSvgRenderer>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <fstream>
#include <set>

#include "engine/core/error.h"
#include "gui/app/application.h"
#include "gui/app/command_palette.h"
#include "gui/app/export_view.h"
#include "gui/app/main_window.h"
#include "gui/models/heatmap_data.h"
#include "gui/models/operation_groups.h"
#include "gui/models/row_model.h"
#include "gui/widgets/heatmap_widget.h"
#include "profiler/runfile/run_writer.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;

class TestWindow : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_;

    int program(const QStringList& arguments, QByteArray* errors = nullptr,
                QByteArray* output = nullptr) {
        QProcess process;
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"})
            environment.remove(QLatin1String(name));
        process.setProcessEnvironment(environment);
        process.start(QStringLiteral(MOESCOPE_GUI_BINARY), arguments);
        if (!process.waitForFinished(60000)) return -1;
        if (errors != nullptr) *errors = process.readAllStandardError();
        if (output != nullptr) *output = process.readAllStandardOutput();
        return process.exitCode();
    }

private slots:
    void initTestCase() {
        QCoreApplication::setOrganizationName(QStringLiteral("moescope-test"));
        QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, folder_.path());
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        test::makeSampleRun(sample_.toStdString());
        applyTheme(Theme::Light);
    }

    void everyViewShowsTheRun() {
        MainWindow window;
        window.show();
        window.openRun(sample_);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr, 20000);
        QVERIFY(window.noticeText().contains(QStringLiteral("Synthetic")));
        for (const ViewType& type : viewTypes()) {
            window.showView(QLatin1String(type.id));
            QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
            const QImage image = window.view(QLatin1String(type.id))->grab().toImage();
            std::set<QRgb> colors;
            for (int y = 0; y < image.height(); y += 3) {
                for (int x = 0; x < image.width(); x += 3) colors.insert(image.pixel(x, y));
            }
            QVERIFY2(colors.size() > 20, type.id);
        }
    }

    void selectionReachesTheInspectorAndUndoes() {
        MainWindow window;
        window.show();
        window.openRun(sample_);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr, 20000);
        window.selection().edit([](SelectionState& s) {
            s.layer = 3;
            s.expert = 5;
        });
        const auto facts = selectionFacts(*window.run(), window.selection().state());
        QVERIFY(std::any_of(facts.begin(), facts.end(), [](const FactRow& f) {
            return f.name == QLatin1String("Assignments") && f.value == QLatin1String("192");
        }));
        window.selection().undo();
        QVERIFY(!window.selection().state().layer);
    }

    void ofSeveralRunsTheSecondIsShownAndTheOthersAreListed() {
        const QString second = folder_.filePath(QStringLiteral("second.moescope"));
        QVERIFY(QFile::copy(sample_, second));
        MainWindow window;
        window.show();
        window.openRuns({sample_, second});
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr, 20000);
        QCOMPARE(QString::fromStdString(window.run()->path.string()), second);
        QStringList listed;
        for (const QListWidget* list : window.findChildren<QListWidget*>()) {
            if (list->accessibleName() != QStringLiteral("Runs")) continue;
            for (int i = 0; i < list->count(); ++i)
                listed << list->item(i)->data(Qt::UserRole).toString();
        }
        QVERIFY(listed.contains(sample_));
        QVERIFY(listed.contains(second));
    }

    void aBrokenFileShowsTheBanner() {
        const QString broken = folder_.filePath(QStringLiteral("broken.moescope"));
        std::ofstream(broken.toStdString()) << "this is no database";
        MainWindow window;
        window.show();
        window.openRun(broken);
        QTRY_VERIFY_WITH_TIMEOUT(window.failure().has_value(), 20000);
        QVERIFY(window.noticeText().contains(QStringLiteral("Error")));
        QVERIFY(window.noticeText().contains(QStringLiteral("broken.moescope")));
        QVERIFY(window.run() == nullptr);
        window.openRun(sample_);  // the window goes on
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr, 20000);
        QVERIFY(!window.noticeText().contains(QStringLiteral("broken")));
    }

    void whatIsNotShownIsNeitherCopiedNorExported() {
        const auto action = [](const MainWindow& window, const char* name) -> QAction* {
            for (QAction* each : window.findChildren<QAction*>())
                if (each->text().contains(QLatin1String(name))) return each;
            return nullptr;
        };
        const QString broken = folder_.filePath(QStringLiteral("closed.moescope"));
        std::ofstream(broken.toStdString()) << "this is no database";
        MainWindow window;
        window.show();
        QVERIFY(!action(window, "xport")->isEnabled());
        window.openRun(sample_);
        window.showView(QStringLiteral("kernels"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        QVERIFY(action(window, "xport")->isEnabled());
        QVERIFY(action(window, "opy rows")->isEnabled());
        window.openRun(broken);
        QVERIFY(!action(window, "xport")->isEnabled());
        QTRY_VERIFY_WITH_TIMEOUT(window.failure().has_value(), 20000);
        QVERIFY(!action(window, "xport")->isEnabled());
        QVERIFY(!action(window, "opy rows")->isEnabled());
        // A run without times: the view says so, and there is nothing to export.
        const QString untimed = folder_.filePath(QStringLiteral("untimed.moescope"));
        moescope::RunWriter writer(untimed.toStdString(), moescope::RunWriter::Mode::Create);
        writer.finish(moescope::RunStatus::Done);
        window.openRun(untimed);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        QVERIFY(!action(window, "xport")->isEnabled());
        QVERIFY_EXCEPTION_THROWN(exportView(*window.view(QStringLiteral("kernels")),
                                            folder_.filePath(QStringLiteral("nothing.csv"))),
                                 moescope::Error);
        window.showView(QStringLiteral("summary"));
        QVERIFY(action(window, "xport")->isEnabled());
    }

    void aRowIsSelectedAgainAfterTheSelectionWasCleared() {
        MainWindow window;
        window.resize(1400, 900);
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("kernels"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        const auto click = [](DataTable* table, int row) {
            QTest::mouseClick(table->viewport(), Qt::LeftButton, {},
                              table->visualRect(table->model()->index(row, 0)).center());
        };
        const auto& state = window.selection().state();
        DataTable* kernels = window.view(QStringLiteral("kernels"))->table();
        click(kernels, 2);
        const QString operation = state.operation;
        QVERIFY(!operation.isEmpty());
        window.selection().clear();
        QVERIFY(!kernels->selectionModel()->hasSelection());
        click(kernels, 2);
        QCOMPARE(state.operation, operation);
        window.selection().clear();
        window.selection().undo();
        QVERIFY(kernels->selectionModel()->isRowSelected(2));
        window.showView(QStringLiteral("experts"));
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        DataTable* layers = window.view(QStringLiteral("experts"))->table();
        for (int i = 0; i < 2; ++i) {
            window.selection().clear();
            click(layers, 2);
            QCOMPARE(state.layer, std::optional(2));
        }
        window.showView(QStringLiteral("tokens"));
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        DataTable* choices = window.view(QStringLiteral("tokens"))->table();
        for (int i = 0; i < 2; ++i) {
            window.selection().edit([](SelectionState& s) { s.layer = 7; });
            click(choices, 2);
            QCOMPARE(state.layer, std::optional(2));
        }
    }

    void aRunThatIsReadAgainKeepsTheSelection() {
        const QString path = folder_.filePath(QStringLiteral("again.moescope"));
        test::makeSampleRun(path.toStdString());
        MainWindow window;
        window.show();
        window.openRun(path);
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        window.selection().edit([](SelectionState& s) { s.sequence = 2; });
        window.selection().edit([](SelectionState& s) { s.layer = 11; });
        const SelectionState before = window.selection().state();
        const RunPtr old = window.run();
        window.openRun(path);
        QCOMPARE(window.run(), old);  // until the new one is there
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QVERIFY(window.run() != old);
        QCOMPARE(window.selection().state(), before);
        // A shorter run under the same name has neither.
        QVERIFY(QFile::remove(path));
        test::makeSampleRun(path.toStdString(), {.layers = 4, .sequences = 2});
        window.openRun(path);
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QCOMPARE(window.selection().state(), SelectionState());
        QVERIFY(!window.selection().canUndo());
        // What cannot be read again stays as it was read, and the window says so.
        std::ofstream(path.toStdString(), std::ios::trunc) << "this is no database";
        window.openRun(path);
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
        QVERIFY(window.failure().has_value());
        QVERIFY(window.run() != nullptr);
        QVERIFY(window.noticeText().contains(QStringLiteral("read before")));
    }

    void docksThatMadeRoomAreRemembered() {
        const auto dock = [](const MainWindow& window, const char* name) {
            return window.findChild<QDockWidget*>(QLatin1String(name));
        };
        {
            MainWindow window;
            window.resize(1400, 900);
            window.show();
            dock(window, "runs")->hide();
            window.resize(800, 600);
            QCoreApplication::processEvents();
            QVERIFY(!dock(window, "inspector")->isVisible());
            window.saveSettings();
        }
        MainWindow window;
        window.restoreSettings();
        window.show();
        window.resize(1400, 900);
        QCoreApplication::processEvents();
        QVERIFY(!dock(window, "runs")->isVisible());
        QVERIFY(dock(window, "inspector")->isVisible());
        QSettings().clear();
    }

    void viewsAreExported() {
        MainWindow window;
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("kernels"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("kernels"));
        for (const char* ending : {"png", "svg", "csv"}) {
            const QString path = folder_.filePath(QStringLiteral("out.") + QLatin1String(ending));
            exportView(*view, path);
            QVERIFY(QFileInfo(path).size() > 200);
        }
        QVERIFY_EXCEPTION_THROWN(exportView(*view, folder_.filePath(QStringLiteral("out.gif"))),
                                 moescope::Error);
        QVERIFY_EXCEPTION_THROWN(exportView(*view, QStringLiteral("/nowhere/at/all.png")),
                                 moescope::Error);
    }

    void theHeatMapIsASmallValidDrawing() {
        MainWindow window;
        window.resize(1500, 900);
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("experts"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        const QString path = folder_.filePath(QStringLiteral("experts.svg"));
        exportView(*window.view(QStringLiteral("experts")), path);
        QVERIFY2(QFileInfo(path).size() < 300'000,
                 qPrintable(QString::number(QFileInfo(path).size())));
        QVERIFY(QSvgRenderer(path).isValid());
    }

    void groupsOfTextsAreComparedInTheBackground() {
        const QString six = folder_.filePath(QStringLiteral("six.moescope"));
        test::makeSampleRun(six.toStdString(), {.sequences = 6});
        MainWindow window;
        window.show();
        window.openRun(six);
        window.showView(QStringLiteral("groups"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        auto* map = window.view(QStringLiteral("groups"))->findChild<HeatmapWidget*>();
        QVERIFY(map != nullptr && map->isVisible());
        QCOMPARE(map->layout().rows, 12);
        QCOMPARE(map->layout().columns, 32);
        // The table of groups is the view's table; its names are whole.
        const DataTable* groups = window.view(QStringLiteral("groups"))->table();
        const QFontMetrics metrics(groups->font());
        for (int row = 0; row < groups->model()->rowCount(); ++row)
            QVERIFY(groups->columnWidth(0) >
                    metrics.horizontalAdvance(groups->model()->index(row, 0).data().toString()));
    }

    void expertsAreSpreadOverGpusInTheBackground() {
        const QString six = folder_.filePath(QStringLiteral("gpus.moescope"));
        test::makeSampleRun(six.toStdString(), {.sequences = 6});
        MainWindow window;
        window.show();
        window.openRun(six);
        window.showView(QStringLiteral("gpus"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        auto* view = window.view(QStringLiteral("gpus"));
        auto* map = view->findChild<HeatmapWidget*>();
        QVERIFY(map != nullptr && map->isVisible());
        QCOMPARE(map->layout().rows, 12);
        QCOMPARE(map->layout().columns, 8);  // of the last placement: most GPUs
        // One GPU has one placement, 2, 4 and 8 have three each.
        QAbstractItemModel* placements = view->table()->model();
        QCOMPARE(placements->rowCount(), 10);
        // The chosen placement is the one whose load is shown. In layer 3 every token goes to
        // expert 5 first: of four choices one, so that its GPU has at least twice the mean of
        // eight.
        view->table()->selectRow(7);
        const auto* matrix = view->findChild<HeatmapModel*>();
        QComboBox* order = nullptr;
        for (QComboBox* box : view->findChildren<QComboBox*>())
            if (box->findText(QStringLiteral("by number")) >= 0) order = box;
        QVERIFY(order != nullptr);
        // Of 32 experts GPU 1 holds 4 to 7; the busiest of each step is that one as well.
        QVERIFY(matrix->index(3, 1).data(kValueRole).toDouble() > 0.99);  // a logarithm
        QVERIFY(matrix->index(3, 0).data(kValueRole).toDouble() < 0.99);
        order->setCurrentIndex(1);
        emit order->activated(1);
        QVERIFY(matrix->index(3, 0).data(kValueRole).toDouble() > 0.99);
        // What it costs is seen without scrolling.
        DataTable* table = view->table();
        for (int column = 0; column < 9; ++column) {
            const int left = table->columnViewportPosition(column);
            QVERIFY2(left + table->columnWidth(column) <= table->viewport()->width(),
                     qPrintable(table->model()->headerData(column, Qt::Horizontal).toString()));
        }
        view->table()->selectRow(1);
        QCOMPARE(map->layout().columns, 2);
        window.openRun(sample_);
        QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
    }

    void onlyTheFirstNineViewsHaveKeys() {
        // A tenth would be Ctrl+1 followed by 0, and Ctrl+0 shows all of a view.
        const MainWindow window;
        QStringList keys;
        for (const QAction* action : window.findChildren<QAction*>())
            if (!action->shortcut().isEmpty()) keys << action->shortcut().toString();
        QVERIFY(keys.contains(QStringLiteral("Ctrl+9")));
        for (const QString& key : keys)
            QVERIFY2(!key.startsWith(QStringLiteral("Ctrl+1")) || key == QStringLiteral("Ctrl+1"),
                     qPrintable(key));
        QCOMPARE(QSet<QString>(keys.begin(), keys.end()).size(), keys.size());
    }

    void theTimelineSaysWhatComesBeforeItsFirstStep() {
        MainWindow window;
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("timeline"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        const auto labels = window.view(QStringLiteral("timeline"))->findChildren<QLabel*>();
        QVERIFY(std::any_of(labels.begin(), labels.end(), [](const QLabel* label) {
            return label->text().contains(QStringLiteral("whose first 1.00 ms (measuring the "));
        }));
    }

    void theBalanceOfTheLayersIsShownWhole() {
        MainWindow window;
        window.resize(1400, 900);
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("experts"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        const DataTable* table = window.view(QStringLiteral("experts"))->table();
        QTRY_COMPARE(table->horizontalScrollBar()->maximum(), 0);
    }

    void namesOfKernelsKeepTheirRoomAndTellAllOfThemselves() {
        MainWindow window;
        window.resize(1400, 900);
        window.show();
        window.openRun(sample_);
        window.showView(QStringLiteral("kernels"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        DataTable* table = window.view(QStringLiteral("kernels"))->table();
        const QFontMetrics metrics(table->font());
        for (int row = 0; row < table->model()->rowCount(); ++row)
            QVERIFY(table->columnWidth(1) >
                    metrics.horizontalAdvance(table->model()->index(row, 1).data().toString()));
        // Nothing to scroll for, until all columns are asked for.
        QCOMPARE(table->horizontalScrollBar()->maximum(), 0);
        auto* all = window.view(QStringLiteral("kernels"))->findChild<QCheckBox*>();
        all->setChecked(true);
        for (const int column : OperationsModel::kDetails) QVERIFY(!table->isColumnHidden(column));
        all->setChecked(false);
        for (const int column : OperationsModel::kDetails) QVERIFY(table->isColumnHidden(column));
        table->setColumnWidth(1, 40);
        const QModelIndex name = table->model()->index(0, 1);
        QStyleOptionViewItem option;
        option.font = table->font();
        option.rect = table->visualRect(name);
        const auto* delegate = qobject_cast<CellDelegate*>(table->itemDelegate());
        QCOMPARE(delegate->tip(option, name), name.data().toString());
        option.rect.setWidth(1000);
        QCOMPARE(delegate->tip(option, name), QString());
    }

    void namesOfMetricsKeepTheirRoom() {
        const QString run = folder_.filePath(QStringLiteral("metrics.moescope"));
        moescope::RunWriter writer(run.toStdString(), moescope::RunWriter::Mode::Create);
        writer.setMeta("kind", std::string("eval"));
        writer.add(moescope::SuiteRow{1, "s", "1", "S", "fairness", "s.json", 1, "{}"});
        writer.add(
            moescope::ItemRow{1, "pair", 0, "{}", "", "[]", "[]", "", "", 1.0, 1, 1, -1, "{}"});
        writer.add(moescope::MetricRow{1, "demographic_parity_difference_p", "ethnicity=hispanic",
                                       0.5, 0.125, 0.875, 0.1, 0.25, std::string(200, 'm'), 30});
        writer.finish(moescope::RunStatus::Done);
        MainWindow window;
        window.resize(1400, 900);
        window.show();
        window.openRun(run);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        window.showView(QStringLiteral("evaluations"));
        QWidget* view = window.view(QStringLiteral("evaluations"));
        bool found = false;
        for (DataTable* table : view->findChildren<DataTable*>()) {
            if (table->accessibleName() != QStringLiteral("Metrics")) continue;
            found = true;
            const QString name = table->model()->index(0, 0).data().toString();
            QVERIFY(table->columnWidth(0) > QFontMetrics(table->font()).horizontalAdvance(name));
        }
        QVERIFY(found);
        const auto* prompt = view->findChild<QPlainTextEdit*>();
        QVERIFY(prompt != nullptr && prompt->toPlainText().isEmpty());
        QCOMPARE(prompt->placeholderText(), QStringLiteral("This item has no prompt text."));
    }

    void everyViewFitsASmallWindow() {
        // Docks that are squeezed to a few characters are of no use: they make room, and come back.
        MainWindow window;
        window.resize(800, 600);
        window.show();
        window.openRun(sample_);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr, 20000);
        for (const ViewType& type : viewTypes()) {
            window.showView(QLatin1String(type.id));
            QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
            QCoreApplication::processEvents();
            const QSize least = window.view(QLatin1String(type.id))->minimumSizeHint();
            QVERIFY2(least.width() <= 780 - window.findChild<ViewList*>()->width() &&
                         least.height() <= 480,
                     qPrintable(QStringLiteral("%1: %2 x %3")
                                    .arg(QLatin1String(type.id))
                                    .arg(least.width())
                                    .arg(least.height())));
            QVERIFY2(window.size() == QSize(800, 600), type.id);
        }
        for (const QDockWidget* dock : window.findChildren<QDockWidget*>())
            QCOMPARE(dock->isVisible(), dock->objectName() == QStringLiteral("views"));
        // Operations of attention are told apart by the end of their names.
        for (const DataTable* table :
             window.view(QStringLiteral("summary"))->findChildren<DataTable*>()) {
            if (table->accessibleName() != QStringLiteral("Operations by time")) continue;
            for (int row = 0; row < table->model()->rowCount(); ++row)
                QVERIFY(table->columnWidth(0) >
                        QFontMetrics(table->font())
                            .horizontalAdvance(table->model()->index(row, 0).data().toString()));
        }
        window.resize(1400, 900);
        QCoreApplication::processEvents();
        for (const QDockWidget* dock : window.findChildren<QDockWidget*>())
            QVERIFY(dock->isVisible());
    }

    void paletteFindsActionsByWords() {
        QAction open(QStringLiteral("&Open a run…")), quit(QStringLiteral("&Quit")),
            off(QStringLiteral("Open nothing"));
        off.setEnabled(false);
        QCOMPARE(CommandPalette::matches({&open, &quit, &off}, QStringLiteral("run open")),
                 QList<QAction*>{&open});
        QCOMPARE(CommandPalette::matches({&open, &quit, &off}, QString()).size(), 2);
    }

    void optionsAreChecked() {
        const Options options =
            parseOptions({QStringLiteral("--view=experts"), QStringLiteral("--size"),
                          QStringLiteral("800x600"), QStringLiteral("a.moescope")});
        QCOMPARE(options.view, QStringLiteral("experts"));
        QCOMPARE(options.size, QSize(800, 600));
        QCOMPARE(options.runs, QStringList{QStringLiteral("a.moescope")});
        for (const char* bad :
             {"--view=none", "--size=10", "--theme=pink", "--layer=x", "--nothing=1", "--view"}) {
            QVERIFY_EXCEPTION_THROWN(parseOptions({QLatin1String(bad)}), moescope::UsageError);
        }
    }

    void helpNamesEveryView() {
        QByteArray help;
        QCOMPARE(program({QStringLiteral("--help")}, nullptr, &help), 0);
        const QByteArray views = help.mid(help.indexOf("views:"));
        for (const ViewType& type : viewTypes())
            QVERIFY2(views.simplified().split(' ').contains(type.id), type.id);
        for (const QByteArray& line : views.split('\n')) QVERIFY(line.size() <= 80);
    }

    void programTakesScreenshotsWithoutADisplay() {
        const QString picture = folder_.filePath(QStringLiteral("experts.png"));
        QCOMPARE(
            program({QStringLiteral("--view"), QStringLiteral("experts"), QStringLiteral("--size"),
                     QStringLiteral("1000x700"), QStringLiteral("--theme"), QStringLiteral("dark"),
                     QStringLiteral("--screenshot"), picture, sample_}),
            0);
        QCOMPARE(QImage(picture).size(), QSize(1000, 700));
        QByteArray errors;
        QCOMPARE(
            program({QStringLiteral("--screenshot"), picture, QStringLiteral("/nowhere.moescope")},
                    &errors),
            1);
        QVERIFY(errors.contains("error: /nowhere.moescope"));
        QCOMPARE(program({QStringLiteral("--view"), QStringLiteral("nothing")}), 2);
    }

    void aSequenceOrLayerThatTheRunDoesNotHaveIsRefused() {
        const QString picture = folder_.filePath(QStringLiteral("refused.png"));
        const auto refused = [&](const QStringList& asked, const char* says) {
            QByteArray errors;
            QCOMPARE(program(QStringList{QStringLiteral("--screenshot"), picture} + asked, &errors),
                     2);
            QVERIFY2(errors.contains(says), errors.constData());
            QVERIFY(!QFile::exists(picture));
        };
        refused({QStringLiteral("--sequence"), QStringLiteral("99"), sample_},
                "error: --sequence 99: the run has 3 sequences, 0 to 2\n");
        refused({QStringLiteral("--layer=77"), sample_},
                "error: --layer 77: the run has 12 layers, 0 to 11\n");
        refused({QStringLiteral("--layer=4294967296"), sample_}, "error: --layer 4294967296: ");
        refused({QStringLiteral("--layer=1")}, "--sequence and --layer need a run");
        QCOMPARE(program({QStringLiteral("--screenshot"), picture, QStringLiteral("--layer=11"),
                          QStringLiteral("--sequence=0"), sample_}),
                 0);
    }
};

QTEST_MAIN(TestWindow)
#include "test_window.moc"
