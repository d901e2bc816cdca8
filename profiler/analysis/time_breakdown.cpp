// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/time_breakdown.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

namespace moescope {
namespace {

enum class Cause : std::uint8_t { Launch, Host, Other };

/// A stretch of the run that idle time in it is blamed on. Stretches follow each other without a
/// hole from the begin of the run to its end.
struct Stretch {
    std::int64_t beginNs = 0, endNs = 0;
    std::string phase;  ///< "" between sequences
    Cause cause = Cause::Other;
};

struct Busy {
    std::int64_t beginNs = 0, endNs = 0;
    bool copy = false;
    std::int64_t launchNs = -1;  ///< of the work that began it; -1 unknown
};

/// Operations as intervals that do not overlap, in time order; compute hides copies.
std::vector<Busy> busyIntervals(const OperationColumns& ops) {
    std::vector<bool> copyOps, copyKernels;
    for (const std::string& name : ops.opNames) copyOps.push_back(isCopy(name, {}));
    for (const std::string& name : ops.kernelNames) copyKernels.push_back(isCopy({}, name));
    struct Edge {
        std::int64_t ns;
        int compute, copy;
        std::int64_t launchNs = -1;
    };
    std::vector<Edge> edges;
    edges.reserve(2 * ops.size());
    for (std::size_t i = 0; i < ops.size(); ++i) {
        const bool copy = copyOps[ops.op[i]] || copyKernels[ops.kernel[i]];
        const std::int64_t launch = ops.launchNs.empty() ? -1 : ops.launchNs[i];
        edges.push_back({ops.startNs[i], copy ? 0 : 1, copy ? 1 : 0, launch});
        edges.push_back({ops.endNs[i], copy ? 0 : -1, copy ? -1 : 0});
    }
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.ns < b.ns; });
    std::vector<Busy> out;
    int compute = 0, copy = 0;
    std::int64_t previous = 0, launch = -1;
    for (const Edge& edge : edges) {
        if (edge.ns > previous && (compute > 0 || copy > 0)) {
            const bool copying = compute == 0;
            if (!out.empty() && out.back().endNs == previous && out.back().copy == copying)
                out.back().endNs = edge.ns;
            else
                out.push_back({previous, edge.ns, copying, launch});
        }
        if (compute + copy == 0) launch = edge.launchNs;
        previous = edge.ns;
        compute += edge.compute;
        copy += edge.copy;
    }
    return out;
}

std::vector<Stretch> stretchesOf(std::span<const StepRow> steps, std::int64_t beginNs,
                                 std::int64_t endNs) {
    std::vector<std::size_t> order(steps.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return steps[a].startNs < steps[b].startNs;
    });
    std::vector<Stretch> out;
    std::int64_t now = beginNs;
    std::optional<std::int64_t> sequence;
    for (const std::size_t i : order) {
        const StepRow& step = steps[i];
        const bool same = sequence == step.sequence;
        if (step.startNs > now) {
            out.push_back({now, step.startNs, same ? step.kind : std::string(),
                           same ? Cause::Host : Cause::Other});
            now = step.startNs;
        }
        if (step.endNs > now) {
            out.push_back({now, step.endNs, step.kind, Cause::Launch});
            now = step.endNs;
        }
        sequence = step.sequence;
    }
    // What comes after the last step is the choice of its token, so of its phase.
    if (endNs > now)
        out.push_back({now, endNs, out.empty() ? std::string() : out.back().phase, Cause::Host});
    return out;
}

void addBusy(TimeParts& parts, const Busy& busy, std::int64_t ns) {
    (busy.copy ? parts.copyNs : parts.computeNs) += ns;
}

void addIdle(TimeParts& parts, Cause cause, std::int64_t ns) {
    switch (cause) {
        case Cause::Launch:
            parts.launchGapNs += ns;
            break;
        case Cause::Host:
            parts.hostWaitNs += ns;
            break;
        case Cause::Other:
            parts.otherNs += ns;
            break;
    }
}

/// Why it was idle before busy[next].
Cause causeOf(const std::vector<Busy>& busy, std::size_t next, const Stretch& stretch) {
    const bool launched = next < busy.size() && busy[next].launchNs >= 0;
    if (!launched || stretch.cause == Cause::Other || next == 0) return stretch.cause;
    const std::int64_t idleFrom = busy[next - 1].endNs;
    if (busy[next].launchNs >= idleFrom) return Cause::Host;
    return busy[next].beginNs - idleFrom <= TimeParts::kLaunchGapNs ? Cause::Launch : Cause::Other;
}

}  // namespace

bool isCopy(std::string_view op, std::string_view kernel) noexcept {
    return op.starts_with("memcpy") || op.starts_with("memset") || kernel.starts_with("[CUDA mem");
}

std::vector<PhaseTime> timeBreakdown(std::span<const StepRow> steps,
                                     const OperationColumns& operations,
                                     const std::optional<TimeRange>& range) {
    const std::vector<Busy> busy = busyIntervals(operations);
    if (busy.empty() && steps.empty()) return {};
    std::int64_t begin = busy.empty() ? steps.front().startNs : busy.front().beginNs;
    std::int64_t end = busy.empty() ? steps.front().endNs : busy.back().endNs;
    for (const StepRow& step : steps) {
        begin = std::min(begin, step.startNs);
        end = std::max(end, step.endNs);
    }
    TimeParts whole;
    std::map<std::string, TimeParts> byPhase;
    std::vector<std::string> order;
    std::size_t next = 0;
    for (Stretch stretch : stretchesOf(steps, begin, end)) {
        if (range) {
            stretch.beginNs = std::max(stretch.beginNs, range->beginNs);
            stretch.endNs = std::min(stretch.endNs, range->endNs);
            if (stretch.beginNs >= stretch.endNs) continue;
            while (next < busy.size() && busy[next].endNs <= stretch.beginNs) ++next;
        }
        TimeParts parts;
        parts.wallNs = stretch.endNs - stretch.beginNs;
        std::int64_t now = stretch.beginNs;
        while (next < busy.size() && busy[next].beginNs < stretch.endNs) {
            const std::int64_t from = std::max(busy[next].beginNs, now);
            const std::int64_t to = std::min(busy[next].endNs, stretch.endNs);
            addIdle(parts, causeOf(busy, next, stretch), from - now);
            addBusy(parts, busy[next], to - from);
            now = to;
            if (busy[next].endNs > stretch.endNs) break;  // goes on in the next stretch
            ++next;
        }
        addIdle(parts, causeOf(busy, next, stretch), stretch.endNs - now);
        if (byPhase.count(stretch.phase) == 0 && !stretch.phase.empty())
            order.push_back(stretch.phase);
        for (TimeParts* sum : {&whole, &byPhase[stretch.phase]}) {
            sum->wallNs += parts.wallNs;
            sum->computeNs += parts.computeNs;
            sum->copyNs += parts.copyNs;
            sum->launchGapNs += parts.launchGapNs;
            sum->hostWaitNs += parts.hostWaitNs;
            sum->otherNs += parts.otherNs;
        }
    }
    if (range && whole.wallNs == 0) return {};
    std::vector<PhaseTime> out{{"", whole}};
    for (const std::string& phase : order) out.push_back({phase, byPhase[phase]});
    return out;
}

}  // namespace moescope
