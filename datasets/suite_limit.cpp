// SPDX-License-Identifier: Apache-2.0
// --limit: a seeded, stratified subset that keeps clusters whole.
#include <algorithm>
#include <map>
#include <set>

#include "datasets/suite.h"

namespace moescope {

namespace {

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform, unlike std::shuffle.
class SplitMix {
public:
    explicit SplitMix(std::uint64_t seed) : state_(seed) {}
    double uniform() { return static_cast<double>(next() >> 11U) * 0x1p-53; }  ///< [0, 1)
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31U);
    }

private:
    std::uint64_t state_;
};

struct Cluster {
    std::string stratum;
    std::vector<std::size_t> items;
    double place = 0;  ///< quantile of the cluster within its shuffled stratum
};

std::vector<Cluster> clustersOf(const SuiteData& data) {
    std::vector<Cluster> clusters;
    std::map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < data.items.size(); ++i) {
        const SuiteItem& item = data.items[i];
        const auto [slot, isNew] = index.try_emplace(item.cluster, clusters.size());
        if (isNew) {
            const auto level = item.groups.find(data.definition.stratify);
            clusters.push_back({level == item.groups.end() ? "" : level->second, {}, 0});
        }
        clusters[slot->second].items.push_back(i);
    }
    return clusters;
}

}  // namespace

void limitItems(SuiteData& data, std::int64_t limit, std::uint64_t seed) {
    if (limit <= 0 || static_cast<std::size_t>(limit) >= data.items.size()) return;
    std::vector<Cluster> clusters = clustersOf(data);
    std::map<std::string, std::vector<Cluster*>> strata;
    for (Cluster& cluster : clusters) strata[cluster.stratum].push_back(&cluster);
    SplitMix random(seed);
    for (auto& [name, members] : strata) {
        for (std::size_t i = members.size(); i > 1; --i)
            std::swap(members[i - 1], members[random.next() % i]);
        // One offset for each stratum, else ties would always favour the first and largest strata.
        const double offset = random.uniform();
        for (std::size_t i = 0; i < members.size(); ++i)
            members[i]->place =
                (static_cast<double>(i) + offset) / static_cast<double>(members.size());
    }
    // Taking clusters by their quantile draws from every stratum in proportion to its size.
    std::stable_sort(clusters.begin(), clusters.end(),
                     [](const Cluster& a, const Cluster& b) { return a.place < b.place; });
    std::vector<std::size_t> chosen;
    std::set<std::string> levels;
    for (const Cluster& cluster : clusters) {
        const bool fits = chosen.size() + cluster.items.size() <= static_cast<std::size_t>(limit);
        if (!fits && !chosen.empty()) break;
        chosen.insert(chosen.end(), cluster.items.begin(), cluster.items.end());
        levels.insert(cluster.stratum);
    }
    std::sort(chosen.begin(), chosen.end());
    std::vector<SuiteItem> kept;
    for (const std::size_t i : chosen) kept.push_back(std::move(data.items[i]));
    data.items = std::move(kept);
    // Whole clusters are kept, and they may be large.
    if (levels.size() < strata.size())
        data.warnings.push_back("--limit " + std::to_string(limit) +
                                " keeps whole bases, here of " + std::to_string(levels.size()) +
                                " of " + std::to_string(strata.size()) + " levels of '" +
                                data.definition.stratify +
                                "': figures over all items are not the suite's");
}

}  // namespace moescope
