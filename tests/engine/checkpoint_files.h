// SPDX-License-Identifier: Apache-2.0
// Small valid checkpoint files for tests, and places to put them.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "engine/core/error.h"

namespace moescope::test {

/// A fresh folder, removed with everything in it at the end of the scope.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "moescope.XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw Error(pattern + ": cannot create folder");
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// Appends little-endian fields: builds files byte by byte, independently of the writer under test.
class Bytes {
public:
    template <typename T>
    Bytes& put(T value) {
        text_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    Bytes& raw(std::string_view bytes) {
        text_.append(bytes);
        return *this;
    }
    Bytes& text(std::string_view s) { return put<std::uint64_t>(s.size()).raw(s); }
    Bytes& padTo(std::size_t alignment) {
        text_.resize((text_.size() + alignment - 1) / alignment * alignment, '\0');
        return *this;
    }
    const std::string& str() const noexcept { return text_; }

private:
    std::string text_;
};

/// Writes without syncing: thousands of test files would take minutes otherwise.
inline void writeQuickly(const std::filesystem::path& path, std::string_view content) {
    std::FILE* out = std::fopen(path.c_str(), "wb");
    if (out == nullptr) throw Error(path.string() + ": cannot write");
    const bool whole = std::fwrite(content.data(), 1, content.size(), out) == content.size();
    if (std::fclose(out) != 0 || !whole) throw Error(path.string() + ": cannot write");
}

/// The message of the Error that `action` throws; empty when it throws none.
template <typename Action>
std::string errorOf(const Action& action) {
    try {
        action();
    } catch (const Error& e) {
        return e.what();
    }
    return {};
}

}  // namespace moescope::test
