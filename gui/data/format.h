// SPDX-License-Identifier: Apache-2.0
// Numbers as the reports write them (reports/numbers.h), as QString.
#pragma once

#include <QString>
#include <cstdint>
#include <string_view>

namespace moescope::gui {

/// Bytes from a file as text; invalid UTF-8 becomes U+FFFD.
QString text(std::string_view bytes);
/// A term of reports/terms.h as a heading: its first letter a capital.
QString heading(std::string_view term);

QString formatNumber(double value, int significant = 3);  ///< "0.0123", "12.3", "12,346"
QString formatFixed(double value, int decimals);
QString formatTimes(double factor);  ///< "1.25×"
QString formatCount(std::int64_t value);
QString formatCounted(std::int64_t n, std::string_view one);
QString formatDuration(double ns);
QString formatBytes(double bytes);
QString formatPerSecond(double value, const char* unit);  ///< "18.2 GB/s" for unit "B"
QString formatPercent(double share);

}  // namespace moescope::gui
