// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/cuda/device_memory.h"

#include <algorithm>
#include <bit>
#include <new>
#include <stdexcept>
#include <string>

#include "engine/run/memory.h"

namespace moescope::cuda {

DeviceArena::DeviceArena(std::uint64_t bytes, const char* what, Place place)
    : size_(aligned(bytes)), place_(place) {
    if (size_ == 0) return;
    if (place == Place::Host) {
        requireMemory(size_, what);
        void* at = nullptr;
        check(cudaMallocHost(&at, size_), "allocating page-locked memory");
        base_ = static_cast<std::byte*>(at);
        return;
    }
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for the device's memory");
    void* at = nullptr;
    const cudaError_t status = size_ > free ? cudaErrorMemoryAllocation : cudaMalloc(&at, size_);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();  // the failed allocation is dealt with here
        throw Error(
            std::string(what) + " needs " + memoryText(size_) + " of device memory, " +
                memoryText(free) + " of " + memoryText(total) + " are free",
            "Use a shorter context or a smaller model, or close what else uses the device.");
    }
    check(status, "allocating device memory");
    base_ = static_cast<std::byte*>(at);
}

DeviceArena::~DeviceArena() {
    if (base_ == nullptr) return;
    if (place_ == Place::Host) {
        cudaFreeHost(base_);
    } else {
        cudaFree(base_);
    }
}

void* DeviceArena::take(std::uint64_t bytes) {
    const std::uint64_t wanted = spaceOf(bytes);
    if (wanted > size_ - used_) throw std::logic_error("device arena: more taken than planned");
    void* at = base_ + used_;
    used_ += wanted;
    bound(at, bytes);
    return at;
}

std::uint64_t ArenaPool::sizeOf(std::uint64_t bytes) noexcept {
    const std::uint64_t step = std::max<std::uint64_t>(256, std::bit_floor(bytes) / 8);
    return (bytes + step - 1) / step * step;
}

DeviceArena ArenaPool::take(std::uint64_t bytes, const char* what) {
    const std::uint64_t size = sizeOf(bytes);
    const std::lock_guard lock(mutex_);
    const auto found =
        std::ranges::find_if(free_, [&](const DeviceArena& a) { return a.size() == size; });
    if (found == free_.end()) {
        try {
            return {size, what};
        } catch (const Error&) {
            if (free_.empty()) throw;
        }
        free_.clear();
        return {size, what};
    }
    DeviceArena arena = std::move(*found);
    free_.erase(found);
    waitForDevice();
#ifdef MOESCOPE_SIMT_EMULATED
    simt::allow(arena.base(), size);
    check(cudaMemsetAsync(arena.base(), 0xFF, size, nullptr), "poisoning");  // as if it were new
#endif
    return arena;
}

void ArenaPool::give(DeviceArena&& arena) noexcept {
    const std::lock_guard lock(mutex_);
    try {
        free_.push_back(std::move(arena));
    } catch (const std::bad_alloc&) {
        // It is freed instead.
    }
}

void ArenaPool::clear() {
    const std::lock_guard lock(mutex_);
    free_.clear();
}

std::uint64_t ArenaPool::kept() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t bytes = 0;
    for (const DeviceArena& a : free_) bytes += a.size();
    return bytes;
}

PinnedBuffer::PinnedBuffer(std::uint64_t bytes) : size_(bytes) {
    void* at = nullptr;
    check(cudaMallocHost(&at, bytes), "allocating page-locked memory");
    data_ = static_cast<std::byte*>(at);
}

PinnedBuffer::~PinnedBuffer() {
    cudaFreeHost(data_);
}

}  // namespace moescope::cuda
