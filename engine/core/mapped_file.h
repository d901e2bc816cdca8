// SPDX-License-Identifier: Apache-2.0
// A read-only memory mapping of a whole file, unmapped when the object goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace moescope {

/// Movable, not copyable. The bytes stay valid while the object (or the one it was moved to) lives.
/// Another process that truncates the file while it is mapped makes later reads fail with SIGBUS;
/// every reader checks its offsets against `size()`, which is the size at opening.
class MappedFile {
public:
    enum class Access : std::uint8_t { Sequential, Random, SoonNeeded };

    /// Throws Error: absent, unreadable, not a regular file, cannot be mapped. An empty file is
    /// valid and has size() 0.
    explicit MappedFile(std::filesystem::path path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    const std::byte* data() const noexcept { return data_; }
    std::uint64_t size() const noexcept { return size_; }
    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    bool contains(const void* address) const noexcept;

    /// Hints for the kernel's read-ahead; failures do not matter. Offsets beyond the end are cut.
    void advise(std::uint64_t offset, std::uint64_t length, Access access) const noexcept;
    /// Drops the pages that lie wholly inside the range from this process's memory. They stay
    /// readable (the file is read again) and the page cache keeps them while memory allows.
    void release(std::uint64_t offset, std::uint64_t length) const noexcept;

private:
    void unmap() noexcept;

    std::filesystem::path path_;
    const std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
};

}  // namespace moescope
