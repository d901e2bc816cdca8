// SPDX-License-Identifier: Apache-2.0
// Instruction following (IFEval: Zhou et al., arXiv 2311.07911): of prompts and of instructions,
// strict and loose. What could not be decided is not followed, and counted.
#include <algorithm>

#include "evals/instructions/instruction.h"
#include "evals/metrics/grouping.h"

namespace moescope {

namespace {

using Json = nlohmann::json;

/// One instruction of an item, as the reader of replies wrote it.
struct Followed {
    std::string family;
    bool strict = false, loose = false, undecided = false;
};

std::vector<Followed> instructionsOf(const ItemResult& item) {
    std::vector<Followed> all;
    for (const Json& one : item.detail.at("instructions")) {
        const std::string id = one.at("id").get<std::string>();
        const std::string strict = one.at("strict").get<std::string>();
        const std::string loose = one.at("loose").get<std::string>();
        all.push_back({std::string(instructions::familyOf(id)), strict == "followed",
                       loose == "followed", strict == "undecided"});
    }
    return all;
}

/// The share of prompts all of whose instructions are followed.
std::vector<MetricRow> promptLevel(const MetricInput& input, const char* name, const char* field) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input))
        rows.push_back(
            proportionRow(name, group, valuesOf(input, group, [&](const ItemResult& item) {
                              return item.detail.at(field).get<bool>() ? 1.0 : 0.0;
                          })));
    return rows;
}

/// The share of the group's instructions that are followed, each the mean over the replies to its
/// item; those of a cluster are not independent.
/// family: those of it alone, or "".
MetricRow instructionRow(const MetricInput& input, const Group& group, const char* name,
                         bool Followed::*followed, const std::string& family = {}) {
    GroupValues values;
    const std::vector<std::size_t> clusters = clusterIds(input.items);
    std::int64_t verdicts = 0, undecided = 0;
    double shares = 0;  // of one reply in its instruction's mean, summed over instructions
    for (const std::span<const std::size_t> replies : byItem(input, group.items)) {
        std::vector<double> sums(instructionsOf(input.items[replies.front()]).size());
        std::vector<bool> counted(sums.size());
        for (const std::size_t i : replies) {
            const std::vector<Followed> all = instructionsOf(input.items[i]);
            for (std::size_t j = 0; j < all.size() && j < sums.size(); ++j) {
                if (!family.empty() && all[j].family != family) continue;
                counted[j] = true;
                sums[j] += all[j].*followed ? 1 : 0;
                ++verdicts;
                undecided += all[j].undecided ? 1 : 0;
            }
        }
        const auto asked = static_cast<double>(replies.size());
        for (std::size_t j = 0; j < sums.size(); ++j) {
            if (!counted[j]) continue;
            values.values.push_back(sums[j] / asked);
            values.clusters.push_back(clusters[replies.front()]);
            shares += 1 / asked;
        }
    }
    const auto n = static_cast<double>(values.values.size());
    if (n > 0) values.draws = n * n / shares;
    MetricRow row = proportionRow(name, group, values);
    if (undecided > 0)
        row.method += "; " + std::to_string(undecided) + " of " + std::to_string(verdicts) +
                      " verdicts undecided, counted as not followed";
    return row;
}

std::vector<MetricRow> instructionLevel(const MetricInput& input, const char* name,
                                        bool Followed::*followed) {
    std::vector<MetricRow> rows;
    for (const Group& group : groupsOf(input))
        rows.push_back(instructionRow(input, group, name, followed));
    return rows;
}

MetricRow undecidedRow(const MetricInput& input) {
    MetricRow row;
    row.name = "replies_undecided";
    row.n = static_cast<std::int64_t>(input.items.size());
    row.method =
        "count of replies with an instruction that could not be decided: it counts as not followed";
    row.value = static_cast<double>(
        std::count_if(input.items.begin(), input.items.end(), [](const ItemResult& item) {
            const std::vector<Followed> all = instructionsOf(item);
            return std::any_of(all.begin(), all.end(),
                               [](const Followed& one) { return one.undecided; });
        }));
    return row;
}

}  // namespace

/// Rows prompt_level_strict_acc; over all items also the count replies_undecided.
std::vector<MetricRow> promptLevelStrict(const MetricInput& input) {
    std::vector<MetricRow> rows = promptLevel(input, "prompt_level_strict_acc", "followed_strict");
    if (input.factor.empty()) rows.push_back(undecidedRow(input));
    return rows;
}

std::vector<MetricRow> promptLevelLoose(const MetricInput& input) {
    return promptLevel(input, "prompt_level_loose_acc", "followed_loose");
}

std::vector<MetricRow> instructionLevelStrict(const MetricInput& input) {
    return instructionLevel(input, "inst_level_strict_acc", &Followed::strict);
}

std::vector<MetricRow> instructionLevelLoose(const MetricInput& input) {
    return instructionLevel(input, "inst_level_loose_acc", &Followed::loose);
}

/// Rows inst_level_strict_acc and inst_level_loose_acc of each family of instructions, grouped as
/// "instructions=<family>": an item may have several families and is in the group of each.
std::vector<MetricRow> instructionFamilies(const MetricInput& input) {
    std::map<std::string, Group> families;
    for (std::size_t i = 0; i < input.items.size(); ++i)
        for (const Followed& one : instructionsOf(input.items[i])) {
            Group& group = families[one.family];
            if (group.items.empty() || group.items.back() != i) group.items.push_back(i);
        }
    std::vector<MetricRow> rows;
    for (auto& [family, group] : families) {
        group.level = family;
        group.label = "instructions=" + family;
        rows.push_back(
            instructionRow(input, group, "inst_level_strict_acc", &Followed::strict, family));
        rows.push_back(
            instructionRow(input, group, "inst_level_loose_acc", &Followed::loose, family));
    }
    return rows;
}

}  // namespace moescope
