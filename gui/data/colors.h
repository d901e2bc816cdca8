// SPDX-License-Identifier: Apache-2.0
// Colours with a meaning: operation categories (Okabe-Ito first), the viridis ramp, expert hues.
#pragma once

#include <QColor>
#include <QString>
#include <cstdint>
#include <span>
#include <string_view>

namespace moescope::gui {

struct Category {
    std::string_view name;  ///< operation name in the run file (engine/trace.h opName)
    const char* title;      ///< for people
    QRgb color;
};

/// At most 16, so that a timeline column is a fixed array.
inline constexpr int kMaxCategories = 16;
std::span<const Category> categories();
/// Index into categories(); unknown names give the one called "other".
std::uint8_t categoryOf(std::string_view op);
QString categoryTitle(std::uint8_t category);
/// For people; the operation's own name where it is not one of the categories.
QString operationTitle(std::string_view op);
QColor categoryColor(std::uint8_t category);

/// Matplotlib's viridis (CC0), linearly interpolated between 17 stops; t is clamped to [0, 1].
QRgb viridis(double t);

/// Blue, near white, orange (Okabe-Ito's blue and vermilion as ends): t = 1/2 is "as expected".
QRgb diverging(double t);

/// A hue per expert by the golden angle, so that neighbouring ids differ; dark tells the theme.
QColor expertColor(int expert, bool dark);

/// Black or white, whichever has the higher WCAG contrast on `fill`.
QColor contrastText(const QColor& fill);
double contrastRatio(const QColor& a, const QColor& b);  ///< WCAG 2.1, 1..21

}  // namespace moescope::gui
