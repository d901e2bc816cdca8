// SPDX-License-Identifier: Apache-2.0
// What every import of another engine's routing says of the model in its run file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "profiler/import/importers.h"
#include "profiler/runfile/run_writer.h"

namespace moescope {

/// Of what was routed while the engine did not say whether the token was given or generated.
inline constexpr char kUnknownPhase[] = "unknown";

/// Quality rows: of imports, always 0; and of sequences, by both kinds of routing.
inline constexpr char kTimings[] = "timings";
inline constexpr char kPromptLengthsUnknown[] = "prompt_lengths_unknown";

/// Meta "model" of sources that do not name it.
inline constexpr char kUnnamedModel[] = "not named";

/// Layers, experts and choices as the analyses take them.
inline constexpr std::int64_t kMaxImportLayers = 4096, kMaxImportTopK = 128;
inline constexpr std::int64_t kMaxImportExperts = 32767;               ///< ids are stored as int16
inline constexpr std::size_t kMaxImportCells = std::size_t{1} << 20U;  ///< layers x experts

/// Where the number of experts is from; meta "settings" says it under "experts_from".
enum class ExpertsFrom : std::uint8_t { Option, File, GreatestId };

/// An entry of meta "sources". Throws Error: unreadable.
nlohmann::json sourceOf(const std::filesystem::path& file, const StopFlag* stop);

/// A group for each of several files: the shortest end of its path that tells it from the others,
/// of names that differ without the extension. One file is no group: "".
std::vector<std::string> groupsOf(const Paths& files);

struct RoutedFacts {
    std::string model;  ///< "" where the source does not name it
    int layers = 0, topK = 0, experts = 0;
    ExpertsFrom from = ExpertsFrom::File;
    nlohmann::json sources = nlohmann::json::array();
};

/// Meta "model", "routing", "settings" and "sources"; quality "timings" and, where the greatest id
/// is all that is known of the number of experts, "experts_guessed". Throws Error where the request
/// says another number of experts or top-k.
void addRoutedFacts(RunWriter& writer, const ImportRequest& request, const RoutedFacts& facts);

}  // namespace moescope
