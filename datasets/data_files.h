// SPDX-License-Identifier: Apache-2.0
// Finds the files of a suite's data by the names and patterns of its source.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moescope {

struct DataFile {
    std::filesystem::path path;  ///< may be of a packed file (readDataFile unpacks it)
    std::string name;            ///< relative to the data folder, as if it were not packed
    std::string match;           ///< what '*' stood for
};

/// What '*' of `pattern` (at most one, in the last component) stands for in `name`; "" for a
/// pattern without; nothing when the name does not match.
std::optional<std::string> matchOf(std::string_view pattern, std::string_view name);

/// The file, or else the same packed in a way that readDataFile unpacks; empty when there is none.
std::filesystem::path plainOrPacked(const std::filesystem::path& path);

struct FoundFiles {
    std::vector<DataFile> files;   ///< by name
    std::filesystem::path unread;  ///< one that is there only packed in a way that is not read
};
/// Files that match a pattern (matchOf) in the folder; one that is there plain and packed is the
/// plain one.
FoundFiles findDataFiles(const std::filesystem::path& folder, const std::string& pattern);

}  // namespace moescope
