// SPDX-License-Identifier: Apache-2.0
#include "gui/app/run_dialog.h"

#include <QApplication>
#include <QClipboard>
#include <QCloseEvent>
#include <QDateTime>
#include <QDir>
#include <QFileDialog>
#include <QFontDatabase>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QStandardPaths>
#include <QVBoxLayout>

#include "gui/data/format.h"

namespace moescope::gui {

RunDialog::RunDialog(QWidget* parent)
    : QDialog(parent),
      program_(findMoescope()),
      model_(new QLineEdit(this)),
      workload_(new QLineEdit(this)),
      output_(new QLineEdit(this)),
      command_(new QLineEdit(this)),
      prompt_(new QPlainTextEdit(this)),
      log_(new QPlainTextEdit(this)),
      tokens_(new QSpinBox(this)),
      status_(new QLabel(this)),
      progress_(new QProgressBar(this)),
      start_(new QPushButton(tr("&Start"), this)),
      cancel_(new QPushButton(tr("Close"), this)) {
    setWindowTitle(tr("Profile a model"));
    resize(680, 620);
    model_->setText(QStringLiteral("demo"));
    prompt_->setPlainText(tr("Explain why the sky is blue."));
    prompt_->setMaximumHeight(90);
    prompt_->setTabChangesFocus(true);
    tokens_->setRange(1, 100000);
    tokens_->setValue(64);
    workload_->setPlaceholderText(tr("instead of the prompt: a JSONL file"));
    const QString folder = QStandardPaths::writableLocation(QStandardPaths::DocumentsLocation);
    output_->setText(QDir(folder).filePath(QDateTime::currentDateTime().toString(
        QStringLiteral("'profile-'yyyyMMdd-HHmmss'.moescope'"))));
    command_->setReadOnly(true);
    command_->setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
    log_->setReadOnly(true);
    log_->setMaximumBlockCount(10000);
    log_->setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
    log_->setPlaceholderText(tr("The engine's messages appear here."));
    log_->setAccessibleName(tr("Log"));
    status_->setWordWrap(true);
    status_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    progress_->setRange(0, 1000);
    start_->setDefault(true);
    layOut();
    for (QLineEdit* field : {model_, workload_, output_})
        connect(field, &QLineEdit::textChanged, this, [this] { update(); });
    connect(prompt_, &QPlainTextEdit::textChanged, this, [this] { update(); });
    connect(tokens_, &QSpinBox::valueChanged, this, [this] { update(); });
    connect(start_, &QPushButton::clicked, this, &RunDialog::start);
    connect(cancel_, &QPushButton::clicked, this, [this] {
        if (job_.isRunning()) {
            cancel();
        } else {
            close();
        }
    });
    connect(&job_, &ProfileJob::progressed, this, &RunDialog::onProgress);
    connect(&job_, &ProfileJob::logged, log_, &QPlainTextEdit::appendPlainText);
    connect(&job_, &ProfileJob::finished, this, &RunDialog::onFinished);
    update();
}

void RunDialog::layOut() {
    const auto withBrowse = [this](QLineEdit* field, const QString& title, const QString& filter,
                                   bool save) {
        auto* button = new QPushButton(tr("Browse…"), this);
        connect(button, &QPushButton::clicked, this,
                [=, this] { browse(field, title, filter, save); });
        inputs_ << field << button;
        auto* row = new QHBoxLayout;
        row->addWidget(field, 1);
        row->addWidget(button);
        return row;
    };
    auto* copy = new QPushButton(tr("Copy"), this);
    connect(copy, &QPushButton::clicked, this,
            [this] { QApplication::clipboard()->setText(command_->text()); });
    auto* commandRow = new QHBoxLayout;
    commandRow->addWidget(command_, 1);
    commandRow->addWidget(copy);
    auto* form = new QFormLayout;
    form->addRow(tr("&Model"),
                 withBrowse(model_, tr("Choose a model"),
                            tr("Models (*.gguf *.safetensors);;All files (*)"), false));
    form->addRow(tr("&Prompt"), prompt_);
    form->addRow(tr("&Workload"), withBrowse(workload_, tr("Choose a workload"),
                                             tr("Workloads (*.jsonl);;All files (*)"), false));
    form->addRow(tr("Tokens to &generate"), tokens_);
    form->addRow(tr("&Run file"),
                 withBrowse(output_, tr("Write the run to"), tr("Runs (*.moescope)"), true));
    form->addRow(tr("Command"), commandRow);
    inputs_ << prompt_ << tokens_;
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(progress_, 1);
    buttons->addWidget(start_);
    buttons->addWidget(cancel_);
    auto* layout = new QVBoxLayout(this);
    layout->addLayout(form);
    layout->addWidget(log_, 1);
    layout->addWidget(status_);
    layout->addLayout(buttons);
}

void RunDialog::setProgram(const QString& program) {
    program_ = program;
    update();
}

void RunDialog::setRequest(const ProfileRequest& request) {
    model_->setText(request.model);
    prompt_->setPlainText(request.prompt);
    workload_->setText(request.workload);
    output_->setText(request.output);
    tokens_->setValue(request.tokens);
}

ProfileRequest RunDialog::request() const {
    return {model_->text(), prompt_->toPlainText(), workload_->text(), output_->text(),
            tokens_->value()};
}

void RunDialog::update() {
    command_->setText(shellLine(QStringLiteral("moescope"), request().arguments()));
    command_->setCursorPosition(0);
    if (!job_.isRunning()) showReady({});
}

/// `result`, of the job that ended, is said before what is missing for the next.
void RunDialog::showReady(const QString& result) {
    const QString problem = program_.isEmpty()
                                ? tr("The moescope program is neither beside this one nor in PATH.")
                                : request().problem();
    QStringList says{result, problem};
    says.removeAll(QString());
    status_->setText(says.join(QChar('\n')));
    start_->setEnabled(problem.isEmpty());
}

void RunDialog::browse(QLineEdit* field, const QString& title, const QString& filter, bool save) {
    const QString path = save ? QFileDialog::getSaveFileName(this, title, field->text(), filter)
                              : QFileDialog::getOpenFileName(this, title, field->text(), filter);
    if (!path.isEmpty()) field->setText(path);
}

void RunDialog::start() {
    if (job_.isRunning() || program_.isEmpty() || !request().problem().isEmpty()) return;
    writing_ = request().output.trimmed();
    for (QWidget* input : inputs_) input->setEnabled(false);
    log_->clear();
    status_->setText(tr("Starting…"));
    progress_->setRange(0, 0);
    start_->setEnabled(false);
    cancel_->setText(tr("&Cancel"));
    job_.start(program_, request().arguments());
}

void RunDialog::cancel() {
    status_->setText(tr("Stopping; what was measured is being kept…"));
    job_.cancel();
}

void RunDialog::onProgress(const ProgressLine& line) {
    QStringList parts{line.phase};
    if (line.done && line.total && *line.total > 0) {
        progress_->setRange(0, 1000);
        progress_->setValue(static_cast<int>(1000 * *line.done / *line.total));
        parts << tr("%1 of %2")
                     .arg(formatCount(static_cast<std::int64_t>(*line.done)),
                          formatCount(static_cast<std::int64_t>(*line.total)));
    }
    if (line.rate) parts << tr("%1 per second").arg(formatNumber(*line.rate));
    if (line.etaSeconds) parts << tr("%1 left").arg(formatDuration(*line.etaSeconds * 1e9));
    if (!line.message.isEmpty()) parts << line.message;
    status_->setText(parts.join(QStringLiteral("  |  ")));
    emit statusChanged(status_->text());
}

void RunDialog::onFinished(ProfileJob::Result result, const QString& message) {
    progress_->setRange(0, 1000);
    progress_->setValue(result == ProfileJob::Result::Done ? 1000 : 0);
    cancel_->setText(tr("Close"));
    for (QWidget* input : inputs_) input->setEnabled(true);
    showReady(result == ProfileJob::Result::Failed ? tr("Error: %1").arg(message) : message);
    if (QFileInfo::exists(writing_)) emit runWritten(writing_);
    if (result == ProfileJob::Result::Done) accept();
    emit jobEnded();
}

void RunDialog::closeEvent(QCloseEvent* event) {
    if (!job_.isRunning()) {
        event->accept();
        return;
    }
    cancel();  // closing twice is not needed: the dialog says what is happening and closes then
    event->ignore();
}

void RunDialog::reject() {
    if (job_.isRunning()) {
        cancel();
    } else {
        QDialog::reject();
    }
}

}  // namespace moescope::gui
