// SPDX-License-Identifier: Apache-2.0
// Instructions whose following a program can verify, those of IFEval: Zhou et al.,
// "Instruction-Following Evaluation for Large Language Models" (arXiv 2311.07911). Each is a pure
// function of the reply and its arguments; a new one is a function in a file of its family and a
// line of the table in instructions.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evals/instructions/reply_text.h"

namespace moescope::instructions {

/// Undecided: what would decide it cannot be told from the reply. It never counts as followed.
enum class Verdict : std::uint8_t { NotFollowed, Followed, Undecided };

std::string_view verdictName(Verdict verdict) noexcept;  ///< "followed", "not followed", ..
inline Verdict verdictOf(bool followed) noexcept {
    return followed ? Verdict::Followed : Verdict::NotFollowed;
}

enum class ArgumentKind : std::uint8_t {
    Count,      ///< a whole number from 1 to kMostCount
    Relation,   ///< "at least" or "less than"
    Phrase,     ///< a text that is not blank, without white space at its ends
    Phrases,    ///< a list of such, not empty
    Character,  ///< one character
    Language,   ///< a code that languageCodes() has
};
inline constexpr std::int64_t kMostCount = 1'000'000;

struct Parameter {
    std::string_view name;  ///< empty: there is none
    ArgumentKind kind = ArgumentKind::Count;
};

/// The checked arguments of one instruction, by parameter.
class Arguments {
public:
    std::int64_t count(std::string_view name) const { return counts_.find(name)->second; }
    const std::u32string& text(std::string_view name) const { return texts(name).front(); }
    const std::vector<std::u32string>& texts(std::string_view name) const {
        return texts_.find(name)->second;
    }
    /// Whether there are at least as many as the count says, or fewer, as the relation says.
    Verdict compare(std::size_t actual, std::string_view count, std::string_view relation) const;

    void setCount(std::string_view name, std::int64_t value) { counts_[std::string(name)] = value; }
    void setTexts(std::string_view name, std::vector<std::u32string> values) {
        texts_[std::string(name)] = std::move(values);
    }

private:
    std::map<std::string, std::int64_t, std::less<>> counts_;
    std::map<std::string, std::vector<std::u32string>, std::less<>> texts_;
};

struct Instruction {
    std::string_view id;  ///< "family:name"
    /// reply: never blank.
    Verdict (*check)(Text reply, const Arguments& arguments);
    std::array<Parameter, 3> parameters{};
};

std::span<const Instruction> table();
std::string_view familyOf(std::string_view id) noexcept;  ///< what stands before the colon

/// An instruction that an item gives.
struct Given {
    const Instruction* instruction = nullptr;
    Arguments arguments;
    nlohmann::json kwargs;  ///< as the item has them
};
/// json: [{"id": .., "kwargs": {name: text or list of texts}}, ..], numbers as text. An argument
/// that is "" is absent. Throws Error "<place>: instruction '<id>': <cause>" for instructions and
/// arguments that are not of the table, are missing, of another kind or out of range.
std::vector<Given> parseGiven(const std::string& json, const std::string& place);

/// strict: of the reply as it is. loose: IFEval's upper bound, followed when the reply is, or one
/// of what it becomes without its first line, its last line, both, and without asterisks;
/// undecided when none is followed and one is undecided. A blank reply follows nothing.
struct Verdicts {
    Verdict strict = Verdict::NotFollowed, loose = Verdict::NotFollowed;
};
/// One for each of `given`, in order. reply: UTF-8.
std::vector<Verdicts> judge(std::span<const Given> given, std::string_view reply);

Verdict keywordExistence(Text reply, const Arguments& arguments);
Verdict keywordFrequency(Text reply, const Arguments& arguments);
Verdict forbiddenWords(Text reply, const Arguments& arguments);
Verdict letterFrequency(Text reply, const Arguments& arguments);
Verdict responseLanguage(Text reply, const Arguments& arguments);
Verdict numberSentences(Text reply, const Arguments& arguments);
Verdict numberParagraphs(Text reply, const Arguments& arguments);
Verdict numberWords(Text reply, const Arguments& arguments);
Verdict nthParagraphFirstWord(Text reply, const Arguments& arguments);
Verdict numberPlaceholders(Text reply, const Arguments& arguments);
Verdict postscript(Text reply, const Arguments& arguments);
Verdict numberBulletLists(Text reply, const Arguments& arguments);
Verdict constrainedResponse(Text reply, const Arguments& arguments);
Verdict numberHighlightedSections(Text reply, const Arguments& arguments);
Verdict multipleSections(Text reply, const Arguments& arguments);
Verdict jsonFormat(Text reply, const Arguments& arguments);
Verdict title(Text reply, const Arguments& arguments);
Verdict twoResponses(Text reply, const Arguments& arguments);
Verdict repeatPrompt(Text reply, const Arguments& arguments);
Verdict endChecker(Text reply, const Arguments& arguments);
Verdict quotation(Text reply, const Arguments& arguments);
Verdict capitalWordFrequency(Text reply, const Arguments& arguments);
Verdict englishCapital(Text reply, const Arguments& arguments);
Verdict englishLowercase(Text reply, const Arguments& arguments);
Verdict noComma(Text reply, const Arguments& arguments);

}  // namespace moescope::instructions
