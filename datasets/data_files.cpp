// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "datasets/data_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "datasets/records.h"

namespace moescope {

namespace fs = std::filesystem;

namespace {

/// Usual endings of compressed files that readDataFile does not unpack.
constexpr std::array<std::string_view, 6> kUnread = {".gz", ".zst", ".zip", ".lz4", ".lzma", ".7z"};

/// `name` without the first of `endings` that it has; nothing when it has none.
template <typename Endings>
std::optional<std::string> without(const std::string& name, const Endings& endings) {
    for (const std::string_view ending : endings)
        if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
    return std::nullopt;
}

}  // namespace

std::optional<std::string> matchOf(std::string_view pattern, std::string_view name) {
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos)
        return pattern == name ? std::optional<std::string>("") : std::nullopt;
    const std::string_view before = pattern.substr(0, star);
    const std::string_view after = pattern.substr(star + 1);
    if (name.size() < before.size() + after.size() || !name.starts_with(before) ||
        !name.ends_with(after))
        return std::nullopt;
    const std::string_view match =
        name.substr(before.size(), name.size() - before.size() - after.size());
    if (match.find('/') != std::string_view::npos) return std::nullopt;
    return std::string(match);
}

fs::path plainOrPacked(const fs::path& path) {
    std::error_code error;
    if (fs::exists(path, error)) return path;
    for (const std::string_view ending : kPackedEndings) {
        fs::path packed = path;
        packed += ending;
        if (fs::exists(packed, error)) return packed;
    }
    return {};
}

FoundFiles findDataFiles(const fs::path& folder, const std::string& pattern) {
    const fs::path parent = fs::path(pattern).parent_path();
    std::map<std::string, DataFile> files;  // by name
    std::map<std::string, fs::path> unread;
    std::error_code error;
    for (fs::directory_iterator it(folder / parent, error), end; !error && it != end;
         it.increment(error)) {
        const std::string entry = it->path().filename().string();
        const std::optional<std::string> unpacked = without(entry, kPackedEndings);
        const std::optional<std::string> other = without(entry, kUnread);
        const std::string name = (parent / unpacked.value_or(other.value_or(entry))).string();
        const std::optional<std::string> match = matchOf(pattern, name);
        if (!match) continue;
        if (other)
            unread.emplace(name, it->path());
        else
            files.try_emplace(name, DataFile{plainOrPacked(folder / name), name, *match});
    }
    FoundFiles found;
    for (auto& [name, file] : files) found.files.push_back(std::move(file));
    for (const auto& [name, path] : unread)
        if (found.unread.empty() && !files.contains(name)) found.unread = path;
    return found;
}

}  // namespace moescope
