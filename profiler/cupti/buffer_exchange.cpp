// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/buffer_exchange.h"

#include <cstdlib>
#include <cstring>

namespace moescope::cupti {

BufferExchange& BufferExchange::instance() {
    static auto* const exchange = new BufferExchange;
    return *exchange;
}

std::uint8_t* BufferExchange::takeEmpty() noexcept {
    {
        const std::lock_guard guard(mutex_);
        if (!empty_.empty()) {
            std::uint8_t* data = empty_.back();
            empty_.pop_back();
            ++counts_.handedOut;
            ++counts_.outstanding;
            return data;
        }
    }
    // The decoder is behind. A buffer over the limit costs memory; none would lose records.
    auto* data = static_cast<std::uint8_t*>(std::calloc(1, kBufferBytes));
    if (data == nullptr) return nullptr;  // no memory: nothing went out that could come back
    const std::lock_guard guard(mutex_);
    ++counts_.handedOut;
    ++counts_.outstanding;
    if (++allocated_ > std::int64_t(kPoolBuffers)) ++counts_.overPool;
    return data;
}

void BufferExchange::giveFull(std::uint8_t* data, std::size_t validBytes) noexcept {
    if (data == nullptr) return;
    {
        const std::lock_guard guard(mutex_);
        --counts_.outstanding;
        if (open_ && validBytes > 0) {
            full_.push_back({data, validBytes < kBufferBytes ? validBytes : kBufferBytes});
            data = nullptr;
        } else if (validBytes > 0) {
            ++counts_.discarded;
        }
    }
    if (data != nullptr) {
        recycle(data);
    } else {
        changed_.notify_all();
    }
}

bool BufferExchange::takeFull(Full& out) {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return !full_.empty() || !open_; });
    if (full_.empty()) return false;
    out = full_.front();
    full_.pop_front();
    ++beingDecoded_;
    return true;
}

void BufferExchange::decoded(std::uint8_t* data) noexcept {
    recycle(data);
    {
        const std::lock_guard guard(mutex_);
        --beingDecoded_;
    }
    changed_.notify_all();
}

void BufferExchange::recycle(std::uint8_t* data) noexcept {
    std::memset(data, 0, kBufferBytes);  // outside the lock: CUPTI was told that they come zeroed
    const std::lock_guard guard(mutex_);
    if (allocated_ > std::int64_t(kPoolBuffers)) {
        --allocated_;
        std::free(data);
        return;
    }
    empty_.push_back(data);
}

void BufferExchange::open() {
    const std::lock_guard guard(mutex_);
    open_ = true;
    counts_.handedOut = counts_.overPool = counts_.discarded = 0;
}

void BufferExchange::close() {
    {
        const std::lock_guard guard(mutex_);
        open_ = false;
    }
    changed_.notify_all();
}

void BufferExchange::waitUntilDrained() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return full_.empty() && beingDecoded_ == 0; });
}

BufferExchange::Counts BufferExchange::counts() const {
    const std::lock_guard guard(mutex_);
    return counts_;
}

}  // namespace moescope::cupti
