// SPDX-License-Identifier: Apache-2.0
#include "gui/app/profile_job.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QRegularExpression>
#include <QStandardPaths>
#include <csignal>
#include <nlohmann/json.hpp>

#include "engine/core/file.h"

namespace moescope::gui {

std::optional<ProgressLine> parseProgress(const QByteArray& line) {
    const nlohmann::json json =
        looseJson(std::string_view(line.data(), static_cast<std::size_t>(line.size())));
    if (!json.is_object() || !json.contains("phase") || !json["phase"].is_string())
        return std::nullopt;
    const auto number = [&](const char* key) -> std::optional<double> {
        return json.contains(key) && json[key].is_number() ? std::optional(json[key].get<double>())
                                                           : std::nullopt;
    };
    const auto string = [&](const char* key) {
        return json.contains(key) && json[key].is_string()
                   ? QString::fromStdString(json[key].get<std::string>())
                   : QString();
    };
    return ProgressLine{string("phase"), string("message"), number("done"),
                        number("total"), number("rate"),    number("eta_s")};
}

QString ProfileRequest::problem() const {
    if (model.trimmed().isEmpty())
        return ProfileJob::tr("Name a model: a file, a folder, or demo.");
    if (prompt.isEmpty() && workload.isEmpty())
        return ProfileJob::tr("Write a prompt or choose a workload file.");
    if (!workload.isEmpty() && !QFileInfo::exists(workload))
        return ProfileJob::tr("The workload file does not exist.");
    if (output.trimmed().isEmpty()) return ProfileJob::tr("Name the run file to write.");
    if (QFileInfo::exists(output))
        return ProfileJob::tr("The run file exists already; choose another name.");
    return {};
}

QStringList ProfileRequest::arguments() const {
    QStringList out{QStringLiteral("profile"), model.trimmed()};
    if (workload.isEmpty()) {
        out << QStringLiteral("--prompt") << prompt;
    } else {
        out << QStringLiteral("--workload") << workload;
    }
    out << QStringLiteral("-n") << QString::number(tokens) << QStringLiteral("--out")
        << output.trimmed() << QStringLiteral("--routing-tokens");
    return out;
}

QString shellLine(const QString& program, const QStringList& arguments) {
    static const QRegularExpression kPlain(QStringLiteral("^[A-Za-z0-9_@%+=:,./-]+$"));
    QStringList words;
    for (QString word : QStringList{program} + arguments) {
        if (!kPlain.match(word).hasMatch())
            word = QChar('\'') + word.replace(QChar('\''), QStringLiteral("'\\''")) + QChar('\'');
        words << word;
    }
    return words.join(QChar(' '));
}

QString findMoescope() {
    const QString beside =
        QDir(QCoreApplication::applicationDirPath()).filePath(QStringLiteral("moescope"));
    return QFileInfo(beside).isExecutable()
               ? beside
               : QStandardPaths::findExecutable(QStringLiteral("moescope"));
}

ProfileJob::ProfileJob(QObject* parent) : QObject(parent) {
    process_.setProcessChannelMode(QProcess::MergedChannels);
    connect(&process_, &QProcess::readyRead, this, [this] { readLines(false); });
    connect(&process_, &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
        if (error == QProcess::FailedToStart)
            emit finished(
                Result::Failed,
                tr("%1 cannot be started: %2").arg(process_.program(), process_.errorString()));
    });
    connect(&process_, &QProcess::finished, this, [this](int code, QProcess::ExitStatus status) {
        readLines(true);
        constexpr int kInterruptedCode = 130;
        if (status == QProcess::NormalExit && code == 0) {
            emit finished(Result::Done, tr("Finished."));
        } else if (cancelled_ || (status == QProcess::NormalExit && code == kInterruptedCode)) {
            emit finished(Result::Interrupted, tr("Interrupted; what was measured has been kept."));
        } else if (status == QProcess::CrashExit) {
            emit finished(Result::Failed, tr("The engine ended unexpectedly (killed, or out of "
                                             "memory). What was committed is in the run file."));
        } else {
            emit finished(Result::Failed, lastLine_.isEmpty()
                                              ? tr("It failed with exit code %1.").arg(code)
                                              : lastLine_);
        }
    });
}

ProfileJob::~ProfileJob() {
    if (!isRunning()) return;
    process_.disconnect(this);
    ::kill(static_cast<pid_t>(process_.processId()), SIGINT);
    if (!process_.waitForFinished(3000)) process_.kill();
    process_.waitForFinished(1000);
}

void ProfileJob::start(const QString& program, const QStringList& arguments) {
    cancelled_ = false;
    pending_.clear();
    lastLine_.clear();
    process_.start(program,
                   arguments + QStringList{QStringLiteral("--progress"), QStringLiteral("json")},
                   QIODevice::ReadOnly);
}

void ProfileJob::cancel() {
    if (!isRunning() || process_.processId() <= 0) return;
    if (cancelled_) {
        process_.kill();
        return;
    }
    cancelled_ = true;
    ::kill(static_cast<pid_t>(process_.processId()), SIGINT);
}

void ProfileJob::readLines(bool rest) {
    constexpr qsizetype kLongestLine = 1 << 20;  // a child gone mad must not fill our memory
    pending_ += process_.readAll();
    for (;;) {
        qsizetype end = pending_.indexOf('\n');
        if (end < 0 && (rest || pending_.size() > kLongestLine)) end = pending_.size();
        if (end < 0 || pending_.isEmpty()) return;
        const QByteArray line = pending_.left(end).trimmed();
        pending_.remove(0, end + 1);
        if (line.isEmpty()) continue;
        if (const auto progress = parseProgress(line)) {
            emit progressed(*progress);
        } else {
            lastLine_ = QString::fromUtf8(line);
            emit logged(lastLine_);
        }
    }
}

}  // namespace moescope::gui
