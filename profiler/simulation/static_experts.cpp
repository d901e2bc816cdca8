// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/static_experts.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "profiler/simulation/drawn.h"

namespace moescope {
namespace {

using Uses = std::vector<std::uint64_t>;

/// What `tried` uses of the first C experts that `chosen` uses most is added to hits[C - 1].
void addHits(std::vector<double>& hits, const Uses& chosen, const Uses& tried) {
    std::vector<std::size_t> order(chosen.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return chosen[a] > chosen[b]; });
    double sum = 0;
    for (std::size_t i = 0; i < order.size(); ++i) hits[i] += sum += double(tried[order[i]]);
}

/// The last of `hits` is of all experts, and so of all uses.
std::vector<double> shares(std::vector<double> hits) {
    const double all = hits.back();
    for (double& hit : hits) hit /= all;
    return hits;
}

bool any(const Uses& uses) {
    return std::any_of(uses.begin(), uses.end(), [](std::uint64_t n) { return n > 0; });
}

}  // namespace

std::vector<double> heldOutHits(const HalvedUses& uses) {
    std::vector<double> hits(uses.first.size(), 0.0);
    if (!any(uses.first) || !any(uses.second)) {
        std::fill(hits.begin(), hits.end(), std::numeric_limits<double>::quiet_NaN());
        return hits;
    }
    addHits(hits, uses.first, uses.second);
    addHits(hits, uses.second, uses.first);
    return shares(std::move(hits));
}

std::vector<double> inSampleHits(const HalvedUses& uses) {
    Uses all = uses.first;
    for (std::size_t e = 0; e < all.size(); ++e) all[e] += uses.second[e];
    std::vector<double> hits(all.size(), 0.0);
    addHits(hits, all, all);
    return shares(std::move(hits));
}

std::vector<bool> secondHalf(std::size_t n) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    Drawn(1).shuffle(order);
    std::vector<bool> second(n, false);
    for (std::size_t i = 0; i < n / 2; ++i) second[order[i]] = true;
    return second;
}

}  // namespace moescope
