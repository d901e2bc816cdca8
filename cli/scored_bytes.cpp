// SPDX-License-Identifier: Apache-2.0
#include "cli/scored_bytes.h"

#include <cmath>

namespace moescope::cli {

std::size_t spelledBytes(const Tokenizer& tokenizer, std::span<const TokenId> tokens) {
    std::size_t bytes = 0;
    for (const TokenId token : tokens)
        if (token < tokenizer.vocabSize() && !tokenizer.isSpecial(token))
            bytes += tokenizer.bytes(token).size();
    return bytes;
}

std::size_t textBytes(std::size_t text, std::size_t scored, std::size_t whole) noexcept {
    if (text == whole || whole == 0) return scored;
    return static_cast<std::size_t>(std::llround(
        static_cast<double>(text) * static_cast<double>(scored) / static_cast<double>(whole)));
}

}  // namespace moescope::cli
