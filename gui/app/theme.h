// SPDX-License-Identifier: Apache-2.0
// Fusion with palettes of our own. Text on every background has a contrast of at least 4.5 : 1.
#pragma once

#include <QColor>
#include <QString>
#include <QWidget>
#include <optional>

#include "gui/models/facts.h"

namespace moescope::gui {

enum class Theme : std::uint8_t { System, Light, Dark };

std::optional<Theme> themeByName(const QString& name);  ///< "system", "light", "dark"
QString themeName(Theme theme);

/// Sets style and palette of the application. System asks what the desktop's palette was at the
/// first call (Qt 6.4 knows no colour scheme).
void applyTheme(Theme theme);

bool isDark(const QPalette& palette);
QColor noticeColor(Notice::Level level);

}  // namespace moescope::gui
