// SPDX-License-Identifier: Apache-2.0
// A race checker for kernels, by happened-before. The compiler's -fsanitize=thread puts a call in
// front of every access of memory; the library behind these calls is this file, not libtsan, which
// knows neither blocks nor shared memory and takes milliseconds for a barrier of a block.
//
// Every thread has a vector of how far it knows all threads of its block (and their copies) to be,
// as in FastTrack (Flanagan and Freund, PLDI 2009). Barriers of the block, of a warp and of a phase
// join such vectors. Every four bytes have cells of who wrote and who read them; an access that
// does not know of a conflicting one before it is a race, whatever the order in which the emulator
// ran them. Blocks know of each other by an atomic addition behind a fence; kernels by the order of
// the stream, which one that overlaps with the kernel before knows less of until it waits
// (programmatic dependent launch). Shuffles and votes order nothing, as on a device. Device memory
// that is read before it was written is reported too.
#ifdef MOESCOPE_SIMT_RACES

#include "engine/backend/cuda/emulation/races.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>

extern "C" {
extern char __data_start[];
extern char _end[];
extern char __executable_start[];
}

namespace moescope::cuda::simt::races {
namespace {

using Clock = std::vector<std::uint32_t>;
using ClockPointer = std::shared_ptr<const Clock>;

/// One access of four bytes. A block's run has a number of its own among those of all kernels.
struct Record {
    std::uint32_t run = 0;  ///< 0: none
    std::uint32_t clock = 0;
    std::uint32_t place = 0;  ///< of the instruction, from the program's start
    std::uint16_t actor = 0;
    std::uint8_t bytes = 0;  ///< a bit for each
    bool atomic = false;
};
/// The latest writes, and some of the reads since.
struct Cell {
    Record writes[2];
    Record reads[2];
};

/// Somebody who accesses memory: a thread of the block, or the copy engine for a warp.
struct Actor {
    ClockPointer known;
    ClockPointer fenced;  ///< what its latest fence has shown to other blocks
    std::uint32_t clock = 1;
    std::uint32_t before = 0;  ///< all kernels up to this one have ended
    bool hasWaited = false;
    bool hasTriggered = false;
};

/// What is known of a kernel or of another entry of a stream, by its number.
struct Grid {
    std::uint32_t mayBeginAfter = 0;  ///< what had ended when its first thread began
    std::uint32_t nextMayBeginAfter = 0;
    std::uint32_t endsAfter = 0;  ///< what has ended when it has
    bool kernel = false;
};

struct Phases {
    Clock arriving;
    ClockPointer ended[2];
};

constexpr std::size_t kDeviceBytes = std::size_t{8} << 30;

struct Checker {
    // Device memory: one range of addresses, with cells and a byte for each byte: was it written?
    std::byte* device = nullptr;
    Cell* deviceCells = nullptr;
    std::uint8_t* written = nullptr;
    std::map<std::size_t, std::size_t> free;   ///< offset, bytes with what keeps two apart
    std::map<std::size_t, std::size_t> taken;  ///< offset, bytes that were asked for

    std::vector<Cell> sharedCells;
    std::vector<Cell> staticCells;

    std::vector<Grid> grids{1};
    std::vector<std::uint32_t> gridOf{0};  ///< of each run
    const Block* block = nullptr;
    std::uint32_t run = 0;
    std::vector<Actor> actors;
    std::size_t threads = 0;
    std::unordered_map<const void*, Phases> phases;
    struct Shown {
        std::uint32_t run;
        ClockPointer clock;
    };
    std::unordered_map<const void*, std::vector<Shown>> shown;  ///< at atomics of this kernel
    std::unordered_map<std::uint32_t, ClockPointer> otherBlocks;
    std::uint32_t random = 1;

    std::set<std::array<std::uint32_t, 2>> reported;  ///< places of a race, each pair once a kernel
    std::string report;
};
Checker c;

void* reserve(std::size_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::runtime_error("no addresses for the race checker");
    return at;
}

Actor& self() {
    return c.actors[running->current->index];
}

// ---- Clocks ------------------------------------------------------------------------------------

void raise(Clock& to, const Clock& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = std::max(to[i], from[i]);
}
void raise(Clock& to, std::size_t actor) {
    const Actor& a = c.actors[actor];
    raise(to, *a.known);
    to[actor] = a.clock;
}
ClockPointer joined(const ClockPointer& a, const ClockPointer& b) {
    if (a == b || b == nullptr) return a;
    if (a == nullptr) return b;
    auto to = std::make_shared<Clock>(*a);
    raise(*to, *b);
    return to;
}
/// The same pointers come again and again: all lanes of a warp pass a barrier with the same two.
ClockPointer joinedAgain(const ClockPointer& a, const ClockPointer& b) {
    static ClockPointer lastA, lastB, last;
    if (a != lastA || b != lastB) {
        last = joined(a, b);
        lastA = a;
        lastB = b;
    }
    return last;
}

/// The threads `of` have met: each knows what any of them knew.
template <typename Members>
void meet(const Members& of) {
    auto all = std::make_shared<Clock>(c.actors.size(), 0U);
    std::shared_ptr<Clock> fenced;
    const Clock* last = nullptr;
    const Clock* lastFenced = nullptr;
    std::uint32_t before = 0;
    for (const unsigned t : of) {
        const Actor& a = c.actors[t];
        if (a.known.get() != last) raise(*all, *a.known);
        last = a.known.get();
        (*all)[t] = std::max((*all)[t], a.clock);
        before = std::max(before, a.before);
        if (a.fenced && a.fenced.get() != lastFenced) {
            if (!fenced) fenced = std::make_shared<Clock>(c.actors.size(), 0U);
            raise(*fenced, *a.fenced);
            lastFenced = a.fenced.get();
        }
    }
    for (const unsigned t : of) {
        Actor& a = c.actors[t];
        a.known = all;
        a.fenced = fenced;
        a.before = before;
        ++a.clock;
    }
}

// ---- Accesses ----------------------------------------------------------------------------------

bool isKnown(const Record& r, std::size_t actor) {
    const Actor& a = c.actors[actor];
    if (r.run == c.run) return r.actor == actor || r.clock <= (*a.known)[r.actor];
    const std::uint32_t grid = c.gridOf[r.run];
    if (grid != c.gridOf[c.run]) return grid <= a.before;
    const auto found = c.otherBlocks.find(r.run);
    return found != c.otherBlocks.end() && r.actor < found->second->size() &&
           r.clock <= (*found->second)[r.actor];
}

std::string placeText(std::uint32_t place) {
    char command[200];
    std::snprintf(command, sizeof command, "addr2line -e /proc/%d/exe -i -C -f 0x%x 2>&1",
                  static_cast<int>(getpid()), place - 1);
    std::string text;
    if (FILE* pipe = popen(command, "r")) {
        char line[2000];
        bool name = true;
        while (std::fgets(line, sizeof line, pipe) != nullptr) {
            std::string word(line);
            word.pop_back();
            if (!name) {
                const std::size_t from = word.rfind("engine/");
                text += (text.empty() ? "" : " < ") +
                        (from != std::string::npos ? word.substr(from) : word);
            }
            name = !name;
        }
        pclose(pipe);
    }
    return text;
}

void tell(const char* what, const Record* before, const char* where, std::size_t offset,
          std::size_t actor, std::uint32_t place) {
    if (!c.reported.insert({before != nullptr ? before->place : 0, place}).second) return;
    if (c.reported.size() > 20) return;
    const auto who = [&](std::size_t a) {
        return a < c.threads ? "thread " + std::to_string(a)
                             : "the copies of warp " + std::to_string(a - c.threads);
    };
    std::string bytes = std::to_string(offset);
    if (auto piece = c.taken.upper_bound(offset); *where == 'd' && piece != c.taken.begin()) {
        --piece;
        bytes = std::to_string(offset - piece->first) + " of " + std::to_string(piece->second);
    }
    std::string text = std::string(what) + " of " + where + " memory, byte " + bytes + ", by " +
                       who(actor) + " of block " + std::to_string(c.block->index.x) + ", " +
                       std::to_string(c.block->index.y) + ", " + std::to_string(c.block->index.z) +
                       " at " + placeText(place);
    if (before != nullptr) {
        text += "; not ordered behind the access by " + who(before->actor) +
                (before->run == c.run                       ? " of the same block"
                 : c.gridOf[before->run] == c.gridOf[c.run] ? " of another block"
                                                            : " of an earlier kernel") +
                " at " + placeText(before->place);
    }
    c.report += text + "\n";
}

/// Whether `r` may be given up for an access of `bytes` that follows it.
bool isCovered(const Record& r, std::uint8_t bytes, std::size_t actor) {
    return r.run == 0 || ((r.bytes & ~bytes) == 0 && isKnown(r, actor));
}

void keep(Record (&records)[2], const Record& r, std::size_t actor) {
    for (Record& old : records) {
        if (isCovered(old, r.bytes, actor)) {
            old = r;
            return;
        }
    }
    c.random = c.random * 1664525U + 1013904223U;
    records[c.random >> 31U] = r;
}

void touch(Cell& cell, Record r, bool writes, std::size_t actor, const char* where,
           std::size_t offset) {
    const auto conflicts = [&](const Record& old) {
        return old.run != 0 && (old.bytes & r.bytes) != 0 && !(old.atomic && r.atomic) &&
               !isKnown(old, actor);
    };
    for (const Record& old : cell.writes) {
        if (conflicts(old)) tell(writes ? "write" : "read", &old, where, offset, actor, r.place);
    }
    if (!writes) return keep(cell.reads, r, actor);
    for (Record& old : cell.reads) {
        if (conflicts(old)) tell("write", &old, where, offset, actor, r.place);
        if (isCovered(old, r.bytes, actor)) old = {};
    }
    keep(cell.writes, r, actor);
}

/// Shared memory is another block's before this one.
Cell& fresh(Cell& cell) {
    const auto stale = [](Record& r) {
        if (r.run != c.run) r = {};
    };
    for (Record& r : cell.writes) stale(r);
    for (Record& r : cell.reads) stale(r);
    return cell;
}

void access(std::size_t actor, std::uintptr_t at, std::size_t bytes, bool writes, bool atomic,
            std::uint32_t place) {
    const auto base = reinterpret_cast<std::uintptr_t>(c.device);
    const auto dynamic = reinterpret_cast<std::uintptr_t>(c.block->shared.data());
    const auto fixed = reinterpret_cast<std::uintptr_t>(__data_start);
    const auto end = reinterpret_cast<std::uintptr_t>(_end);
    enum { Device, Dynamic, Fixed } space;
    std::uintptr_t origin;
    if (at - base < kDeviceBytes) {
        space = Device;
        origin = base;
    } else if (at - dynamic < c.block->shared.size()) {
        space = Dynamic;
        origin = dynamic;
    } else if (at - fixed < end - fixed) {
        space = Fixed;
        origin = fixed & ~std::uintptr_t{3};
    } else {
        return;  // a thread's own
    }
    std::size_t offset = at - origin;
    const std::size_t stop = offset + bytes;
    if (space == Device) {
        if (writes) std::fill_n(c.written + offset, bytes, std::uint8_t{1});
        for (std::size_t i = offset; i < stop; ++i) {
            if (c.written[i] == 0) {
                tell("read, before it was written,", nullptr, "device", offset, actor, place);
                break;
            }
        }
    }
    while (offset < stop) {
        const std::size_t word = offset / 4;
        const std::size_t upTo = std::min(stop, 4 * word + 4);
        std::uint8_t mask = 0;
        for (std::size_t i = offset; i < upTo; ++i)
            mask = static_cast<std::uint8_t>(mask | 1U << i % 4);
        Record r;
        r.run = c.run;
        r.clock = c.actors[actor].clock;
        r.place = place;
        r.actor = static_cast<std::uint16_t>(actor);
        r.bytes = mask;
        r.atomic = atomic;
        Cell& cell = space == Device    ? c.deviceCells[word]
                     : space == Dynamic ? fresh(c.sharedCells[word])
                                        : fresh(c.staticCells[word]);
        touch(cell, r, writes, actor, space == Device ? "device" : "shared", offset);
        offset = upTo;
    }
}

std::uint32_t placeOf(const void* address) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(address) -
                                      reinterpret_cast<std::uintptr_t>(__executable_start));
}

void accessBy(std::size_t actor, const void* at, std::size_t bytes, bool writes, bool atomic,
              const void* caller) {
    access(actor, reinterpret_cast<std::uintptr_t>(at), bytes, writes, atomic, placeOf(caller));
}

bool inKernel() {
    return running != nullptr && c.block == running && c.run != 0 && !c.actors.empty();
}

std::uint32_t newRun(std::uint32_t grid) {
    c.gridOf.push_back(grid);
    return static_cast<std::uint32_t>(c.gridOf.size() - 1);
}

}  // namespace

// ---- Grids and blocks --------------------------------------------------------------------------

void beginGrid(const Block& block, bool overlap) {
    if (c.staticCells.empty())
        c.staticCells.resize(static_cast<std::size_t>(_end - __data_start) / 4 + 2);
    const auto grid = static_cast<std::uint32_t>(c.grids.size());
    const Grid& last = c.grids.back();
    Grid next;
    next.kernel = true;
    next.mayBeginAfter = overlap && last.kernel ? last.nextMayBeginAfter : grid - 1;
    next.nextMayBeginAfter = grid - 1;
    next.endsAfter = next.mayBeginAfter;
    c.grids.push_back(next);
    c.shown.clear();
    c.reported.clear();
    c.report.clear();
    c.block = &block;
    c.threads = static_cast<std::size_t>(block.shape.x) * block.shape.y * block.shape.z;
}

void beginBlock(const Block& block) {
    const auto grid = static_cast<std::uint32_t>(c.grids.size() - 1);
    c.run = newRun(grid);
    c.otherBlocks.clear();
    c.phases.clear();
    if (c.sharedCells.size() < block.shared.size() / 4 + 1)
        c.sharedCells.resize(block.shared.size() / 4 + 1);
    c.actors.assign(c.threads + block.warps.size(), {});
    const auto nothing = std::make_shared<const Clock>(c.actors.size(), 0U);
    for (Actor& a : c.actors) {
        a.known = nothing;
        a.before = c.grids[grid].mayBeginAfter;
    }
}

void endThread(unsigned thread) {
    // What has not let the next kernel begin does so by its end.
    Actor& a = c.actors[thread];
    if (!a.hasTriggered) letKernelBegin();
    if (!a.hasWaited) return;
    Grid& grid = c.grids.back();
    grid.endsAfter = std::max(grid.endsAfter, a.before);
}

void endGrid() {
    c.block = nullptr;
    c.run = 0;
    if (c.report.empty()) return;
    throw std::logic_error(std::exchange(c.report, {}));
}

void letKernelBegin() {
    Actor& a = self();
    if (std::exchange(a.hasTriggered, true)) return;
    Grid& grid = c.grids.back();
    grid.nextMayBeginAfter = std::min(grid.nextMayBeginAfter, a.before);
}

void waitForKernel() {
    Actor& a = self();
    a.hasWaited = true;
    const auto before = static_cast<std::uint32_t>(c.grids.size() - 2);
    // The kernel before has ended, and with it those that it waited for.
    a.before = std::max(
        a.before, c.grids[before].endsAfter + 1 >= before ? before : c.grids[before].endsAfter);
}

void meetBlock(const Block& block) {
    static std::vector<unsigned> members;
    members.clear();
    for (const Fiber& f : block.fibers) {
        if (!f.done) members.push_back(f.index);
    }
    meet(members);
}

void meetWarp(const Block& block, const Warp& warp) {
    static std::vector<unsigned> members;
    members.clear();
    const auto first = static_cast<unsigned>(&warp - block.warps.data()) * 32;
    for (unsigned i = first; i < std::min<std::size_t>(first + 32, c.threads); ++i) {
        if (!block.fibers[i].done) members.push_back(i);
    }
    meet(members);
}

// ---- Fences, atomics, barriers, copies ---------------------------------------------------------

void fence() {
    Actor& a = self();
    auto clock = std::make_shared<Clock>(*a.known);
    (*clock)[running->current->index] = a.clock++;
    a.fenced = std::move(clock);
}

void atomic(void* at, std::size_t bytes) {
    if (!inKernel()) return;
    Actor& a = self();
    accessBy(running->current->index, at, bytes, true, true, __builtin_return_address(0));
    std::vector<Checker::Shown>& shown = c.shown[at];
    for (const Checker::Shown& s : shown) {
        ClockPointer& known = c.otherBlocks[s.run];
        known = joined(known, s.clock);
    }
    if (!a.fenced) return;
    // This addition itself is seen, too.
    auto clock = std::make_shared<Clock>(*a.fenced);
    (*clock)[running->current->index] = a.clock++;
    shown.push_back({c.run, std::move(clock)});
}

void prepare(const PhaseBarrier* barrier) {
    c.phases[barrier] = {Clock(c.actors.size(), 0U), {}};
}

namespace {

Phases& phasesOf(const PhaseBarrier* barrier) {
    const auto found = c.phases.find(barrier);
    if (found == c.phases.end()) throw std::logic_error("a barrier that was not initialized");
    return found->second;
}

void arriveAs(std::size_t actor, const PhaseBarrier* barrier, bool ends) {
    Phases& p = phasesOf(barrier);
    raise(p.arriving, actor);
    ++c.actors[actor].clock;
    if (!ends) return;
    // The phase that ended is the one before the current.
    p.ended[(barrier->phase & 1U) ^ 1U] = std::make_shared<const Clock>(p.arriving);
    std::ranges::fill(p.arriving, 0U);
}

std::size_t engineOf(const EngineCopy& copy) {
    return c.threads + copy.issuer / 32;
}

}  // namespace

void arrive(const PhaseBarrier* barrier, bool ends) {
    arriveAs(running->current->index, barrier, ends);
}

void pass(const PhaseBarrier* barrier, unsigned parity) {
    Actor& a = self();
    a.known = joinedAgain(a.known, phasesOf(barrier).ended[parity]);
}

void beginCopy(const EngineCopy& copy, const void* caller) {
    const std::size_t engine = engineOf(copy);
    Actor& e = c.actors[engine];
    Actor& issuer = c.actors[copy.issuer];
    auto known = std::make_shared<Clock>(*e.known);
    raise(*known, copy.issuer);
    ++issuer.clock;
    e.known = std::move(known);
    e.before = issuer.before;
    for (const Piece& piece : copy.pieces) {
        accessBy(engine, piece.to, piece.bytes, true, false, caller);
        if (piece.from != nullptr) accessBy(engine, piece.from, piece.bytes, false, false, caller);
    }
}

void orderAll() {
    c.grids.emplace_back();
    const auto grid = static_cast<std::uint32_t>(c.grids.size() - 1);
    c.grids.back().endsAfter = grid - 1;
}

void endCopy(const EngineCopy& copy, bool ends) {
    arriveAs(engineOf(copy), copy.barrier, ends);
}

void read(const void* at, std::size_t bytes, const void* caller) {
    accessBy(running->current->index, at, bytes, false, false, caller);
}
void write(const void* at, std::size_t bytes, const void* caller) {
    accessBy(running->current->index, at, bytes, true, false, caller);
}

// ---- Device memory -----------------------------------------------------------------------------

void streamWrites(const void* at, std::size_t bytes) {
    orderAll();
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(at) - c.device);
    if (c.device == nullptr || offset >= kDeviceBytes) return;
    std::fill_n(c.written + offset, bytes, std::uint8_t{1});
}

namespace {
/// At least a byte keeps two allocations apart.
std::size_t sizeInArena(std::size_t bytes) {
    return (bytes + 256) / 256 * 256;
}
}  // namespace

void* allocate(std::size_t bytes) {
    if (c.device == nullptr) {
        c.device = static_cast<std::byte*>(reserve(kDeviceBytes));
        c.written = static_cast<std::uint8_t*>(reserve(kDeviceBytes));
        c.deviceCells = static_cast<Cell*>(reserve(kDeviceBytes / 4 * sizeof(Cell)));
        c.free[0] = kDeviceBytes;
    }
    const std::size_t size = sizeInArena(bytes);
    for (auto it = c.free.begin(); it != c.free.end(); ++it) {
        const auto [from, room] = *it;
        if (room < size) continue;
        c.free.erase(it);
        if (room > size) c.free[from + size] = room - size;
        c.taken[from] = bytes;
        return c.device + from;
    }
    return nullptr;
}

bool release(void* at) {
    const auto from = static_cast<std::size_t>(static_cast<std::byte*>(at) - c.device);
    const auto found = c.taken.find(from);
    if (c.device == nullptr || found == c.taken.end()) return false;
    std::size_t first = from;
    std::size_t size = sizeInArena(found->second);
    c.taken.erase(found);
    std::fill_n(c.written + from, size, std::uint8_t{0});
    std::fill_n(c.deviceCells + from / 4, size / 4, Cell{});
    auto next = c.free.upper_bound(first);
    if (next != c.free.end() && next->first == first + size) {
        size += next->second;
        next = c.free.erase(next);
    }
    if (next != c.free.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == first) {
            before->second += size;
            return true;
        }
    }
    c.free[first] = size;
    return true;
}

}  // namespace moescope::cuda::simt::races

// ---- What the compiler calls -------------------------------------------------------------------

using namespace moescope::cuda::simt;

namespace {
inline void reached(const void* at, std::size_t bytes, bool writes, const void* caller) {
    if (!races::inKernel()) return;
    races::accessBy(running->current->index, at, bytes, writes, false, caller);
}
}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
#define MOESCOPE_ACCESS(name, bytes, writes)                     \
    void __tsan_##name(void* at) {                               \
        reached(at, bytes, writes, __builtin_return_address(0)); \
    }
MOESCOPE_ACCESS(read1, 1, false)
MOESCOPE_ACCESS(read2, 2, false)
MOESCOPE_ACCESS(read4, 4, false)
MOESCOPE_ACCESS(read8, 8, false)
MOESCOPE_ACCESS(read16, 16, false)
MOESCOPE_ACCESS(write1, 1, true)
MOESCOPE_ACCESS(write2, 2, true)
MOESCOPE_ACCESS(write4, 4, true)
MOESCOPE_ACCESS(write8, 8, true)
MOESCOPE_ACCESS(write16, 16, true)
MOESCOPE_ACCESS(unaligned_read2, 2, false)
MOESCOPE_ACCESS(unaligned_read4, 4, false)
MOESCOPE_ACCESS(unaligned_read8, 8, false)
MOESCOPE_ACCESS(unaligned_read16, 16, false)
MOESCOPE_ACCESS(unaligned_write2, 2, true)
MOESCOPE_ACCESS(unaligned_write4, 4, true)
MOESCOPE_ACCESS(unaligned_write8, 8, true)
MOESCOPE_ACCESS(unaligned_write16, 16, true)
MOESCOPE_ACCESS(volatile_read1, 1, false)
MOESCOPE_ACCESS(volatile_write1, 1, true)
// Atomics of host code.
std::uint8_t __tsan_atomic8_load(const volatile std::uint8_t* at, int) {
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
std::uint32_t __tsan_atomic32_fetch_add(volatile std::uint32_t* at, std::uint32_t value, int) {
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
std::uint64_t __tsan_atomic64_fetch_add(volatile std::uint64_t* at, std::uint64_t value, int) {
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
void __tsan_read_range(void* at, std::size_t bytes) {
    reached(at, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* at, std::size_t bytes) {
    reached(at, bytes, true, __builtin_return_address(0));
}
}
// NOLINTEND(bugprone-reserved-identifier)

#endif
