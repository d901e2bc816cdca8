// SPDX-License-Identifier: Apache-2.0
// One anonymous mapping in huge pages, handed out front to back. For weights: huge pages are worth
// 20-25 percent of read bandwidth to one thread, and anonymous memory is safe from cache reclaim.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moescope {

/// Zero-filled; pages are committed when first written. Freed as a whole. Move-only.
class Arena {
public:
    static constexpr std::size_t kAlignment = 64;

    Arena() = default;
    /// Throws Error when the system has no address space left. `bytes` may be 0.
    explicit Arena(std::uint64_t bytes);
    ~Arena();
    Arena(Arena&& other) noexcept;
    Arena& operator=(Arena&& other) noexcept;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// The next `bytes` bytes, 64-byte aligned. The caller has summed aligned() sizes beforehand:
    /// asking for more than that is a programmer mistake.
    std::byte* take(std::uint64_t bytes) noexcept;
    static constexpr std::uint64_t aligned(std::uint64_t bytes) noexcept {
        return (bytes + kAlignment - 1) / kAlignment * kAlignment;
    }

    std::uint64_t size() const noexcept { return size_; }
    std::uint64_t used() const noexcept { return used_; }

private:
    std::byte* base_ = nullptr;
    std::byte* start_ = nullptr;
    std::uint64_t mapped_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t used_ = 0;
};

}  // namespace moescope
