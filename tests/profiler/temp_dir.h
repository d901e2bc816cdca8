// SPDX-License-Identifier: Apache-2.0
// A folder that lives as long as one test case, and small helpers shared by the profiler's tests.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace moescope::test {

class TempDir {
public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "moescope-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) std::abort();
        path_ = pattern;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// What `action` throws, or "" when it throws nothing of type E.
template <typename E, typename Action>
std::string thrownBy(Action action) {
    try {
        action();
    } catch (const E& error) {
        return error.what();
    }
    return {};
}

}  // namespace moescope::test
