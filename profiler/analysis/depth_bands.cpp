// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/depth_bands.h"

#include "profiler/analysis/balance.h"

namespace moescope {
namespace {

/// A layer that no token reached has no balance: it is none of the band's.
void add(DepthBand& band, const Balance& of, const BalanceNull& chance, std::size_t experts) {
    if (of.tokens == 0) return;
    ++band.layers;
    band.excess += of.maxOverMean / chance.maxOverMean;
    band.normalizedEntropy += of.normalizedEntropy;
    band.effectiveShare += of.effectiveExperts / double(experts);
}

}  // namespace

std::vector<DepthBand> depthBands(std::span<const std::vector<std::int64_t>> counts, int topK,
                                  int bands) {
    std::vector<DepthBand> out;
    for (int i = 0; i < bands; ++i)
        out.push_back({double(i) / bands, double(i + 1) / bands, 0, 0, 0, 0});
    out.push_back({});
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (counts[i].empty()) continue;
        const Balance of = balance(counts[i], topK);
        const BalanceNull chance = balanceNull(of.tokens, int(counts[i].size()), topK);
        const std::size_t band = (2 * i + 1) * std::size_t(bands) / (2 * counts.size());
        add(out[band], of, chance, counts[i].size());
        add(out.back(), of, chance, counts[i].size());
    }
    for (DepthBand& band : out) {  // 0 / 0 is NaN
        band.excess /= band.layers;
        band.normalizedEntropy /= band.layers;
        band.effectiveShare /= band.layers;
    }
    return out;
}

}  // namespace moescope
