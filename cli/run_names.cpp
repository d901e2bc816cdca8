// SPDX-License-Identifier: Apache-2.0
#include "cli/run_names.h"

#include <algorithm>
#include <filesystem>

namespace moescope::cli {
namespace {

/// The stem of `path` and the last `folders` of the folders before it.
std::string nameOf(const std::filesystem::path& path, std::size_t folders) {
    std::filesystem::path name = path.stem();
    std::filesystem::path rest = path.parent_path();
    for (std::size_t i = 0; i < folders && rest.has_filename(); ++i) {
        name = rest.filename() / name;
        rest = rest.parent_path();
    }
    return name.string();
}

}  // namespace

std::vector<std::string> runNames(const std::vector<std::string>& paths) {
    std::vector<std::filesystem::path> whole;
    std::vector<std::string> names;
    for (const std::string& path : paths) {
        whole.push_back(std::filesystem::path(path).lexically_normal());
        names.push_back(nameOf(whole.back(), 0));
    }
    const auto equal = [&](std::size_t i) {
        return std::count(names.begin(), names.end(), names[i]) > 1;
    };
    for (std::size_t folders = 1;; ++folders) {
        std::vector<std::string> longer = names;
        for (std::size_t i = 0; i < names.size(); ++i)
            if (equal(i)) longer[i] = nameOf(whole[i], folders);
        if (longer == names) break;  // all differ, or no folders are left
        names = std::move(longer);
    }
    std::vector<std::string> numbered = names;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (equal(i)) numbered[i] += " (" + std::to_string(i + 1) + ")";
    return numbered;
}

}  // namespace moescope::cli
