// SPDX-License-Identifier: Apache-2.0
// Rotary frequencies: plain, linearly interpolated, and YaRN (Peng et al., arXiv 2309.00071,
// section 3.2 "NTK-by-parts" and 3.4 for the concentration), with the clamps of Hugging Face
// transformers.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

#include "engine/model/spec.h"

namespace moescope {
namespace {

/// Index of the frequency that turns `rotations` times over the original context (fractional).
double correctionIndex(const RopeSpec& rope, int headDim, double rotations) {
    const double wavelengths = rope.originalContext / (rotations * 2.0 * std::numbers::pi);
    return headDim * std::log(wavelengths) / (2.0 * std::log(rope.theta));
}

void interpolateByParts(const RopeSpec& rope, int headDim, std::vector<double>& frequency) {
    double low = correctionIndex(rope, headDim, rope.betaFast);
    double high = correctionIndex(rope, headDim, rope.betaSlow);
    if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, headDim - 1.0);
    if (low == high) high += 0.001;  // a step, not a division by zero
    for (std::size_t i = 0; i < frequency.size(); ++i) {
        const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        frequency[i] = (1.0 - ramp) * frequency[i] + ramp * frequency[i] / rope.factor;
    }
}

}  // namespace

RopeTable ropeTable(const RopeSpec& rope, int headDim) {
    assert(headDim > 0 && headDim % 2 == 0 && rope.theta > 1.0 && rope.factor > 0.0);
    RopeTable table;
    table.inverseFrequency.resize(static_cast<std::size_t>(headDim / 2));
    for (std::size_t i = 0; i < table.inverseFrequency.size(); ++i) {
        table.inverseFrequency[i] =
            std::pow(rope.theta, -2.0 * static_cast<double>(i) / static_cast<double>(headDim));
    }
    for (std::size_t i = 0; i < rope.divisors.size() && i < table.inverseFrequency.size(); ++i)
        table.inverseFrequency[i] /= static_cast<double>(rope.divisors[i]);
    if (!rope.yarn) {
        for (double& f : table.inverseFrequency) f /= rope.factor;
        return table;
    }
    interpolateByParts(rope, headDim, table.inverseFrequency);
    table.concentration = rope.attentionFactor > 0.0 ? rope.attentionFactor
                          : rope.factor > 1.0        ? 0.1 * std::log(rope.factor) + 1.0
                                                     : 1.0;
    return table;
}

}  // namespace moescope
