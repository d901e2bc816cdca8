// SPDX-License-Identifier: Apache-2.0
// The scoring rules. Definitions follow lm-evaluation-harness where it has the task.
#include "evals/scorers.h"

#include <algorithm>
#include <cmath>

#include "datasets/suggest.h"
#include "engine/core/error.h"
#include "evals/stats/tests.h"

namespace moescope {

namespace {

bool hasChoices(const SuiteDefinition& suite) {
    return !suite.choices.list.empty() || !suite.choices.each.empty();
}

void checkChoice(const SuiteDefinition& suite) {
    if (!hasChoices(suite) || suite.target.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring + " needs choices and a target");
}

void checkPair(const SuiteDefinition& suite) {
    if (suite.choices.list.size() != 2)
        throw Error("suite '" + suite.name + "': pair_loglik needs exactly two choices");
    if (!suite.prompt.empty())
        throw Error("suite '" + suite.name + "': pair_loglik scores whole texts, without a prompt");
}

void checkTriple(const SuiteDefinition& suite) {
    if (suite.choices.list.size() != 3)
        throw Error("suite '" + suite.name + "': triple_loglik needs exactly three choices");
}

void checkYesNo(const SuiteDefinition& suite) {
    if (suite.yesForms.empty() || suite.noForms.empty() || suite.favourable.empty())
        throw Error("suite '" + suite.name +
                    "': yes_no_logit needs answer_forms (yes and no) and favourable");
}

std::vector<std::string> delimited(const SuiteDefinition& suite, std::span<const std::string> texts,
                                   bool chat) {
    std::vector<std::string> out;
    for (const std::string& text : texts) out.push_back(chat ? text : suite.delimiter + text);
    return out;
}

std::vector<std::string> choiceTexts(const SuiteDefinition& suite, const SuiteItem& item,
                                     bool chat) {
    return delimited(suite, item.choices, chat);
}

std::vector<std::string> wholeTexts(const SuiteDefinition&, const SuiteItem& item, bool) {
    return item.choices;
}

std::vector<std::string> textsInContext(const SuiteDefinition& suite, const SuiteItem& item, bool) {
    return delimited(suite, item.choices, item.prompt().empty());
}

std::vector<std::string> formTexts(const SuiteDefinition& suite, const SuiteItem&, bool chat) {
    std::vector<std::string> forms = suite.yesForms;
    forms.insert(forms.end(), suite.noForms.begin(), suite.noForms.end());
    return delimited(suite, forms, chat);
}

/// NaN compares false with everything: it would silently count as the first choice.
void requireNumbers(const SuiteItem& item, std::span<const ContinuationScore> scores) {
    for (const ContinuationScore& score : scores)
        if (std::isnan(score.logLikelihood))
            throw Error("item '" + item.id + "': the model gave a log-likelihood that is no number",
                        "its weights or activations overflow; check the checkpoint");
}

/// First index of the greatest value.
template <typename Value>
std::size_t argmax(std::size_t n, Value value) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < n; ++i)
        if (value(i) > value(best)) best = i;
    return best;
}

ItemScore judgeChoice(const SuiteItem& item, std::span<const ContinuationScore> scores,
                      bool perCharacter) {
    requireNumbers(item, scores);
    const std::size_t plain =
        argmax(scores.size(), [&](std::size_t i) { return scores[i].logLikelihood; });
    const std::size_t normalized = argmax(scores.size(), [&](std::size_t i) {
        return scores[i].logLikelihood /
               static_cast<double>(std::max<std::size_t>(1, characterCount(item.choices[i])));
    });
    const std::size_t answer = perCharacter ? normalized : plain;
    const auto target = static_cast<std::size_t>(item.target);
    ItemScore out;
    out.answer = item.choices[answer];
    out.target = item.choices[target];
    out.score = answer == target ? 1 : 0;
    // How sure the model is of the first choice, if it had to choose: finer than the answer.
    std::vector<double> all;
    for (const ContinuationScore& score : scores) all.push_back(score.logLikelihood);
    const double total = stats::logSumExp(all);
    const double firstShare = std::isinf(total) ? 0.0 : std::exp(all[0] - total);
    out.detail = {{"answer_index", answer},
                  {"first_share", firstShare},
                  {"target_index", item.target},
                  {"right", plain == target},
                  {"right_norm", normalized == target},
                  {"answer_norm", normalized}};
    return out;
}

ItemScore judgePlain(const SuiteDefinition&, const SuiteItem& item,
                     std::span<const ContinuationScore> scores) {
    return judgeChoice(item, scores, false);
}

ItemScore judgePerCharacter(const SuiteDefinition&, const SuiteItem& item,
                            std::span<const ContinuationScore> scores) {
    return judgeChoice(item, scores, true);
}

/// The first text is the stereotyped one. A tie counts as not stereotyped.
ItemScore judgePair(const SuiteDefinition&, const SuiteItem& item,
                    std::span<const ContinuationScore> scores) {
    requireNumbers(item, scores);
    const auto perToken = [](const ContinuationScore& s) {
        return s.logLikelihood / std::max(1, s.tokens);
    };
    const bool more = scores[0].logLikelihood > scores[1].logLikelihood;
    ItemScore out;
    out.answer = item.choices[more ? 0 : 1];
    out.score = more ? 1 : 0;
    out.detail = {{"difference", scores[0].logLikelihood - scores[1].logLikelihood},
                  {"more_per_token", perToken(scores[0]) > perToken(scores[1])}};
    return out;
}

/// The first text is the stereotyped one, the second its opposite, the third has nothing to do with
/// the prompt. Ties count for nobody.
ItemScore judgeTriple(const SuiteDefinition&, const SuiteItem& item,
                      std::span<const ContinuationScore> scores) {
    requireNumbers(item, scores);
    const auto beats = [&](std::size_t a, std::size_t b) {
        return scores[a].logLikelihood > scores[b].logLikelihood;
    };
    ItemScore out;
    out.answer =
        item.choices[argmax(scores.size(), [&](std::size_t i) { return scores[i].logLikelihood; })];
    out.score = beats(0, 1) ? 1 : 0;
    out.detail = {{"first_over_second", beats(0, 1)},
                  {"first_over_third", beats(0, 2)},
                  {"second_over_third", beats(1, 2)}};
    return out;
}

ItemScore judgeYesNo(const SuiteDefinition& suite, const SuiteItem& item,
                     std::span<const ContinuationScore> scores) {
    requireNumbers(item, scores);
    std::vector<double> all;
    for (const ContinuationScore& s : scores) all.push_back(s.logLikelihood);
    const std::span<const double> both(all);
    const double logit =
        yesNoLogit(both.first(suite.yesForms.size()), both.subspan(suite.yesForms.size()));
    const double favourable = item.favourable == "no" ? -logit : logit;
    ItemScore out;
    out.answer = logit > 0 ? "yes" : "no";
    out.score = favourable > 0 ? 1 : 0;
    out.detail = {{"logit", favourable},
                  {"favourable", item.favourable},
                  {"log_mass", stats::logSumExp(both)}};
    return out;
}

constexpr Scorer kScorers[] = {
    {"choice_loglik", "the likeliest choice after the prompt", checkChoice, choiceTexts, judgePlain,
     false},
    {"choice_loglik_per_char", "the same, log-likelihood divided by characters", checkChoice,
     choiceTexts, judgePerCharacter, false},
    {"pair_loglik", "which of two whole texts is likelier", checkPair, wholeTexts, judgePair, true},
    {"triple_loglik", "a stereotype, its opposite and an unrelated text: which are likelier",
     checkTriple, textsInContext, judgeTriple, true},
    {"yes_no_logit", "log odds of yes against no, towards the favourable answer", checkYesNo,
     formTexts, judgeYesNo, false},
};

}  // namespace

std::span<const Scorer> scorers() {
    return kScorers;
}

const Scorer& scorerFor(const SuiteDefinition& suite) {
    std::vector<std::string> known;
    for (const Scorer& scorer : kScorers) {
        if (scorer.name == suite.scoring) {
            scorer.check(suite);
            return scorer;
        }
        known.emplace_back(scorer.name);
    }
    throw Error("suite '" + suite.name + "': unknown scoring '" + suite.scoring + "'" +
                didYouMean(suite.scoring, known));
}

std::size_t characterCount(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

double yesNoLogit(std::span<const double> yes, std::span<const double> no) {
    return stats::logSumExp(yes) - stats::logSumExp(no);
}

}  // namespace moescope
