// SPDX-License-Identifier: Apache-2.0
// Is text about one group of people routed otherwise than the same text about another? The items of
// an evaluation by what its suite says of them, or by how they were answered.
// Definitions: docs/metrics.md, Routing of groups of people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/analysis/specialization.h"

namespace moescope {

/// Items of a suite by one thing that differs between them.
struct ItemGrouping {
    std::string suite;  ///< its name
    std::string key;    ///< "ethnicity"; kOutcome
    Exchange exchange = Exchange::WithinBlocks;
    std::vector<GroupedText> texts;  ///< one an item; its case is its block
    /// (n_text) items with the same one are counterparts: of one case, and alike in all else that
    /// the suite says of each item and that does not follow from the group in its case.
    std::vector<std::string> counterparts;
    /// (n_text) sequences of its further replies, which are taken together with it
    std::vector<std::vector<std::int64_t>> repeats;
    std::int64_t leftOut = 0;  ///< items of the key in cases that cannot be exchanged so
};

inline constexpr std::size_t kMostKeys = 32;
/// The key of "right" and "wrong": of items whose score is 1 or 0, each asked once.
inline constexpr std::string_view kOutcome = "outcome";

/// All groupings of the run's suites that have two groups of two items, by suite and key.
/// A suite says with "cluster" which items are one case. Where at least half of the items are of
/// cases told of several groups, names are exchanged within cases; else whole cases are, and those
/// told of several groups stay out.
/// At most kMostKeys keys of a suite, by name. What a damaged file says of an item as no text is
/// left out. Throws what the reader throws.
std::vector<ItemGrouping> itemGroupings(const RunReader& run);

/// Which tokens of the items are compared.
enum class ItemTokens : std::uint8_t {
    All,
    /// Those at the end of the prompts that all counterparts have alike, behind the last word that
    /// differs: a name is routed otherwise because it is another word, these need not be.
    Shared,
};

struct ItemComparison {
    std::string suite, key;
    ItemTokens tokens = ItemTokens::All;
    double sharedTokens = 0;  ///< mean of the sets of counterparts; Shared only
    double q = 0;  ///< of.p adjusted over the comparisons given together (Benjamini and Hochberg)
    Specialization of;
};

/// Compares the groups of each grouping: by Shared tokens where the run holds the tokens of items
/// and their experts (eval --routing-tokens), and by All. Shared leaves out items without
/// counterparts, and counterparts whose prompts do not differ or end in different words. Throws
/// Error naming the file when it is damaged, Interrupted.
std::vector<ItemComparison> compareItemGroups(const RunReader& run,
                                              const std::vector<ItemGrouping>& groupings,
                                              const SpecializationOptions& options = {});

}  // namespace moescope
