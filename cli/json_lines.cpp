// SPDX-License-Identifier: Apache-2.0
#include "cli/json_lines.h"

#include <algorithm>
#include <limits>

#include "datasets/strict_object.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::cli {
namespace {

[[noreturn]] void wrongField(const char* field, const char* wanted) {
    throw Error(std::string("\"") + field + "\" must be " + wanted);
}

}  // namespace

std::string lineName(const std::filesystem::path& path, std::size_t number) {
    return path.string() + ": line " + std::to_string(number);
}

void readJsonLines(const std::filesystem::path& path, const std::vector<std::string>& known,
                   const std::function<void(const JsonLine&, std::size_t)>& visit) {
    const std::string content = readFile(path);
    std::size_t number = 0;
    bool any = false;
    for (std::size_t start = 0; start < content.size();) {
        std::size_t end = content.find('\n', start);
        if (end == std::string::npos) end = content.size();
        const std::string_view line(content.data() + start, end - start);
        start = end + 1;
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        any = true;
        const std::string name = lineName(path, number);
        const JsonLine value = parseOrderedJson(line, name);
        if (!value.is_object()) throw Error(name + ": not a JSON object");
        for (const auto& [key, ignored] : value.items())
            if (std::find(known.begin(), known.end(), key) == known.end())
                refuseKey(name + ": " + key, key, known);
        try {
            visit(value, number);
        } catch (const Interrupted&) {
            throw;
        } catch (const UsageError&) {
            throw;  // of the options, whatever the line
        } catch (const Error& e) {
            throw Error(name + ": " + e.what(), e.hint());
        }
    }
    if (!any) throw Error(path.string() + ": holds no lines");
}

std::string textField(const JsonLine& line, const char* field) {
    const auto found = line.find(field);
    if (found == line.end() || !found->is_string()) wrongField(field, "a string");
    return found->get<std::string>();
}

std::vector<TokenId> tokensField(const JsonLine& line, const char* field) {
    const auto found = line.find(field);
    if (found == line.end() || !found->is_array()) wrongField(field, "an array of token ids");
    std::vector<TokenId> ids;
    ids.reserve(found->size());
    for (const auto& value : *found) {
        if (!value.is_number_integer() || value.get<std::int64_t>() < 0 ||
            value.get<std::int64_t>() > std::numeric_limits<TokenId>::max()) {
            wrongField(field, "an array of token ids");
        }
        ids.push_back(value.get<TokenId>());
    }
    return ids;
}

std::string idField(const JsonLine& line, std::size_t number) {
    const auto found = line.find("id");
    if (found == line.end()) return std::to_string(number);
    return found->is_string() ? found->get<std::string>() : dumpJson(*found);
}

std::string LineIds::next(const JsonLine& line, std::size_t number) {
    std::string id = idField(line, number);
    const auto [earlier, fresh] = lines_.try_emplace(id, number);
    if (!fresh)
        throw Error((line.contains("id") ? "\"id\" " + id
                                         : "the line has no \"id\" and goes by its number, which") +
                    " is that of line " + std::to_string(earlier->second) + " as well");
    return id;
}

}  // namespace moescope::cli
