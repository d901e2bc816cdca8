// SPDX-License-Identifier: Apache-2.0
// What goes on by itself while threads run: copies to shared memory and products of warpgroups. All
// of it is carried out as late as the waiting of threads allows.
#include <algorithm>
#include <stdexcept>

#include "engine/backend/cuda/emulation/races.h"
#include "engine/backend/cuda/simt.h"

namespace moescope::cuda::simt {
namespace {

/// Bytes that a phase of an mbarrier can count (PTX, mbarrier: tx-count).
constexpr std::uint32_t kMostBytes = (1U << 20U) - 1;

constexpr const char* kCopy = "an asynchronous copy's source or destination";

void carryOut(const Piece& piece) {
    if (piece.from != nullptr) {
        std::memcpy(piece.to, piece.from, piece.bytes);
    } else {
        std::memset(piece.to, 0, piece.bytes);
    }
}

/// Whether that ends the phase.
bool endPhase(PhaseBarrier* barrier) {
    if (barrier->pending != 0 || barrier->bytes != 0) return false;
    barrier->pending = barrier->count;
    barrier->phase = (barrier->phase + 1U) & 0xFFFFU;
    ++running->progress;
    return true;
}

/// Of row `column` of operand B of a product, which is swizzled.
const std::byte* byteOf(const void* b, int column, int byte) {
    const std::uintptr_t at = swizzled(reinterpret_cast<std::uintptr_t>(b) +
                                       static_cast<std::uintptr_t>(128 * column + byte));
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return reinterpret_cast<const std::byte*>(at);
}

/// The lanes of a warp share out the rows that all of them read.
void tellReads(const PendingProduct& p, const void* caller) {
    for (int column = lane().warpLane; column < p.n; column += 32) {
        for (int byte = 0; byte < 32; byte += 16)
            races::read(byteOf(p.b, column, byte), 16, caller);
    }
}

void carryOut(const PendingProduct& p, const void* caller) {
    tellReads(p, caller);
    struct Operand {
        std::uint32_t a[4];
    };
    const std::uint32_t(&a)[4] = *p.a;
    const Exchange<Operand> all(Operand{{a[0], a[1], a[2], a[3]}});
    const int self = lane().warpLane;
    const int g = self / 4;
    const int t = self % 4;
    float rows[2][16];
    for (int k = 0; k < 16; ++k) {
        const Operand owner = all.of(4 * g + k % 8 / 2);
        for (int r = 0; r < 2; ++r)
            rows[r][k] = fromBf16(owner.a[r + (k >= 8 ? 2 : 0)] >> 16 * (k % 2) & 0xFFFFU);
    }
    for (int column = 0; column < p.n; ++column) {
        if (column % 8 / 2 != t) continue;
        float* const out = p.c[column / 8];
        for (int k = 0; k < 16; k += 2) {
            std::uint32_t pair;
            std::memcpy(&pair, byteOf(p.b, column, 2 * k), sizeof pair);
            for (int e = 0; e < 2; ++e) {
                const float x = fromBf16(pair >> 16 * e & 0xFFFFU);
                out[column % 2] += rows[0][k + e] * x;
                out[2 + column % 2] += rows[1][k + e] * x;
            }
        }
    }
    warpBarrier();  // nobody overwrites what another lane still reads
}

}  // namespace

void multiplyWarpgroup(float (*c)[4], int n, const std::uint32_t (&a)[4], const void* b) {
    running->current->products.begun.push_back({c, n, &a, b});
    tellReads(running->current->products.begun.back(), __builtin_return_address(0));
}
void commitProducts() {
    running->current->products.commit();
}
void waitForProducts(int pending) {
    const void* const caller = __builtin_return_address(0);
    running->current->products.wait(static_cast<std::size_t>(pending),
                                    [&](const PendingProduct& p) { carryOut(p, caller); });
}

void beginPhases(PhaseBarrier* barrier, int count) {
    *barrier = {};
    barrier->count = barrier->pending = static_cast<unsigned>(count) & 0xFFFU;
    races::prepare(barrier, __builtin_return_address(0));
}

void arriveAt(PhaseBarrier* barrier, std::uint32_t bytes) {
    if (barrier->pending == 0)
        throw std::logic_error("more arrivals at a barrier than its phase counts");
    if (barrier->bytes + bytes > kMostBytes)
        throw std::logic_error("a barrier cannot count so many bytes");
    barrier->pending = barrier->pending - 1U;
    barrier->bytes = (barrier->bytes + bytes) & 0xFFFFFFU;
    const bool ends = endPhase(barrier);
    races::arrive(barrier, ends, __builtin_return_address(0));
}

void waitForPhase(const PhaseBarrier* barrier, unsigned parity) {
    sleep({.barrier = barrier, .seen = parity});
    races::pass(barrier, parity, __builtin_return_address(0));
}

void copyInBulk(std::vector<Piece> pieces, PhaseBarrier* barrier) {
    for (const Piece& piece : pieces) {
        requireAligned(piece.to, kCopy);
        requireAligned(piece.from, kCopy);
        if (piece.bytes % 16 != 0)
            throw std::logic_error("a bulk copy whose bytes are not a multiple of 16");
    }
    running->engine.push_back({std::move(pieces), barrier, running->current->index, nullptr});
    races::beginCopy(running->engine.back(), __builtin_return_address(0));
}

bool endEngineCopies(Block& block) {
    std::vector<const PhaseBarrier*> awaited;
    for (const Fiber& fiber : block.fibers) {
        if (!fiber.done && !fiber.wait.over() && fiber.wait.barrier != nullptr)
            awaited.push_back(fiber.wait.barrier);
    }
    for (auto i = block.engine.end(); i != block.engine.begin();) {
        --i;
        if (std::ranges::find(awaited, i->barrier) == awaited.end()) continue;
        const EngineCopy copy = std::move(*i);
        i = block.engine.erase(i);
        std::size_t bytes = 0;
        for (const Piece& piece : copy.pieces) {
            carryOut(piece);
            bytes += piece.bytes;
        }
        if (bytes > copy.barrier->bytes)
            throw std::logic_error("more bytes have come to a barrier than were announced");
        copy.barrier->bytes = (copy.barrier->bytes - bytes) & 0xFFFFFFU;
        const bool ends = endPhase(copy.barrier);
        races::endCopy(copy, ends);
        if (ends) return true;
    }
    return false;
}

void copyLater(void* shared, const void* global) {
    const void* const caller = __builtin_return_address(0);
    requireAligned(shared, kCopy);
    requireAligned(global, kCopy);
    races::write(shared, 16, caller);
    if (global != nullptr) races::read(global, 16, caller);
    running->current->copies.begun.push_back({shared, global, 16});
}
void commitCopies() {
    running->current->copies.commit();
}
void waitForCopies(int pending) {
    const void* const caller = __builtin_return_address(0);
    running->current->copies.wait(static_cast<std::size_t>(pending), [&](const Piece& piece) {
        races::write(piece.to, piece.bytes, caller);
        if (piece.from != nullptr) races::read(piece.from, piece.bytes, caller);
        carryOut(piece);
    });
}

}  // namespace moescope::cuda::simt
