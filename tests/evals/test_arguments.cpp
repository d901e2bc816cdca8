// SPDX-License-Identifier: Apache-2.0
// What a data file gives must be of the table, complete and in range: each message names its place.
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "evals/instructions/instruction.h"

using namespace moescope;
using namespace moescope::instructions;

namespace {

/// The message that the instruction is refused with.
std::string refusal(const std::string& id, const std::string& kwargs) {
    try {
        parseGiven("[{\"id\":\"" + id + "\",\"kwargs\":" + kwargs + "}]", "f.jsonl:3");
    } catch (const Error& error) {
        return error.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("Instructions and arguments that are not of the table are refused by name") {
    CHECK(refusal("keywords:existance", "{}") ==
          "f.jsonl:3: unknown instruction 'keywords:existance'; did you mean "
          "'keywords:existence'?");
    CHECK(refusal("startend:end_checker", R"({"end_phrase":"x","end_prase":"y"})") ==
          "f.jsonl:3: instruction 'startend:end_checker': unknown argument 'end_prase'; did you "
          "mean 'end_phrase'?");
    CHECK(refusal("punctuation:no_comma", R"({"num_words":"3"})") ==
          "f.jsonl:3: instruction 'punctuation:no_comma': unknown argument 'num_words'");
}

TEST_CASE("Arguments that are missing, of another kind or out of range are refused") {
    const std::string words = "length_constraints:number_words";
    const auto withWords = [&](const std::string& value) {
        return refusal(words, R"({"relation":"at least","num_words":)" + value + "}");
    };
    const std::string head = "f.jsonl:3: instruction '" + words + "': num_words ";
    CHECK(refusal(words, R"({"relation":"at least"})") == head + "is missing");
    CHECK(withWords("\"\"") == head + "is missing");
    CHECK(withWords("\"ten\"") == head + "is 'ten', not a whole number");
    CHECK(withWords("\"10.5\"") == head + "is '10.5', not a whole number");
    CHECK(withWords("\"-3\"") == head + "is '-3', not between 1 and 1000000");
    CHECK(withWords("\"0\"") == head + "is '0', not between 1 and 1000000");
    CHECK(withWords("\"99999999999999999999\"") ==
          head + "is '99999999999999999999', not between 1 and 1000000");
    CHECK(withWords("[\"1\"]") == head + "is a list, not one value");
    CHECK_THAT(refusal(words, R"({"relation":"around","num_words":"3"})"),
               Catch::Contains("relation is 'around', none of at least, less than"));
    CHECK_THAT(refusal("keywords:existence", R"({"keywords":"cat"})"),
               Catch::EndsWith("keywords is one value, not a list"));
    CHECK_THAT(refusal("keywords:existence", R"({"keywords":["cat"," "]})"),
               Catch::EndsWith("keywords is blank"));
    CHECK_THAT(refusal("keywords:letter_frequency",
                       R"({"letter":"ab","let_frequency":"1","let_relation":"at least"})"),
               Catch::EndsWith("letter is 'ab', not one character"));
    CHECK_THAT(refusal("language:response_language", R"({"language":"xx"})"),
               Catch::Contains("language is 'xx', none of"));
}

TEST_CASE("Arguments that are empty are absent, as in the copy on Hugging Face") {
    const auto given = parseGiven(
        R"([{"id":"punctuation:no_comma","kwargs":{"num_words":"","keyword":""}}])", "f");
    REQUIRE(given.size() == 1);
    CHECK(given[0].kwargs.empty());
}

TEST_CASE("Text that is no list of instructions is refused") {
    for (const char* text : {"[]", "[3]", "[{\"id\":3,\"kwargs\":{}}]", "{\"id\":1}",
                             "[{\"id\":\"punctuation:no_comma\"}]"})
        CHECK_THROWS_AS(parseGiven(text, "f"), Error);
}

TEST_CASE("What is refused is quoted in part and on one line") {
    CHECK_THAT(refusal("language:response_language",
                       "{\"language\":\"a\\n" + std::string(5000, 'x') + "\"}"),
               Catch::Contains("language is 'a?" + std::string(58, 'x') + "..', none of af, ar, "));
}
