// SPDX-License-Identifier: Apache-2.0
// One name for one thing in everything that a person reads: terminal, Markdown, HTML and window
// (which begins its headings with a capital). The keys of JSON and CSV are their own.
#pragma once

#include <string>
#include <string_view>

namespace moescope {

inline constexpr char kWholeRun[] = "whole run";    ///< every phase, what lies between included
inline constexpr char kWholeStep[] = "whole step";  ///< every operation and the gaps between
inline constexpr char kAllGroups[] = "all";         ///< every item of a suite
inline constexpr char kWallTime[] = "wall time";
inline constexpr char kIdle[] = "idle";  ///< launch gap, host wait and other together
inline constexpr char kTimeToFirstToken[] = "time to first token (TTFT)";
inline constexpr char kTimePerOutputToken[] = "time per output token (TPOT)";
inline constexpr char kStdDev[] = "std dev";
inline constexpr char kMax[] = "max";
inline constexpr char kByChance[] = "by chance";  ///< of a perfectly uniform router
inline constexpr char kEffectiveExperts[] = "effective experts";
inline constexpr char kDeadExperts[] = "dead experts";
inline constexpr char kDeadExpertsNote[] = "experts that no token chose";

/// Of a row of the run file's table "memory".
inline std::string memoryTitle(std::string_view name) {
    // Older runs called the file's size "weights", which is not what the packed weights take.
    if (name == "model_file" || name == "weights") return "model file";
    if (name == "session_state") return "session state (KV cache, activations)";
    if (name == "peak_rss") return "peak of the process";
    std::string title(name);
    for (char& c : title) c = c == '_' ? ' ' : c;
    return title;
}

/// "prefill", "decode"; the whole run where `phase` is empty.
inline std::string phaseTitle(std::string_view phase) {
    return std::string(phase.empty() ? kWholeRun : phase);
}

}  // namespace moescope
