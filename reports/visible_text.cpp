// SPDX-License-Identifier: Apache-2.0
// A UTF-8 walk (Unicode 15, table 3-7) that names whatever a reader could not see.
#include "reports/visible_text.h"

#include <algorithm>
#include <cstdint>

namespace moescope {
namespace {

struct Decoded {
    char32_t point = 0;
    std::size_t length = 1;
    bool valid = false;
};

Decoded decode(std::string_view bytes) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    const std::uint8_t lead = at(0);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || bytes.size() < length) return {};
    char32_t point = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xC0) != 0x80) return {};
        point = (point << 6) | (at(i) & 0x3FU);
    }
    const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    if (overlong || surrogate || point > 0x10FFFF) return {};
    return {point, length, true};
}

/// The second half of the controls, which a terminal obeys as it does the first.
bool laterControl(char32_t c) {
    return c >= 0x80 && c <= 0x9F;
}

/// Invisible, direction-changing, tag or non-characters. The joiners U+200C and U+200D stay: many
/// scripts and emoji need them and they cannot reorder text.
bool hidden(char32_t c) {
    return laterControl(c) || c == 0xAD || c == 0x61C || c == 0x180E || c == 0x200B ||
           c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
           (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF) || (c >= 0xE0000 && c <= 0xE007F);
}

constexpr char kOpen[] = "\xE2\x9F\xA8";   // U+27E8
constexpr char kClose[] = "\xE2\x9F\xA9";  // U+27E9

void appendHex(std::string& out, std::uint32_t value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        out += "0123456789ABCDEF"[(value >> shift) & 15];
}

void appendCharacter(std::string& out, const Decoded& c, std::string_view raw) {
    if (!c.valid) {
        out += std::string(kOpen) + "x";
        appendHex(out, static_cast<std::uint8_t>(raw[0]), 2);
        out += kClose;
    } else if (c.point == '\t' || c.point == '\n') {
        out += raw;
    } else if (c.point < 0x20 || c.point == 0x7F) {
        // U+2400 block: one picture per control character, DEL at U+2421.
        const std::uint32_t low = c.point == 0x7F ? 0x21 : static_cast<std::uint32_t>(c.point);
        out += "\xE2\x90";
        out += static_cast<char>(0x80 + low);
    } else if (hidden(c.point)) {
        out += std::string(kOpen) + "U+";
        appendHex(out, c.point, c.point > 0xFFFF ? 6 : 4);
        out += kClose;
    } else {
        out += raw;
    }
}

}  // namespace

std::string visibleText(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const Decoded c = decode(bytes);
        appendCharacter(out, c, bytes.substr(0, c.length));
        bytes.remove_prefix(c.length);
    }
    return out;
}

std::string withoutControls(std::string_view bytes) {
    std::string out;
    while (!bytes.empty()) {
        const Decoded c = decode(bytes);
        const std::string_view raw = bytes.substr(0, c.length);
        const bool control = c.point < 0x20 || c.point == 0x7F || laterControl(c.point);
        if (c.valid && control && c.point != '\r')
            appendCharacter(out, c, raw);
        else
            out += raw;
        bytes.remove_prefix(c.length);
    }
    return out;
}

std::string VisibleStream::add(std::string_view bytes) {
    held_ += bytes;
    std::size_t whole = held_.size();
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, held_.size()); ++back) {
        const auto byte = static_cast<std::uint8_t>(held_[held_.size() - back]);
        if ((byte & 0xC0U) == 0x80U) continue;  // of a character that begins before
        const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 1;
        if (length > back) whole -= back;
        break;
    }
    std::string out = visibleText(std::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
    return out;
}

std::string VisibleStream::finish() {
    std::string out = visibleText(held_);
    held_.clear();
    return out;
}

std::string visibleLine(std::string_view bytes) {
    std::string out = visibleText(bytes);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
    return out;
}

std::string shorten(std::string_view bytes, std::size_t characters) {
    std::size_t end = 0;
    for (std::size_t count = 0; end < bytes.size(); ++count) {
        if (count == characters) return std::string(bytes.substr(0, end)) + "\xE2\x80\xA6";
        end += decode(bytes.substr(end)).length;
    }
    return std::string(bytes);
}

}  // namespace moescope
