// SPDX-License-Identifier: Apache-2.0
#include "reports/item_comparisons.h"

#include <cmath>

#include "reports/json_number.h"
#include "reports/numbers.h"
#include "reports/specialization_json.h"
#include "reports/specialization_text.h"
#include "reports/visible_text.h"

namespace moescope {
namespace {

constexpr double kNotable = 0.05;

/// Which groupings are routed otherwise; empty where none was compared by these tokens.
std::string foundText(std::span<const ItemComparison> comparisons, ItemTokens tokens,
                      const std::string& of) {
    constexpr std::int64_t kNamed = 8;
    std::int64_t compared = 0, found = 0;
    std::string names;
    for (const ItemComparison& one : comparisons) {
        if (one.tokens != tokens || one.of.empty()) continue;
        ++compared;
        if (!(one.q < kNotable)) continue;
        if (++found <= kNamed)
            names += (names.empty() ? "" : ", ") + visibleLine(one.suite + " by " + one.key);
    }
    if (compared == 0) return {};
    if (found > kNamed) names += " and " + formatCount(found - kNamed) + " more";
    return of + formatCount(found) + " of " + formatCounted(compared, "grouping") +
           (found == 1 ? " is" : " are") + " routed otherwise beyond chance (q < 0.05)" +
           (names.empty() ? "." : ": " + names + ".");
}

}  // namespace

const char* exchangeName(Exchange exchange) {
    switch (exchange) {
        case Exchange::Texts:
            return "texts";
        case Exchange::WholeBlocks:
            return "whole_blocks";
        case Exchange::WithinBlocks:
            return "within_blocks";
    }
    return "";
}

const char* tokensName(ItemTokens tokens) {
    return tokens == ItemTokens::Shared ? "shared" : "all";
}

std::string exchangeText(const Specialization& of) {
    if (of.empty()) return kNoData;
    if (of.exchange == Exchange::Texts) return "all texts";
    const std::string blocks = formatCounted(of.blocks, "case");
    return of.exchange == Exchange::WithinBlocks ? "within " + blocks : "of " + blocks + ", whole";
}

std::string tokensText(const ItemComparison& comparison) {
    if (comparison.tokens == ItemTokens::All) return "all";
    return "the " + formatFixed(comparison.sharedTokens, 1) + " behind what differs";
}

std::string levelsText(const Specialization& of) {
    constexpr std::size_t kWidth = 60;
    std::string text;
    for (const TextGroup& group : of.groups) text += (text.empty() ? "" : ", ") + groupTitle(group);
    return shorten(text, kWidth);
}

std::string divergenceText(const ItemComparison& comparison) {
    if (comparison.of.empty()) return "too few items of two groups";
    return formatSignificant(comparison.of.meanDivergence) + " (by chance " +
           formatSignificant(comparison.of.meanNull) + ")";
}

std::vector<std::string> itemComparisonSentences(std::span<const ItemComparison> comparisons) {
    std::vector<std::string> out;
    const std::string shared = foundText(
        comparisons, ItemTokens::Shared,
        "Of the words that counterparts have alike, behind the last in which they differ, ");
    const std::string all = foundText(comparisons, ItemTokens::All, "Of all tokens, ");
    if (!shared.empty()) out.push_back(shared);
    if (!all.empty())
        out.push_back(all +
                      " A name is another word and goes to other experts for that alone: all "
                      "tokens show that, too" +
                      (shared.empty() ? "; 'moescope eval --routing-tokens' keeps what is needed "
                                        "to compare the same words."
                                      : "."));
    if (!out.empty())
        out.emplace_back(
            "What is compared is what a suite changes with a key, and what comes with it: words of "
            "other lengths, or, of right and wrong answers, other questions. Otherwise routed is "
            "not worse treated: that is for the metrics of the suite to say.");
    return out;
}

nlohmann::json itemComparisonsJson(std::span<const ItemComparison> comparisons) {
    nlohmann::json out = nlohmann::json::array();
    for (const ItemComparison& one : comparisons)
        out.push_back(
            {{"suite", one.suite},
             {"key", one.key},
             {"tokens", tokensName(one.tokens)},
             {"shared_tokens",
              one.tokens == ItemTokens::Shared ? jsonNumber(one.sharedTokens) : nlohmann::json()},
             {"exchange", exchangeName(one.of.exchange)},
             {"cases", one.of.blocks},
             {"q", jsonNumber(one.q)},
             {"specialization", specializationJson(one.of)}});
    return out;
}

}  // namespace moescope
