// SPDX-License-Identifier: Apache-2.0
// The run dialog with scripts in place of the engine: success, failure, cancel.
#include <QAction>
#include <QFile>
#include <QMessageBox>
#include <QSettings>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include "gui/app/main_window.h"
#include "gui/app/run_dialog.h"
#include "gui/data/run_data.h"

using namespace moescope::gui;

class TestRunDialog : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;

    /// $out is the run file, as the real program would find it after --out.
    QString script(const QString& name, const QByteArray& body) {
        const QString path = folder_.filePath(name);
        QFile file(path);
        if (!file.open(QIODevice::WriteOnly)) return {};
        file.write("#!/bin/sh\nfor a; do [ \"$prev\" = --out ] && out=$a; prev=$a; done\n" + body);
        file.close();
        file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
        return path;
    }
    static QPushButton* button(const QWidget& of, const char* text) {
        for (QPushButton* each : of.findChildren<QPushButton*>())
            if (each->text().contains(QLatin1String(text))) return each;
        return nullptr;
    }
    ProfileRequest request(const QString& name) {
        return {QStringLiteral("demo"), QStringLiteral("it's"), {}, folder_.filePath(name), 8};
    }

private slots:
    void progressLinesAreRead() {
        const auto line = parseProgress(
            R"({"phase":"decode","done":3,"total":10,"rate":2.5,"eta_s":2.8,"message":"m"})");
        QVERIFY(line);
        QCOMPARE(line->phase, QStringLiteral("decode"));
        QCOMPARE(line->etaSeconds, std::optional(2.8));
        QVERIFY(!parseProgress("loading weights"));
        QVERIFY(!parseProgress("{\"phase\":7}"));
        QVERIFY(parseProgress(R"({"phase":"x","done":"three"})")->done == std::nullopt);
    }

    void commandLineIsQuotedForAShell() {
        QCOMPARE(shellLine(QStringLiteral("moescope"),
                           {QStringLiteral("a b"), QStringLiteral("it's"), QStringLiteral("-n")}),
                 QStringLiteral("moescope 'a b' 'it'\\''s' -n"));
    }

    void successOpensTheRun() {
        RunDialog dialog;
        dialog.setProgram(script(QStringLiteral("good"),
                                 "echo '{\"phase\":\"decode\",\"done\":1,\"total\":2}'; echo hello "
                                 ">&2; echo run > \"$out\"\n"));
        dialog.setRequest(request(QStringLiteral("good.moescope")));
        QSignalSpy written(&dialog, &RunDialog::runWritten);
        dialog.start();
        QVERIFY(written.wait(10000));
        QCOMPARE(written[0][0].toString(), folder_.filePath(QStringLiteral("good.moescope")));
        QVERIFY(dialog.logText().contains(QStringLiteral("hello")));
        QVERIFY(!dialog.logText().contains(QStringLiteral("phase")));
    }

    void failureShowsTheLastLine() {
        RunDialog dialog;
        dialog.setProgram(
            script(QStringLiteral("bad"), "echo 'Error: demo: no such model' >&2; exit 1\n"));
        dialog.setRequest(request(QStringLiteral("bad.moescope")));
        QSignalSpy written(&dialog, &RunDialog::runWritten);
        dialog.start();
        QTRY_VERIFY_WITH_TIMEOUT(dialog.statusText().contains(QStringLiteral("no such model")),
                                 10000);
        QCOMPARE(written.count(), 0);
    }

    void cancelKeepsWhatWasMeasured() {
        RunDialog dialog;
        dialog.setProgram(script(QStringLiteral("slow"),
                                 "trap 'echo part > \"$out\"; exit 130' INT\necho ready\nwhile :; "
                                 "do sleep 0.05; done\n"));
        dialog.setRequest(request(QStringLiteral("slow.moescope")));
        QSignalSpy written(&dialog, &RunDialog::runWritten);
        dialog.start();
        QTRY_VERIFY_WITH_TIMEOUT(dialog.logText().contains(QStringLiteral("ready")), 10000);
        dialog.cancel();
        QVERIFY(written.wait(10000));
        QVERIFY(dialog.statusText().contains(QStringLiteral("Interrupted")));
    }

    void afterAnInterruptedRunTheDialogSaysWhatTheNextOneNeeds() {
        RunDialog dialog;
        dialog.setProgram(script(QStringLiteral("partly"), "echo part > \"$out\"; exit 130\n"));
        dialog.setRequest(request(QStringLiteral("partly.moescope")));
        QSignalSpy written(&dialog, &RunDialog::runWritten);
        dialog.start();
        QVERIFY(written.wait(10000));
        QVERIFY(dialog.statusText().contains(QStringLiteral("Interrupted")));
        QVERIFY(dialog.statusText().contains(QStringLiteral("exists already")));
        QVERIFY(!button(dialog, "tart")->isEnabled());
        dialog.setRequest(request(QStringLiteral("whole.moescope")));
        QVERIFY(button(dialog, "tart")->isEnabled());
    }

    void whatAJobWasStartedWithCannotBeChanged() {
        RunDialog dialog;
        dialog.setProgram(script(QStringLiteral("waits"),
                                 "echo run > \"$out\"\nwhile [ ! -e \"$out.go\" ]; do sleep 0.02; "
                                 "done\n"));
        dialog.setRequest(request(QStringLiteral("first.moescope")));
        QSignalSpy written(&dialog, &RunDialog::runWritten);
        dialog.start();
        for (const QLineEdit* field : dialog.findChildren<QLineEdit*>())
            QVERIFY(!field->isEnabled() || field->isReadOnly());
        dialog.setRequest(request(QStringLiteral("second.moescope")));
        QVERIFY(QFile(folder_.filePath(QStringLiteral("first.moescope.go")))
                    .open(QIODevice::WriteOnly));
        QVERIFY(written.wait(10000));
        QCOMPARE(written[0][0].toString(), folder_.filePath(QStringLiteral("first.moescope")));
    }

    void closingTheWindowAsksBeforeItStopsAProfile() {
        QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, folder_.path());
        MainWindow window;
        window.show();
        for (QAction* action : window.findChildren<QAction*>())
            if (action->text().contains(QStringLiteral("rofile a model"))) action->trigger();
        auto* dialog = window.findChild<RunDialog*>();
        QVERIFY(dialog != nullptr);
        dialog->setProgram(script(QStringLiteral("long"),
                                  "trap 'echo part > \"$out\"; exit 130' INT\necho ready\nwhile :; "
                                  "do sleep 0.05; done\n"));
        dialog->setRequest(request(QStringLiteral("long.moescope")));
        dialog->start();
        QTRY_VERIFY_WITH_TIMEOUT(dialog->logText().contains(QStringLiteral("ready")), 10000);
        for (const char* answer : {"eep it running", "top it and close"}) {
            QVERIFY(!window.close());
            QVERIFY(window.isVisible());
            QVERIFY(dialog->isRunning());
            auto* box = window.findChild<QMessageBox*>();
            QVERIFY(box != nullptr);
            button(*box, answer)->click();
            QTRY_VERIFY(window.findChild<QMessageBox*>() == nullptr);
        }
        QTRY_VERIFY_WITH_TIMEOUT(!window.isVisible(), 10000);
        QVERIFY(QFile::exists(folder_.filePath(QStringLiteral("long.moescope"))));
    }

    void theRealProgramProfilesTheDemo() {
        qputenv("XDG_CACHE_HOME", folder_.path().toUtf8());  // where it keeps the demo model
        RunDialog dialog;
        dialog.setProgram(QStringLiteral(MOESCOPE_BINARY));
        dialog.setRequest(request(QStringLiteral("demo.moescope")));
        QSignalSpy written(&dialog, &RunDialog::runWritten);
        QStringList states;
        connect(&dialog, &RunDialog::statusChanged, this,
                [&](const QString& state) { states << state; });
        dialog.start();
        QVERIFY2(written.wait(60000), qPrintable(dialog.statusText() + dialog.logText()));
        QVERIFY2(states.join(QChar('\n')).contains(QStringLiteral(" of ")),
                 qPrintable(states.join(QChar('\n'))));
        const RunPtr run = loadRun(written[0][0].toString().toStdString());
        QVERIFY(run->summary.status == moescope::RunStatus::Done);
        QCOMPARE(run->summary.sequences.size(), std::size_t{1});
        QVERIFY(run->operations.size() > 0);
    }

    void theRealProgramKeepsACancelledRun() {
        qputenv("XDG_CACHE_HOME", folder_.path().toUtf8());
        RunDialog dialog;
        dialog.setProgram(QStringLiteral(MOESCOPE_BINARY));
        // Many texts instead of a long one: a model's context bounds what one text can take.
        QFile texts(folder_.filePath(QStringLiteral("many.jsonl")));
        QVERIFY(texts.open(QIODevice::WriteOnly));
        for (int i = 0; i < 2000; ++i) texts.write("{\"text\":\"one two three\"}\n");
        texts.close();
        ProfileRequest endless = request(QStringLiteral("cancelled.moescope"));
        endless.workload = texts.fileName();
        endless.tokens = 512;
        dialog.setRequest(endless);
        QSignalSpy written(&dialog, &RunDialog::runWritten);
        // Once: a second cancel would kill the program while it is still writing.
        bool asked = false;
        connect(&dialog, &RunDialog::statusChanged, &dialog, [&](const QString& state) {
            if (asked || !state.contains(QStringLiteral(" of "))) return;
            asked = true;
            dialog.cancel();
        });
        dialog.start();
        QVERIFY2(written.wait(60000), qPrintable(dialog.statusText() + dialog.logText()));
        QVERIFY(dialog.statusText().contains(QStringLiteral("Interrupted")));
        const RunPtr run = loadRun(written[0][0].toString().toStdString());
        QVERIFY(run->summary.status == moescope::RunStatus::Interrupted);
    }

    void whatIsMissingIsSaidBeforeStarting() {
        QVERIFY(ProfileRequest().problem().contains(QStringLiteral("model")));
        ProfileRequest r = request(QStringLiteral("x.moescope"));
        QCOMPARE(r.problem(), QString());
        r.workload = QStringLiteral("/nowhere.jsonl");
        QVERIFY(!r.problem().isEmpty());
        RunDialog dialog;
        dialog.setProgram(QStringLiteral("/nowhere/moescope"));
        dialog.setRequest(request(QStringLiteral("y.moescope")));
        dialog.start();
        QTRY_VERIFY_WITH_TIMEOUT(dialog.statusText().contains(QStringLiteral("cannot be started")),
                                 10000);
    }
};

QTEST_MAIN(TestRunDialog)
#include "test_run_dialog.moc"
