// SPDX-License-Identifier: Apache-2.0
#include "engine/core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "engine/core/error.h"

namespace moescope {
namespace {

std::uint64_t pageSize() noexcept {
    static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return size;
}

/// madvise takes a mutable pointer although it does not write through it.
void* address(const std::byte* base, std::uint64_t offset) noexcept {
    return const_cast<std::byte*>(base + offset);
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
    // O_NONBLOCK: opening a FIFO by mistake must not hang.
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) throw Error(path_.string() + ": cannot open: " + std::strerror(errno));
    struct stat info {};
    std::string why;
    if (::fstat(file, &info) != 0) {
        why = std::string("cannot stat: ") + std::strerror(errno);
    } else if (S_ISDIR(info.st_mode)) {
        why = "is a folder, not a file";
    } else if (!S_ISREG(info.st_mode)) {
        why = "not a regular file";
    } else if (info.st_size > 0) {
        size_ = static_cast<std::uint64_t>(info.st_size);
        void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapping == MAP_FAILED) {
            why = std::string("cannot map into memory: ") + std::strerror(errno);
        } else {
            data_ = static_cast<const std::byte*>(mapping);
        }
    }
    ::close(file);
    if (!why.empty()) throw Error(path_.string() + ": " + why);
}

MappedFile::~MappedFile() {
    unmap();
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    if (this != &other) {
        unmap();
        path_ = std::move(other.path_);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

void MappedFile::unmap() noexcept {
    if (data_ != nullptr) ::munmap(address(data_, 0), size_);
    data_ = nullptr;
    size_ = 0;
}

bool MappedFile::contains(const void* address) const noexcept {
    const auto* byte = static_cast<const std::byte*>(address);
    return data_ != nullptr && std::greater_equal<>{}(byte, data_) &&
           std::less<>{}(byte, data_ + size_);
}

void MappedFile::advise(std::uint64_t offset, std::uint64_t length, Access access) const noexcept {
    if (offset >= size_) return;
    const std::uint64_t first = offset / pageSize() * pageSize();
    const std::uint64_t end = offset + std::min(length, size_ - offset);
    int advice = MADV_SEQUENTIAL;
    if (access == Access::Random) advice = MADV_RANDOM;
    if (access == Access::SoonNeeded) advice = MADV_WILLNEED;
    ::madvise(address(data_, first), end - first, advice);
}

void MappedFile::release(std::uint64_t offset, std::uint64_t length) const noexcept {
    if (offset >= size_) return;
    // Only whole pages: the pages at both ends are shared with the neighbouring tensors.
    const std::uint64_t page = pageSize();
    const std::uint64_t first = (offset + page - 1) / page * page;
    const std::uint64_t end = (offset + std::min(length, size_ - offset)) / page * page;
    if (end > first) ::madvise(address(data_, first), end - first, MADV_DONTNEED);
}

}  // namespace moescope
