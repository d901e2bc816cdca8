// SPDX-License-Identifier: Apache-2.0
// Colours shared by the reports and the window: a category palette that colour-blind readers can
// tell apart, a perceptually even ramp for heat maps, and the WCAG contrast sum to check pairs
// with.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

namespace moescope {

struct Rgb {
    std::uint8_t red = 0, green = 0, blue = 0;
    bool operator==(const Rgb&) const = default;
};

constexpr Rgb rgb(std::uint32_t hex) noexcept {
    return {static_cast<std::uint8_t>(hex >> 16), static_cast<std::uint8_t>(hex >> 8),
            static_cast<std::uint8_t>(hex)};
}

/// Okabe and Ito, "Color Universal Design" (2008), without black: it vanishes on a dark page.
inline constexpr std::array<Rgb, 7> kCategoryColors = {rgb(0x0072B2), rgb(0xE69F00), rgb(0x009E73),
                                                       rgb(0xCC79A7), rgb(0x56B4E9), rgb(0xD55E00),
                                                       rgb(0xF0E442)};

/// Curves of one figure, in their order: those of the seven that lie furthest apart. A sixth is
/// what chance shows and takes the ink of notes.
inline constexpr std::array<Rgb, 5> kCurveColors = {rgb(0x0072B2), rgb(0xE69F00), rgb(0x009E73),
                                                    rgb(0xCC79A7), rgb(0xD55E00)};

constexpr Rgb categoryColor(std::size_t index) noexcept {
    return kCategoryColors[index % kCategoryColors.size()];
}

/// Viridis (van der Walt and Smith, CC0) at eighths.
inline constexpr std::array<Rgb, 9> kViridis = {rgb(0x440154), rgb(0x472D7B), rgb(0x3B528B),
                                                rgb(0x2C728E), rgb(0x21918C), rgb(0x28AE80),
                                                rgb(0x5EC962), rgb(0xADDC30), rgb(0xFDE725)};

/// `position` 0..1, clamped; NaN is drawn as the low end.
inline Rgb viridis(double position) noexcept {
    const double clamped = position >= 0 ? std::min(position, 1.0) : 0.0;
    const double scaled = clamped * static_cast<double>(kViridis.size() - 1);
    const auto low = std::min(static_cast<std::size_t>(scaled), kViridis.size() - 2);
    const double part = scaled - static_cast<double>(low);
    const auto mix = [part](std::uint8_t a, std::uint8_t b) {
        return static_cast<std::uint8_t>(std::lround(a + part * (b - a)));
    };
    const Rgb& a = kViridis[low];
    const Rgb& b = kViridis[low + 1];
    return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

/// "#rrggbb"
inline std::string hexColor(Rgb color) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text = "#";
    for (const std::uint8_t part : {color.red, color.green, color.blue}) {
        text += kDigits[part >> 4];
        text += kDigits[part & 15];
    }
    return text;
}

/// Relative luminance, WCAG 2.2: 0 black, 1 white.
inline double luminance(Rgb color) noexcept {
    const auto linear = [](std::uint8_t part) {
        const double c = part / 255.0;
        return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(color.red) + 0.7152 * linear(color.green) + 0.0722 * linear(color.blue);
}

/// WCAG 2.2 contrast ratio, 1..21; running text needs 4.5.
inline double contrast(Rgb a, Rgb b) noexcept {
    const double la = luminance(a);
    const double lb = luminance(b);
    return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

}  // namespace moescope
