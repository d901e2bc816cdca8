// SPDX-License-Identifier: Apache-2.0
#include "evals/text_scan.h"

#include <algorithm>
#include <cctype>

namespace moescope {

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

bool wordGoesOn(std::string_view text, std::size_t at) {
    if (at >= text.size()) return false;
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) return std::isalnum(byte) != 0 || text[at] == '_';
    const std::string_view rest = text.substr(at);
    return !rest.starts_with("\u00a0") && !rest.starts_with("\xe2\x80");
}

bool wordBefore(std::string_view text, std::size_t at) {
    if (at == 0) return false;
    if (static_cast<unsigned char>(text[at - 1]) < 0x80) return wordGoesOn(text, at - 1);
    std::size_t start = at - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0U) == 0x80U) --start;
    return wordGoesOn(text, start);
}

std::size_t skip(std::string_view text, std::size_t at, Places what) {
    for (bool more = true; more && at < text.size();) {
        more = false;
        for (const std::string_view one : what) {
            if (!text.substr(at).starts_with(one)) continue;
            at += one.size();
            more = true;
        }
    }
    return std::min(at, text.size());
}

bool lineEnds(std::string_view line, std::size_t at) {
    at = skip(line, at, kClosing);
    for (const std::string_view stop : {".", "!", "\u3002"})
        if (line.substr(at).starts_with(stop)) at += stop.size();
    return skip(line, at, kClosing) == line.size();
}

std::size_t lineEnd(std::string_view text, std::size_t at) {
    return std::min(text.find('\n', at), text.size());
}

}  // namespace moescope
