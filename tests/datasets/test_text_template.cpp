// SPDX-License-Identifier: Apache-2.0
// The substitution language of suite files.
#include "datasets/text_template.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

using namespace moescope;

TEST_CASE("Templates substitute fields and unescape doubled braces") {
    const TextTemplate text("{{{a}}} {b|spaces|upper}!", "o");
    CHECK(text.render({{"a", "{x}"}, {"b", "two_words"}}, "p") == "{{x}} TWO WORDS!");
}

TEST_CASE("Template filters change only what they say") {
    const FieldMap fields = {{"a", "  \xC3\x84 bC_d \n"}};
    CHECK(TextTemplate("{a|trim}", "o").render(fields, "p") == "\xC3\x84 bC_d");
    CHECK(TextTemplate("{a|trim|lower}", "o").render(fields, "p") == "\xC3\x84 bc_d");
    CHECK(TextTemplate("{x|capital}", "o").render({{"x", "abc"}}, "p") == "Abc");
}

TEST_CASE("A template names the nearest field when one is missing") {
    const TextTemplate text("{questoin}", "o");
    CHECK_THROWS_WITH(text.render({{"question", "q"}}, "f.csv:2"),
                      "f.csv:2: there is no field 'questoin'; did you mean 'question'?");
}

TEST_CASE("Malformed templates are refused") {
    for (const char* bad : {"{", "}", "{a", "{a{b}}", "{}", "{a|nothing}", "{|trim}"})
        CHECK_THROWS_AS(TextTemplate(bad, "o"), Error);
}

TEST_CASE("Trimmed text has no white space at its ends and keeps that inside") {
    CHECK(trimmed(" \t a  b\r\n") == "a  b");
    CHECK(trimmed(" \n ").empty());
    CHECK(trimmed("").empty());
}
