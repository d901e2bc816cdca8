// SPDX-License-Identifier: Apache-2.0
// Replies as models write them, with the answer that a person reads in them.
#include "evals/reply_readers.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

using namespace moescope;

namespace {

std::string letter(std::string_view reply, int letters = 4, bool cutOff = false) {
    const auto read = readLetter(reply, letters, cutOff);
    return read ? read->text : "none";
}
std::string number(std::string_view reply, bool cutOff = false) {
    const auto read = readNumber(reply, cutOff);
    return read ? read->text : "none";
}
std::string yesNo(std::string_view reply, bool cutOff = false) {
    const auto read = readYesNo(reply, cutOff);
    return read ? read->text : "none";
}

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

TEST_CASE("a letter is read where a person would read it") {
    CHECK(letter("Because cows give milk.\nAnswer: B") == "B");
    CHECK(letter("**Answer: C**") == "C");
    CHECK(letter("**Answer:** (D) a fig") == "D");
    CHECK(letter("The final answer is: $\\boxed{\\text{B}}$") == "B");
    CHECK(letter("The correct answer is B.") == "B");
    CHECK(letter("ANSWER:\n\nC") == "C");
    CHECK(letter("So we get \\boxed{A}.") == "A");
    CHECK(letter("B") == "B");
    CHECK(letter(" *B*\n") == "B");
    CHECK(letter("A. a cow") == "A");
    CHECK(letter("(A) a cow") == "A");
    CHECK(letter("C: a fig") == "C");
    // Whoever changes their mind has the last word.
    CHECK(letter("Answer: A\nNo, wait.\nAnswer: D") == "D");
}

TEST_CASE("no letter is read where there is none") {
    CHECK(letter("") == "none");
    CHECK(letter("A cow gives milk.") == "none");
    CHECK(letter("The answer is a cow.") == "none");
    CHECK(letter("Answer: A cow") == "none");
    CHECK(letter("Answer: E") == "none");  // of four
    CHECK(letter("Answer: Because") == "none");
    CHECK(letter("The last line must be 'Answer: X', where X is A, B, C or D.") == "none");
    CHECK(letter("unanswered: B") == "none");
    CHECK(letter("Better options exist.") == "none");
    CHECK(letter("A. cow\nB. frog\nC. hen") == "none");  // repeats the question
    CHECK(letter("I cannot answer B or C") == "none");
}

TEST_CASE("of a reply that was cut off only a stated answer counts") {
    CHECK(letter("B", 4, true) == "none");
    CHECK(letter("Answer: B\nThat is bec", 4, true) == "B");
    CHECK(number("First 3 + 4 = 7, then 7 *", true) == "none");
    CHECK(number("#### 7\n\nQuestion: Tom has 9", true) == "7");
    CHECK(yesNo("Yes, since the app", true) == "none");
}

TEST_CASE("numbers are read and made comparable") {
    CHECK(number("She makes 9 * 2 = $18.\n#### 18") == "18");
    CHECK(number("Answer: $1,234.50") == "1234.5");
    CHECK(number("**Answer: 70,000 dollars**") == "70000");
    CHECK(number("The answer is 18.") == "18");
    CHECK(number("so \\boxed{042} apples") == "42");
    CHECK(number("It takes 5 days and then 3.") == "3");
    CHECK(number("Answer: -3.0") == "-3");
    CHECK(number("Answer: -0") == "0");
    CHECK(number("from 10-12") == "12");  // a dash, no minus
    CHECK(number("it is -12") == "-12");
    CHECK(number("costs $.75") == "0.75");
    CHECK(number("about -$5") == "-5");
    CHECK(number("1,2,3") == "3");
    CHECK(number("12,345,678 people") == "12345678");
    CHECK(number("Answer: N, where N is the result; so 4") == "4");
    CHECK(number("no number at all") == "none");
    CHECK(number("") == "none");
}

TEST_CASE("yes and no are read as words") {
    CHECK(yesNo("Yes.") == "yes");
    CHECK(yesNo("**No**, because ...") == "no");
    CHECK(yesNo("It may be risky.\nAnswer: yes") == "yes");
    CHECK(yesNo("Yes, I see.\nAnswer: no") == "no");
    CHECK(yesNo("The answer is no.") == "no");
    CHECK(yesNo("Nothing speaks for it.") == "none");
    CHECK(yesNo("I would approve.") == "none");
}

TEST_CASE("a very long reply is read without recursion") {
    const std::string dots(4'000'000, '(');
    CHECK(letter(dots + "\nAnswer: B") == "B");
    CHECK(number(std::string(4'000'000, '7')).size() == 4'000'000);
}

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
    CHECK(named.detail.at("read_by") == "named");
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
    item.expected = "She sells 16 - 3 - 4 = <<16-3-4=9>>9.\n#### 1,018";
    const ReplyReader& numbers = reader("number_reply");
    CHECK(numbers.expected(item) == "1018");
    CHECK(numbers.judge({}, item, "Answer: $1018.00", false).score == 1);
    CHECK(numbers.judge({}, item, "Answer: 9", false).score == 0);
    item.expected = "nothing";
    CHECK_THROWS_WITH(numbers.expected(item), "item 'ducks': its target holds no number");
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
