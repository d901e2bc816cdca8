// SPDX-License-Identifier: Apache-2.0
#include "cli/json_lines.h"

#include <limits>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::cli {
namespace {

[[noreturn]] void wrongField(const char* field, std::size_t number, const char* wanted) {
    throw Error("line " + std::to_string(number) + ": \"" + field + "\" must be " + wanted);
}

}  // namespace

void readJsonLines(const std::filesystem::path& path,
                   const std::function<void(const nlohmann::json&, std::size_t)>& visit) {
    const std::string content = readFile(path);
    std::size_t number = 0;
    for (std::size_t start = 0; start < content.size();) {
        std::size_t end = content.find('\n', start);
        if (end == std::string::npos) end = content.size();
        const std::string_view line(content.data() + start, end - start);
        start = end + 1;
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        const nlohmann::json value =
            parseJson(line, path.string() + ": line " + std::to_string(number));
        if (!value.is_object())
            throw Error(path.string() + ": line " + std::to_string(number) + ": not a JSON object");
        try {
            visit(value, number);
        } catch (const Interrupted&) {
            throw;
        } catch (const Error& e) {
            throw Error(path.string() + ": " + e.what(), e.hint());
        }
    }
}

std::string textField(const nlohmann::json& line, const char* field, std::size_t number) {
    const auto found = line.find(field);
    if (found == line.end() || !found->is_string()) wrongField(field, number, "a string");
    return found->get<std::string>();
}

std::vector<TokenId> tokensField(const nlohmann::json& line, const char* field,
                                 std::size_t number) {
    const auto found = line.find(field);
    if (found == line.end() || !found->is_array())
        wrongField(field, number, "an array of token ids");
    std::vector<TokenId> ids;
    ids.reserve(found->size());
    for (const auto& value : *found) {
        if (!value.is_number_integer() || value.get<std::int64_t>() < 0 ||
            value.get<std::int64_t>() > std::numeric_limits<TokenId>::max()) {
            wrongField(field, number, "an array of token ids");
        }
        ids.push_back(value.get<TokenId>());
    }
    return ids;
}

std::string idField(const nlohmann::json& line, std::size_t number) {
    const auto found = line.find("id");
    if (found == line.end()) return std::to_string(number);
    return found->is_string() ? found->get<std::string>() : dumpJson(*found);
}

}  // namespace moescope::cli
