// SPDX-License-Identifier: Apache-2.0
// Table look-ups and UTF-8 primitives; composition is in unicode_nfc.cpp.
#include "engine/text/unicode.h"

#include <vector>

#include "engine/text/unicode_tables.h"

namespace moescope::unicode {
namespace {

constexpr std::size_t kCodePoints = 0x110000;

// One byte a code point (1.1 MB, filled once): every character of every prompt is looked up, so a
// direct index beats a search through 3,194 runs.
std::vector<std::uint8_t> expandClasses() {
    std::vector<std::uint8_t> table;
    table.reserve(kCodePoints);
    for (std::size_t i = 0; i < kClassCount; ++i)
        table.insert(table.end(), kClassTable[i].length, kClassTable[i].value);
    return table;
}

bool isContinuation(unsigned char byte) noexcept {
    return (byte & 0xC0) == 0x80;
}

/// Bytes a sequence with this lead byte has; 0 when no valid sequence starts so.
std::uint32_t sequenceLength(unsigned char lead) noexcept {
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) return 2;
    if (lead < 0xF0) return 3;
    return lead < 0xF5 ? 4 : 0;
}

/// Overlong forms, surrogates and values above U+10FFFF are excluded by the second byte alone
/// (Unicode Standard, table 3-7).
bool secondByteFits(unsigned char lead, unsigned char second) noexcept {
    switch (lead) {
        case 0xE0:
            return second >= 0xA0 && second <= 0xBF;
        case 0xED:
            return second >= 0x80 && second <= 0x9F;
        case 0xF0:
            return second >= 0x90 && second <= 0xBF;
        case 0xF4:
            return second >= 0x80 && second <= 0x8F;
        default:
            return isContinuation(second);
    }
}

}  // namespace

Decoded decodeUtf8(std::string_view text, std::size_t pos) noexcept {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[pos + i]); };
    const unsigned char lead = at(0);
    if (lead < 0x80) return {lead, 1};
    const Decoded invalid{kInvalidByte + lead, 1};
    const std::uint32_t length = sequenceLength(lead);
    if (length == 0 || text.size() - pos < length || !secondByteFits(lead, at(1))) return invalid;
    char32_t value = lead & (0xFFU >> (length + 1));
    for (std::uint32_t i = 1; i < length; ++i) {
        if (!isContinuation(at(i))) return invalid;
        value = (value << 6) | (at(i) & 0x3FU);
    }
    return {value, length};
}

void appendUtf8(std::string& out, char32_t codePoint) {
    const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte & 0xFF)); };
    if (codePoint < 0x80 || codePoint >= kInvalidByte) {
        put(codePoint);
    } else if (codePoint < 0x800) {
        put(0xC0 | (codePoint >> 6));
        put(0x80 | (codePoint & 0x3F));
    } else if (codePoint < 0x10000) {
        put(0xE0 | (codePoint >> 12));
        put(0x80 | ((codePoint >> 6) & 0x3F));
        put(0x80 | (codePoint & 0x3F));
    } else {
        put(0xF0 | (codePoint >> 18));
        put(0x80 | ((codePoint >> 12) & 0x3F));
        put(0x80 | ((codePoint >> 6) & 0x3F));
        put(0x80 | (codePoint & 0x3F));
    }
}

std::uint8_t charClass(char32_t codePoint) noexcept {
    static const std::vector<std::uint8_t> table = expandClasses();
    return codePoint < kCodePoints ? table[codePoint] : std::uint8_t{0};
}

std::size_t completePrefix(std::string_view bytes) noexcept {
    const std::size_t size = bytes.size();
    for (std::size_t back = 1; back <= 3 && back <= size; ++back) {
        const std::size_t start = size - back;
        const auto lead = static_cast<unsigned char>(bytes[start]);
        if (isContinuation(lead)) continue;
        if (sequenceLength(lead) <= back) return size;
        const bool possible =
            back == 1 || secondByteFits(lead, static_cast<unsigned char>(bytes[start + 1]));
        return possible ? start : size;
    }
    return size;
}

}  // namespace moescope::unicode
