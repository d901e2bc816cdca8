// SPDX-License-Identifier: Apache-2.0
// The program around the window: command line, theme, screenshots.
#pragma once

#include <QSize>
#include <QStringList>
#include <optional>

#include "gui/app/theme.h"

namespace moescope::gui {

struct Options {
    QStringList runs;  ///< of several the first is the baseline, --baseline's run among them
    QString baseline;  ///< of --baseline without runs; empty otherwise
    QString view, screenshot;
    std::optional<Theme> theme;
    QSize size;                             ///< invalid: as last time
    std::optional<qint64> sequence, layer;  ///< to select; must be of the run
    bool help = false, version = false;
};

/// Throws UsageError. `arguments` without the program's name.
Options parseOptions(const QStringList& arguments);

/// Exit codes: 0 done, 1 failed (screenshot of a run that cannot be read), 2 wrong usage.
int runApplication(int argc, char** argv);

}  // namespace moescope::gui
