// SPDX-License-Identifier: Apache-2.0
// The table of instructions, and what is tried of a reply.
#include <algorithm>

#include "evals/instructions/instruction.h"

namespace moescope::instructions {

namespace {

using Kind = ArgumentKind;

constexpr Instruction kTable[] = {
    {"change_case:capital_word_frequency",
     capitalWordFrequency,
     {{{"capital_frequency", Kind::Count}, {"capital_relation", Kind::Relation}}}},
    {"change_case:english_capital", englishCapital},
    {"change_case:english_lowercase", englishLowercase},
    {"combination:repeat_prompt", repeatPrompt, {{{"prompt_to_repeat", Kind::Phrase}}}},
    {"combination:two_responses", twoResponses},
    {"detectable_content:number_placeholders",
     numberPlaceholders,
     {{{"num_placeholders", Kind::Count}}}},
    {"detectable_content:postscript", postscript, {{{"postscript_marker", Kind::Phrase}}}},
    {"detectable_format:constrained_response", constrainedResponse},
    {"detectable_format:json_format", jsonFormat},
    {"detectable_format:multiple_sections",
     multipleSections,
     {{{"section_spliter", Kind::Phrase}, {"num_sections", Kind::Count}}}},
    {"detectable_format:number_bullet_lists", numberBulletLists, {{{"num_bullets", Kind::Count}}}},
    {"detectable_format:number_highlighted_sections",
     numberHighlightedSections,
     {{{"num_highlights", Kind::Count}}}},
    {"detectable_format:title", title},
    {"keywords:existence", keywordExistence, {{{"keywords", Kind::Phrases}}}},
    {"keywords:forbidden_words", forbiddenWords, {{{"forbidden_words", Kind::Phrases}}}},
    {"keywords:frequency",
     keywordFrequency,
     {{{"keyword", Kind::Phrase}, {"frequency", Kind::Count}, {"relation", Kind::Relation}}}},
    {"keywords:letter_frequency",
     letterFrequency,
     {{{"letter", Kind::Character},
       {"let_frequency", Kind::Count},
       {"let_relation", Kind::Relation}}}},
    {"language:response_language", responseLanguage, {{{"language", Kind::Language}}}},
    {"length_constraints:nth_paragraph_first_word",
     nthParagraphFirstWord,
     {{{"num_paragraphs", Kind::Count},
       {"nth_paragraph", Kind::Count},
       {"first_word", Kind::Phrase}}}},
    {"length_constraints:number_paragraphs", numberParagraphs, {{{"num_paragraphs", Kind::Count}}}},
    {"length_constraints:number_sentences",
     numberSentences,
     {{{"num_sentences", Kind::Count}, {"relation", Kind::Relation}}}},
    {"length_constraints:number_words",
     numberWords,
     {{{"num_words", Kind::Count}, {"relation", Kind::Relation}}}},
    {"punctuation:no_comma", noComma},
    {"startend:end_checker", endChecker, {{{"end_phrase", Kind::Phrase}}}},
    {"startend:quotation", quotation},
};

/// What a loose verdict looks at, the reply itself first; blank texts and repetitions left out.
std::vector<std::u32string> variantsOf(Text reply) {
    std::vector<std::u32string> variants;
    const auto add = [&](Text text) {
        std::u32string plain(text);
        std::erase(plain, U'*');
        for (std::u32string& one : std::array{std::u32string(text), std::move(plain)})
            if (!isBlank(one) && std::find(variants.begin(), variants.end(), one) == variants.end())
                variants.push_back(one);
    };
    const std::size_t first = reply.find(U'\n'), last = reply.rfind(U'\n');
    add(reply);
    if (first == Text::npos) return variants;
    add(stripped(reply.substr(first + 1)));
    add(stripped(reply.substr(0, last)));
    if (last > first) add(stripped(reply.substr(first + 1, last - first - 1)));
    return variants;
}

Verdict looseVerdict(const Given& given, Verdict strict, std::span<const std::u32string> others) {
    Verdict best = strict;
    for (const std::u32string& other : others) {
        if (best == Verdict::Followed) break;
        const Verdict verdict = given.instruction->check(other, given.arguments);
        if (verdict != Verdict::NotFollowed) best = verdict;
    }
    return best;
}

}  // namespace

std::string_view verdictName(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::Followed:
            return "followed";
        case Verdict::Undecided:
            return "undecided";
        case Verdict::NotFollowed:
            break;
    }
    return "not followed";
}

std::span<const Instruction> table() {
    return kTable;
}

std::string_view familyOf(std::string_view id) noexcept {
    return id.substr(0, id.find(':'));
}

std::vector<Verdicts> judge(std::span<const Given> given, std::string_view reply) {
    std::vector<Verdicts> verdicts(given.size());
    const std::u32string text = decoded(reply);
    if (isBlank(text)) return verdicts;
    const std::vector<std::u32string> variants = variantsOf(text);
    for (std::size_t i = 0; i < given.size(); ++i) {
        verdicts[i].strict = given[i].instruction->check(text, given[i].arguments);
        verdicts[i].loose =
            looseVerdict(given[i], verdicts[i].strict, std::span(variants).subspan(1));
    }
    return verdicts;
}

}  // namespace moescope::instructions
