// SPDX-License-Identifier: Apache-2.0
// Paths of the runs opened last, newest first, kept in QSettings.
#pragma once

#include <QStringList>

namespace moescope::gui {

QStringList recentRuns();
void addRecentRun(const QString& path);

}  // namespace moescope::gui
