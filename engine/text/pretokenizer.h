// SPDX-License-Identifier: Apache-2.0
// Splits text into the pieces inside which BPE may merge: hand scanners for four published
// patterns.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace moescope::text {

/// Appends the end offset of every piece of `text`; pieces are not empty and cover all of it.
/// Linear in the text's length whatever it holds.
using SplitFunction = void (*)(std::string_view text, std::vector<std::size_t>& ends);

struct PreTokenizer {
    std::string_view name;     ///< GGUF's tokenizer.ggml.pre
    std::string_view pattern;  ///< regular expression of tokenizer.json; empty when it has none
    SplitFunction split;
};

/// Null when unknown.
const PreTokenizer* findPreTokenizer(std::string_view name) noexcept;
const PreTokenizer* findPreTokenizerByPattern(std::string_view pattern) noexcept;

}  // namespace moescope::text
