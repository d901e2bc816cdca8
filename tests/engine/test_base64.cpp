// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <string>

#include "engine/core/base64.h"

using namespace moescope;

TEST_CASE("base64 is that of RFC 4648, section 10") {
    const std::pair<const char*, const char*> cases[] = {
        {"f", "Zg=="},        {"fo", "Zm8="},        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [bytes, text] : cases) {
        CHECK(encodeBase64(bytes) == text);
        CHECK(decodeBase64(text) == std::string(bytes));
    }
    CHECK(encodeBase64("").empty());
    CHECK(decodeBase64("+/+/") == std::string("\xFB\xFF\xBF"));
}

TEST_CASE("what is no base64 is nothing") {
    for (const char* text : {"", "Zg", "Zg=", "Z===", "Zm9\n", "Zm 9", "Z-_v", "Zg==Zg=="})
        CHECK_FALSE(decodeBase64(text));
}
