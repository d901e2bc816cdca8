// SPDX-License-Identifier: Apache-2.0
// The one Tokenizer: special tokens, normalisation, pre-tokeniser and BPE in order. The readers of
// GGUF, tokenizer.json and .tiktoken only fill TokenizerData.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/text/bpe.h"
#include "engine/text/literal_matcher.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/sentencepiece.h"
#include "engine/text/tokenizer.h"

namespace moescope::text {

struct TokenizerData {
    std::string origin;  ///< file name, for error messages
    const PreTokenizer* preTokenizer = nullptr;
    Vocabulary vocabulary;
    /// Further names of Control tokens ("<|reserved_200018|>" is also "<|endofprompt|>").
    std::vector<std::pair<std::string, TokenId>> aliases;
    /// How Control and Added tokens are found, where not simply as they stand.
    std::unordered_map<TokenId, LiteralRules> literalRules;
    std::int64_t modelVocab = 0;  ///< rows of the embedding; what exceeds the tokens is padding
    bool nfc = false;
    /// Set: merges characters as SentencePiece does, without a pre-tokeniser. Unset: bytes.
    std::optional<SentencePieceRules> sentencePiece;
    std::optional<TokenId> bos;
    bool addBos = false;
    std::optional<TokenId> eos;  ///< also put into endOfText
    std::vector<TokenId> endOfText;
    std::string chatTemplate;
};

/// Control tokens of these names end a reply whatever the file's eos entry says: <|return|>, ...
bool endsReplies(std::string_view controlToken) noexcept;

/// Adds the tokens known by name to end a reply (<|return|>, <|im_end|>, ...) to data.endOfText and
/// removes repeats. Throws Error when an id is outside the vocabulary.
std::unique_ptr<Tokenizer> makeTokenizer(TokenizerData data);

}  // namespace moescope::text
