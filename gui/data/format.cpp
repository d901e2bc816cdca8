// SPDX-License-Identifier: Apache-2.0
#include "gui/data/format.h"

#include <cmath>

#include "engine/core/file.h"
#include "reports/numbers.h"

namespace moescope::gui {

QString text(std::string_view bytes) {
    return QString::fromStdString(toValidUtf8(bytes));
}

QString heading(std::string_view term) {
    QString out = text(term);
    if (!out.isEmpty()) out[0] = out[0].toUpper();
    return out;
}

QString formatNumber(double value, int significant) {
    return text(formatSignificant(value, significant));
}

QString formatFixed(double value, int decimals) {
    return text(moescope::formatFixed(value, decimals));
}

QString formatTimes(double factor) {
    return std::isfinite(factor) ? formatFixed(factor, 2) + QChar(0x00D7) : text(kNoData);
}

QString formatCount(std::int64_t value) {
    return text(moescope::formatCount(value));
}

QString formatCounted(std::int64_t n, std::string_view one) {
    return text(moescope::formatCounted(n, one));
}

QString formatDuration(double ns) {
    return text(moescope::formatDuration(ns));
}

QString formatBytes(double bytes) {
    return text(moescope::formatBytes(bytes));
}

QString formatPerSecond(double value, const char* unit) {
    return text(moescope::formatPerSecond(value, unit));
}

QString formatPercent(double share) {
    return text(moescope::formatPercent(share));
}

}  // namespace moescope::gui
