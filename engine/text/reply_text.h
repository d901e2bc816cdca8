// SPDX-License-Identifier: Apache-2.0
// Collects the bytes of streamed tokens and releases them as whole UTF-8 characters.
#pragma once

#include <string>
#include <string_view>

#include "engine/core/file.h"
#include "engine/text/unicode.h"

namespace moescope::text {

class ReplyText {
public:
    /// Returns the characters that `bytes` completed; an unfinished one is held back.
    std::string add(std::string_view bytes) {
        held_.append(bytes);
        const std::size_t complete = unicode::completePrefix(held_);
        std::string out = toValidUtf8(std::string_view(held_).substr(0, complete));
        held_.erase(0, complete);
        return out;
    }

    /// Returns what is held; an unfinished character becomes U+FFFD.
    std::string flush() {
        std::string out = toValidUtf8(held_);
        held_.clear();
        return out;
    }

private:
    std::string held_;
};

}  // namespace moescope::text
