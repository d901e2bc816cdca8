// SPDX-License-Identifier: Apache-2.0
// Which expert of a layer lies on which of several GPUs.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace moescope {

enum class PlacementPolicy : std::uint8_t {
    Contiguous,  ///< expert ids in order, as engines place them that know no load
    Packed,      ///< one copy of each, the heaviest first onto the lightest GPU with room
    Replicated,  ///< further copies of the experts with the most load a copy, then packed
};
inline constexpr PlacementPolicy kPlacementPolicies[] = {
    PlacementPolicy::Contiguous, PlacementPolicy::Packed, PlacementPolicy::Replicated};
std::string_view placementPolicyName(PlacementPolicy policy) noexcept;  ///< "contiguous", ..

/// One layer. Every GPU has room for as many experts, and holds none twice.
struct ExpertPlacement {
    int gpus = 0;
    int expertsPerGpu = 0;                    ///< experts that a GPU has room for
    std::vector<std::vector<int>> expertsOf;  ///< (n_gpu) ids, at most `expertsPerGpu` of them
    std::vector<std::vector<int>> gpusOf;  ///< (n_expert) GPUs with a copy, ascending; never none

    /// (n_gpu) load of each, where the copies of an expert share its load evenly; `load`
    /// (n_expert).
    std::vector<double> gpuLoad(std::span<const double> load) const;
};

/// `load` (n_expert) of the experts, of any unit; 1 <= gpus <= n_expert. `redundant` further copies
/// are asked for (Replicated alone); as many are made as fill the room that these need, but never
/// more of an expert than there are GPUs. Deterministic: ties go to the lower id.
///
/// Packed and Replicated are the global policy of EPLB (github.com/deepseek-ai/EPLB, commit
/// d52c72d5) for any number of GPUs and with one repair: EPLB may put two copies of an expert on
/// one GPU, where the second is of no use.
ExpertPlacement placeExperts(std::span<const double> load, PlacementPolicy policy, int gpus,
                             int redundant = 0);

}  // namespace moescope
