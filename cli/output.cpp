// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <algorithm>
#include <cctype>
#include <iostream>
#include <span>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "reports/visible_text.h"

namespace moescope::cli {

void printJson(std::string_view name, const nlohmann::json& body) {
    nlohmann::ordered_json document;
    document["schema"] = "moescope." + std::string(name);
    document["version"] = 1;
    for (const auto& [key, value] : body.items()) document[key] = value;
    std::cout << escapeControls(
                     document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace))
              << '\n';
}

void refuseSameFile(std::string_view option, const std::filesystem::path& path,
                    const std::vector<std::pair<std::string, std::string>>& others) {
    for (const auto& [what, other] : others) {
        if (!other.empty() && sameFile(path, other))
            throw UsageError(std::string(option) + " names the " + what +
                             " file, which would be lost");
    }
}

void requireFreshOutput(const std::filesystem::path& out, bool overwrite, std::string_view option,
                        std::string_view unfinished) {
    if (out.empty()) throw UsageError(std::string(option) + " needs the name of a file");
    std::error_code absent;
    const std::filesystem::file_status status = std::filesystem::status(out, absent);
    if (!std::filesystem::exists(status)) return;
    if (!std::filesystem::is_regular_file(status))
        throw Error(out.string() + ": cannot write: not a regular file");
    if (overwrite) return;
    const std::string choice = "; or choose another " + std::string(option);
    if (!unfinished.empty())
        throw Error(out.string() + ": exists already and " + std::string(unfinished),
                    "--resume continues it, --overwrite throws it away" + choice);
    throw Error(out.string() + ": exists already", "--overwrite replaces it" + choice);
}

std::size_t displayWidth(std::string_view utf8) {
    return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

TextTable::TextTable(std::vector<std::string> header) {
    row(std::move(header));
}

void TextTable::row(std::vector<std::string> cells) {
    if (!rows_.empty()) cells.resize(rows_.front().size());
    for (std::string& cell : cells) cell = visibleLine(cell);
    rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
    std::vector<std::size_t> width(rows_.front().size(), 0);
    std::vector<bool> right(width.size(), rows_.size() > 1);
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        for (std::size_t c = 0; c < width.size(); ++c) {
            const std::string& cell = rows_[r][c];
            width[c] = std::max(width[c], displayWidth(cell));
            const bool numeric =
                !cell.empty() && (std::isdigit(static_cast<unsigned char>(cell[0])) != 0 ||
                                  cell[0] == '-' || cell[0] == '+');
            if (r > 0 && !numeric && !cell.empty()) right[c] = false;
        }
    }
    const bool headless = std::all_of(rows_.front().begin(), rows_.front().end(),
                                      [](const auto& c) { return c.empty(); });
    std::string out;
    for (const auto& row : std::span(rows_).subspan(headless ? 1 : 0)) {
        std::string line;
        for (std::size_t c = 0; c < width.size(); ++c) {
            const std::string padding(width[c] - displayWidth(row[c]), ' ');
            line += right[c] ? padding + row[c] : row[c] + padding;
            if (c + 1 < width.size()) line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

}  // namespace moescope::cli
