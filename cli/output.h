// SPDX-License-Identifier: Apache-2.0
// Results on stdout: JSON documents with schema and version, and plain tables.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace moescope::cli {

/// Prints {"schema": "moescope.<name>", "version": 1, ...body} on stdout.
void printJson(std::string_view name, const nlohmann::json& body);

/// Columns padded to their widest cell; numbers (cells that start with a digit, '-' or '+') to the
/// right. A header of empty names is not printed. Cells are shown as visibleLine makes them.
class TextTable {
public:
    explicit TextTable(std::vector<std::string> header);
    void row(std::vector<std::string> cells);
    std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

/// UsageError when `path` (of `option`) is one of the files that are read or written beside it:
/// (what it is, its path). Names of no file are none.
void refuseSameFile(std::string_view option, const std::filesystem::path& path,
                    const std::vector<std::pair<std::string, std::string>>& others);

/// Throws Error when `out`, the value of `option`, may not be written: it is empty, a folder, a
/// device, or exists and `overwrite` is false. Called before a model is loaded, so that a long run
/// does not end in it. `unfinished`: where --resume could continue what is there, what is to be
/// said of it ("is unfinished"); the hint says so.
void requireFreshOutput(const std::filesystem::path& out, bool overwrite,
                        std::string_view option = "--out", std::string_view unfinished = {});

/// Display width of UTF-8 text, counting code points.
std::size_t displayWidth(std::string_view utf8);

}  // namespace moescope::cli
