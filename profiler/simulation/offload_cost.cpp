// SPDX-License-Identifier: Apache-2.0
#include "profiler/simulation/offload_cost.h"

#include <array>
#include <limits>
#include <map>
#include <numeric>

#include "profiler/simulation/parallel_cost.h"

namespace moescope {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Empty unless every layer has a launch whose bytes were counted.
ExpertBytes countedBytes(std::span<const ExpertLaunch> launches, const ExpertCache& cache) {
    struct Sum {
        double bytes = 0, experts = 0;
    };
    std::map<int, Sum> layers;
    for (const ExpertLaunch& launch : launches) {
        if (launch.bytes <= 0 || launch.activeExperts <= 0) continue;
        Sum& sum = layers[launch.layer];
        sum.bytes += double(launch.bytes);
        sum.experts += double(launch.activeExperts);
    }
    ExpertBytes out;
    for (const CacheLayer& layer : cache.layers) {
        const auto found = layers.find(layer.layer);
        if (found == layers.end()) return {};
        out.push_back(found->second.bytes / found->second.experts);
    }
    return out;
}

}  // namespace

std::span<const Link> usualLinks() {
    static const std::array<Link, 3> kLinks = {
        {{"PCIe 4.0 x16", 25e9}, {"PCIe 5.0 x16", 50e9}, {"NVLink-C2C", 450e9}}};
    return kLinks;
}

ExpertBytes expertBytes(const RunReader& run, std::span<const ExpertLaunch> launches,
                        const ExpertCache& cache) {
    ExpertBytes counted = countedBytes(launches, cache);
    if (!counted.empty()) return counted;
    const double stated = expertShapeOf(run, 0).bytes;
    return stated > 0 ? ExpertBytes(cache.layers.size(), stated) : ExpertBytes();
}

double cacheBytes(const ExpertBytes& bytes, int size) {
    return bytes.empty() ? kNan : size * std::accumulate(bytes.begin(), bytes.end(), 0.0);
}

double loadedBytes(const ExpertCache& cache, const ExpertBytes& bytes, CachePolicy policy,
                   int size) {
    if (bytes.empty() || bytes.size() != cache.layers.size()) return kNan;
    double sum = 0;
    for (std::size_t l = 0; l < bytes.size(); ++l)
        sum += bytes[l] * cache.misses(cache.layers[l], policy, size);
    return sum;
}

double loadNs(double bytes, const Link& link) noexcept {
    return bytes / link.bytesPerSecond * 1e9;
}

double mostTokensPerSecond(double bytes, const Link& link) noexcept {
    return bytes > 0 ? link.bytesPerSecond / bytes : kNan;
}

}  // namespace moescope
