// SPDX-License-Identifier: Apache-2.0
// The list of views at the left of the window: all in sight, by mouse and by key, and what a view
// lacks.
#include <QScrollBar>
#include <QSet>
#include <QSettings>
#include <QTemporaryDir>
#include <QTest>

#include "gui/app/main_window.h"
#include "profiler/runfile/run_writer.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;

class TestViewList : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_;

private slots:
    void initTestCase() {
        QCoreApplication::setOrganizationName(QStringLiteral("moescope-test"));
        QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, folder_.path());
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        test::makeSampleRun(sample_.toStdString());
        applyTheme(Theme::Light);
    }

    void everyViewIsInSightUnderTheHeadingOfItsSection() {
        MainWindow window;
        for (const QSize& size : {QSize(1400, 900), QSize(1200, 760), QSize(1000, 650)}) {
            window.resize(size);
            window.show();
            window.openRun(sample_);
            QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
            const auto* list = window.findChild<ViewList*>();
            QVERIFY(list != nullptr && list->isVisible());
            QCOMPARE(list->verticalScrollBar()->maximum(), 0);
            QVERIFY(list->viewport()->width() >= list->contentWidth() - 2);
        }
        const auto* list = window.findChild<ViewList*>();
        QStringList headings, views;
        for (int row = 0; row < list->count(); ++row) {
            const QListWidgetItem* item = list->item(row);
            (item->flags() == Qt::NoItemFlags ? headings : views) << item->text();
        }
        QCOMPARE(views.size(), static_cast<qsizetype>(viewTypes().size()));
        QCOMPARE(headings.join(QChar(' ')), QStringLiteral("Run Speed Routing Results"));
        QCOMPARE(QSet<QString>(headings.begin(), headings.end()).size(), headings.size());
    }

    void arrowKeysChooseViewsAndPassOverHeadings() {
        MainWindow window;
        window.show();
        QVERIFY(QTest::qWaitForWindowActive(&window));
        auto* list = window.findChild<ViewList*>();
        window.showView(QStringLiteral("summary"));
        list->setFocus();
        QTest::keyClick(list, Qt::Key_Down);
        QCOMPARE(window.currentView(), QStringLiteral("kernels"));  // of the next section
        QTest::keyClick(list, Qt::Key_Up);
        QCOMPARE(window.currentView(), QStringLiteral("summary"));
        QTest::keyClick(list, Qt::Key_End);
        QCOMPARE(window.currentView(), QStringLiteral("evaluations"));
        QTest::keyClick(&window, Qt::Key_PageUp, Qt::ControlModifier);
        QCOMPARE(window.currentView(), QStringLiteral("compare"));
        QTest::keyClick(&window, Qt::Key_1, Qt::ControlModifier);
        QCOMPARE(window.currentView(), QStringLiteral("start"));
        QTest::keyClick(&window, Qt::Key_PageUp, Qt::ControlModifier);  // there is none before
        QCOMPARE(window.currentView(), QStringLiteral("start"));
    }

    void viewsThatLackTheirDataAreDimmedAndSayWhatWouldRecordIt() {
        const auto told = [](const MainWindow& window, const char* title) {
            const auto* list = window.findChild<ViewList*>();
            const QListWidgetItem* item =
                list->findItems(QLatin1String(title), Qt::MatchExactly).front();
            const QString why = item->data(Qt::AccessibleDescriptionRole).toString();
            return item->toolTip().contains(why) ? why : QStringLiteral("not in the tip");
        };
        const QString untimed = folder_.filePath(QStringLiteral("nothing.moescope"));
        moescope::RunWriter writer(untimed.toStdString(), moescope::RunWriter::Mode::Create);
        writer.finish(moescope::RunStatus::Done);
        MainWindow window;
        window.show();
        QCOMPARE(told(window, "Kernels"), QString());  // without a run nothing is known
        window.openRun(untimed);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        QVERIFY(told(window, "Kernels").contains(QStringLiteral("moescope profile")));
        QVERIFY(told(window, "Evaluations").contains(QStringLiteral("moescope eval")));
        QVERIFY(!told(window, "GPUs").isEmpty());
        QCOMPARE(told(window, "Summary"), QString());
        // The page says the same.
        for (const ViewType& type : viewTypes()) {
            const std::optional<Lack> lack =
                window.view(QLatin1String(type.id))->lack(*window.run());
            if (!lack) continue;
            window.showView(QLatin1String(type.id));
            QTRY_VERIFY_WITH_TIMEOUT(!window.isBusy(), 20000);
            QVERIFY2(!window.view(QLatin1String(type.id))->showsPage(), type.id);
        }
        window.openRun(sample_);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        for (const ViewType& type : viewTypes())
            if (QLatin1String(type.id) != QLatin1String("evaluations"))
                QCOMPARE(told(window, type.title), QString());
    }
};

QTEST_MAIN(TestViewList)
#include "test_view_list.moc"
