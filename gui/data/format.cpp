// SPDX-License-Identifier: Apache-2.0
#include "gui/data/format.h"

#include <array>
#include <cmath>
#include <string>

#include "engine/core/count_text.h"
#include "engine/core/file.h"

namespace moescope::gui {
namespace {

struct Scaled {
    double value;
    const char* prefix;
};

Scaled scaled(double value) {
    static constexpr std::array<const char*, 6> kPrefixes = {"", "k", "M", "G", "T", "P"};
    std::size_t i = 0;
    // 999.5 would print as "1000" with three digits, so the next unit begins there.
    while (std::abs(value) >= 999.5 && i + 1 < kPrefixes.size()) {
        value /= 1000;
        ++i;
    }
    return {value, kPrefixes[i]};
}

}  // namespace

QString text(std::string_view bytes) {
    return QString::fromStdString(toValidUtf8(bytes));
}

QString heading(std::string_view term) {
    QString out = text(term);
    if (!out.isEmpty()) out[0] = out[0].toUpper();
    return out;
}

QString formatNumber(double value, int significant) {
    if (!std::isfinite(value)) return QStringLiteral("-");
    if (value == 0) return QStringLiteral("0");
    int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
    // 0.9996 rounds up to 1.00, which is a digit longer than its logarithm says.
    if (std::abs(value) >=
        std::pow(10.0, magnitude + 1) - 0.5 * std::pow(10.0, magnitude + 1 - significant))
        ++magnitude;
    if (magnitude < -5) return QString::number(value, 'g', significant);
    const int decimals = std::max(0, significant - 1 - magnitude);
    return QString::number(value, 'f', decimals);
}

QString formatCount(std::int64_t value) {
    QString digits = QString::number(value);
    const qsizetype first = value < 0 ? 1 : 0;
    for (qsizetype i = digits.size() - 3; i > first; i -= 3) digits.insert(i, QChar(0x202F));
    return digits;
}

QString formatCounted(std::int64_t n, std::string_view one) {
    return formatCount(n) + QChar(' ') + text(plural(n, one));
}

QString formatDuration(double ns) {
    if (!std::isfinite(ns)) return QStringLiteral("-");
    const double size = std::abs(ns);
    if (size < 999.5) return formatNumber(ns) + QStringLiteral(" ns");
    if (size < 999.5e3) return formatNumber(ns / 1e3) + QStringLiteral(" µs");
    if (size < 999.5e6) return formatNumber(ns / 1e6) + QStringLiteral(" ms");
    return formatNumber(ns / 1e9) + QStringLiteral(" s");
}

QString formatBytes(double bytes) {
    return formatRate(bytes, QStringLiteral("B"));
}

QString formatRate(double perSecond, const QString& unit) {
    if (!std::isfinite(perSecond)) return QStringLiteral("-");
    const Scaled s = scaled(perSecond);
    return formatNumber(s.value) + QChar(' ') + QLatin1String(s.prefix) + unit;
}

QString formatPercent(double share) {
    if (!std::isfinite(share)) return QStringLiteral("-");
    return QString::number(share * 100, 'f', std::abs(share) < 0.0995 ? 2 : 1) +
           QStringLiteral(" %");
}

}  // namespace moescope::gui
