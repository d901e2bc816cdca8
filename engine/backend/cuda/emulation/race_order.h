// SPDX-License-Identifier: Apache-2.0
// Inside the race checker: what of the past an access knows to be over.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moescope::cuda::simt::races {

/// When and by whom. Runs of a block are numbered across all kernels, from 1; within one an actor
/// is a thread or, behind the threads, the copy engine for a warp.
struct Moment {
    std::uint32_t run = 0;  ///< 0: never
    std::uint32_t clock = 0;
    std::uint16_t actor = 0;
};

/// An actor of the block that runs, now.
Moment now(std::size_t actor);
/// Whether `before` is over for that actor by what it has waited for.
bool isKnown(const Moment& before, std::size_t actor);

enum class Relation : std::uint8_t { SameBlock, OtherBlock, OtherKernel };
Relation relationTo(const Moment& before);
/// Threads of the block; actors from this number on are copy engines.
std::size_t threadsOfBlock();
/// Whether a thread of a kernel runs.
bool inKernel();

/// An access by an actor of the block that runs; caller: the instruction's address.
void access(std::size_t actor, const void* at, std::size_t bytes, bool writes, bool atomic,
            const void* caller);
/// A kernel begins.
void beginAccesses();
/// Throws std::logic_error with the places of the kernel's races.
void endAccesses();

}  // namespace moescope::cuda::simt::races
