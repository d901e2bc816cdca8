// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE and SentencePiece BPE, from GGUF, tokenizer.json or .tiktoken data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/types.h"

namespace moescope {

class Checkpoint;

enum class SpecialTokens : std::uint8_t {
    AsText,  ///< "<|end|>" in the text is ordinary characters: what user text must use
    Parse,   ///< recognised special tokens become their ids: for templates only
};

/// Thread-safe after construction (all methods const).
///
/// Padding: embeddings often have more rows than there are tokens (Qwen3: 151,936 for 151,669). The
/// ids between can be sampled and scored, so they are valid: special, and no text at all. Known
/// where the tokenizer came with a checkpoint; ids beyond those rows are refused.
class Tokenizer {
public:
    virtual ~Tokenizer() = default;

    virtual std::int32_t vocabSize() const noexcept = 0;  ///< tokens, without the padding
    /// Name of a row in pretokenizer.cpp's table, or "sentencepiece".
    virtual std::string_view preTokenizer() const noexcept = 0;

    /// text must be valid UTF-8 or not: invalid bytes are encoded byte by byte, never rejected.
    /// Bytes for which the vocabulary has no token become its unknown token; where the file names
    /// none they are left out.
    virtual std::vector<TokenId> encode(std::string_view text, SpecialTokens specials) const = 0;
    /// AsText, of text that goes on after a special token: some vocabularies put a space before the
    /// whole text only.
    virtual std::vector<TokenId> encodeAfterSpecial(std::string_view text) const {
        return encode(text, SpecialTokens::AsText);
    }
    /// Raw bytes of the tokens; may be incomplete UTF-8 at the ends. Padding has none. Ids below 0
    /// or beyond the padding throw Error.
    virtual std::string decode(std::span<const TokenId> tokens, bool withSpecials = true) const = 0;
    virtual std::string_view bytes(TokenId token) const = 0;  ///< as decode, of one token
    /// Control tokens, unused ones and padding: no text that a reader should see. False for ids
    /// that bytes() refuses.
    virtual bool isSpecial(TokenId token) const noexcept = 0;
    virtual std::optional<TokenId> find(
        std::string_view specialToken) const = 0;  ///< "<|end|>" -> 200007

    virtual std::optional<TokenId> bos() const noexcept = 0;
    virtual bool addBos() const noexcept = 0;  ///< the model was trained with a leading bos
    virtual const std::vector<TokenId>& endOfText()
        const noexcept = 0;  ///< any of these ends generation; ascending
    /// The file's own eos_token, which templates print; where it names none, the first of
    /// endOfText(). Empty only where that is.
    virtual std::optional<TokenId> eos() const noexcept = 0;
    virtual const std::string& chatTemplate() const noexcept = 0;  ///< Jinja source, may be empty
};

/// From a checkpoint (GGUF keys, or tokenizer.json beside the weights). Null when it carries none;
/// throws Error when it carries one that is malformed or uses an unknown pre-tokeniser.
std::unique_ptr<Tokenizer> tokenizerFromCheckpoint(const Checkpoint& checkpoint);
/// `modelVocab`: rows of the embedding it goes with, where known.
std::unique_ptr<Tokenizer> tokenizerFromJson(const std::filesystem::path& tokenizerJson,
                                             std::int64_t modelVocab = 0);
/// `encoding`: "o200k_harmony", "o200k_base", "gpt2" (r50k_base).
std::unique_ptr<Tokenizer> tokenizerFromTiktoken(const std::filesystem::path& ranks,
                                                 std::string_view encoding);

}  // namespace moescope
