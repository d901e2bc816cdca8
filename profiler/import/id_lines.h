// SPDX-License-Identifier: Apache-2.0
// Files of JSON lines whose bulk are nested arrays of expert ids: a line at a time, and of its
// arrays two bytes a number.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/core/interrupt.h"
#include "engine/core/mapped_file.h"
#include "profiler/import/expert_ids.h"

namespace moescope {

/// Which members of the objects in a line are kept, at any depth.
struct LineKeys {
    std::vector<std::string_view> arrays;  ///< of expert ids, three deep
    std::vector<std::string_view> others;
};

struct IdLine {
    /// Members whose keys are not among LineKeys are left out. In the place of an array of ids is
    /// an array of one number, its index in `arrays`; what is no array under such a key stands as
    /// it is.
    nlohmann::json object;
    /// By place in the text: the extents are those of the nesting, whatever they mean.
    std::vector<ExpertIds> arrays;
    std::string origin;  ///< "F.jsonl: line 3"
    std::size_t number = 0;
};

/// One line. Throws Error "<origin>: ..": malformed JSON, no object, an array of ids that is not
/// rectangular or not three deep, more than kMaxLineValues values beside the ids, objects behind
/// thousands of values in one array. Throws Interrupted once `stop` is set.
IdLine parseIdLine(std::string_view text, const LineKeys& keys, std::string origin,
                   const StopFlag* stop);

inline constexpr std::size_t kMaxLineBytes = std::size_t{256} << 20U;
inline constexpr std::size_t kMaxLineValues = 4'000'000;

/// Visits the lines that are not blank. Throws Error naming file and line, also where `visit` did
/// not; a line over kMaxLineBytes; a file without lines.
void readIdLines(const MappedFile& file, const LineKeys& keys, const StopFlag* stop,
                 const std::function<void(IdLine&)>& visit);

}  // namespace moescope
