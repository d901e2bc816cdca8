// SPDX-License-Identifier: Apache-2.0
// Specialisation in words, for every format that people read, the terminal and the window.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "profiler/analysis/specialization.h"

namespace moescope {

/// The name of a group as a line of text shows it: names come from the run file, and so from
/// strangers. Without control characters, cut to about 32 bytes.
std::string groupTitle(const TextGroup& group);

/// Divergence and specialised share, each beside chance, the expert that is most a group's own, and
/// what was left out. Plain text.
std::vector<std::string> specializationSentences(const Specialization& of);

/// "lift above 1.50, q < 0.05": what a pair of layer and expert must show to be a group's own.
std::string reliablyText(const Specialization& of);

/// Over a column of leadingExpertsText.
inline constexpr char kLeadingExpertsTitle[] = "experts most its own (layer, expert, lift)";

/// "L3 e12 x4.2, L5 e0 x3.1": at most `limit` of the group's leading experts; "none reliably" where
/// it has none.
std::string leadingExpertsText(const Specialization& of, std::size_t group, std::size_t limit);

}  // namespace moescope
