// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them: units, thousands separators, a fixed count of digits. Never the
// locale: the same run gives the same bytes everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moescope {

/// What every formatter here prints for NaN and infinities: a quantity nobody measured.
inline constexpr char kNoData[] = "n/a";

std::string formatCount(std::int64_t value);          ///< "1,234,567"
std::string formatFixed(double value, int decimals);  ///< "1,234.50"
/// With `decimals`, and none where the whole part already has four digits: nobody measures further.
std::string formatMeasured(double value, int decimals);       ///< "12.34", "12,346"
std::string formatSignificant(double value, int digits = 3);  ///< "0.0123", "12.3", "12,346"
std::string formatDuration(double ns);                        ///< "1.23 ms"
std::string formatBytes(double bytes);                        ///< "12.1 GB" (1 GB = 10^9 bytes)
/// formatCount and the noun: "1 step", "1,234 steps".
std::string formatCounted(std::int64_t n, std::string_view one);
/// By its metric of NVIDIA's: shares of a peak in %, bytes and cycles per second, else as it is.
std::string formatCounter(const std::string& metric, double value);
std::string formatPercent(double fraction);                          ///< 0.432 -> "43.2 %"
std::string formatPerSecond(double value, const std::string& unit);  ///< 3.8e10, "B" -> "38.0 GB/s"

/// Tokens a second: "12.3", "12,346", "42.2 M".
std::string formatRate(double perSecond);
std::string formatParameters(double count);  ///< 20914757184 -> "20.9 B"
/// A fact of a run file, its unit told by the key: "..._bytes", "..._ns", "..._per_second" of bytes
/// or operations, "parameters"; other whole numbers are counts.
std::string formatFact(std::string_view key, double value);
/// Of a fact within an object: the object's key where that tells the unit, else the fact's own.
std::string_view unitKey(std::string_view object, std::string_view key);

/// Shortest text that reads back as the same double; empty for NaN and infinities. For CSV.
std::string rawNumber(double value);

}  // namespace moescope
