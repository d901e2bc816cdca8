// SPDX-License-Identifier: Apache-2.0
// std::to_chars throughout: it ignores the locale.
#include "reports/numbers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "engine/core/count_text.h"

namespace moescope {
namespace {

/// Inserts commas into the integer part of "-1234.5".
std::string group(std::string_view digits) {
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    const std::size_t whole = std::min(digits.find('.'), digits.size());
    std::string text = negative ? "-" : "";
    for (std::size_t i = 0; i < whole; ++i) {
        if (i != 0 && (whole - i) % 3 == 0) text += ',';
        text += digits[i];
    }
    text += digits.substr(whole);
    return text;
}

struct Scale {
    double factor;
    const char* unit;
};

/// Three significant digits in the greatest unit not above the value.
template <std::size_t N>
std::string scaled(double value, const std::array<Scale, N>& scales, std::string_view suffix) {
    if (!std::isfinite(value)) return kNoData;
    const Scale* chosen = scales.data();
    // A hair below the step (999.6 kB) already rounds up to it.
    for (const Scale& scale : scales) {
        if (std::abs(value) >= scale.factor * 0.9995) chosen = &scale;
    }
    return formatSignificant(value / chosen->factor) + " " + chosen->unit + std::string(suffix);
}

constexpr std::array<Scale, 5> kDecimal = {
    {{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}, {1e12, "T"}}};
constexpr std::array<Scale, 4> kTime = {{{1, "ns"}, {1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}}};

}  // namespace

std::string formatCount(std::int64_t value) {
    return groupedDigits(value);
}

std::string formatCounted(std::int64_t n, std::string_view one) {
    return groupedCount(n, one);
}

std::string formatFixed(double value, int decimals) {
    if (!std::isfinite(value)) return kNoData;
    std::array<char, 400> buffer{};  // 309 digits of the greatest double, and decimals
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   std::chars_format::fixed, std::clamp(decimals, 0, 20));
    const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
    const bool zero = text.find_first_of("123456789") == std::string_view::npos;
    return group(zero && text.starts_with('-') ? text.substr(1) : text);
}

std::string formatMeasured(double value, int decimals) {
    return formatFixed(value, std::abs(value) >= 1000 ? 0 : decimals);
}

std::string formatSignificant(double value, int digits) {
    if (!std::isfinite(value)) return kNoData;
    if (value == 0) return "0";
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   std::chars_format::scientific, digits - 1);
    const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
    // The exponent after rounding, so that 9.996 is "10.0" and not "10.00".
    const std::size_t mark = text.find('e');
    const bool negative = text[mark + 1] == '-';
    int exponent = 0;
    std::from_chars(text.data() + mark + 2, text.data() + text.size(), exponent);
    if (negative) exponent = -exponent;
    if (exponent < -5 || exponent > 15) return std::string(text);
    return formatFixed(value, std::max(0, digits - 1 - exponent));
}

std::string formatDuration(double ns) {
    return scaled(ns, kTime, "");
}
std::string formatBytes(double bytes) {
    return scaled(bytes, kDecimal, "B");
}

std::string formatPercent(double fraction) {
    return std::isfinite(fraction) ? formatFixed(100 * fraction, 1) + " %" : kNoData;
}

std::string formatPerSecond(double value, const std::string& unit) {
    return scaled(value, kDecimal, unit + "/s");
}

std::string formatRate(double perSecond) {
    return std::abs(perSecond) < 999'500 ? formatSignificant(perSecond)
                                         : scaled(perSecond, kDecimal, "");
}

std::string formatCounter(const std::string& metric, double value) {
    const auto names = [&](const char* part) { return metric.find(part) != std::string::npos; };
    if (names(".pct_of_peak")) return formatPercent(value / 100);
    if (names(".per_second") && names("bytes")) return formatPerSecond(value, "B");
    if (names(".per_second") && names("cycles_elapsed")) return scaled(value, kDecimal, "Hz");
    return formatSignificant(value);
}

std::string formatParameters(double count) {
    constexpr std::array<Scale, 5> kNames = {
        {{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "B"}, {1e12, "T"}}};
    return std::abs(count) < 999.5 ? formatSignificant(count) : scaled(count, kNames, "");
}

std::string_view unitKey(std::string_view object, std::string_view key) {
    return object == "parameters" || object.ends_with("_per_second") ? object : key;
}

std::string formatFact(std::string_view key, double value) {
    if (key == "parameters") return formatParameters(value);
    if (key.ends_with("operations_per_second")) return formatPerSecond(value, "OP");
    if (key.ends_with("bytes_per_second")) return formatPerSecond(value, "B");
    if (key.ends_with("bytes")) return formatBytes(value);
    if (key.ends_with("_ns")) return formatDuration(value);
    constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it a double is no count
    if (value != std::floor(value) || std::abs(value) > kExact) return formatSignificant(value);
    return formatCount(static_cast<std::int64_t>(value));
}

std::string rawNumber(double value) {
    if (!std::isfinite(value)) return {};
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return {buffer.data(), end.ptr};
}

}  // namespace moescope
