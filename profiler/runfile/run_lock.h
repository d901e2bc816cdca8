// SPDX-License-Identifier: Apache-2.0
// The right to write one run file: creates the file if asked and holds an exclusive flock on it.
// Private to profiler/runfile.
#pragma once

#include <filesystem>

namespace moescope {

class RunLock {
public:
    /// Throws Error: file absent or present against the wish, unwritable folder, being written by
    /// another process (named), or `overwrite` of something that is no run file.
    RunLock(const std::filesystem::path& path, bool create, bool overwrite);
    ~RunLock();
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;

    /// Removes the file when this object created it (the run could not be set up).
    void discardIfCreated() noexcept;
    static int processId() noexcept;

private:
    void openExisting(const std::filesystem::path& path);
    void createNew(const std::filesystem::path& path);

    std::filesystem::path path_;
    int fd_ = -1;
    bool created_ = false;
};

}  // namespace moescope
