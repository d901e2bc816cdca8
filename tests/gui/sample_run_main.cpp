// SPDX-License-Identifier: Apache-2.0
// Writes the tests' sample run to a file, for looking at the window by hand, and tells how long a
// file takes to open:
//
//   gui_sample_run FILE.moescope [GENERATED_TOKENS]      of each of three sequences
//   gui_sample_run FILE.moescope --spans 1000000         as many operations, or a few more
//   gui_sample_run FILE.moescope --open [TIMES]          seconds from asking until it is shown
#include <QApplication>
#include <QElapsedTimer>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "engine/core/error.h"
#include "gui/app/main_window.h"
#include "tests/gui/make_sample_run.h"

namespace {

using moescope::gui::MainWindow;
using moescope::gui::test::SampleShape;

struct Seconds {
    double wall = 0, processor = 0;  ///< of all threads: what it costs where others are busy too
};

/// Reading, the analyses of the shown view and its first painting.
Seconds timeToOpen(const char* path, const char* view) {
    MainWindow window;
    window.resize(1280, 800);
    window.show();
    QElapsedTimer timer;
    timer.start();
    const std::clock_t before = std::clock();
    window.openRun(QString::fromLocal8Bit(path));
    window.showView(QLatin1String(view));
    while (window.isBusy()) QApplication::processEvents(QEventLoop::WaitForMoreEvents, 5);
    if (window.failure()) throw moescope::Error(window.failure()->what.toStdString());
    window.grab();
    return {static_cast<double>(timer.nsecsElapsed()) * 1e-9,
            static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC};
}

int open(int argc, char** argv, const char* path, int times) {
    qputenv("QT_QPA_PLATFORM", "offscreen");
    const QApplication app(argc, argv);
    for (const char* view : {"summary", "timeline"})
        for (int i = 0; i < times; ++i) {
            const Seconds took = timeToOpen(path, view);
            std::printf("%s: %.3f s, %.3f s of processor\n", view, took.wall, took.processor);
        }
    return 0;
}

/// Tokens that bring a run of this shape to `spans` operations.
int tokensFor(const SampleShape& shape, std::int64_t spans) {
    constexpr int kOfLayer = 5, kOutside = 3;  // as in make_sample_run.cpp
    return static_cast<int>(spans / shape.sequences / (shape.layers * kOfLayer + kOutside)) + 1;
}

}  // namespace

int main(int argc, char** argv) {
    const char* option = argc > 2 ? argv[2] : "";
    const char* value = argc > 3 ? argv[3] : nullptr;
    if (argc < 2 || (std::strcmp(option, "--spans") == 0 && value == nullptr)) {
        std::fputs(
            "usage: gui_sample_run FILE.moescope [GENERATED_TOKENS]\n"
            "       gui_sample_run FILE.moescope --spans N\n"
            "       gui_sample_run FILE.moescope --open [TIMES]\n",
            stderr);
        return 2;
    }
    try {
        if (std::strcmp(option, "--open") == 0)
            return open(argc, argv, argv[1], value != nullptr ? std::atoi(value) : 5);
        SampleShape shape;
        if (std::strcmp(option, "--spans") == 0) {
            shape.generatedTokens = tokensFor(shape, std::atoll(value));
        } else if (argc > 2) {
            shape.generatedTokens = std::atoi(option);
        }
        moescope::gui::test::makeSampleRun(argv[1], shape);
    } catch (const moescope::Error& error) {
        std::fprintf(stderr, "Error: %s\n", error.what());
        return 1;
    }
    return 0;
}
