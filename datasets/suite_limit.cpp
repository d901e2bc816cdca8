// SPDX-License-Identifier: Apache-2.0
// --limit: a seeded, stratified subset that keeps counterparts together.
#include <algorithm>
#include <map>
#include <set>

#include "datasets/suggest.h"
#include "datasets/suite.h"
#include "engine/core/split_mix.h"

namespace moescope {

namespace {

/// Items that are kept or left out together.
struct Unit {
    std::string stratum;
    std::vector<std::size_t> items;
    double place = 0;  ///< quantile of the unit within its shuffled stratum
};

constexpr double kBeforeAll = -1;  ///< a place before every quantile

std::vector<Unit> unitsOf(const SuiteData& data) {
    std::vector<Unit> units;
    std::map<std::pair<std::string_view, std::string_view>, std::size_t> index;
    for (std::size_t i = 0; i < data.items.size(); ++i) {
        const SuiteItem& item = data.items[i];
        const auto [slot, isNew] =
            index.try_emplace({item.cluster, item.counterparts}, units.size());
        if (isNew) {
            const auto level = item.groups.find(data.definition.stratify);
            units.push_back({level == item.groups.end() ? "" : level->second, {}, 0});
        }
        units[slot->second].items.push_back(i);
    }
    return units;
}

using Strata = std::map<std::string, std::vector<Unit*>>;

/// In each stratum the order in which its units are drawn, and their places.
Strata shuffledStrata(std::vector<Unit>& units, std::uint64_t seed) {
    Strata strata;
    for (Unit& unit : units) strata[unit.stratum].push_back(&unit);
    const auto next = [&seed] { return splitMix(seed += kSplitMixStep); };
    for (auto& [name, members] : strata) {
        for (std::size_t i = members.size(); i > 1; --i)
            std::swap(members[i - 1], members[next() % i]);
        // One offset for each stratum, else ties would always favour the first and largest strata.
        const double offset = static_cast<double>(next() >> 11U) * 0x1p-53;  // [0, 1)
        for (std::size_t i = 0; i < members.size(); ++i)
            members[i]->place =
                (static_cast<double>(i) + offset) / static_cast<double>(members.size());
    }
    return strata;
}

/// Puts one unit of each stratum before all others: the first that was drawn, or, where these are
/// too many items, the first of the smallest, and then of as many strata as have room.
void putOneOfEachFirst(const Strata& strata, std::size_t limit) {
    std::vector<Unit*> first, smallest;
    std::size_t items = 0;
    for (const auto& [name, members] : strata) {
        first.push_back(members.front());
        items += members.front()->items.size();
        smallest.push_back(*std::min_element(
            members.begin(), members.end(),
            [](const Unit* a, const Unit* b) { return a->items.size() < b->items.size(); }));
    }
    if (items <= limit) {
        for (Unit* unit : first) unit->place = kBeforeAll;
        return;
    }
    std::stable_sort(smallest.begin(), smallest.end(), [](const Unit* a, const Unit* b) {
        return std::pair(a->items.size(), a->place) < std::pair(b->items.size(), b->place);
    });
    items = 0;
    for (Unit* unit : smallest) {
        items += unit->items.size();
        if (items > limit && unit != smallest.front()) break;
        unit->place = kBeforeAll;
    }
}

std::string absentLevels(const Strata& strata, const std::set<std::string>& kept) {
    std::vector<std::string> absent;
    for (const auto& [name, members] : strata)
        if (!kept.contains(name)) absent.push_back(name.empty() ? "items of no level" : name);
    return someOf(absent);
}

}  // namespace

void limitItems(SuiteData& data, std::int64_t limit, std::uint64_t seed) {
    data.limit = limit;
    if (limit <= 0 || static_cast<std::size_t>(limit) >= data.items.size()) return;
    const auto most = static_cast<std::size_t>(limit);
    std::vector<Unit> units = unitsOf(data);
    const Strata strata = shuffledStrata(units, seed);
    putOneOfEachFirst(strata, most);
    std::vector<const Unit*> order;
    for (const Unit& unit : units) order.push_back(&unit);
    // Taking units by their quantile draws from every stratum in proportion to its size.
    std::stable_sort(order.begin(), order.end(),
                     [](const Unit* a, const Unit* b) { return a->place < b->place; });
    std::vector<std::size_t> chosen;
    std::set<std::string> levels;
    for (const Unit* unit : order) {
        if (chosen.size() + unit->items.size() > most && !chosen.empty()) break;
        chosen.insert(chosen.end(), unit->items.begin(), unit->items.end());
        levels.insert(unit->stratum);
    }
    std::sort(chosen.begin(), chosen.end());
    std::vector<SuiteItem> kept;
    for (const std::size_t i : chosen) kept.push_back(std::move(data.items[i]));
    data.items = std::move(kept);
    if (levels.size() < strata.size())
        data.warnings.push_back(
            "suite '" + data.definition.name + "': --limit " + std::to_string(limit) +
            " has no room for " + std::to_string(strata.size() - levels.size()) + " of the " +
            std::to_string(strata.size()) + " levels of '" + data.definition.stratify + "' (" +
            absentLevels(strata, levels) + "): figures over all items are not the suite's");
}

}  // namespace moescope
