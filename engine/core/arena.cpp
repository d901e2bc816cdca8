// SPDX-License-Identifier: Apache-2.0
// mmap + madvise(MADV_HUGEPAGE), aligned to the huge page so that the first one is whole.
#include "engine/core/arena.h"

#include <sys/mman.h>

#include <cassert>
#include <string>
#include <utility>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::uint64_t kHugePage = 2ULL << 20;

}  // namespace

Arena::Arena(std::uint64_t bytes) : size_(aligned(bytes)) {
    if (bytes == 0) return;
    mapped_ = size_ + kHugePage;
    void* p = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        throw Error("cannot reserve " + std::to_string(bytes >> 20) + " MiB of memory",
                    "close other programs, or take a smaller model or context");
    }
    base_ = static_cast<std::byte*>(p);
    const auto address = reinterpret_cast<std::uintptr_t>(base_);
    start_ = base_ + (kHugePage - address % kHugePage) % kHugePage;
    madvise(base_, mapped_, MADV_HUGEPAGE);  // advice only: without huge pages it is merely slower
}

Arena::~Arena() {
    if (base_ != nullptr) munmap(base_, mapped_);
}

Arena::Arena(Arena&& other) noexcept {
    *this = std::move(other);
}

Arena& Arena::operator=(Arena&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(start_, other.start_);
    std::swap(mapped_, other.mapped_);
    std::swap(size_, other.size_);
    std::swap(used_, other.used_);
    return *this;
}

std::byte* Arena::take(std::uint64_t bytes) noexcept {
    assert(used_ + aligned(bytes) <= size_);
    std::byte* p = start_ + used_;
    used_ += aligned(bytes);
    return p;
}

}  // namespace moescope
