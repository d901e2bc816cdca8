// SPDX-License-Identifier: Apache-2.0
// Whole-file reading and writing with errors that name file and cause.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace moescope {

/// Reads a regular file or a pipe (`<(command)`, /dev/stdin) of at most `maxBytes`. Throws Error
/// (absent, unreadable, a folder, too large).
std::string readFile(const std::filesystem::path& path, std::uint64_t maxBytes = 1ULL << 30);

/// Writes to a temporary file beside `path`, syncs, renames: readers see the old file or the whole
/// new one. Creates missing parent folders. Throws Error (unwritable, disk full).
void writeFile(const std::filesystem::path& path, std::string_view content);

/// Are both names of one file, by links or another spelling; of one that is not there yet too?
bool sameFile(const std::filesystem::path& a, const std::filesystem::path& b);

/// Parses strict JSON. Throws Error "<origin>: invalid JSON at byte N: ..."; nesting is limited to
/// 256.
nlohmann::json parseJson(std::string_view text, const std::string& origin);
/// The same, where `filter` sees every value as it is read and drops those it answers false to:
/// what nobody asks for takes no memory. What it throws passes on.
nlohmann::json parseJson(std::string_view text, const std::string& origin,
                         const nlohmann::json::parser_callback_t& filter);
/// parseJson with the members of objects in the order of the text, for schemas shown to a model.
nlohmann::ordered_json parseOrderedJson(std::string_view text, const std::string& origin);

/// For what may be damaged without harm: is_discarded() where the others throw.
nlohmann::json looseJson(std::string_view text);
nlohmann::ordered_json looseOrderedJson(std::string_view text);

/// Serialises with invalid UTF-8 replaced by U+FFFD (token texts may be partial characters).
std::string dumpJson(const nlohmann::json& value, int indent = -1);
/// A JSON text whose strings hold no control character that a terminal would obey: U+007F to U+009F
/// become \u escapes, which read back the same (those below U+0020 are escapes in any JSON).
std::string escapeControls(std::string json);

/// Invalid UTF-8 sequences (overlong and surrogates included) become U+FFFD.
std::string toValidUtf8(std::string_view bytes);

}  // namespace moescope
