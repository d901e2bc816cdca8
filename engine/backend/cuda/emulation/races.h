// SPDX-License-Identifier: Apache-2.0
// The race checker, by happened-before, which is there when the kernels are compiled with
// -fsanitize=thread and MOESCOPE_SIMT_RACES. The compiler then puts a call in front of every access
// of memory; the library behind these calls is ours (race_memory.cpp) and not libtsan, which knows
// neither blocks nor shared memory and takes milliseconds for a barrier of a block. What the
// emulator does for a thread is announced here.
//
// Every thread has a vector of how far it knows all threads of its block (and their copies) to be,
// as in FastTrack (Flanagan and Freund, PLDI 2009). Barriers of the block, of a warp and of a phase
// join such vectors. Every four bytes have cells of who wrote and who read them; an access that
// does not know of a conflicting one before it is a race, whatever the order in which the emulator
// ran them. Blocks know of each other by an atomic addition between two fences; kernels by the
// order of the stream, which one that overlaps with the kernel before knows less of until it waits
// (programmatic dependent launch). Shuffles and votes order nothing, as on a device. Device memory
// and `__shared__` variables that a block reads before they were written are reported too; not
// dynamic shared memory, which begins as NaN: our kernels read there what nobody brought for rows
// whose results nobody takes.
//
// `__shared__` variables are of the thread that runs the kernel (thread_local), `__device__` ones
// of the program: so they are told apart.
//
// Of the reads of a word since it was written, shared memory keeps each warp's latest, device
// memory two taken at random. Not modelled: fences between the ways to shared memory, what is on
// several streams at once, what the host does.
#pragma once

#include <cstddef>

#include "engine/backend/cuda/emulation/block.h"

namespace moescope::cuda::simt::races {

#ifdef MOESCOPE_SIMT_RACES

/// A kernel begins. overlap: before the one in front of it on the stream has ended.
void beginGrid(const Block& block, bool overlap);
/// Throws std::logic_error with the places of the first races.
void endGrid();
void beginBlock();
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
void prepare(const PhaseBarrier* barrier, const void* caller);
void arrive(const PhaseBarrier* barrier, bool ends, const void* caller);
void pass(const PhaseBarrier* barrier, unsigned parity, const void* caller);
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
inline void beginBlock() {}
inline void endThread(unsigned) {}
inline void meetBlock(const Block&) {}
inline void meetWarp(const Block&, const Warp&) {}
inline void read(const void*, std::size_t, const void*) {}
inline void write(const void*, std::size_t, const void*) {}
inline void prepare(const PhaseBarrier*, const void*) {}
inline void arrive(const PhaseBarrier*, bool, const void*) {}
inline void pass(const PhaseBarrier*, unsigned, const void*) {}
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
