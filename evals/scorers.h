// SPDX-License-Identifier: Apache-2.0
// How the log-likelihoods of an item become an answer. The table of rules is in scorers.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/suite.h"
#include "evals/language_model.h"

namespace moescope {

struct ItemScore {
    std::string answer, target;  ///< of choices their texts; "" when there is none
    double score = 0;            ///< 1 right / stereotyped / favourable, else 0
    nlohmann::json detail = nlohmann::json::object();
};

struct Scorer {
    std::string_view name;
    std::string_view summary;
    /// Throws Error when the suite lacks what the rule needs.
    void (*check)(const SuiteDefinition& suite);
    /// Texts to score after the prompt. `chat`: replies, without the delimiter.
    std::vector<std::string> (*continuations)(const SuiteDefinition& suite, const SuiteItem& item,
                                              bool chat);
    /// scores: one for each continuation, same order.
    ItemScore (*judge)(const SuiteDefinition& suite, const SuiteItem& item,
                       std::span<const ContinuationScore> scores);
    bool wholeTexts;  ///< texts as such, not replies: --chat does not apply
};

std::span<const Scorer> scorers();
/// Throws Error naming the nearest, and whatever Scorer::check throws.
const Scorer& scorerFor(const SuiteDefinition& suite);

/// Unicode code points of valid UTF-8: the length that per-character normalisation divides by.
std::size_t characterCount(std::string_view text);

/// log P(yes) - log P(no), each summed over its spellings. Natural logs.
double yesNoLogit(std::span<const double> yes, std::span<const double> no);

}  // namespace moescope
