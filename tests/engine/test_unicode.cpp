// SPDX-License-Identifier: Apache-2.0
// Character classes, tolerant UTF-8 and NFC; expected values from the Unicode standard.
#include "engine/text/unicode.h"

#include <random>

#include "engine/text/unicode_tables.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::unicode;

TEST_CASE("character classes follow the general categories") {
    CHECK(charClass(U'A') == (kUpper | kWord));
    CHECK(charClass(U'\u01C5') == (kUpper | kWord));  // Lt
    CHECK(charClass(U'z') == (kLower | kWord));
    CHECK(charClass(U'日') == (kOtherLetter | kWord));
    CHECK(charClass(U'\u02B0') == (kOtherLetter | kWord));  // Lm
    CHECK(charClass(U'\u0301') == (kMark | kWord));
    CHECK(charClass(U'7') == (kNumber | kWord));
    CHECK(charClass(U'Ⅷ') == (kNumber | kWord));  // Nl
    CHECK(charClass(U'½') == kNumber);            // No
    CHECK(charClass(U' ') == kSpace);
    CHECK(charClass(U'\u3000') == kSpace);
    CHECK(charClass(U'\n') == (kSpace | kNewline));
    CHECK(charClass(U'\u200B') == 0);  // Cf: not white space
    CHECK(charClass(U'!') == 0);
    CHECK(charClass(U'\U0001F642') == 0);
    CHECK(charClass(U'\U00010D50') == (kUpper | kWord));  // Garay, new in Unicode 16
    for (const char32_t c : {U'_', U'\u24B6', U'\u200D'})
        CHECK(charClass(c) == kWord);  // Pc, So, joiner
    CHECK(charClass(kInvalidByte + 0xFF) == 0);
}

TEST_CASE("the generated runs cover every code point once") {
    std::uint32_t classes = 0;
    std::uint32_t combining = 0;
    for (std::size_t i = 0; i < kClassCount; ++i) classes += kClassTable[i].length;
    for (std::size_t i = 0; i < kCombiningCount; ++i) combining += kCombiningTable[i].length;
    CHECK(classes == 0x110000);
    CHECK(combining == 0x110000);
}

TEST_CASE("undecodable bytes are taken one at a time") {
    const auto first = [](std::string_view text) { return decodeUtf8(text, 0); };
    CHECK(first("\xE2\x82\xAC").codePoint == 0x20AC);
    CHECK(first("\xF4\x8F\xBF\xBF").codePoint == 0x10FFFF);
    for (const std::string_view bad :
         {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5", "\x80",
          "\xE2\x82", "\xE2\x82Z", "\xC3"}) {
        CHECK(first(bad).length == 1);
        CHECK(first(bad).codePoint == kInvalidByte + static_cast<unsigned char>(bad[0]));
    }
}

TEST_CASE("every code point survives encoding") {
    for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 37) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string text;
        appendUtf8(text, c);
        REQUIRE(decodeUtf8(text, 0).codePoint == c);
        REQUIRE(decodeUtf8(text, 0).length == text.size());
    }
}

TEST_CASE("only a character that can still be completed is held back") {
    CHECK(completePrefix("") == 0);
    CHECK(completePrefix("abc") == 3);
    CHECK(completePrefix("a\xE2") == 1);
    CHECK(completePrefix("a\xE2\x82") == 1);
    CHECK(completePrefix("a\xE2\x82\xAC") == 4);
    CHECK(completePrefix("\xF0\x9F\x99") == 0);
    CHECK(completePrefix("\xF0\x80") == 2);  // overlong: never valid
    CHECK(completePrefix("\xFF") == 1);
    CHECK(completePrefix("\x80\x80\x80\x80") == 4);
}

TEST_CASE("NFC composes orders and excludes as the standard says") {
    CHECK(toNfc("e\u0301") == "\u00E9");
    CHECK(toNfc("\u212B") == "\u00C5");               // Angstrom sign, a singleton
    CHECK(toNfc("a\u0323\u0302") == "\u1EAD");        // composes twice
    CHECK(toNfc("a\u0302\u0323") == "\u1EAD");        // marks are ordered first
    CHECK(toNfc("\u0958") == "\u0915\u093C");         // a composition exclusion
    CHECK(toNfc("\u1100\u1161\u11A8") == "\uAC01");   // Hangul L V T
    CHECK(toNfc("\uAC00\u11A8") == "\uAC01");         // Hangul LV T
    CHECK(toNfc("a\u05B0\u0301") == "\u00E1\u05B0");  // class 10 does not block class 230
    CHECK(toNfc("a\u0300\u0301") == "\u00E0\u0301");  // an equal class blocks
    CHECK(toNfc("\u0344") == "\u0308\u0301");
    CHECK(toNfc("plain text") == "plain text");
    CHECK(toNfc("\xFF"
                "e\u0301\xE2") == "\xFF\u00E9\xE2");  // broken bytes pass through
}

TEST_CASE("NFC of NFC is NFC") {
    std::mt19937 random(17);
    const auto pick = [&](char32_t first, std::uint32_t count) {
        return first + static_cast<char32_t>(random() % count);
    };
    for (int round = 0; round < 500; ++round) {
        std::string text;
        for (int i = 0; i < 12; ++i) {
            const char32_t bases[] = {U'a',
                                      pick(0x300, 0x70),
                                      pick(0x900, 0x80),
                                      pick(0xAC00, 11172),
                                      pick(0x1E00, 0x100),
                                      pick(0x1100, 0x100)};
            appendUtf8(text, bases[random() % 6]);
        }
        const std::string once = toNfc(text);
        REQUIRE(toNfc(once) == once);
    }
}
