// SPDX-License-Identifier: Apache-2.0
// The file of an export: written beside the target first, so that nobody opens half a trace.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace moescope {

class ExportFile {
public:
    /// Throws Error: unwritable, being written by another process, or `path` exists and is no
    /// regular file (the rename at the end would replace a device or a pipe).
    explicit ExportFile(const std::filesystem::path& path);
    ~ExportFile();
    ExportFile(const ExportFile&) = delete;
    ExportFile& operator=(const ExportFile&) = delete;

    /// Throws Error, as close does: disk full.
    void put(std::string_view bytes);
    /// Puts the file in place; without it nothing is left behind.
    void close();

    /// For who writes by other means than put (SQLite): the name to write to before close.
    const std::string& partPath() const noexcept { return part_; }

private:
    [[noreturn]] void fail() const;

    std::filesystem::path path_;
    std::string part_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
    bool done_ = false;
};

}  // namespace moescope
