// SPDX-License-Identifier: Apache-2.0
// Each instruction on replies worked by hand: what follows it, what just does not, and the loose
// variants. Regular expressions in comments are IFEval's own.
#include "evals/instructions/instruction.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

using namespace moescope;
using namespace moescope::instructions;
using Json = nlohmann::json;

namespace {

std::vector<Given> given(const std::string& id, const Json& kwargs = Json::object()) {
    return parseGiven(Json::array({{{"id", id}, {"kwargs", kwargs}}}).dump(), "data:1");
}

Verdict strict(const std::string& id, const Json& kwargs, const std::string& reply) {
    return judge(given(id, kwargs), reply).at(0).strict;
}

bool follows(const std::string& id, const Json& kwargs, const std::string& reply) {
    const Verdict verdict = strict(id, kwargs, reply);
    CHECK(verdict != Verdict::Undecided);
    return verdict == Verdict::Followed;
}

bool follows(const std::string& id, const std::string& reply) {
    return follows(id, Json::object(), reply);
}

bool followsLoosely(const std::string& id, const Json& kwargs, const std::string& reply) {
    return judge(given(id, kwargs), reply).at(0).loose == Verdict::Followed;
}

}  // namespace

TEST_CASE("A blank reply follows nothing, not even what asks for little") {
    for (const char* reply : {"", " \n\t", "\u00a0\u3000"}) {
        CHECK_FALSE(follows("punctuation:no_comma", reply));
        CHECK_FALSE(followsLoosely("punctuation:no_comma", Json::object(), reply));
        CHECK_FALSE(follows("length_constraints:number_words",
                            {{"num_words", "5"}, {"relation", "less than"}}, reply));
    }
}

TEST_CASE("Loose: a first line, a last line and asterisks may be left out") {
    const std::string id = "punctuation:no_comma";
    CHECK(followsLoosely(id, {}, "Sure, here it is:\nNo comma here."));
    CHECK(followsLoosely(id, {}, "No comma here.\nAll right, bye"));
    CHECK(followsLoosely(id, {}, "Sure, well:\nNo comma here.\nAll right, bye"));
    CHECK_FALSE(followsLoosely(id, {}, "One, two"));
    CHECK_FALSE(followsLoosely(id, {}, "a\nOne, two\nb"));
    const Json end = {{"end_phrase", "Peace!"}};
    CHECK_FALSE(follows("startend:end_checker", end, "Bye. **Peace!**"));
    CHECK(followsLoosely("startend:end_checker", end, "Bye. **Peace!**"));
    CHECK(followsLoosely("startend:end_checker", end, "Bye. *Peace!*\nAnything else?"));
    // What the reply as it is follows, it follows loosely.
    CHECK(followsLoosely("detectable_format:number_bullet_lists", {{"num_bullets", "1"}}, "* one"));
}

TEST_CASE("Keywords count in any case and inside words, forbidden ones only as whole words") {
    const Json both = {{"keywords", {"river", "land"}}};
    CHECK(follows("keywords:existence", both, "RIVERS cross the island"));
    CHECK_FALSE(follows("keywords:existence", both, "The river"));
    const Json forbidden = {{"forbidden_words", {"key", "bad"}}};
    CHECK(follows("keywords:forbidden_words", forbidden, "Keyboards and monkeys, badly, key_1"));
    CHECK_FALSE(follows("keywords:forbidden_words", forbidden, "The KEY-ring"));
    CHECK_FALSE(follows("keywords:forbidden_words", forbidden, "Not \u201cbad\u201d"));
    CHECK(follows("keywords:forbidden_words", forbidden, "\u00e9bad"));  // a letter before it
    const Json often = {{"keyword", "war"}, {"frequency", "3"}, {"relation", "at least"}};
    CHECK(follows("keywords:frequency", often, "War, warm, toward"));
    CHECK_FALSE(follows("keywords:frequency", often, "war war"));
    const Json rarely = {{"keyword", "war"}, {"frequency", "3"}, {"relation", "less than"}};
    CHECK_FALSE(follows("keywords:frequency", rarely, "war war war"));
    // A keyword is no regular expression, and knows letters that are not ASCII.
    CHECK_FALSE(follows("keywords:existence", {{"keywords", Json::array({"a.c"})}}, "abc"));
    CHECK(follows("keywords:existence", {{"keywords", Json::array({"\u00fcber"})}}, "\u00dcBER"));
}

TEST_CASE("A letter counts in any case, and other characters count as themselves") {
    const Json few = {{"letter", "i"}, {"let_frequency", "3"}, {"let_relation", "less than"}};
    CHECK(follows("keywords:letter_frequency", few, "I sit"));
    CHECK_FALSE(follows("keywords:letter_frequency", few, "I visit"));
    const Json marks = {{"letter", "!"}, {"let_frequency", "2"}, {"let_relation", "at least"}};
    CHECK(follows("keywords:letter_frequency", marks, "Go! Now!"));
    CHECK_FALSE(follows("keywords:letter_frequency", marks, "Go!"));
}

TEST_CASE("Words are runs of letters, numbers and underscores") {
    const Json four = {{"num_words", "4"}, {"relation", "at least"}};
    CHECK(follows("length_constraints:number_words", four, "don't stop_it now"));  // don, t
    CHECK_FALSE(follows("length_constraints:number_words", four, "- one, * two 3"));
    CHECK(wordCount(U"\u65e5\u672c 3.5 caf\u00e9") == 4);
    CHECK(wordCount(U"\u0939\u093f\u0928") == 2);  // a vowel sign is a mark, no letter
}

TEST_CASE("Paragraphs are divided by asterisks, none of them empty inside") {
    const Json two = {{"num_paragraphs", "2"}};
    const std::string id = "length_constraints:number_paragraphs";
    CHECK(follows(id, two, "One.\n\n***\n\nTwo."));
    CHECK(follows(id, two, "***\nOne.\n***\nTwo.\n***"));
    CHECK_FALSE(follows(id, two, "One.\n\nTwo."));
    CHECK_FALSE(follows(id, two, "One. *** *** Two."));
    CHECK_FALSE(follows(id, two, "One.\n******\nTwo."));
}

TEST_CASE("The n-th paragraph begins with the word, whatever its case and marks") {
    const std::string id = "length_constraints:nth_paragraph_first_word";
    const Json second = {
        {"num_paragraphs", "2"}, {"nth_paragraph", "2"}, {"first_word", "President"}};
    CHECK(follows(id, second, "One.\n\npresident, he was."));
    CHECK(follows(id, second, "One.\n\n\"PRESIDENT\" he was."));
    CHECK_FALSE(follows(id, second, "One.\n\n**President** he was."));
    CHECK_FALSE(follows(id, second, "One.\n\nPresidents"));
    CHECK_FALSE(follows(id, second, "One.\n\nTwo.\n\nPresident"));
    CHECK_FALSE(follows(id, second, "President."));
    // An empty paragraph is counted in what is the n-th, though not in how many there are.
    CHECK_FALSE(follows(id, second, "One.\n\n\n\nPresident"));
    const Json third = {{"num_paragraphs", "2"}, {"nth_paragraph", "1"}, {"first_word", "one"}};
    CHECK(follows(id, third, "One.\n\n\n\nTwo"));
}

TEST_CASE("Placeholders stand in brackets on one line") {
    const Json two = {{"num_placeholders", "2"}};
    CHECK(follows("detectable_content:number_placeholders", two, "[name] lives at []"));
    CHECK_FALSE(follows("detectable_content:number_placeholders", two, "[[name]]"));
    CHECK_FALSE(follows("detectable_content:number_placeholders", two, "[a\nb] and [c]"));
}

TEST_CASE("A postscript may stand anywhere, its letters apart") {
    const Json once = {{"postscript_marker", "P.S."}}, twice = {{"postscript_marker", "P.P.S"}};
    const std::string id = "detectable_content:postscript";
    CHECK(follows(id, once, "Bye.\n\np. s. I forgot"));
    CHECK_FALSE(follows(id, once, "PS: I forgot"));
    CHECK_FALSE(follows(id, once, "P.  S. I forgot"));
    CHECK(follows(id, twice, "P.P. S now"));
    CHECK_FALSE(follows(id, twice, "P.S. now"));
    CHECK(follows(id, {{"postscript_marker", "PPS:"}}, "pps: now"));
}

TEST_CASE("Bullets begin lines, and any line that begins with a hyphen is one") {
    const auto bullets = [](int count, const std::string& reply) {
        return follows("detectable_format:number_bullet_lists",
                       {{"num_bullets", std::to_string(count)}}, reply);
    };
    CHECK(bullets(2, "Here:\n* one\n  * two"));
    CHECK(bullets(1, "**bold**\n* one"));
    CHECK(bullets(2, "- one\n- two"));
    CHECK(bullets(3, "- one\n---\n* two"));
    CHECK(bullets(1, "*\n* two"));  // [^\*] takes the line end, .* the second line
    CHECK_FALSE(bullets(1, "*"));
    CHECK(bullets(1, "-"));
    CHECK_FALSE(bullets(1, "a * b"));
}

TEST_CASE("One of the three answers must be in the reply as it is written") {
    CHECK(follows("detectable_format:constrained_response", "Well. My answer is maybe."));
    CHECK_FALSE(follows("detectable_format:constrained_response", "my answer is yes."));
    CHECK_FALSE(follows("detectable_format:constrained_response", "My answer is yes"));
}

TEST_CASE("Highlights hold something, bold ones too") {
    const auto highlighted = [](int count, const std::string& reply) {
        return follows("detectable_format:number_highlighted_sections",
                       {{"num_highlights", std::to_string(count)}}, reply);
    };
    CHECK(highlighted(2, "*one* and **two**"));
    CHECK_FALSE(highlighted(3, "*one* and **two**"));
    CHECK_FALSE(highlighted(1, "** ** and * *"));
    CHECK_FALSE(highlighted(1, "*one\ntwo*"));
    CHECK(highlighted(2, "*a*b*c*"));  // a match begins behind the former: a, c
    CHECK_FALSE(highlighted(3, "*a*b*c*"));
}

TEST_CASE("Sections are marked by the splitter and a number") {
    const Json two = {{"section_spliter", "Section"}, {"num_sections", "2"}};
    CHECK(follows("detectable_format:multiple_sections", two, "Section 1\nx\n**Section2** y"));
    CHECK_FALSE(follows("detectable_format:multiple_sections", two, "Section 1\nSection II"));
    CHECK_FALSE(follows("detectable_format:multiple_sections", two, "Section 1\nSECTION 2"));
    CHECK_FALSE(follows("detectable_format:multiple_sections", two, "Section 1\nSection  2"));
}

TEST_CASE("JSON is the whole reply, a Markdown fence aside") {
    const std::string id = "detectable_format:json_format";
    CHECK(follows(id, "```json\n{\"a\": [1, null]}\n```"));
    CHECK(follows(id, "```\n[]\n```"));
    CHECK(follows(id, "\"a text\""));
    CHECK_FALSE(follows(id, "Here: {}"));
    CHECK_FALSE(follows(id, "{'a': 1}"));
    CHECK_FALSE(follows(id, std::string("[]\0 and more", 12)));
    CHECK_FALSE(follows(id, "NaN"));  // Python's reader takes it, RFC 8259 does not
    CHECK_FALSE(follows(id, "```python\n{}\n```"));
    CHECK(follows(id, std::string(50'000, '[') + std::string(50'000, ']')));
}

TEST_CASE("A title stands in double angles on one line") {
    CHECK(follows("detectable_format:title", "x <<poem of joy>> y"));
    CHECK_FALSE(follows("detectable_format:title", "<poem>"));
    CHECK_FALSE(follows("detectable_format:title", "<< >>"));
    CHECK_FALSE(follows("detectable_format:title", "<<<>>>"));
    CHECK_FALSE(follows("detectable_format:title", "<<poem\nof joy>>"));
    CHECK(follows("detectable_format:title", "<<>>\n<<a>>"));
}

TEST_CASE("Two responses differ and have six asterisks between them") {
    CHECK(follows("combination:two_responses", "One\n******\nTwo"));
    CHECK(follows("combination:two_responses", "******\nOne\n******\nTwo\n******"));
    CHECK_FALSE(follows("combination:two_responses", "One\n******\n One"));
    CHECK_FALSE(follows("combination:two_responses", "One\n***\nTwo"));
    CHECK_FALSE(follows("combination:two_responses", "One****** ******Two"));
}

TEST_CASE("A prompt is repeated first, an end phrase last, in any case") {
    const Json prompt = {{"prompt_to_repeat", " Write a haiku. "}};
    CHECK(follows("combination:repeat_prompt", prompt, "\nwrite a haiku. Snow falls"));
    CHECK_FALSE(follows("combination:repeat_prompt", prompt, "\"Write a haiku.\" Snow"));
    const Json end = {{"end_phrase", "Peace!"}};
    CHECK(follows("startend:end_checker", end, "\"Bye. PEACE!\"\n"));
    CHECK_FALSE(follows("startend:end_checker", end, "Peace! Bye."));
}

TEST_CASE("Quotation marks are straight and around the whole reply") {
    CHECK(follows("startend:quotation", " \"Yes.\"\n"));
    CHECK(follows("startend:quotation", "\"\""));
    CHECK_FALSE(follows("startend:quotation", "\""));
    CHECK_FALSE(follows("startend:quotation", "\u201cYes.\u201d"));
    CHECK_FALSE(follows("startend:quotation", "\"Yes.\" he said"));
}

TEST_CASE("Capitals and small letters must be English, which a few words cannot show") {
    const std::string small =
        "this is a small text about the way that words are written and it has no capitals";
    const std::string big = "THIS IS A TEXT ABOUT THE WAY THAT WORDS ARE WRITTEN, AND IT IS LOUD";
    CHECK(follows("change_case:english_lowercase", small));
    CHECK_FALSE(follows("change_case:english_lowercase", small + " I"));
    CHECK(follows("change_case:english_capital", big));
    CHECK_FALSE(follows("change_case:english_capital", big + " x"));
    CHECK_FALSE(follows("change_case:english_capital", "123"));  // no letter at all
    CHECK_FALSE(follows("change_case:english_lowercase",
                        "das ist nicht der text, den wir auf der seite haben wollen"));
    CHECK(strict("change_case:english_capital", {}, "YES") == Verdict::Undecided);
}

TEST_CASE("A language that cannot be told is undecided, never passed") {
    const Json german = {{"language", "de"}};
    CHECK(
        follows("language:response_language", german,
                "Das ist der Text, und er ist auf Deutsch geschrieben, wie es sich geh\u00f6rt."));
    CHECK_FALSE(follows("language:response_language", german,
                        "This is the text, and it is in English as you can see."));
    CHECK(strict("language:response_language", german, "Hallo!") == Verdict::Undecided);
    CHECK(strict("language:response_language", german, "12345 :-)") == Verdict::Undecided);
    const Verdicts both = judge(given("language:response_language", german), "Hallo!\nOk")[0];
    CHECK(both.loose == Verdict::Undecided);
}

TEST_CASE("A long reply of nothing but marks is judged in one pass") {
    // Not one of these takes long where work is linear; a pass a character would take hours.
    std::vector<Given> all;
    for (const Instruction& one : table()) {
        Json kwargs = Json::object();
        for (const Parameter& parameter : one.parameters) {
            if (parameter.name.empty()) continue;
            const bool list = parameter.kind == ArgumentKind::Phrases;
            const Json value = parameter.kind == ArgumentKind::Count      ? Json("1")
                               : parameter.kind == ArgumentKind::Relation ? Json("at least")
                               : parameter.kind == ArgumentKind::Language ? Json("de")
                                                                          : Json("a");
            kwargs[std::string(parameter.name)] = list ? Json::array({value}) : value;
        }
        all.push_back(given(std::string(one.id), kwargs).front());
    }
    CHECK(all.size() == 25);
    for (const char* unit :
         {"*", "\n", "[", "<<", "\"", ". ", "a.)", "-\n", "* \n", "P.", "\xff"}) {
        std::string reply;
        while (reply.size() < 100'000) reply += unit;
        CHECK(judge(all, reply).size() == all.size());
    }
}
