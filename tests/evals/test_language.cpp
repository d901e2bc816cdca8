// SPDX-License-Identifier: Apache-2.0
#include "evals/instructions/language.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "evals/instructions/language_words.h"

using namespace moescope::instructions;

namespace {

/// The language that the text is in; "" when that cannot be told.
std::string language(const char* text) {
    std::string found;
    for (const std::string& code : languageCodes())
        if (isInLanguage(decoded(text), code).value_or(false)) found += code;
    return found;
}

}  // namespace

TEST_CASE("A script that one language is written in tells it") {
    CHECK(language("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01\u0e17"
                   "\u0e31\u0e49\u0e07\u0e2b\u0e25\u0e32\u0e22") == "th");
    CHECK(language(
              "\uc548\ub155\ud558\uc138\uc694 \ubc18\uac11\uc2b5\ub2c8\ub2e4 \uc5ec\ub7ec\ubd84") ==
          "ko");
    CHECK(language("\u3053\u3093\u306b\u3061\u306f\u3001\u4e16\u754c\u306e\u7686\u3055\u3093\u3002"
                   "\u5143\u6c17") == "ja");
}

TEST_CASE("Words tell languages of one script apart, whatever their case") {
    CHECK(language("The cat sat on the mat and it was happy with that.") == "en");
    CHECK(language("THE CAT SAT ON THE MAT AND IT WAS HAPPY WITH THAT.") == "en");
    CHECK(language("Der Hund ist nicht im Haus, sondern auf der Wiese mit den Kindern.") == "de");
    CHECK(language("Il gatto non \u00e8 nella casa, ma con il cane e gli altri.") == "it");
    CHECK(language("Paka na mbwa ni wanyama wa nyumbani kwa watu wengi katika nchi hii.") == "sw");
    CHECK(language("\u041e\u043d \u043d\u0435 \u0437\u043d\u0430\u043b, \u0447\u0442\u043e \u044d"
                   "\u0442\u043e \u0431\u044b\u043b\u043e \u043d\u0435 \u0442\u0430\u043a.") ==
          "ru");
    CHECK(language("\u0422\u043e\u0432\u0430 \u0435 \u0435\u0434\u043d\u043e \u0438 \u0441\u044a"
                   "\u0449\u043e \u0438 \u043d\u0435 \u0441\u0435 \u0437\u043d\u0430\u0435 \u0437"
                   "\u0430 \u043a\u0430\u043a\u0432\u043e \u0435.") == "bg");
}

TEST_CASE("Letters in two parts are read as the one they make") {
    // "a" with a circumflex and an acute: composed, and as three code points.
    const char* composed = "\u1ea5y l\u00e0 c\u1ee7a b\u1ea1n v\u00e0 kh\u00f4ng c\u00f3 g\u00ec";
    const char* apart =
        "a\u0302\u0301y la\u0300 cu\u0309a ba\u0323n va\u0300 kho\u0302ng co\u0301 gi\u0300";
    CHECK(language(composed) == "vi");
    CHECK(language(apart) == "vi");
}

TEST_CASE("Short, mixed and wordless texts cannot be told") {
    CHECK(language("").empty());
    CHECK(language("OK").empty());
    CHECK(language("Berlin Hamburg Bremen Dresden Leipzig").empty());
    CHECK(language("12345 67890 ***").empty());
    CHECK(
        language("This is the half of it: "
                 "\uc548\ub155\ud558\uc138\uc694 \ubc18\uac11\uc2b5\ub2c8\ub2e4 \uc5ec\ub7ec\ubd84")
            .empty());
    CHECK(language("\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff").empty());
}

TEST_CASE("What a text is not in can be told also where two others are alike") {
    const std::u32string text =
        decoded("Det er en bok og det er ikke min, men jeg har den her og den er god.");
    CHECK_FALSE(isInLanguage(text, "da").has_value());
    CHECK_FALSE(isInLanguage(text, "no").has_value());
    CHECK(isInLanguage(text, "fi") == false);
    CHECK(isInLanguage(text, "kn") == false);  // of another script
    CHECK_FALSE(isInLanguage(U"OK", "kn").has_value());
}

TEST_CASE("Every language that IFEval names can be asked for, once") {
    const std::vector<std::string> codes = languageCodes();
    CHECK(std::set<std::string>(codes.begin(), codes.end()).size() == codes.size());
    for (const char* code :
         {"en", "es", "pt", "ar", "hi", "fr", "ru", "de", "ja", "it", "bn", "uk", "th", "ur", "ta",
          "te", "bg", "ko", "pl", "he", "fa", "vi", "ne", "sw", "kn", "mr", "gu", "pa", "ml", "fi"})
        CHECK(std::find(codes.begin(), codes.end(), code) != codes.end());
}

TEST_CASE("A language without words is the only one of its script") {
    for (const LanguageWords& one : languageWords()) {
        const auto others =
            std::count_if(languageWords().begin(), languageWords().end(),
                          [&](const LanguageWords& other) { return other.script == one.script; });
        CHECK((others == 1) == one.words.empty());
    }
    CHECK(languageWords().size() <= 64);
}
