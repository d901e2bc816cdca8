// SPDX-License-Identifier: Apache-2.0
// Where CUPTI's threads get empty activity buffers and leave full ones.
//
// One for the process and never destroyed: CUPTI's two buffer callbacks carry no user data, and a
// late one may come while the process ends. Lock order: the lock is taken last and held for a few
// instructions, and no CUPTI function is ever called under it (its flush waits for these
// callbacks).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

namespace moescope::cupti {

class BufferExchange {
public:
    static constexpr std::size_t kBufferBytes = std::size_t(4) << 20;  ///< about 15000 launches
    static constexpr std::size_t kPoolBuffers = 128;                   ///< 512 MiB

    struct Full {
        std::uint8_t* data = nullptr;
        std::size_t validBytes = 0;
    };
    struct Counts {
        std::int64_t handedOut = 0, overPool = 0, discarded = 0, outstanding = 0;
    };

    static BufferExchange& instance();

    // CUPTI's side; never throw, never refuse while there is memory (a refusal crashes CUPTI before
    // 12.9).
    /// kBufferBytes zeroed bytes, 8-byte aligned. Null, and not counted, when memory is used up.
    std::uint8_t* takeEmpty() noexcept;
    void giveFull(std::uint8_t* data, std::size_t validBytes) noexcept;

    // The decoding thread's side.
    /// Waits for a full buffer; false once closed and empty.
    bool takeFull(Full& out);
    void decoded(std::uint8_t* data) noexcept;  ///< done with what takeFull gave

    /// From now on full buffers are kept. Closed: they are discarded and counted.
    void open();
    void close();
    /// Waits until every full buffer was taken and given back.
    void waitUntilDrained();
    Counts counts() const;

private:
    BufferExchange() = default;
    void recycle(std::uint8_t* data) noexcept;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Full> full_;
    std::vector<std::uint8_t*> empty_;
    Counts counts_;
    std::int64_t allocated_ = 0, beingDecoded_ = 0;
    bool open_ = false;
};

}  // namespace moescope::cupti
