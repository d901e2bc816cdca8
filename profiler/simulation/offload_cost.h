// SPDX-License-Identifier: Apache-2.0
// What the misses of an expert cache cost on a link. A model: every load is waited for, none
// overlaps with computing, none is begun ahead, and latency and the link's other traffic are left
// out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/expert_load.h"
#include "profiler/simulation/expert_cache.h"

namespace moescope {

struct Link {
    std::string name;
    double bytesPerSecond = 0;
};

/// What is attained of PCIe 4.0 and 5.0 with 16 lanes and of NVLink-C2C, in one direction.
std::span<const Link> usualLinks();

/// Bytes of one expert in each layer of a cache: (n_layer), empty where they are not known.
using ExpertBytes = std::vector<double>;

/// By the engine's count of what the launches read, over their active experts, where every layer
/// has such a launch; else what the run's model says of all layers. Biases included, in the format
/// of the model that ran.
ExpertBytes expertBytes(const RunReader& run, std::span<const ExpertLaunch> launches,
                        const ExpertCache& cache);

/// Fast memory that `size` experts of each layer take. NaN where bytes are not known.
double cacheBytes(const ExpertBytes& bytes, int size);

/// Loaded for a token, mean over the tokens: misses x bytes, summed over the layers. NaN where
/// bytes are not known.
double loadedBytes(const ExpertCache& cache, const ExpertBytes& bytes, CachePolicy policy,
                   int size);

/// Time that a token waits for its loads.
double loadNs(double bytes, const Link& link) noexcept;

/// The most tokens a second of one sequence, if computing took no time; NaN where nothing is
/// loaded, since nothing bounds it then.
double mostTokensPerSecond(double bytes, const Link& link) noexcept;

}  // namespace moescope
