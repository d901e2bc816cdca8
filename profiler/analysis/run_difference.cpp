// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/run_difference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <tuple>

#include "engine/core/count_text.h"
#include "profiler/analysis/statistics.h"

namespace moescope {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kRandomDraws = 9999;
constexpr std::size_t kMostBlocks = 4000;      ///< of the longer run
constexpr std::size_t kMostDealt = 5'000'000;  ///< blocks, over all draws of a row
constexpr std::size_t kExactBlocks = 12;
constexpr double kPairedShare = 0.8;

/// Nanoseconds of one step by operation name; "" is the step itself.
struct StepCost {
    std::int64_t tokens = 0;
    std::tuple<std::int64_t, std::int64_t, std::int64_t> key;  // sequence, position, tokens
    std::map<std::string, std::int64_t> ns;
};

std::vector<StepCost> costsOf(const TimedRun& run, const std::string& phase) {
    std::vector<StepCost> all(run.steps.size());
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
        const StepRow& step = run.steps[i];
        all[i].tokens = step.tokens;
        all[i].key = {step.sequence, step.firstPosition, step.tokens};
        all[i].ns[""] = step.endNs - step.startNs;
    }
    const OperationColumns& ops = run.operations;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (ops.step[i] < 0) continue;
        all[static_cast<std::size_t>(ops.step[i])].ns[ops.opNames[ops.op[i]]] += ops.durationNs(i);
    }
    std::vector<StepCost> out;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (run.steps[i].kind == phase && all[i].tokens > 0) out.push_back(std::move(all[i]));
    return out;
}

/// Keeps the steps that both have, in the order of `base`; empty when too few do. A key that
/// occurs twice (a rewind) says nothing about which is which and is left out.
std::pair<std::vector<StepCost>, std::vector<StepCost>> pairUp(const std::vector<StepCost>& base,
                                                               const std::vector<StepCost>& other) {
    std::map<decltype(StepCost::key), std::pair<std::vector<std::size_t>, std::vector<std::size_t>>>
        byKey;
    for (std::size_t i = 0; i < base.size(); ++i) byKey[base[i].key].first.push_back(i);
    for (std::size_t i = 0; i < other.size(); ++i) byKey[other[i].key].second.push_back(i);
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (const auto& [key, members] : byKey)
        if (members.first.size() == 1 && members.second.size() == 1)
            pairs.emplace_back(members.first.front(), members.second.front());
    if (double(pairs.size()) < kPairedShare * double(std::min(base.size(), other.size())))
        return {};
    std::sort(pairs.begin(), pairs.end());
    std::pair<std::vector<StepCost>, std::vector<StepCost>> out;
    for (const auto& [b, o] : pairs) {
        out.first.push_back(base[b]);
        out.second.push_back(other[o]);
    }
    return out;
}

/// Nanoseconds per token of each block of neighbouring steps.
std::vector<double> blockMeans(const std::vector<StepCost>& steps, std::size_t blocks,
                               const std::string& op) {
    std::vector<double> out;
    for (std::size_t b = 0; b < blocks; ++b) {
        std::int64_t ns = 0, tokens = 0;
        for (std::size_t i = b * steps.size() / blocks; i < (b + 1) * steps.size() / blocks; ++i) {
            const auto found = steps[i].ns.find(op);
            ns += found == steps[i].ns.end() ? 0 : found->second;
            tokens += steps[i].tokens;
        }
        out.push_back(double(ns) / double(tokens));
    }
    return out;
}

double mean(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

/// Square of the standard error of the mean.
double squaredError(std::span<const double> values) {
    const double middle = mean(values);
    double squares = 0;
    for (const double value : values) squares += (value - middle) * (value - middle);
    return squares / double(values.size() - 1) / double(values.size());
}

/// A tie must count as reached whatever the order of summation.
bool reaches(double drawn, double observed) {
    return std::abs(drawn) >= std::abs(observed) * (1 - 1e-12);
}

struct SignFlips {
    double p, low, high;
};

/// The test of flipped signs, and all shifts that it does not reject. Flipping the signs of a
/// subset brings the mean to its own size or beyond just where the subset's mean is at or beyond
/// zero, so the means of subsets are where a shift begins to be rejected (Hartigan 1969, typical
/// values).
SignFlips signFlips(const std::vector<double>& differences) {
    const std::size_t n = differences.size();
    std::vector<double> means;
    std::size_t drawn = 0, empty = 0;
    const auto draw = [&](std::uint64_t subset) {
        double sum = 0;
        int count = 0;
        for (std::size_t i = 0; i < n; ++i, subset >>= 1U) {
            if ((subset & 1U) == 0) continue;
            sum += differences[i];
            ++count;
        }
        ++drawn;
        if (count == 0)
            ++empty;
        else
            means.push_back(sum / count);
    };
    if (n <= kExactBlocks) {
        for (std::uint64_t subset = 0; subset < std::uint64_t{1} << n; ++subset) draw(subset);
    } else {
        std::mt19937_64 random(1);
        for (int i = 0; i < kRandomDraws; ++i) draw(random());
        ++drawn;  // the signs as they are
        ++empty;
    }
    std::sort(means.begin(), means.end());
    const auto below = std::upper_bound(means.begin(), means.end(), 0.0) - means.begin();
    const auto above = means.end() - std::lower_bound(means.begin(), means.end(), 0.0);
    const double tail = double(empty) + double(std::min(below, above));
    // The first mean at which more than 2.5 % are reached on its side.
    const auto first =
        static_cast<std::size_t>(std::max(0.0, std::floor(0.025 * double(drawn) - double(empty))));
    return {std::min(1.0, 2 * tail / double(drawn)), means[first], means[means.size() - 1 - first]};
}

/// At most kMostBlocks of them, evenly spread: they say all that the shorter run lets be known.
std::vector<double> thinned(std::vector<double> blocks) {
    if (blocks.size() <= kMostBlocks) return blocks;
    std::vector<double> out;
    for (std::size_t i = 0; i < kMostBlocks; ++i)
        out.push_back(blocks[i * blocks.size() / kMostBlocks]);
    return out;
}

/// Difference of the means over its standard error, without equal variances (Welch 1947).
double studentised(std::span<const double> base, std::span<const double> other) {
    const double difference = mean(other) - mean(base);
    const double error = std::sqrt(squaredError(base) + squaredError(other));
    if (error > 0) return difference / error;
    return difference == 0 ? 0 : std::copysign(std::numeric_limits<double>::infinity(), difference);
}

/// What the studentised difference is when blocks are dealt out to the runs by chance. Raw
/// differences would reject far too often where the shorter run's blocks are the noisier ones
/// (Janssen 1997).
struct DealtOut {
    double p;
    double critical;  ///< the size that 5 % reach: p is above 0.05 exactly where it is not exceeded
};

DealtOut dealOut(const std::vector<double>& base, const std::vector<double>& other) {
    const double observed = studentised(base, other);
    std::vector<double> all;
    // Less the mean of their run: a difference that is there must not widen what chance makes.
    for (const std::vector<double>* run : {&base, &other}) {
        const double middle = mean(*run);
        for (const double block : *run) all.push_back(block - middle);
    }
    std::mt19937_64 random(1);
    std::vector<double> sizes{std::abs(observed)};
    const int draws = int(std::clamp<std::size_t>(kMostDealt / all.size(), 999, kRandomDraws));
    int reached = 1;
    for (int draw = 0; draw < draws; ++draw) {
        // Fisher and Yates by hand: std::shuffle differs between libraries, a p value must not.
        for (std::size_t i = all.size() - 1; i > 0; --i) std::swap(all[i], all[random() % (i + 1)]);
        const std::span<const double> drawn(all);
        const double t = studentised(drawn.first(base.size()), drawn.subspan(base.size()));
        reached += reaches(t, observed) ? 1 : 0;
        sizes.push_back(std::abs(t));
    }
    const auto place = static_cast<std::ptrdiff_t>(sizes.size() / 20);
    std::nth_element(sizes.begin(), sizes.begin() + place, sizes.end(), std::greater<>());
    return {double(reached) / double(draws + 1), sizes[static_cast<std::size_t>(place)]};
}

void testPaired(DifferenceRow& row, const std::vector<double>& base,
                const std::vector<double>& other) {
    std::vector<double> differences;
    for (std::size_t b = 0; b < base.size(); ++b) differences.push_back(other[b] - base[b]);
    const SignFlips test = signFlips(differences);
    row.low = test.low;
    row.high = test.high;
    row.p = test.p;
}

void testUnpaired(DifferenceRow& row, const std::vector<double>& base,
                  const std::vector<double>& other) {
    const DealtOut test = dealOut(base, other);
    const double error = std::sqrt(squaredError(base) + squaredError(other));
    const double half = error > 0 ? test.critical * error : 0;
    row.low = row.difference - half;
    row.high = row.difference + half;
    row.p = test.p;
}

bool has(const std::vector<StepCost>& steps, const std::string& op) {
    return std::any_of(steps.begin(), steps.end(),
                       [&](const StepCost& step) { return step.ns.count(op) > 0; });
}

DifferenceRow rowOf(const std::string& op, const DifferencePhase& phase,
                    const std::vector<StepCost>& base, const std::vector<StepCost>& other) {
    DifferenceRow row{phase.phase, op};
    row.low = row.high = row.p = row.q = kNaN;
    // Blocks that are dealt out to the runs must be of as many steps in both: means of many steps
    // are less skewed than single ones, and would be told from them by that alone.
    const std::size_t shorter = std::min(base.size(), other.size());
    const auto blocksOf = [&](const std::vector<StepCost>& steps) {
        return thinned(blockMeans(steps, steps.size() * std::size_t(phase.blocks) / shorter, op));
    };
    const std::vector<double> a = has(base, op) ? blocksOf(base) : std::vector<double>();
    const std::vector<double> b = has(other, op) ? blocksOf(other) : std::vector<double>();
    row.baseNs = a.empty() ? kNaN : mean(a);
    row.otherNs = b.empty() ? kNaN : mean(b);
    row.difference = row.otherNs - row.baseNs;
    if (a.empty() || b.empty() || phase.blocks < RunDifference::kFewestBlocks) return row;
    if (phase.paired)
        testPaired(row, a, b);
    else
        testUnpaired(row, a, b);
    return row;
}

void addPhase(RunDifference& out, const std::string& name, const TimedRun& baseRun,
              const TimedRun& otherRun) {
    std::vector<StepCost> base = costsOf(baseRun, name), other = costsOf(otherRun, name);
    if (base.empty() || other.empty()) return;
    DifferencePhase phase{name, std::int64_t(base.size()), std::int64_t(other.size())};
    auto [pairedBase, pairedOther] = pairUp(base, other);
    if (!pairedBase.empty()) {
        phase.paired = true;
        phase.pairs = std::int64_t(pairedBase.size());
        base = std::move(pairedBase);
        other = std::move(pairedOther);
    }
    phase.blocks = int(std::min({std::size_t{RunDifference::kBlocks}, base.size(), other.size()}));
    std::map<std::string, bool> names;
    for (const auto* steps : {&base, &other})
        for (const StepCost& step : *steps)
            for (const auto& [op, ns] : step.ns) names[op] = true;
    for (const auto& [op, seen] : names) out.rows.push_back(rowOf(op, phase, base, other));
    out.phases.push_back(phase);
}

}  // namespace

RunDifference runDifference(const TimedRun& base, const TimedRun& other) {
    RunDifference out;
    for (const char* phase : {"prefill", "decode"}) addPhase(out, phase, base, other);
    std::vector<double> p;
    for (const DifferenceRow& row : out.rows) p.push_back(row.p);
    const std::vector<double> q = benjaminiHochberg(p);
    for (std::size_t i = 0; i < q.size(); ++i) out.rows[i].q = q[i];
    std::stable_sort(out.rows.begin(), out.rows.end(), [](const auto& a, const auto& b) {
        const auto size = [](const DifferenceRow& r) {
            return std::isnan(r.difference) ? 0 : -std::abs(r.difference);
        };
        // Prefill before decode, as a run has them; names would sort the other way.
        return std::tuple(a.phase != "prefill", !a.op.empty(), size(a), a.op) <
               std::tuple(b.phase != "prefill", !b.op.empty(), size(b), b.op);
    });
    return out;
}

const char* differenceVerdict(const DifferenceRow& row) noexcept {
    if (!std::isfinite(row.q)) return "not tested";
    if (!row.real()) return "noise";
    return row.difference < 0 ? "faster" : "slower";
}

std::string phaseSentence(const DifferencePhase& phase) {
    return phase.phase + ": " +
           (phase.paired ? countText(phase.pairs, "step") + " compared pair by pair"
                         : countText(phase.baseSteps, "step") + " against " +
                               countText(phase.otherSteps, "other one")) +
           ", " + countText(phase.blocks, "block") +
           (phase.blocks < RunDifference::kFewestBlocks ? ": too few to test" : "");
}

}  // namespace moescope
