// SPDX-License-Identifier: Apache-2.0
// How far a measurement can be trusted, in the order in which a person should ask. First in every
// output: tables, reports, exports.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/runfile/rows.h"

namespace moescope {

struct QualityLine {
    std::string label;  ///< "mode", "records against launches", "dropped", ...
    std::string value;  ///< qualityValue; "not recorded" where the run has no such row
    bool known = true;
    bool ok = true;    ///< a person need not worry; true of what is not recorded
    std::string note;  ///< one sentence; may be empty
};

/// Of a row's value as shown: "records", "record" of one, "%" of a ratio.
std::string qualityUnit(const QualityRow& row);
/// "0 records", "1 record", "99.2 %" of a ratio, "n/a" of what is not finite.
std::string qualityValue(const QualityRow& row);

/// What is said of a failed row: "clock reading overhead = 5.62 %: <note>".
std::string qualityWarning(const QualityRow& row);

/// What a row is called in a list of checks, by its name: "time covered by operations" of
/// "op_time_share"; the name in words where no question asks for it.
std::string qualityLabel(std::string_view row);

/// Mode on the degradation ladder with the run's status, then records against launches, drops,
/// stamps, attribution, clock steps, overhead (of clock readings, of CUPTI), throttling and
/// coverage (absent ones say "not recorded"), then whatever other quality rows the run has by their
/// own names, then versions.
std::vector<QualityLine> qualityBlock(const std::map<std::string, std::string>& meta,
                                      RunStatus status, const std::vector<QualityRow>& rows);

}  // namespace moescope
