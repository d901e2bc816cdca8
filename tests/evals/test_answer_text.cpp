// SPDX-License-Identifier: Apache-2.0
// Texts as models write them, with the answer that a person reads in them.
#include "evals/answer_text.h"

#include <catch2/catch.hpp>

using namespace moescope;

namespace {

const std::vector<std::string> kAnimals = {"a cow", "a hen", "a frog", "the grandfather"};

std::string letter(std::string_view text, bool cutOff = false) {
    const auto read = readChoice(text, kAnimals, cutOff);
    return read ? read->text : "none";
}
std::string number(std::string_view text, bool cutOff = false) {
    const auto read = readNumber(text, cutOff);
    return read ? read->text : "none";
}
std::string yesNo(std::string_view text, bool cutOff = false) {
    const auto read = readYesNo(text, cutOff);
    return read ? read->text : "none";
}

}  // namespace

TEST_CASE("a marked letter is read, whatever is around it") {
    for (const char* text : {"Because hens lay eggs.\nAnswer: B",
                             "**Answer: B**",
                             "**Answer:** (B) a hen",
                             "The final answer is: $\\boxed{\\text{B}}$",
                             "The final answer is $\\textbf{B}$.",
                             "The correct answer is B.",
                             "ANSWER:\n\nB",
                             "**Answer**:\n**B**",
                             "answer: b",
                             "Answer: \u2018B\u2019",
                             "Answer: \u201cB\u201d",
                             "Answer:\u00a0B",
                             "Answer: B\u2014the hen",
                             "Answer: option B",
                             "Answer: [B]",
                             "\u2018Answer: B\u2019",
                             "Answer: B because it lays eggs",
                             "Answer: B \u2013 a hen",
                             "Answer: B. a hen",
                             "Answer: a hen.",
                             "Answer: (A hen)",
                             "Answer: hen",
                             "The answer to this question is B. The hen lays them."}) {
        CAPTURE(text);
        CHECK(letter(text) == "B");
    }
    // Whoever changes their mind has the last word.
    CHECK(letter("Answer: A\nNo, wait.\nAnswer: D") == "D");
}

TEST_CASE("A is read where B would be") {
    CHECK(letter("The answer is A because he was named.") == "A");
    CHECK(letter("Answer: A the cow") == "A");
    CHECK(letter("Answer: A \u2013 The cow") == "A");
    CHECK(letter("Answer: A because of age") == "A");
    CHECK(letter("Answer: a") == "A");
    // But a choice that is named is that choice.
    CHECK(letter("Answer: A hen") == "B");
    CHECK(letter("The answer is a frog.") == "C");
    CHECK(letter("Answer: Grandfather") == "D");
    CHECK(letter("Answer: A person cannot know") == "none");
    CHECK(letter("The answer is A tough one") == "none");
    CHECK(letter("Answer: A's") == "none");
    // A letter by itself is one, also where a choice has that name.
    const std::vector<std::string> blood = {"O", "A", "B", "AB"};
    CHECK(readChoice("Answer: B", blood, false)->text == "B");
    CHECK(readChoice("Answer: AB", blood, false)->text == "D");
}

TEST_CASE("letters that nobody marked are read where they are the whole answer") {
    CHECK(letter("So we get \\boxed{A}.") == "A");
    CHECK(letter("B") == "B");
    CHECK(letter(" *B*\n") == "B");
    CHECK(letter("A. a cow") == "A");
    CHECK(letter("(A) a cow") == "A");
    CHECK(letter("C: a frog") == "C");
    CHECK(letter("B\n\nC is wrong because frogs are green.") == "B");
    CHECK(letter("A hen.") == "B");
}

TEST_CASE("a letter that a sentence calls correct is the answer") {
    for (const char* text :
         {"B is correct", "B is correct.", "Option B is correct", "Option (B) is correct.",
          "**Option B** is the correct answer.", "The correct choice is (B)",
          "The correct choice is B: a hen", "Correct option: **B**", "The best option is a hen.",
          "I think that B is right.", "Hens lay eggs. Therefore, B is the correct choice.",
          "Frogs are green.\n\nSo option B is correct because hens lay eggs.",
          "A. a cow: it gives milk\nOption B is correct."}) {
        CAPTURE(text);
        CHECK(letter(text) == "B");
    }
    CHECK(letter("A is correct") == "A");
    for (const char* text :
         {"B is incorrect", "B is not correct", "It is not true that B is correct.",
          "Some say B is correct.", "If hens lay eggs, B is correct.", "B is correct if hens lay.",
          "Neither A nor B is correct.", "A and B is correct", "A is correct. B is correct.",
          "Some say A is correct.\nB is correct.", "Statement B is correct.", "B is right-handed",
          "The best option is to wait.", "The correct choice is A or B", "B is correct",
          "Is it so that option E is correct?"}) {
        CAPTURE(text);
        const bool cutOff = std::string_view(text) == "B is correct";
        CHECK(letter(text, cutOff) == "none");
    }
}

TEST_CASE("a choice is named with its letter behind it, but not with another's") {
    CHECK(letter("The grandfather (D)") == "D");
    CHECK(letter("Answer: The grandfather (D).") == "D");
    CHECK(letter("Answer: **a hen** (B)") == "B");
    CHECK(letter("The grandfather (A)") == "none");
    CHECK(letter("Answer: The grandfather (A)") == "none");
    CHECK(letter("An old man (A)") == "none");
}

TEST_CASE("no letter is read where there is none") {
    for (const char* text :
         {"", "A cow gives milk.", "Answer: E", "Answer: Because", "unanswered: B",
          "The last line must be 'Answer: X', where X is A, B, C or D.", "Better options exist.",
          "A. a cow\nB. a hen\nC. a frog",  // repeats the question
          "I cannot answer B or C", "Answer: B or C", "Answer: B/C", "Answer: B and C",
          "I will not say 'Answer: A' or 'Answer: B'.", "The answer is a cat.",
          "Answer:\n\nA lot speaks for the cow.", "Answer: B\u00fccher"}) {
        CAPTURE(text);
        CHECK(letter(text) == "none");
    }
    // A heading is no marker.
    CHECK(letter("Answer: A. the hen") == "none");  // contradicts itself
    CHECK(letter("Answer:\n\n**B. a hen**") == "B");
    CHECK(letter("A student might think the answer is A.\nThe answer is B.") == "B");
    for (const char* text : {"Answer: A; B", "Answer: A & B", "Answer: A|B", "Answer: A,B"})
        CHECK(letter(text) == "none");
    CHECK(readChoice("Can\u2019t be determined.",
                     std::vector<std::string>{"x", "Can't be determined"}, false)
              ->text == "B");
    CHECK(letter("Let us look at each answer:\n\nA. cow: no\nB. hen\n\nThe answer is B.") == "B");
    CHECK(letter("Let us look at each answer:\n\nA. cow: no\nB. hen, maybe") == "none");
}

TEST_CASE("of a text that was cut off only an answer that is surely whole counts") {
    CHECK(letter("B", true) == "none");
    CHECK(letter("Answer: B", true) == "none");
    CHECK(letter("Answer: B\nThat is bec", true) == "B");
    CHECK(number("First 3 + 4 = 7, then 7 *", true) == "none");
    CHECK(number("Answer: 1", true) == "none");
    CHECK(number("Answer: 1,2", true) == "none");
    CHECK(number("Answer: 1.", true) == "none");
    CHECK(number("Answer: 16 eggs", true) == "none");  // "* 2 = 32" may come
    CHECK(letter("Answer: A or", true) == "none");
    CHECK(yesNo("Answer: yes/", true) == "none");
    CHECK(number("Answer: 1,200 apples\nThat", true) == "1200");
    CHECK(yesNo("Answer: No", true) == "none");
    CHECK(yesNo("Yes, since the app", true) == "none");
}

TEST_CASE("numbers are read and made comparable") {
    CHECK(number("She makes 9 * 2 = $18.\n#### 18") == "18");
    CHECK(number("Answer: $1,234.50") == "1234.5");
    CHECK(number("**Answer: 70,000 dollars**") == "70000");
    for (const char* text : {"Answer: 70 000", "Answer: 70\u202f000", "Answer: 70\u00a0000",
                             "\\boxed{70{,}000}", "\\boxed{70\\,000}", "\\boxed{70,\\!000}"})
        CHECK(number(text) == "70000");
    CHECK(number("Answer: 12,345,678") == "12345678");
    CHECK(number("The answer is 18.") == "18");
    CHECK(number("so \\boxed{042} apples") == "42");
    CHECK(number("It takes 5 days and then 3.") == "3");
    CHECK(number("Answer: -3.0") == "-3");
    CHECK(number("Answer: \u22125") == "-5");
    CHECK(number("Answer: -0") == "0");
    CHECK(number("Answer: 5 + 3 = 8") == "8");
    CHECK(number("Answer: 18 = 9 * 2") == "18");
    CHECK(number("Answer: 9 eggs \u00d7 2 = 18") == "18");
    CHECK(number("Answer: 20% of 50 = 10") == "10");
    CHECK(number("Answer: 2 x 9 = 18") == "18");
    CHECK(number("Answer: 3(6) = 18") == "18");
    CHECK(number("Answer: 7 (3 + 4 = 7)") == "7");
    CHECK(number("Answer: 7, since 3 + 4 = 7") == "7");
    CHECK(number("Answer: Janet makes $18 every day.") == "18");
    CHECK(number("The answer is approximately 18.") == "18");
    CHECK(number("it is -\\$5") == "-5");
    CHECK(number("Answer: 50%") == "50");
    CHECK(number("Answer: 18 - she sells them all") == "18");
    CHECK(number("from 10-12") == "12");  // a dash, no minus
    CHECK(number("it is -12") == "-12");
    CHECK(number("costs $.75") == "0.75");
    CHECK(number("about -$5") == "-5");
    CHECK(number("1,2,3") == "3");
    CHECK(number("Answer: N, where N is the result; so 4") == "4");
}

TEST_CASE("of equal things in different units none is the answer") {
    for (const char* text :
         {"Answer: 3*4=12 dollars = 1200 cents", "Answer: 12 dollars = 1200 cents",
          "3*4=12 dollars = 1200 cents", "She pays 3 * 4 = $12 = 1200 cents.",
          "\\boxed{12 \\text{ dollars} = 1200 \\text{ cents}}", "Answer: 0.5 = 50%",
          "In all: 2 * 1.5 = 3 hours = 180 minutes"}) {
        CAPTURE(text);
        CHECK(number(text) == "none");
    }
    CHECK(number("Answer: 3 * 4 = 12 = 12 dollars") == "12");
    CHECK(number("Answer: 12 dollars = $12.00") == "12");
    CHECK(number("Answer: 5 + 3 = 8 * 2 = 16") == "16");
    CHECK(number("3 + 4 = 7 apples and 7 * 2 = 14") == "14");
    CHECK(number("3 + 4 = 7, so 7 * 2 = 14 apples") == "14");
    CHECK(number("the sum of 3 and 5 = 8") == "8");
    CHECK(number("On day 2 she makes 0.5 * 4.0 = 2.0") == "2");
    CHECK(number("12 dollars = 1200 cents.\nAnswer: 12") == "12");
}

TEST_CASE("a part of a number is no number, and a heading no answer") {
    for (const char* text :
         {"Answer: 1/2", "Answer: 3 1/2", "Answer: 10:30 PM", "Answer: 1.2e6", "Answer: 2^{10}",
          "\\boxed{\\frac{3}{4}}", "Answer: 12,5", "Answer: 3 or 4", "Answer: 10 to 12",
          "Answer: 1, 2, 3", "Answer: 5 - 2 more than Bob", "Answer: not 5",
          "the answer is 5 for day 1.\nTotal: 18\nAnswer: $\\frac{36}{2}$"}) {
        CAPTURE(text);
        CHECK(number(text) == "none");
    }
    CHECK(number("#### 1. Cost\n15\n#### 2. Total\n15 + 3 = 18\n\nAnswer: 18") == "18");
    CHECK(number("#### 1. Cost\nThat is 15.\n#### 2. Total\nIt is 18.") == "18");
    CHECK(number("To find the answer:\n\n1. 16 - 3 = 13\n2. 13 * 2\n\nShe makes $26.") == "26");
    CHECK(number("no number at all") == "none");
    CHECK(number("") == "none");
    CHECK(readSolution("The answer is 5 per day.\n#### 1,018")->text == "1018");
}

TEST_CASE("yes and no are read as words") {
    CHECK(yesNo("Yes.") == "yes");
    CHECK(yesNo("**No**, because ...") == "no");
    CHECK(yesNo("It may be risky.\nAnswer: yes") == "yes");
    CHECK(yesNo("Yes, I see.\nAnswer: no") == "no");
    CHECK(yesNo("The answer is no.") == "no");
    CHECK(yesNo("Nothing speaks for it.") == "none");
    CHECK(yesNo("I would approve.") == "none");
    CHECK(yesNo("Answer: yes or no?") == "none");
    CHECK(yesNo("Answer: Yes | No") == "none");
    // Silence is no decision.
    for (const char* text :
         {"I cannot answer: no information about income", "No comment.", "No one can say.",
          "Answer: no idea", "The answer is no longer relevant", "No doubt, yes.",
          "No additional information is needed. Yes.", "I can't say the answer is yes"}) {
        CAPTURE(text);
        CHECK(yesNo(text) == "none");
    }
    CHECK(yesNo("No, they should not.") == "no");
    CHECK(yesNo("No they should not.") == "no");
    CHECK(yesNo("Answer: No because of the income") == "no");
    CHECK(yesNo("**Answer: no**\n\n(If the income were higher, the answer is yes.)") == "no");
    CHECK(yesNo("Answer: no\n\nNote: elsewhere the answer is yes.") == "no");
    CHECK(yesNo("I will not say 'Answer: yes' or 'Answer: no' for a person.") == "none");
}

TEST_CASE("a very long text is read without recursion") {
    const std::string brackets(4'000'000, '(');
    CHECK(letter(brackets + "\nAnswer: B") == "B");
    CHECK(number(std::string(4'000'000, '7')).size() == 4'000'000);
    std::string boxes, markers;
    for (int i = 0; i < 40'000; ++i) {
        boxes += "\\boxed{";
        markers += "answer to ";
    }
    CHECK(number(boxes) == "none");
    CHECK(letter(markers) == "none");
}

TEST_CASE("a reply of thousands of letters in brackets ends in no answer, not in the stack's end") {
    std::string reply = "x\n";
    for (int i = 0; i < 60'000; ++i) reply += "(A)";
    const std::vector<std::string> choices{"cow", "hen", "frog", "bee"};
    CHECK_FALSE(readChoice(reply, choices, false));
}

TEST_CASE("a number that is only a part of what is said is no answer") {
    for (const char* said : {"10\u201112", "7\u20448", "1\u00bd", "5\u00b2", "1.2.3", "20k",
                             "1 million", "60 \u2192 70", "3 dozen"}) {
        INFO(said);
        CHECK_FALSE(readNumber("Answer: " + std::string(said), false));
    }
    CHECK(readNumber("Answer: 20 kg", false)->text == "20");
    CHECK(readNumber("Answer: 5!", false)->text == "5");
}
