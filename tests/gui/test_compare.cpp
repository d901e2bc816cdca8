// SPDX-License-Identifier: Apache-2.0
// The view "Compare": the difference of two runs with its noise test.
#include <QAbstractItemModelTester>
#include <QComboBox>
#include <QLabel>
#include <QSettings>
#include <QTemporaryDir>
#include <QTest>
#include <limits>

#include "gui/app/main_window.h"
#include "gui/models/difference_models.h"
#include "tests/gui/make_sample_run.h"

using namespace moescope::gui;
using moescope::DifferenceRow;
using Mode = QAbstractItemModelTester::FailureReportingMode;

class TestCompare : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString sample_, baseline_;

private slots:
    void initTestCase() {
        QCoreApplication::setOrganizationName(QStringLiteral("moescope-test"));
        QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, folder_.path());
        applyTheme(Theme::Light);
        sample_ = folder_.filePath(QStringLiteral("sample.moescope"));
        baseline_ = folder_.filePath(QStringLiteral("baseline.moescope"));
        test::makeSampleRun(sample_.toStdString());
        test::SampleShape shape;
        shape.generatedTokens = 30;
        test::makeSampleRun(baseline_.toStdString(), shape);
    }

    void tableTellsNoiseFromDifferences() {
        DifferenceModel model;
        const QAbstractItemModelTester tester(&model, Mode::Fatal);
        const double none = std::numeric_limits<double>::quiet_NaN();
        model.setRows({{"decode", "", 1e6, 1.2e6, 2e5, 1e5, 3e5, 0.001, 0.002},
                       {"decode", "experts", 1e6, 9e5, -1e5, -2e5, -1e4, 0.01, 0.03},
                       {"decode", "router", 1e5, 1.01e5, 1e3, -1e3, 3e3, 0.4, 0.5},
                       {"decode", "head", none, 1e5, none, none, none, none, none}});
        const int verdict = model.columnCount() - 1;
        const QStringList wanted{QStringLiteral("slower"), QStringLiteral("faster"),
                                 QStringLiteral("noise"), QStringLiteral("not tested")};
        for (int row = 0; row < model.rowCount(); ++row)
            QCOMPARE(model.index(row, verdict).data().toString(), wanted[row]);
        QCOMPARE(model.index(0, 1).data().toString(), QStringLiteral("whole step"));
        QCOMPARE(model.index(0, 5).data().toString(), QStringLiteral("+20.0 %"));
        QCOMPARE(model.index(3, 4).data().toString(), QString());
    }

    void theViewComparesWithTheChosenRun() {
        MainWindow window;
        window.show();
        window.openRun(baseline_);
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr, 20000);
        window.openRun(sample_);
        window.showView(QStringLiteral("compare"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        View* view = window.view(QStringLiteral("compare"));
        QCOMPARE(view->table()->model()->rowCount(), 0);
        auto* baselines = view->findChild<QComboBox*>();
        const int at = baselines->findData(baseline_);  // one of the recent runs
        QVERIFY(at > 0);
        QVERIFY(baselines->findData(sample_) < 0);
        window.setBaseline(baseline_);
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QVERIFY(view->table()->model()->rowCount() > 10);
        QCOMPARE(baselines->currentIndex(), baselines->findData(baseline_));
        // A file that cannot be read is said where the numbers would be.
        window.setBaseline(QStringLiteral("/nowhere/at/all.moescope"));
        QTRY_VERIFY_WITH_TIMEOUT(!view->isBusy(), 20000);
        QCOMPARE(view->table()->model()->rowCount(), 0);
        const auto labels = view->findChildren<QLabel*>();
        QVERIFY(std::any_of(labels.begin(), labels.end(), [](const QLabel* label) {
            return label->text().contains(QStringLiteral("/nowhere/at/all.moescope"));
        }));
    }
};

QTEST_MAIN(TestCompare)
#include "test_compare.moc"
