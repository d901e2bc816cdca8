// SPDX-License-Identifier: Apache-2.0
// The inside of the SIMT emulator: the block that is running, one at a time.
#pragma once

#include <boost/context/continuation.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "engine/backend/cuda/emulation/emulation.h"

namespace moescope::cuda::simt {

/// A product of a warpgroup that is carried out when somebody waits for it.
struct PendingProduct {
    float (*c)[4];
    int n;
    const std::uint32_t (*a)[4];
    const void* b;
};
/// What a thread has begun, in the order of its groups.
template <typename T>
struct Groups {
    std::vector<T> begun;
    std::vector<std::size_t> committed;  ///< how many of `begun` each group has

    void commit() {
        std::size_t open = begun.size();
        for (const std::size_t n : committed) open -= n;
        committed.push_back(open);
    }
    /// Hands those of all groups but the latest `pending` to `finish`.
    template <typename Finish>
    void wait(std::size_t pending, const Finish& finish) {
        while (committed.size() > pending) {
            const auto end = begun.begin() + static_cast<std::ptrdiff_t>(committed.front());
            for (auto i = begun.begin(); i != end; ++i) finish(*i);
            begun.erase(begun.begin(), end);
            committed.erase(committed.begin());
        }
    }
};

/// What a thread waits for: that a meeting's generation or the parity of a barrier's phase changes.
struct Wait {
    const unsigned* generation = nullptr;
    const PhaseBarrier* barrier = nullptr;
    unsigned seen = 0;

    bool over() const {
        if (generation != nullptr) return *generation != seen;
        return barrier == nullptr || (barrier->phase & 1U) != seen;
    }
};

/// Of a fiber or of who runs it, as AddressSanitizer is told of it.
struct Stack {
    const void* bottom = nullptr;
    std::size_t bytes = 0;
};

struct Fiber {
    Lane lane;
    unsigned index = 0;  ///< in the block
    Stack stack;
    boost::context::continuation resume;
    Wait wait;
    bool done = false;
    Groups<Piece> copies;
    Groups<PendingProduct> products;
};

/// A copy of the copy engine, under way.
struct EngineCopy {
    std::vector<Piece> pieces;
    PhaseBarrier* barrier;
    unsigned issuer;                        ///< thread of the block
    std::shared_ptr<const void> beginning;  ///< the race checker's
};

struct Block {
    dim3 index, shape, grid;
    std::span<std::byte> shared;  ///< dynamic: as many bytes as the kernel asked for
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    std::deque<EngineCopy> engine;
    Fiber* current = nullptr;
    Stack stack;  ///< the scheduler's
    boost::context::continuation scheduler;
    int live = 0;
    int arrived = 0;
    unsigned generation = 0;
    std::uint64_t progress = 0;  ///< counts what a thread did other than wait
    std::exception_ptr failure;
    bool givenUp = false;  ///< threads that still wait are to end
};

/// Null between kernels.
extern thread_local Block* running;

/// Throws std::logic_error unless `at` is a multiple of 16: `what` demands it.
void requireAligned(const void* at, const char* what);

/// Lets the block's other threads run until the wait is over.
void sleep(const Wait& wait);
/// Ends copies of the copy engine for barriers that somebody waits for, the newest first, since
/// they come in any order, until one ends a phase; false: none does.
bool endEngineCopies(Block& block);

}  // namespace moescope::cuda::simt
