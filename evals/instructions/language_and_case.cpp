// SPDX-License-Identifier: Apache-2.0
// language: and change_case:, which asks for English in capitals or in small letters.
#include "evals/instructions/instruction.h"
#include "evals/instructions/language.h"
#include "evals/instructions/sentences.h"

namespace moescope::instructions {

namespace {

Verdict inLanguage(Text reply, std::string_view code) {
    const std::optional<bool> verdict = isInLanguage(reply, code);
    return verdict ? verdictOf(*verdict) : Verdict::Undecided;
}

}  // namespace

Verdict responseLanguage(Text reply, const Arguments& arguments) {
    return inLanguage(reply, encoded(arguments.text("language")));
}

Verdict capitalWordFrequency(Text reply, const Arguments& arguments) {
    return arguments.compare(capitalWords(reply), "capital_frequency", "capital_relation");
}

Verdict englishCapital(Text reply, const Arguments&) {
    return allUpper(reply) ? inLanguage(reply, "en") : Verdict::NotFollowed;
}

Verdict englishLowercase(Text reply, const Arguments&) {
    return allLower(reply) ? inLanguage(reply, "en") : Verdict::NotFollowed;
}

}  // namespace moescope::instructions
