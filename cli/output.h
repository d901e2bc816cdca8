// SPDX-License-Identifier: Apache-2.0
// Results on stdout: JSON documents with schema and version, and plain tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace moescope::cli {

/// Prints {"schema": "moescope.<name>", "version": 1, ...body} on stdout.
void printJson(std::string_view name, nlohmann::json body);

/// Columns padded to their widest cell; numbers (cells that start with a digit, '-' or '+') to the
/// right.
class TextTable {
public:
    explicit TextTable(std::vector<std::string> header);
    void row(std::vector<std::string> cells);
    std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

/// Display width of UTF-8 text, counting code points.
std::size_t displayWidth(std::string_view utf8);

}  // namespace moescope::cli
