// SPDX-License-Identifier: Apache-2.0
#ifdef MOESCOPE_SIMT_RACES

#include "engine/backend/cuda/emulation/race_order.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <stdexcept>
#include <unordered_map>

#include "engine/backend/cuda/emulation/races.h"

namespace moescope::cuda::simt::races {
namespace {

/// How far each actor of the block is known to be.
using Clock = std::vector<std::uint32_t>;
using ClockPointer = std::shared_ptr<const Clock>;

/// What is known of other blocks, by their runs.
using Others = std::map<std::uint32_t, ClockPointer>;
using OthersPointer = std::shared_ptr<const Others>;

struct Actor {
    ClockPointer known;
    OthersPointer others;
    OthersPointer met;    ///< at atomics; known from the next fence on
    ClockPointer fenced;  ///< what its latest fence has shown to other blocks
    std::uint32_t clock = 1;
    std::uint32_t before = 0;  ///< all kernels up to this one have ended
    bool hasWaited = false;
    bool hasTriggered = false;
};

/// A kernel or another entry of a stream, by its number.
struct Grid {
    std::uint32_t mayBeginAfter = 0;  ///< what had ended when its first thread began
    std::uint32_t nextMayBeginAfter = 0;
    std::uint32_t endsAfter = 0;  ///< what has ended when it has
    bool kernel = false;
};

/// What who passes a phase gets to know.
struct Told {
    ClockPointer known;
    OthersPointer others;
    std::uint32_t before = 0;
};
/// Of a copy of the copy engine: what its beginning knew, and when and by whom it is made.
struct Beginning {
    Told told;
    std::uint32_t clock = 0;
    std::size_t actor = 0;
};
struct Phases {
    Told arriving;
    std::array<Told, 2> ended;  ///< by parity
};
/// Actors of the copy engine, which take copies in turns: what is known of one says nothing of
/// those of the others.
constexpr std::size_t kEngines = 96;

/// What a run has shown to who adds to the same number after it.
struct Shown {
    std::uint32_t run;
    ClockPointer clock;
};

struct Order {
    std::vector<Grid> grids{1};
    std::vector<std::uint32_t> gridOf{0};                       ///< of each run
    std::unordered_map<const void*, std::vector<Shown>> shown;  ///< at atomics of this kernel
    // Of the block that runs.
    const Block* block = nullptr;
    std::uint32_t run = 0;
    std::vector<Actor> actors;
    std::size_t threads = 0;
    std::unordered_map<const void*, Phases> phases;
    std::size_t copies = 0;
};
Order o;

Actor& self() {
    return o.actors[running->current->index];
}

void raise(Clock& to, const Clock& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = std::max(to[i], from[i]);
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

OthersPointer joined(const OthersPointer& a, const OthersPointer& b) {
    if (a == b || b == nullptr) return a;
    if (a == nullptr) return b;
    auto to = std::make_shared<Others>(*a);
    for (const auto& [run, clock] : *b) {
        ClockPointer& known = (*to)[run];
        known = joined(known, clock);
    }
    return to;
}

/// The threads `of` have met: each knows what any of them knew.
template <typename Members>
void meet(const Members& of) {
    auto all = std::make_shared<Clock>(o.actors.size(), 0U);
    std::shared_ptr<Clock> fenced;
    const Clock* last = nullptr;
    const Clock* lastFenced = nullptr;
    OthersPointer others;
    std::uint32_t before = 0;
    for (const unsigned t : of) {
        const Actor& a = o.actors[t];
        others = joined(others, a.others);
        if (a.known.get() != last) raise(*all, *a.known);
        last = a.known.get();
        (*all)[t] = std::max((*all)[t], a.clock);
        before = std::max(before, a.before);
        if (a.fenced && a.fenced.get() != lastFenced) {
            if (!fenced) fenced = std::make_shared<Clock>(o.actors.size(), 0U);
            raise(*fenced, *a.fenced);
            lastFenced = a.fenced.get();
        }
    }
    for (const unsigned t : of) {
        Actor& a = o.actors[t];
        a.known = all;
        a.fenced = fenced;
        a.others = others;
        a.before = before;
        ++a.clock;
    }
}

}  // namespace

Moment now(std::size_t actor) {
    return {o.run, o.actors[actor].clock, static_cast<std::uint16_t>(actor)};
}

bool isKnown(const Moment& before, std::size_t actor) {
    const Actor& a = o.actors[actor];
    if (before.run == o.run) {
        const bool own = before.actor == actor && actor < o.threads;
        return own || before.clock <= (*a.known)[before.actor];
    }
    const std::uint32_t grid = o.gridOf[before.run];
    if (grid != o.gridOf[o.run]) return grid <= a.before;
    if (a.others == nullptr) return false;
    const auto found = a.others->find(before.run);
    return found != a.others->end() && before.clock <= (*found->second)[before.actor];
}

Relation relationTo(const Moment& before) {
    if (before.run == o.run) return Relation::SameBlock;
    return o.gridOf[before.run] == o.gridOf[o.run] ? Relation::OtherBlock : Relation::OtherKernel;
}

std::size_t threadsOfBlock() {
    return o.threads;
}

bool inKernel() {
    return running != nullptr && o.block == running && !o.actors.empty();
}

// ---- Grids and blocks --------------------------------------------------------------------------

void beginGrid(const Block& block, bool overlap) {
    const auto grid = static_cast<std::uint32_t>(o.grids.size());
    const Grid& last = o.grids.back();
    Grid next;
    next.kernel = true;
    next.mayBeginAfter = overlap && last.kernel ? last.nextMayBeginAfter : grid - 1;
    next.nextMayBeginAfter = grid - 1;
    next.endsAfter = next.mayBeginAfter;
    o.grids.push_back(next);
    o.shown.clear();
    o.actors.clear();
    beginAccesses();
    o.block = &block;
    o.threads = static_cast<std::size_t>(block.shape.x) * block.shape.y * block.shape.z;
}

void beginBlock() {
    const auto grid = static_cast<std::uint32_t>(o.grids.size() - 1);
    o.gridOf.push_back(grid);
    o.run = static_cast<std::uint32_t>(o.gridOf.size() - 1);
    o.copies = 0;
    o.phases.clear();
    o.actors.assign(o.threads + kEngines, {});
    const auto nothing = std::make_shared<const Clock>(o.actors.size(), 0U);
    for (Actor& a : o.actors) {
        a.known = nothing;
        a.before = o.grids[grid].mayBeginAfter;
    }
}

void endThread(unsigned thread) {
    // What has not let the next kernel begin does so by its end.
    Actor& a = o.actors[thread];
    if (!a.hasTriggered) letKernelBegin();
    if (!a.hasWaited) return;
    Grid& grid = o.grids.back();
    grid.endsAfter = std::max(grid.endsAfter, a.before);
}

void endGrid() {
    o.block = nullptr;
    endAccesses();
}

void letKernelBegin() {
    Actor& a = self();
    if (std::exchange(a.hasTriggered, true)) return;
    Grid& grid = o.grids.back();
    grid.nextMayBeginAfter = std::min(grid.nextMayBeginAfter, a.before);
}

void waitForKernel() {
    Actor& a = self();
    a.hasWaited = true;
    const auto before = static_cast<std::uint32_t>(o.grids.size() - 2);
    // The kernel before has ended, and with it those that it waited for.
    a.before = std::max(
        a.before, o.grids[before].endsAfter + 1 >= before ? before : o.grids[before].endsAfter);
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
    for (unsigned i = first; i < std::min<std::size_t>(first + 32, o.threads); ++i) {
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
    a.others = joined(a.others, std::exchange(a.met, nullptr));
}

void atomic(void* at, std::size_t bytes) {
    if (!inKernel()) return;
    Actor& a = self();
    access(running->current->index, at, bytes, true, true, __builtin_return_address(0));
    std::vector<Shown>& shown = o.shown[at];
    auto met = std::make_shared<Others>();
    for (const Shown& s : shown) (*met)[s.run] = s.clock;
    a.met = joined(a.met, met);
    if (!a.fenced) return;
    // This addition itself is seen, too.
    auto clock = std::make_shared<Clock>(*a.fenced);
    (*clock)[running->current->index] = a.clock++;
    shown.push_back({o.run, std::move(clock)});
}

void prepare(const PhaseBarrier* barrier, const void* caller) {
    write(barrier, sizeof *barrier, caller);
    Phases& p = o.phases[barrier];
    p = {};
    p.arriving.known = std::make_shared<const Clock>(o.actors.size(), 0U);
}

namespace {

Phases& phasesOf(const PhaseBarrier* barrier) {
    const auto found = o.phases.find(barrier);
    if (found == o.phases.end()) throw std::logic_error("a barrier that was not initialized");
    return found->second;
}

/// Uses of a barrier are ordered among themselves, not with its initialization.
void use(const PhaseBarrier* barrier, const void* caller) {
    access(running->current->index, barrier, sizeof *barrier, true, true, caller);
}

/// Who waits for the phase knows what `told` says, and what `actor` did up to `clock`.
void arriveAs(std::size_t actor, std::uint32_t clock, const Told& told, const PhaseBarrier* barrier,
              bool ends) {
    Phases& p = phasesOf(barrier);
    auto known = std::make_shared<Clock>(*p.arriving.known);
    raise(*known, *told.known);
    (*known)[actor] = std::max((*known)[actor], clock);
    p.arriving = {std::move(known), joined(p.arriving.others, told.others),
                  std::max(p.arriving.before, told.before)};
    if (!ends) return;
    // The phase that ended is the one before the current.
    p.ended[(barrier->phase & 1U) ^ 1U] = p.arriving;
    p.arriving = {std::make_shared<const Clock>(o.actors.size(), 0U), nullptr, 0};
}

}  // namespace

void arrive(const PhaseBarrier* barrier, bool ends, const void* caller) {
    use(barrier, caller);
    Actor& a = self();
    const Told told{a.known, a.others, a.before};
    arriveAs(running->current->index, a.clock++, told, barrier, ends);
}

void pass(const PhaseBarrier* barrier, unsigned parity, const void* caller) {
    use(barrier, caller);
    Actor& a = self();
    const Told& told = phasesOf(barrier).ended[parity];
    a.known = joinedAgain(a.known, told.known);
    a.others = joined(a.others, told.others);
    a.before = std::max(a.before, told.before);
}

void beginCopy(EngineCopy& copy, const void* caller) {
    use(copy.barrier, caller);
    const std::size_t actor = o.threads + o.copies++ % kEngines;
    Actor& e = o.actors[actor];
    Actor& issuer = o.actors[copy.issuer];
    auto known = std::make_shared<Clock>(*issuer.known);
    (*known)[copy.issuer] = issuer.clock++;
    e.known = known;
    e.others = issuer.others;
    e.before = issuer.before;
    copy.beginning = std::make_shared<Beginning>(
        Beginning{{std::move(known), issuer.others, issuer.before}, ++e.clock, actor});
    for (const Piece& piece : copy.pieces) {
        access(actor, piece.to, piece.bytes, true, false, caller);
        if (piece.from != nullptr) access(actor, piece.from, piece.bytes, false, false, caller);
    }
}

void endCopy(const EngineCopy& copy, bool ends) {
    const auto& b = *static_cast<const Beginning*>(copy.beginning.get());
    arriveAs(b.actor, b.clock, b.told, copy.barrier, ends);
}

void orderAll() {
    o.grids.emplace_back();
    const auto grid = static_cast<std::uint32_t>(o.grids.size() - 1);
    o.grids.back().endsAfter = grid - 1;
}

}  // namespace moescope::cuda::simt::races

#endif
