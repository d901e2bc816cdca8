// SPDX-License-Identifier: Apache-2.0
// `moescope profile` as a child process: progress lines, cancel, result. A fault in the engine
// cannot take the window down.
#pragma once

#include <QObject>
#include <QProcess>
#include <QStringList>
#include <optional>

namespace moescope::gui {

/// One line of `--progress json`; fields that are absent or of the wrong type are empty.
struct ProgressLine {
    QString phase, message;
    std::optional<double> done, total, rate, etaSeconds;
};
/// Empty when the line is not a JSON object with a "phase": then it belongs into the log.
std::optional<ProgressLine> parseProgress(const QByteArray& line);

struct ProfileRequest {
    QString model, prompt, workload, output;  ///< prompt or workload
    int tokens = 64;                          ///< to generate for each prompt
    /// What must be mended before it can start; empty when nothing.
    QString problem() const;
    QStringList arguments() const;
};

QString shellLine(const QString& program,
                  const QStringList& arguments);  ///< quoted for a POSIX shell

/// The command line program beside this one, else the one in PATH; empty when there is none.
QString findMoescope();

class ProfileJob : public QObject {
    Q_OBJECT
public:
    enum class Result { Done, Interrupted, Failed };

    explicit ProfileJob(QObject* parent = nullptr);
    ~ProfileJob() override;

    void start(const QString& program, const QStringList& arguments);
    /// SIGINT: the child keeps what it measured. A second call kills.
    void cancel();
    bool isRunning() const { return process_.state() != QProcess::NotRunning; }
    bool isCancelled() const { return cancelled_; }

signals:
    void progressed(moescope::gui::ProgressLine progress);
    void logged(QString line);
    void finished(moescope::gui::ProfileJob::Result result, QString message);

private:
    void readLines(bool rest);

    QProcess process_;
    QByteArray pending_;
    QString lastLine_;
    bool cancelled_ = false;
};

}  // namespace moescope::gui
