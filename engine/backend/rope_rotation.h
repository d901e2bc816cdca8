// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding of one head, from the frequencies that ropeTable() gives.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <span>

#include "engine/model/spec.h"

namespace moescope {

/// cosines, sines: (head_dim / 2) f32, already multiplied by the concentration. Angles are formed
/// in double: at position 100,000 a float angle is off by 4e-3 rad.
inline void ropeAngles(const RopeTable& table, int position, std::span<float> cosines,
                       std::span<float> sines) noexcept {
    assert(cosines.size() == table.inverseFrequency.size() && sines.size() == cosines.size());
    for (std::size_t i = 0; i < cosines.size(); ++i) {
        const double angle = position * table.inverseFrequency[i];
        cosines[i] = static_cast<float>(std::cos(angle) * table.concentration);
        sines[i] = static_cast<float>(std::sin(angle) * table.concentration);
    }
}

/// Rotates head: (head_dim) f32 in place. cosines, sines: (head_dim / 2) f32.
inline void rotateHead(RopePairing pairing, std::span<float> head, std::span<const float> cosines,
                       std::span<const float> sines) noexcept {
    const std::size_t half = cosines.size();
    assert(head.size() == 2 * half && sines.size() == half);
    const bool split = pairing == RopePairing::HalfSplit;
    for (std::size_t i = 0; i < half; ++i) {
        float& first = head[split ? i : 2 * i];
        float& second = head[split ? i + half : 2 * i + 1];
        const float a = first;
        const float b = second;
        first = a * cosines[i] - b * sines[i];
        second = b * cosines[i] + a * sines[i];
    }
}

}  // namespace moescope
