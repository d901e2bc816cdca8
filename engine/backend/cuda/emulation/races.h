// SPDX-License-Identifier: Apache-2.0
// What the emulator tells its race checker (races.cpp), which is there when the kernels are
// compiled with -fsanitize=thread and MOESCOPE_SIMT_RACES: the compiler calls the checker at every
// access of memory, and what the emulator does for a thread is announced here. Otherwise nothing.
#pragma once

#include <cstddef>

#include "engine/backend/cuda/emulation/block.h"

namespace moescope::cuda::simt::races {

#ifdef MOESCOPE_SIMT_RACES

/// A kernel begins. overlap: before the one in front of it on the stream has ended.
void beginGrid(const Block& block, bool overlap);
/// Throws std::logic_error with the places of the first races.
void endGrid();
void beginBlock(const Block& block);
void endThread(unsigned thread);

/// All threads that live have met.
void meetBlock(const Block& block);
void meetWarp(const Block& block, const Warp& warp);
/// By the thread that runs, for an instruction that the compiler does not know. caller: where in
/// the program it stands.
void read(const void* at, std::size_t bytes, const void* caller);
void write(const void* at, std::size_t bytes, const void* caller);

/// A barrier begins anew; the thread that runs arrives at it, and by that ends its phase or not;
/// has seen that a phase of this parity has ended.
void prepare(const PhaseBarrier* barrier);
void arrive(const PhaseBarrier* barrier, bool ends);
void pass(const PhaseBarrier* barrier, unsigned parity);
/// A copy of the copy engine, begun by the thread that runs; its bytes count for the barrier, whose
/// phase they end or not.
void beginCopy(EngineCopy& copy, const void* caller);
void endCopy(const EngineCopy& copy, bool ends);

/// What the stream does next begins when all before has ended.
void orderAll();
/// A copy or fill that is an entry of a stream.
void streamWrites(const void* at, std::size_t bytes);
/// Device memory where the checker can follow it, which nobody has written; null: there is none.
void* allocate(std::size_t bytes);
/// Whether it was allocate's.
bool release(void* at);

#else

inline void beginGrid(const Block&, bool) {}
inline void endGrid() {}
inline void beginBlock(const Block&) {}
inline void endThread(unsigned) {}
inline void meetBlock(const Block&) {}
inline void meetWarp(const Block&, const Warp&) {}
inline void read(const void*, std::size_t, const void*) {}
inline void write(const void*, std::size_t, const void*) {}
inline void prepare(const PhaseBarrier*) {}
inline void arrive(const PhaseBarrier*, bool) {}
inline void pass(const PhaseBarrier*, unsigned) {}
inline void beginCopy(EngineCopy&, const void*) {}
inline void endCopy(const EngineCopy&, bool) {}
inline void orderAll() {}
inline void streamWrites(const void*, std::size_t) {}
inline void* allocate(std::size_t) {
    return nullptr;
}
inline bool release(void*) {
    return false;
}

#endif

}  // namespace moescope::cuda::simt::races
