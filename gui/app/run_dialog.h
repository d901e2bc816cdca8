// SPDX-License-Identifier: Apache-2.0
// Starts a profile: form, equal command line, live log and progress, cancel; then the run opens.
#pragma once

#include <QDialog>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QSpinBox>

#include "gui/app/profile_job.h"

namespace moescope::gui {

class RunDialog : public QDialog {
    Q_OBJECT
public:
    explicit RunDialog(QWidget* parent = nullptr);

    void setProgram(const QString& program);  ///< for tests; otherwise findMoescope()
    void setRequest(const ProfileRequest& request);
    ProfileRequest request() const;
    void start();
    void cancel();
    bool isRunning() const { return job_.isRunning(); }
    bool isStopping() const { return job_.isRunning() && job_.isCancelled(); }
    QString statusText() const { return status_->text(); }
    QString logText() const { return log_->toPlainText(); }

signals:
    void statusChanged(const QString& text);  ///< progress in words
    /// Also for interrupted and failed runs that left a file: it shows what was measured.
    void runWritten(const QString& path);
    void jobEnded();  ///< after runWritten; also where nothing was written

protected:
    void closeEvent(QCloseEvent* event) override;
    void reject() override;

private:
    void layOut();
    void update();
    void showReady(const QString& result);
    void browse(QLineEdit* field, const QString& title, const QString& filter, bool save);
    void onProgress(const ProgressLine& line);
    void onFinished(ProfileJob::Result result, const QString& message);

    QString program_;
    QString writing_;  ///< run file of the job, whatever the field says meanwhile
    ProfileJob job_;
    QLineEdit *model_, *workload_, *output_, *command_;
    QPlainTextEdit *prompt_, *log_;
    QSpinBox* tokens_;
    QLabel* status_;
    QProgressBar* progress_;
    QPushButton *start_, *cancel_;
    QList<QWidget*> inputs_;  ///< what a job that runs was started with: not to be changed
};

}  // namespace moescope::gui
