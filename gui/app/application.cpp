// SPDX-License-Identifier: Apache-2.0
#include "gui/app/application.h"

#include <QApplication>
#include <QElapsedTimer>
#include <QIcon>
#include <QSettings>
#include <QTimer>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "gui/app/main_window.h"

/// The icons lie in a static library, whose resources nobody registers unless told. Qt's macro must
/// be used outside namespaces.
static void registerResources() {
    Q_INIT_RESOURCE(moescope);
}

namespace moescope::gui {
namespace {

constexpr const char* kUsage =
    "usage: moescope-gui [--view ID] [--theme system|light|dark] [--size WxH]\n"
    "                    [--screenshot FILE.png] [--sequence N] [--layer N]\n"
    "                    [--baseline RUN] [RUN ...]\n"
    "Of several runs the first is the baseline, as in 'moescope compare': the second is shown, "
    "the\n"
    "others are in the list. --baseline RUN is the same as naming that run first.\n";

std::string usage() {
    constexpr std::size_t kColumns = 80;
    std::string text = kUsage, line = "views:";
    for (const ViewType& type : viewTypes()) {
        const std::string word = std::string(" ") + type.id;
        if (line.size() + word.size() > kColumns) {
            text += line + '\n';
            line = "      ";
        }
        line += word;
    }
    return text + line + '\n';
}

QSize parseSize(const QString& value) {
    const QStringList parts = value.split(QChar('x'));
    bool wide = false, high = false;
    const QSize size =
        parts.size() == 2 ? QSize(parts[0].toInt(&wide), parts[1].toInt(&high)) : QSize();
    if (!wide || !high || size.width() < 200 || size.height() < 150 || size.width() > 16384 ||
        size.height() > 16384) {
        throw UsageError("--size " + value.toStdString() +
                         ": expected WIDTHxHEIGHT, 200x150 to 16384x16384");
    }
    return size;
}

qint64 parseInteger(const QString& option, const QString& value) {
    bool ok = false;
    const qint64 number = value.toLongLong(&ok);
    if (!ok)
        throw UsageError(option.toStdString() + " " + value.toStdString() +
                         ": expected a whole number");
    return number;
}

void setOption(Options& options, const QString& name, const QString& value) {
    if (name == QLatin1String("--view")) {
        bool known = false;
        for (const ViewType& type : viewTypes()) known = known || value == QLatin1String(type.id);
        if (!known)
            throw UsageError("--view " + value.toStdString() + ": unknown view",
                             "moescope-gui --help lists them");
        options.view = value;
    } else if (name == QLatin1String("--theme")) {
        options.theme = themeByName(value);
        if (!options.theme)
            throw UsageError("--theme " + value.toStdString() + ": expected system, light or dark");
    } else if (name == QLatin1String("--size")) {
        options.size = parseSize(value);
    } else if (name == QLatin1String("--screenshot")) {
        options.screenshot = value;
    } else if (name == QLatin1String("--baseline")) {
        options.baseline = value;
    } else if (name == QLatin1String("--sequence")) {
        options.sequence = parseInteger(name, value);
    } else if (name == QLatin1String("--layer")) {
        options.layer = parseInteger(name, value);
    } else {
        throw UsageError(name.toStdString() + ": unknown option",
                         "moescope-gui --help lists the options");
    }
}

/// Qt's remarks about a machine without a display, which say nothing about a picture taken there.
void dropOffscreenRemarks(QtMsgType type, const QMessageLogContext& context, const QString& text) {
    for (const char* known :
         {"This plugin does not support propagateSizeHints()", "QStandardPaths: XDG_RUNTIME_DIR"}) {
        if (text.startsWith(QLatin1String(known))) return;
    }
    std::fprintf(stderr, "%s\n", qPrintable(qFormatLogMessage(type, context, text)));
    if (type == QtFatalMsg) std::abort();
}

/// Runs the event loop until the window has nothing under way.
bool settle(MainWindow& window) {
    constexpr int kLongestMs = 120'000;
    QElapsedTimer timer;
    timer.start();
    do {
        QApplication::processEvents(QEventLoop::AllEvents, 20);
        if (timer.elapsed() > kLongestMs) return false;
    } while (window.isBusy());
    for (int i = 0; i < 10; ++i) {
        QApplication::processEvents(QEventLoop::AllEvents, 10);
        QApplication::sendPostedEvents();
    }
    return true;
}

/// Throws UsageError naming the option, its value and what the run has, where `value` is none of
/// `known`, the numbers of the run's `what`s.
void requireAmong(const char* option, std::optional<std::int64_t> value,
                  const std::set<std::int64_t>& known, const char* what) {
    if (!value || known.count(*value) > 0) return;
    std::string has = "no " + std::string(what) + "s";
    if (!known.empty())
        has = countText(known.size(), what) + ", " + std::to_string(*known.begin()) +
              (known.size() > 1 ? " to " + std::to_string(*known.rbegin()) : "");
    throw UsageError(std::string(option) + " " + std::to_string(*value) + ": the run has " + has);
}

void waitForRun(MainWindow& window) {
    if (!settle(window)) throw Error("the run was not read within two minutes");
    if (window.failure())
        throw Error(window.failure()->what.toStdString(), window.failure()->hint.toStdString());
}

/// What --sequence and --layer ask for. A number that the run does not have would show something
/// else under its name.
void select(MainWindow& window, const Options& options) {
    if (!options.sequence && !options.layer) return;
    if (!window.run()) throw UsageError("--sequence and --layer need a run to select in");
    const RunSummary& run = window.run()->summary;
    std::set<std::int64_t> sequences, layers;
    for (const SequenceRow& sequence : run.sequences) sequences.insert(sequence.id);
    for (const LayerRouting& layer : run.routing) layers.insert(layer.layer);
    for (const auto& [layer, ns] : run.layerNs)
        if (layer >= 0) layers.insert(layer);
    requireAmong("--sequence", options.sequence, sequences, "sequence");
    requireAmong("--layer", options.layer, layers, "layer");
    window.selection().edit([&](SelectionState& s) {
        if (options.sequence) s.sequence = *options.sequence;
        if (options.layer) s.layer = static_cast<int>(*options.layer);
    });
}

int takeScreenshot(MainWindow& window, const Options& options) {
    window.show();
    waitForRun(window);
    if (!options.view.isEmpty()) window.showView(options.view);
    select(window, options);
    settle(window);
    QTimer::singleShot(150, qApp, &QApplication::quit);  // timers of the views
    QApplication::exec();
    if (!window.grab().save(options.screenshot)) {
        throw Error(options.screenshot.toStdString() + ": cannot write the picture",
                    "Check the folder and the ending (.png).");
    }
    return 0;
}

int report(const Error& error, int code) {
    std::fprintf(stderr, "error: %s\n", error.what());
    if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
    return code;
}

}  // namespace

Options parseOptions(const QStringList& arguments) {
    Options options;
    for (qsizetype i = 0; i < arguments.size(); ++i) {
        const QString& word = arguments[i];
        if (word == QLatin1String("--help") || word == QLatin1String("-h")) {
            options.help = true;
        } else if (word == QLatin1String("--version")) {
            options.version = true;
        } else if (word == QLatin1String("--")) {
            options.runs += arguments.mid(i + 1);
            break;
        } else if (!word.startsWith(QChar('-'))) {
            options.runs << word;
        } else if (const qsizetype equals = word.indexOf(QChar('=')); equals > 0) {
            setOption(options, word.left(equals), word.mid(equals + 1));
        } else {
            if (i + 1 == arguments.size())
                throw UsageError(word.toStdString() + ": unknown option, or its value is missing",
                                 "moescope-gui --help lists the options");
            setOption(options, word, arguments[++i]);
        }
    }
    if (!options.baseline.isEmpty() && !options.runs.isEmpty())
        options.runs.prepend(std::exchange(options.baseline, QString()));
    return options;
}

int runApplication(int argc, char** argv) {
    Options options;
    QStringList arguments;
    for (int i = 1; i < argc; ++i) arguments << QString::fromLocal8Bit(argv[i]);
    try {
        options = parseOptions(arguments);
    } catch (const UsageError& error) {
        return report(error, 2);
    }
    if (options.help) return std::fputs(usage().c_str(), stdout) < 0 ? 1 : 0;
    if (options.version)
        return std::fputs("moescope-gui " MOESCOPE_VERSION "\n", stdout) < 0 ? 1 : 0;
    const bool display =
        qEnvironmentVariableIsSet("DISPLAY") || qEnvironmentVariableIsSet("WAYLAND_DISPLAY");
    if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM") && !display) {
        if (options.screenshot.isEmpty())
            return report(Error("there is no display to open a window on",
                                "Use --screenshot FILE.png, or run it on a desktop."),
                          1);
        qputenv("QT_QPA_PLATFORM", "offscreen");
    }
    if (!options.screenshot.isEmpty()) qInstallMessageHandler(dropOffscreenRemarks);
    int one = 1;  // our options are not Qt's
    QApplication app(one, argv);
    registerResources();
    QApplication::setOrganizationName(QStringLiteral("moescope"));
    // A screenshot neither depends on the user's settings nor leaves a trace in them.
    QApplication::setApplicationName(options.screenshot.isEmpty()
                                         ? QStringLiteral("moescope-gui")
                                         : QStringLiteral("moescope-gui-screenshot"));
    if (!options.screenshot.isEmpty()) QSettings().clear();
    QApplication::setWindowIcon(QIcon(QStringLiteral(":/moescope/moescope.svg")));
    QApplication::setDesktopFileName(QStringLiteral("moescope"));
    applyTheme(
        options.theme.value_or(themeByName(QSettings().value(QStringLiteral("theme")).toString())
                                   .value_or(Theme::System)));
    try {
        MainWindow window;
        if (options.screenshot.isEmpty()) window.restoreSettings();
        if (options.size.isValid()) window.resize(options.size);
        window.openRuns(options.runs);
        if (!options.baseline.isEmpty()) window.setBaseline(options.baseline);
        if (!options.view.isEmpty()) window.showView(options.view);
        if (!options.screenshot.isEmpty()) return takeScreenshot(window, options);
        window.show();
        if (options.sequence || options.layer) {
            waitForRun(window);
            select(window, options);
        }
        return QApplication::exec();
    } catch (const UsageError& error) {
        return report(error, 2);
    } catch (const Error& error) {
        return report(error, 1);
    }
}

}  // namespace moescope::gui
