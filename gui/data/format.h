// SPDX-License-Identifier: Apache-2.0
// Numbers and bytes as a person reads them: three significant digits, one unit, '.' in every
// locale.
#pragma once

#include <QString>
#include <cstdint>
#include <string_view>

namespace moescope::gui {

/// Bytes from a file as text; invalid UTF-8 becomes U+FFFD.
QString text(std::string_view bytes);
/// A term of reports/terms.h as a heading: its first letter a capital.
QString heading(std::string_view term);

QString formatNumber(double value,
                     int significant = 3);  ///< "0.0123", "12.3", "12300"; "-" for NaN
QString formatCount(std::int64_t value);    ///< "12 345 678" (narrow no-break spaces)
QString formatCounted(std::int64_t n, std::string_view one);  ///< "1 step", "12 steps"
QString formatDuration(double ns);                            ///< "812 ns", "1.23 ms", "4.56 s"
QString formatBytes(double bytes);                            ///< decimal units: "12.1 GB"
QString formatRate(double perSecond, const QString& unit);    ///< "18.2 GB/s" for unit "B/s"
QString formatPercent(double share);                          ///< 0.123 -> "12.3 %"

}  // namespace moescope::gui
