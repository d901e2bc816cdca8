// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/item_groups.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "profiler/analysis/routed_tokens.h"
#include "profiler/analysis/statistics.h"

namespace moescope {
namespace {

using Levels = std::map<std::string, std::string>;  ///< of one item, by key

struct Item {
    std::int64_t sequence = 0;
    std::string cluster;
    Levels levels;
    std::vector<std::int64_t> repeats;
};

Levels levelsOf(const ItemRow& row) {
    Levels levels;
    const nlohmann::json groups = nlohmann::json::parse(row.groups, nullptr, false);
    if (!groups.is_object()) return levels;
    for (const auto& [key, value] : groups.items())
        if (value.is_string() && !value.get_ref<const std::string&>().empty())
            levels[key] = value.get<std::string>();
    return levels;
}

std::string clusterOf(const ItemRow& row) {
    const nlohmann::json detail = nlohmann::json::parse(row.detail, nullptr, false);
    if (!detail.is_object()) return row.id;
    const auto found = detail.find("cluster");
    return found != detail.end() && found->is_string() ? found->get<std::string>() : row.id;
}

/// Items with routing; the rows of one item become one.
std::vector<Item> itemsOf(const RunReader& run, std::int64_t suite) {
    std::vector<Item> items;
    std::map<std::string, std::size_t> index;
    for (const ItemRow& row : run.items(suite)) {
        if (row.sequence < 0) continue;
        const auto [found, fresh] = index.emplace(row.id, items.size());
        if (!fresh) {
            Item& item = items[found->second];
            item.repeats.push_back(row.sequence);
            item.levels.erase(std::string(kOutcome));  // of one reply, not of the item
            continue;
        }
        Item item{row.sequence, clusterOf(row), levelsOf(row), {}};
        if (row.score == 0 || row.score == 1)
            item.levels.emplace(kOutcome, row.score == 1 ? "right" : "wrong");
        items.push_back(std::move(item));
    }
    return items;
}

/// Has each of the items a level of `other`, which in some case does not follow from that of `key`?
bool distinguishes(const std::vector<const Item*>& items, const std::string& key,
                   const std::string& other) {
    std::map<std::pair<std::string_view, std::string_view>, std::string_view> seen;
    bool differs = false;
    for (const Item* item : items) {
        const auto level = item->levels.find(other);
        if (level == item->levels.end()) return false;
        const std::pair<std::string_view, std::string_view> place(item->cluster,
                                                                  item->levels.at(key));
        differs = differs || seen.emplace(place, level->second).first->second != level->second;
    }
    return differs;
}

/// Keys and levels cannot run into each other.
std::string counterpartOf(const Item& item, const std::vector<std::string>& besides) {
    nlohmann::json same = {item.cluster};
    for (const std::string& key : besides) same.push_back(item.levels.at(key));
    return same.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Groups need two items each, of the key's levels.
bool comparable(const std::vector<const Item*>& items, const std::string& key) {
    std::map<std::string_view, int> sizes;
    for (const Item* item : items) ++sizes[item->levels.at(key)];
    return std::count_if(sizes.begin(), sizes.end(), [](const auto& s) { return s.second > 1; }) >
           1;
}

/// Cases that are told of several groups.
std::set<std::string_view> mixedCases(const std::vector<const Item*>& items,
                                      const std::string& key) {
    std::map<std::string_view, std::string_view> first;
    std::set<std::string_view> mixed;
    for (const Item* item : items) {
        const std::string_view group = item->levels.at(key);
        if (first.emplace(item->cluster, group).first->second != group) mixed.insert(item->cluster);
    }
    return mixed;
}

std::optional<ItemGrouping> groupingBy(const std::string& key, const std::vector<Item>& all,
                                       const std::vector<std::string>& keys) {
    std::vector<const Item*> items;
    for (const Item& item : all)
        if (item.levels.count(key) > 0) items.push_back(&item);
    if (!comparable(items, key)) return std::nullopt;
    std::vector<std::string> besides;
    for (const std::string& other : keys)
        if (other != key && other != kOutcome && distinguishes(items, key, other))
            besides.push_back(other);
    const std::set<std::string_view> mixed = mixedCases(items, key);
    const auto inMixed = [&](const Item* item) { return mixed.count(item->cluster) > 0; };
    const auto many = std::count_if(items.begin(), items.end(), inMixed);
    ItemGrouping out;
    out.key = key;
    out.exchange = 2 * static_cast<std::size_t>(many) >= items.size() ? Exchange::WithinBlocks
                                                                      : Exchange::WholeBlocks;
    for (const Item* item : items) {
        if (inMixed(item) != (out.exchange == Exchange::WithinBlocks)) {
            ++out.leftOut;
            continue;
        }
        out.texts.push_back({item->sequence, item->levels.at(key), item->cluster});
        out.counterparts.push_back(counterpartOf(*item, besides));
        out.repeats.push_back(item->repeats);
    }
    return out;
}

std::vector<RoutingCountRow> rowsOfItems(const std::vector<RoutingCountRow>& rows,
                                         const ItemGrouping& grouping) {
    std::unordered_map<std::int64_t, std::int64_t> owner;
    for (std::size_t i = 0; i < grouping.texts.size(); ++i) {
        owner[grouping.texts[i].sequence] = grouping.texts[i].sequence;
        for (const std::int64_t reply : grouping.repeats[i])
            owner[reply] = grouping.texts[i].sequence;
    }
    std::vector<RoutingCountRow> out;
    for (const RoutingCountRow& row : rows) {
        const auto found = owner.find(row.sequence);
        if (found == owner.end()) continue;
        out.push_back(row);
        out.back().sequence = found->second;
    }
    return out;
}

std::vector<TokenRow> promptOf(const RunReader& run, std::int64_t sequence) {
    std::vector<TokenRow> tokens = run.tokens(sequence);
    std::erase_if(tokens, [](const TokenRow& token) { return !token.prompt; });
    return tokens;
}

bool sameToken(const TokenRow& a, const TokenRow& b) {
    return a.token == b.token && a.text == b.text;
}

/// How many tokens all prompts end with, behind some in which they differ; 0: none.
std::int64_t sharedEnd(const std::vector<std::vector<TokenRow>>& prompts) {
    std::size_t shared = prompts.front().size(), shortest = shared;
    for (const std::vector<TokenRow>& prompt : prompts) {
        const auto same = std::mismatch(prompts.front().rbegin(), prompts.front().rend(),
                                        prompt.rbegin(), prompt.rend(), sameToken);
        shared = std::min(shared, static_cast<std::size_t>(same.second - prompt.rbegin()));
        shortest = std::min(shortest, prompt.size());
    }
    return shared < shortest ? static_cast<std::int64_t>(shared) : 0;
}

struct SharedRows {
    std::vector<RoutingCountRow> rows;
    double meanTokens = 0;  ///< of sets of counterparts that share some
};

/// Adds the choices of the last `shared` tokens of a prompt.
void addEnd(const RunReader& run, std::int64_t sequence, const std::vector<TokenRow>& prompt,
            std::int64_t shared, std::vector<RoutingCountRow>& rows) {
    const std::vector<RoutingTokensRow> routed = run.routingTokens(sequence);
    std::map<int, RoutedTokens> layers;
    for (const RoutingTokensRow& row : routed) layers[row.layer].add(row);
    const std::int64_t first = prompt[prompt.size() - static_cast<std::size_t>(shared)].position;
    for (const auto& [layer, tokens] : layers) {
        std::vector<std::int64_t> counts;
        if (!tokens.count(first, shared, counts)) continue;
        for (std::size_t e = 0; e < counts.size(); ++e)
            if (counts[e] > 0)
                rows.push_back(
                    {sequence, "prefill", layer, static_cast<std::int32_t>(e), counts[e]});
    }
}

SharedRows sharedRows(const RunReader& run, const ItemGrouping& grouping, const StopFlag* stop) {
    struct Counterparts {
        std::vector<std::int64_t> sequences;
        std::set<std::string_view> groups;
    };
    std::map<std::string_view, Counterparts> sets;
    for (std::size_t i = 0; i < grouping.texts.size(); ++i) {
        Counterparts& set = sets[grouping.counterparts[i]];
        set.sequences.push_back(grouping.texts[i].sequence);
        set.groups.insert(grouping.texts[i].group);
    }
    SharedRows out;
    double sharing = 0;
    for (const auto& [name, set] : sets) {
        throwIfStopped(stop);
        if (set.groups.size() < 2) continue;
        std::vector<std::vector<TokenRow>> prompts;
        for (const std::int64_t sequence : set.sequences)
            prompts.push_back(promptOf(run, sequence));
        const std::int64_t shared = sharedEnd(prompts);
        if (shared == 0) continue;
        out.meanTokens += double(shared);
        sharing += 1;
        for (std::size_t i = 0; i < prompts.size(); ++i)
            addEnd(run, set.sequences[i], prompts[i], shared, out.rows);
    }
    if (sharing > 0) out.meanTokens /= sharing;
    return out;
}

}  // namespace

std::vector<ItemGrouping> itemGroupings(const RunReader& run) {
    std::vector<ItemGrouping> out;
    for (const SuiteRow& suite : run.suites()) {
        const std::vector<Item> items = itemsOf(run, suite.id);
        std::set<std::string> known;
        for (const Item& item : items)
            for (const auto& [key, level] : item.levels) known.insert(key);
        std::vector<std::string> keys(known.begin(), known.end());
        if (keys.size() > kMostKeys) keys.resize(kMostKeys);
        for (const std::string& key : keys) {
            std::optional<ItemGrouping> grouping = groupingBy(key, items, keys);
            if (!grouping) continue;
            grouping->suite = suite.name;
            out.push_back(std::move(*grouping));
        }
    }
    return out;
}

std::vector<ItemComparison> compareItemGroups(const RunReader& run,
                                              const std::vector<ItemGrouping>& groupings,
                                              const SpecializationOptions& options) {
    std::vector<ItemComparison> out;
    if (groupings.empty()) return out;  // as of every run that is no evaluation
    const int experts = statedExperts(run);
    const std::vector<RoutingCountRow> all = run.routingCounts();
    const auto add = [&](const ItemGrouping& grouping, ItemTokens tokens,
                         std::span<const RoutingCountRow> rows, double shared) {
        out.push_back({grouping.suite, grouping.key, tokens, shared, std::nan(""),
                       specialization(rows, grouping.texts, grouping.exchange, experts, options)});
        // Of the items, not only of those that have such tokens.
        Specialization& of = out.back().of;
        of.sequencesLeftOut = grouping.leftOut + static_cast<std::int64_t>(grouping.texts.size());
        for (const TextGroup& group : of.groups) of.sequencesLeftOut -= group.sequences;
    };
    for (const ItemGrouping& grouping : groupings) {
        const SharedRows shared = sharedRows(run, grouping, options.stop);
        if (!shared.rows.empty()) add(grouping, ItemTokens::Shared, shared.rows, shared.meanTokens);
        add(grouping, ItemTokens::All, rowsOfItems(all, grouping), 0);
    }
    std::vector<double> p;
    for (const ItemComparison& one : out) p.push_back(one.of.empty() ? std::nan("") : one.of.p);
    const std::vector<double> q = benjaminiHochberg(p);
    for (std::size_t i = 0; i < out.size(); ++i) out[i].q = q[i];
    return out;
}

}  // namespace moescope
