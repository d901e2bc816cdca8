// SPDX-License-Identifier: Apache-2.0
#include "reports/html/escape.h"

namespace moescope {
namespace {

std::string escape(std::string_view bytes, std::string_view lineFeed) {
    const std::string text = visibleText(bytes);
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            case '\n':
                out += lineFeed;
                break;
            default:
                out += c;
        }
    }
    return out;
}

}  // namespace

std::string htmlEscape(std::string_view bytes) {
    return escape(bytes, "\n");
}

std::string htmlEscapeToken(std::string_view bytes) {
    return escape(bytes, "\xE2\x86\xB5\n");
}

}  // namespace moescope
