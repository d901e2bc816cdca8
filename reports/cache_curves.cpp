// SPDX-License-Identifier: Apache-2.0
#include "reports/cache_curves.h"

#include "reports/cache_text.h"

namespace moescope {

CurveSet cacheCurves(const ExpertCache& of, const CacheLayer& layer) {
    CurveSet set;
    set.horizontal = "experts of each layer in fast memory";
    set.vertical = "hits";
    Curve uniform{"uniform router", {}};
    uniform.chance = true;
    const std::vector<int> sizes = curveSizes(of);
    for (const int size : sizes) {
        set.x.push_back(size);
        uniform.values.push_back(of.uniformHits(size));
    }
    const auto at = [&](const std::vector<double>& values) {
        std::vector<double> out;
        for (const int size : sizes) out.push_back(values[of.index(size)]);
        return out;
    };
    for (const CachePolicyName& name : cachePolicies()) {
        set.curves.push_back({name.title, at(layer.of(name.policy))});
        if (name.policy != CachePolicy::Lru) continue;
        set.curves.back().low = at(layer.low);
        set.curves.back().high = at(layer.high);
    }
    set.curves.push_back(std::move(uniform));
    return set;
}

}  // namespace moescope
