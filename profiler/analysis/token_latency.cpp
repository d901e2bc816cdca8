// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/token_latency.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

namespace moescope {
namespace {

/// Steps that one token came of: all of a prompt, or one of decode.
struct Collected {
    TokenTime time;
    std::vector<std::size_t> steps;
};

/// An imported run may have a name for each operation, and the table below a column for each name.
constexpr std::size_t kMostParts = 64;

/// Time of operations by step and part: (n_steps, n_parts).
struct StepTimes {
    std::vector<std::string> parts;  ///< by total time, largest first
    std::vector<std::int64_t> ns;
    std::vector<std::int64_t> inStepNs;  ///< (n_steps) of operations that end within their step
    std::vector<std::int64_t> tokenNs;   ///< (n_steps) end of its last operation

    std::int64_t at(std::size_t step, std::size_t part) const {
        return ns[step * parts.size() + part];
    }
};

/// Names the parts and tells of each operation name (by index) which part it is.
std::vector<std::size_t> partOfName(const OperationColumns& operations,
                                    std::vector<std::string>& parts) {
    std::vector<std::int64_t> totals(operations.opNames.size(), 0);
    for (std::size_t i = 0; i < operations.size(); ++i)
        if (operations.step[i] >= 0) totals[operations.op[i]] += operations.durationNs(i);
    std::vector<std::size_t> order(totals.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return totals[a] > totals[b]; });
    const bool all = order.size() <= kMostParts;
    std::vector<std::size_t> partOf(order.size(), kMostParts - 1);
    for (std::size_t p = 0; p < (all ? order.size() : kMostParts - 1); ++p) {
        partOf[order[p]] = p;
        parts.push_back(operations.opNames[order[p]]);
    }
    if (!all) parts.emplace_back(kOtherOperations);
    return partOf;
}

StepTimes stepTimes(std::span<const StepRow> steps, const OperationColumns& operations) {
    StepTimes out;
    const std::vector<std::size_t> partOf = partOfName(operations, out.parts);
    out.ns.assign(steps.size() * out.parts.size(), 0);
    out.inStepNs.assign(steps.size(), 0);
    for (const StepRow& step : steps) out.tokenNs.push_back(step.endNs);
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if (operations.step[i] < 0) continue;
        const auto step = static_cast<std::size_t>(operations.step[i]);
        out.ns[step * out.parts.size() + partOf[operations.op[i]]] += operations.durationNs(i);
        if (operations.endNs[i] <= steps[step].endNs)
            out.inStepNs[step] += operations.durationNs(i);
        out.tokenNs[step] = std::max(out.tokenNs[step], operations.endNs[i]);
    }
    return out;
}

Collected& addToken(std::vector<Collected>& tokens, const StepRow& step) {
    Collected& token = tokens.emplace_back();
    token.time.sequence = step.sequence;
    token.time.startNs = step.startNs;
    return token;
}

std::vector<Collected> collectTokens(std::span<const StepRow> steps, const StepTimes& times,
                                     std::span<const SequenceRow> sequences) {
    std::unordered_set<std::int64_t> generating;
    for (const SequenceRow& row : sequences)
        if (row.generatedTokens > 0) generating.insert(row.id);
    for (const StepRow& step : steps)
        if (step.kind == "decode") generating.insert(step.sequence);
    std::vector<Collected> out;
    struct State {
        std::size_t first = SIZE_MAX;  ///< index in `out` of the sequence's first token
        std::int64_t lastNs = 0;
        bool decoded = false;
    };
    std::unordered_map<std::int64_t, State> states;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const StepRow& step = steps[i];
        if (generating.count(step.sequence) == 0) continue;
        State& state = states[step.sequence];
        if (step.kind == "decode") {
            // Without a token before it (its row was lost) only the step itself is known.
            const bool follows = state.lastNs > 0 && state.lastNs <= step.startNs;
            addToken(out, step).steps.push_back(i);
            TokenTime& time = out.back().time;
            time.position = step.firstPosition;
            time.startNs = follows ? state.lastNs : step.startNs;
            time.endNs = times.tokenNs[i];
            state.decoded = true;
        } else if (step.kind == "prefill" && !state.decoded) {
            if (state.first == SIZE_MAX) {
                state.first = out.size();
                addToken(out, step).time.first = true;
            }
            Collected& token = out[state.first];
            token.time.position = step.firstPosition + step.tokens - 1;
            token.time.endNs = times.tokenNs[i];
            token.steps.push_back(i);
        }
        state.lastNs = times.tokenNs[i];
    }
    return out;
}

/// What the time of a token went to.
std::vector<std::int64_t> partsOf(const Collected& token, std::span<const StepRow> steps,
                                  const StepTimes& times) {
    const std::size_t operations = times.parts.size();
    std::vector<std::int64_t> parts(operations + 2, 0);
    std::int64_t gaps = 0, all = 0;
    for (const std::size_t step : token.steps) {
        for (std::size_t p = 0; p < operations; ++p) {
            parts[p] += times.at(step, p);
            all += times.at(step, p);
        }
        gaps += std::max<std::int64_t>(
            0, steps[step].endNs - steps[step].startNs - times.inStepNs[step]);
    }
    parts[operations] = gaps;
    parts[operations + 1] = std::max<std::int64_t>(0, token.time.ns() - all - gaps);
    return parts;
}

LatencyStack stackOf(std::string name, const std::vector<const TokenTime*>& tokens) {
    LatencyStack stack;
    stack.name = std::move(name);
    stack.tokens = static_cast<std::int64_t>(tokens.size());
    stack.partsNs.assign(tokens.front()->partsNs.size(), 0);
    for (const TokenTime* token : tokens) {
        stack.meanNs += static_cast<double>(token->ns());
        for (std::size_t p = 0; p < stack.partsNs.size(); ++p)
            stack.partsNs[p] += static_cast<double>(token->partsNs[p]);
    }
    const auto n = static_cast<double>(tokens.size());
    stack.meanNs /= n;
    for (double& part : stack.partsNs) part /= n;
    return stack;
}

bool chosenBy(const TokenTime& token, const TokenFilter& filter) {
    if (filter.sequence && token.sequence != *filter.sequence) return false;
    return !filter.range ||
           (token.endNs >= filter.range->beginNs && token.endNs < filter.range->endNs);
}

}  // namespace

TokenLatency tokenLatency(std::span<const StepRow> steps, const OperationColumns& operations,
                          std::span<const SequenceRow> sequences, const std::string& kind,
                          const TokenFilter& filter) {
    TokenLatency out;
    if (kind == "eval") return out;
    const StepTimes times = stepTimes(steps, operations);
    std::vector<Collected> collected = collectTokens(steps, times, sequences);
    std::erase_if(collected, [&](const Collected& token) { return !chosenBy(token.time, filter); });
    if (collected.empty()) return out;

    out.parts = times.parts;
    out.parts.emplace_back(kBetweenOperations);
    out.parts.emplace_back(kBetweenSteps);

    std::vector<std::int64_t> first, later;
    for (Collected& token : collected) {
        token.time.partsNs = partsOf(token, steps, times);
        (token.time.first ? first : later).push_back(token.time.ns());
        out.tokens.push_back(std::move(token.time));
    }
    out.ttft = distributionOf(first);
    out.tpot = distributionOf(later);
    if (!first.empty()) out.ttftP90 = double(percentileOfSorted(first, 0.9));
    if (!later.empty()) out.tpotP90 = double(percentileOfSorted(later, 0.9));

    std::vector<const TokenTime*> firsts, outputs, slowest;
    for (const TokenTime& token : out.tokens) {
        (token.first ? firsts : outputs).push_back(&token);
        // Below a hundred tokens the slowest per cent is less than one.
        const bool slow = later.size() >= 100 && double(token.ns()) >= out.tpot.p99;
        if (!token.first && slow) slowest.push_back(&token);
    }
    if (!firsts.empty()) out.stacks.push_back(stackOf("first tokens", firsts));
    if (!outputs.empty()) out.stacks.push_back(stackOf("output tokens", outputs));
    if (!slowest.empty()) out.stacks.push_back(stackOf("slowest 1 % of output tokens", slowest));
    return out;
}

}  // namespace moescope
