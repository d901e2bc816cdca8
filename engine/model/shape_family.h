// SPDX-License-Identifier: Apache-2.0
// Other shapes of a model at about the same number of parameters: wide or deep, few large experts
// or many small ones. Pure arithmetic on configurations; nothing is drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/spec.h"
#include "engine/model/synth.h"

namespace moescope {

/// Exactly of the tensors that synthesize() would write (all its layers are alike, so two are
/// counted). The config must satisfy requireSynthShape().
ParameterCount countParameters(const SynthConfig& config);

enum class ShapeKeep : std::uint8_t { Total, Active };

/// A shape whose kept count is further from the base's than this share is no equal of it.
inline constexpr double kFarShape = 0.02;

struct FamilyShape {
    SynthConfig config;  ///< named after base and difference: "gpt-oss-20b-l12-e64"
    ParameterCount count;
    double totalDeviation = 0, activeDeviation = 0;  ///< from the base's; 0.02: 2 % more
    std::string problem;  ///< why this one cannot be; empty: it can. Counts are 0 otherwise

    bool possible() const noexcept { return problem.empty(); }
};

struct ShapeFamilyOptions {
    std::vector<std::int32_t> layers;   ///< 1 to 1024 each; empty: the base's
    std::vector<std::int32_t> experts;  ///< 1 to 4096 each; empty: the base's
    ShapeKeep keep = ShapeKeep::Total;
};

/// The base, then every other combination of `experts` and `layers`, each once.
///
/// Experts E' of a base with E: width ffn E / E' to the nearest multiple of 32, top-k E' / E times
/// the base's (fine-grained segmentation: DeepSeekMoE, arXiv 2401.06066, section 3.1); a top-k that
/// is no whole number, or a width out of range, is a problem of that shape. Width of the model and
/// attention stay.
///
/// Layers: of all widths on the grid of 32, with KV heads and expert width in the base's proportion
/// to it (nearest multiples; query heads per KV head and head width stay; the expert width on
/// either side of its proportion), the one whose kept count comes closest to the base's. The count
/// grows with the width, so the few widths round the crossing are looked at.
///
/// Throws Error for a base that requireSynthShape() refuses.
std::vector<FamilyShape> shapeFamily(const SynthConfig& base, const ShapeFamilyOptions& options);

/// The configuration of which `model` is one: its shape with seeded random weights. Throws Error
/// "<name>: <why>" for models that synth cannot express.
SynthConfig synthConfigOf(const BoundModel& model, const std::string& name);

}  // namespace moescope
