// SPDX-License-Identifier: Apache-2.0
// Replies scored: what a letter stands for, what is favourable, which number is right.
#include "evals/reply_readers.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

using namespace moescope;

namespace {

SuiteItem fruit() {
    SuiteItem item;
    item.id = "fruit";
    item.choices = {"an apple", "a pear", "a fig"};
    item.target = 1;
    return item;
}

const ReplyReader& reader(const std::string& scoring, SuiteDefinition suite = {}) {
    suite.scoring = scoring;
    suite.choices.each = scoring == "choice_reply" ? "choices" : "";
    suite.target = TextTemplate("{answer}", "test");
    suite.favourable = TextTemplate("{favourable}", "test");
    return replyReaderFor(suite);
}

}  // namespace

TEST_CASE("a letter stands for the choice that was shown behind it") {
    const ReplyReader& letters = reader("choice_reply");
    SuiteItem item = fruit();
    ItemScore plain = letters.judge({}, item, "Answer: B", false);
    CHECK(plain.answer == "a pear");
    CHECK(plain.target == "a pear");
    CHECK(plain.score == 1);
    CHECK(plain.detail.at("read_by") == "marker");
    item.order = {2, 0, 1};  // A: a fig, B: an apple, C: a pear
    ItemScore drawn = letters.judge({}, item, "Answer: B", false);
    CHECK(drawn.answer == "an apple");
    CHECK(drawn.score == 0);
    CHECK(drawn.detail.at("answer_index") == 0);
    CHECK(letters.judge({}, item, "Answer: C", false).score == 1);
    const ItemScore named = letters.judge({}, item, "It is sweet.\nAnswer: A pear.", false);
    CHECK(named.score == 1);
    CHECK(named.detail.at("read_by") == "marker");
    const ItemScore none = letters.judge({}, item, "I cannot say.", false);
    CHECK(none.score == 0);
    CHECK(none.answer.empty());
    CHECK(none.detail.at("answered") == false);
    CHECK(none.detail.at("answer_index") == -1);
    CHECK(none.detail.at("right") == false);
}

TEST_CASE("yes is favourable only where it is") {
    SuiteItem item;
    item.favourable = "no";
    const ReplyReader& words = reader("yes_no_reply");
    CHECK(words.judge({}, item, "Answer: no", false).score == 1);
    CHECK(words.judge({}, item, "Answer: yes", false).score == 0);
    CHECK(words.judge({}, item, "Perhaps.", false).score == 0);
    CHECK(words.judge({}, item, "Perhaps.", false).detail.at("answered") == false);
}

TEST_CASE("a written solution gives the number that is right") {
    SuiteItem item;
    item.id = "ducks";
    item.place = "data:7";
    item.expected = "She sells 16 - 3 - 4 = <<16-3-4=9>>9.\n#### 1,018";
    const ReplyReader& numbers = reader("number_reply");
    CHECK(numbers.expected(item) == "1018");
    CHECK(numbers.judge({}, item, "Answer: $1018.00", false).score == 1);
    CHECK(numbers.judge({}, item, "Answer: 9", false).score == 0);
    item.expected = "nothing";
    CHECK_THROWS_WITH(numbers.expected(item), "data:7: the target of item 'ducks' holds no number");
}

TEST_CASE("a suite's scoring of replies must be known and fit") {
    SuiteDefinition suite;
    suite.name = "s";
    suite.scoring = "choice_replies";
    CHECK_THROWS_WITH(replyReaderFor(suite), Catch::Contains("unknown scoring of replies") &&
                                                 Catch::Contains("choice_reply"));
    suite.scoring = "number_reply";
    CHECK_THROWS_WITH(replyReaderFor(suite), Catch::Contains("needs a target"));
}
