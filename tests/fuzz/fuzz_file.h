// SPDX-License-Identifier: Apache-2.0
// Readers under test map files: this hands them the fuzzer's bytes as one, in memory.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace moescope::fuzz {

/// A file that exists in memory only, while the object lives.
class MemoryFile {
public:
    MemoryFile(const std::uint8_t* data, std::size_t size)
        : file_(::memfd_create("fuzz", MFD_CLOEXEC)) {
        if (file_ < 0 || ::write(file_, data, size) != static_cast<ssize_t>(size)) std::abort();
    }
    ~MemoryFile() { ::close(file_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(file_); }

private:
    int file_;
};

}  // namespace moescope::fuzz
