// SPDX-License-Identifier: Apache-2.0
// Splits text into the pieces inside which BPE may merge: hand scanners for the published patterns,
// and the names under which files refer to them.
#pragma once

#include <cstddef>
#include <string>
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
    // What GGUF does not record, but the vocabularies of that name were made with.
    bool nfc = false;           ///< text is normalised to NFC first
    bool ignoreMerges = false;  ///< Vocabulary::ignoreMerges
    bool leadingBos = false;    ///< where tokenizer.ggml.add_bos_token is absent
};

/// By name or alias; null when unknown.
const PreTokenizer* findPreTokenizer(std::string_view name) noexcept;
/// By pattern; of those that share it, the one that agrees in the most of the other two.
const PreTokenizer* findPreTokenizerByPattern(std::string_view pattern, bool nfc,
                                              bool ignoreMerges) noexcept;
/// Every name and alias, for messages: "a, b and c".
std::string preTokenizerNames();

}  // namespace moescope::text
