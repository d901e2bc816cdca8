// SPDX-License-Identifier: Apache-2.0
#include "gui/app/recent_runs.h"

#include <QFileInfo>
#include <QSettings>

namespace moescope::gui {
namespace {
const QString kKey = QStringLiteral("recent");
}

QStringList recentRuns() {
    return QSettings().value(kKey).toStringList();
}

void addRecentRun(const QString& path) {
    constexpr int kMost = 20;
    QStringList runs = recentRuns();
    const QString absolute = QFileInfo(path).absoluteFilePath();
    runs.removeAll(absolute);
    runs.prepend(absolute);
    QSettings().setValue(kKey, QStringList(runs.mid(0, kMost)));
}

}  // namespace moescope::gui
