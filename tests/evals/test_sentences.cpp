// SPDX-License-Identifier: Apache-2.0
// Sentences and capitals as NLTK counts them: each figure here is that of its Punkt model and word
// tokenizer (3.10.4) as well.
#include "evals/instructions/sentences.h"

#include <catch2/catch.hpp>

using namespace moescope::instructions;

namespace {

std::size_t sentences(const char* text) {
    return sentencesOf(decoded(text)).size();
}

std::size_t capitals(const char* text) {
    return capitalWords(decoded(text));
}

}  // namespace

TEST_CASE("Marks end sentences where white space or a bracket follows") {
    CHECK(sentences("One. Two! Three? Four") == 4);
    CHECK(sentences("One.Two. Three") == 2);
    CHECK(sentences("It costs 3.50 dollars. Fine.") == 2);
    CHECK(sentences("Really?! Yes.") == 2);
    CHECK(sentences("lower. case counts too") == 2);
    CHECK(sentences("no mark\n\nno sentence\n\nof its own") == 1);
    CHECK(sentences(" \n ") == 0);
    CHECK(sentences("...") == 1);
}

TEST_CASE("Abbreviations, initials and numbers do not end sentences that go on") {
    CHECK(sentences("Mr. Smith met Dr. Jones. They talked.") == 2);
    CHECK(sentences("J. K. Rowling wrote it.") == 1);
    CHECK(sentences("He lives in the U.S. The house is small.") == 2);
    CHECK(sentences("No. 5 is alive.") == 2);  // "no" is a word
    CHECK(sentences("1. one\n2. two") == 1);
    CHECK(sentences("1. One\n2. Two") == 3);  // "1.", "One 2.", "Two"
    CHECK(sentences("e.g. this") == 2);
    CHECK(sentences("Wait... what?") == 1);
    CHECK(sentences("Wait... The end.") == 2);
}

TEST_CASE("Closing marks belong to the sentence before them") {
    CHECK(sentences("(One.) Two.") == 2);
    CHECK(sentences("He said \"Stop.\" Then he left.") == 2);
    CHECK(sentences("\u201cHi.\u201d She left.") == 2);
    CHECK(sentences("\"Stop.\"") == 1);
    const std::u32string text = U"(One.) Two.";
    CHECK(sentencesOf(text).front() == U"(One.)");
}

TEST_CASE("Words in capitals count once, contractions twice") {
    CHECK(capitals("NASA and the U.S. sent B2B E-MAIL.") == 4);
    CHECK(capitals("I DON'T KNOW") == 4);
    CHECK(capitals("WE CANNOT") == 3);
    CHECK(capitals("NASA's IT'S") == 3);
    CHECK(capitals("X,Y and X,1 A:B") == 5);
    CHECK(capitals("YES/NO [OK] #TAG") == 3);
    CHECK(capitals("GO...NOW A--B") == 4);
    CHECK(capitals("'Tis Mixed lower 123 !!!") == 0);
}
