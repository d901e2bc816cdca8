// SPDX-License-Identifier: Apache-2.0
// Which operations got faster or slower from one run to another, and whether that is more than the
// noise within the runs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/operation_columns.h"

namespace moescope {

struct DifferenceRow {
    std::string phase;               ///< "prefill", "decode"
    std::string op;                  ///< "" the whole step, gaps included
    double baseNs = 0, otherNs = 0;  ///< per token: mean over the blocks; NaN where a run has none
    double difference = 0;           ///< otherNs - baseNs, ns per token
    double low = 0, high = 0;        ///< 95 % interval of the difference; NaN when not tested
    double p = 0, q = 0;             ///< q: adjusted over all rows (Benjamini, Hochberg 1995)
    bool real() const noexcept { return q < 0.05; }  ///< false where not tested
};

struct DifferencePhase {
    std::string phase;
    std::int64_t baseSteps = 0, otherSteps = 0;
    bool paired = false;  ///< the same steps were compared one by one
    std::int64_t pairs = 0;
    int blocks = 0;  ///< of each run; below kFewestBlocks nothing is tested
};

struct RunDifference {
    static constexpr int kBlocks = 20;
    static constexpr int kFewestBlocks = 6;  ///< 2^6 = 64 sign patterns: p down to 1/32
    std::vector<DifferencePhase> phases;
    std::vector<DifferenceRow> rows;  ///< the whole step first, then by difference, largest first
};

struct TimedRun {
    std::span<const StepRow> steps;
    const OperationColumns& operations;
};

/// Steps of a phase in order of time are cut into up to 20 blocks of neighbours, because the speed
/// of successive steps is alike (a neighbour on the machine slows all of them): the block, not the
/// step, is the unit. Where at least 80 % of the steps of the shorter run have their like in the
/// other (sequence, position, tokens), those are compared pair by pair: p by flipping the signs of
/// the block differences (exact up to 12 blocks, else 9999 seeded flips), the interval all shifts
/// which that test does not reject. Otherwise the difference over its standard error (Welch 1947)
/// is compared with what it is when blocks, of as many steps in both and less the mean of their
/// run, are dealt out to the runs by chance, 999 to 9999 times, and the interval is as wide as 5 %
/// of these reach. Interval and p never contradict each other. What changed between the runs as a
/// whole (another clock, a busy machine) is not noise within a run: only a repetition of the
/// baseline shows it.
RunDifference runDifference(const TimedRun& base, const TimedRun& other);

/// "not tested", "noise", "faster" or "slower".
const char* differenceVerdict(const DifferenceRow& row) noexcept;
/// "decode: 63 steps compared pair by pair, 20 blocks".
std::string phaseSentence(const DifferencePhase& phase);
/// Belongs below every such table.
inline constexpr char kBetweenRunsNote[] =
    "A machine that changed between the runs is not noise within them: compare a repetition of the "
    "baseline as well.";

}  // namespace moescope
