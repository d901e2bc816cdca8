// SPDX-License-Identifier: Apache-2.0
// The tokenizer a checkpoint carries: GGUF keys, or tokenizer.json beside the weights.
#include <cmath>
#include <unordered_map>

#include "engine/core/error.h"
#include "engine/formats/checkpoint.h"
#include "engine/text/bpe_tokenizer.h"
#include "engine/text/tokenizer.h"
#include "engine/text/vocabulary_builder.h"

namespace moescope {
namespace {

using nlohmann::json;
using namespace text;

// llama.h, enum llama_token_type; any other value is a token that text never produces. Doubles,
// because numberArray gives doubles.
constexpr double kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6;

/// Rows of the embedding, 0 when there is none: ids that no token has are padding up to there.
std::int64_t embeddingRows(const Checkpoint& checkpoint) {
    for (const char* name :
         {"token_embd.weight", "model.embed_tokens.weight", "wte.weight", "transformer.wte.weight"})
        if (const TensorView* tensor = checkpoint.find(name)) return tensor->rows();
    return 0;
}

class GgufReader {
public:
    explicit GgufReader(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {
        data_.origin = checkpoint.path().string();
    }

    std::unique_ptr<Tokenizer> read() {
        const std::string model = string("tokenizer.ggml.model");
        if (model.empty() || model == "none" || model == "no_vocab") return nullptr;
        if (model == "llama") {
            readPieces();
        } else if (model == "gpt2") {
            findSplit();
            readTokens();
            readMerges();
        } else {
            fail("tokenizer.ggml.model '" + model + "' is not supported",
                 "'gpt2' (byte-level BPE) and 'llama' (SentencePiece BPE) are");
        }
        data_.modelVocab = embeddingRows(checkpoint_);
        data_.bos = id("tokenizer.ggml.bos_token_id");
        // Where the file does not say, llama.cpp's default for this kind of vocabulary.
        const bool leading = data_.sentencePiece || data_.preTokenizer->leadingBos;
        data_.addBos = data_.bos.has_value() && (value("tokenizer.ggml.add_bos_token") == nullptr
                                                     ? leading
                                                     : boolean("tokenizer.ggml.add_bos_token"));
        data_.eos = id("tokenizer.ggml.eos_token_id");
        for (const char* key : {"eot", "eom"})
            if (const auto end = id(std::string("tokenizer.ggml.") + key + "_token_id"))
                data_.endOfText.push_back(*end);
        data_.chatTemplate = string("tokenizer.chat_template");
        return makeTokenizer(std::move(data_));
    }

private:
    [[noreturn]] void fail(const std::string& cause, std::string hint = {}) const {
        throw Error(data_.origin + ": " + cause, std::move(hint));
    }

    const json* value(const std::string& key) const {
        const auto found = checkpoint_.config().find(key);
        return found == checkpoint_.config().end() ? nullptr : &*found;
    }
    std::string string(const std::string& key) const {
        const json* v = value(key);
        return v != nullptr && v->is_string() ? v->get<std::string>() : std::string();
    }
    bool boolean(const std::string& key) const {
        const json* v = value(key);
        return v != nullptr && v->is_boolean() && v->get<bool>();
    }
    std::optional<TokenId> id(const std::string& key) const {
        const json* v = value(key);
        if (v == nullptr || !v->is_number_integer()) return std::nullopt;
        const auto number = v->get<std::int64_t>();
        if (number < 0 || number >= static_cast<std::int64_t>(data_.vocabulary.tokens.size()))
            fail(key + " " + std::to_string(number) + " is outside the vocabulary");
        return static_cast<TokenId>(number);
    }

    void findSplit() {
        const std::string name = string("tokenizer.ggml.pre");
        data_.preTokenizer = findPreTokenizer(name);
        if (data_.preTokenizer == nullptr)
            fail(name.empty() ? "no pre-tokenizer is named (tokenizer.ggml.pre)"
                              : "tokenizer.ggml.pre '" + name + "' is no known pre-tokenizer",
                 "known are " + preTokenizerNames());
        data_.nfc = data_.preTokenizer->nfc;
        data_.vocabulary.ignoreMerges = data_.preTokenizer->ignoreMerges;
    }

    void findTokens() {
        tokens_ = checkpoint_.stringArray("tokenizer.ggml.tokens");
        if (tokens_.empty()) fail("the vocabulary (tokenizer.ggml.tokens) is missing");
    }

    /// Numbers that go with the tokens; empty when the file has none.
    std::vector<double> perToken(const std::string& key) const {
        auto numbers = checkpoint_.numberArray(key);
        if (!numbers.empty() && numbers.size() != tokens_.size())
            fail(key + " has " + std::to_string(numbers.size()) + " entries for " +
                 std::to_string(tokens_.size()) + " tokens");
        return numbers;
    }

    void readPieces() {
        findTokens();
        const auto types = perToken("tokenizer.ggml.token_type");
        const auto scores = perToken("tokenizer.ggml.scores");
        if (types.empty() || scores.empty())
            fail("a SentencePiece vocabulary needs tokenizer.ggml.token_type and .scores");
        SentencePieceRules rules;
        // llama.cpp's default for this kind of vocabulary, and what Llama 2 files rely on.
        if (value("tokenizer.ggml.add_space_prefix") == nullptr ||
            boolean("tokenizer.ggml.add_space_prefix"))
            rules.prefix = SpacePrefix::Always;
        VocabularyBuilder builder(data_.vocabulary, data_.origin, tokens_.size());
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            if (!std::isfinite(scores[i]))
                fail("the score of token " + std::to_string(i) + " is not a finite number");
            rules.scores.push_back(static_cast<float>(scores[i]));
            const auto number = static_cast<std::int64_t>(i);
            const auto byte = byteOfPiece(tokens_[i]);
            if (types[i] == kByte && !byte)
                fail("byte token " + std::to_string(i) + " is not of the form <0x0A>");
            if (types[i] == kUnknown) rules.unknown = static_cast<TokenId>(i);
            if (types[i] == kNormal)
                builder.put(number, spacesFromBlocks(tokens_[i]), TokenKind::Normal);
            else if (types[i] == kByte)
                builder.put(number, std::string(1, static_cast<char>(*byte)), TokenKind::Byte);
            else
                builder.put(number, std::string(tokens_[i]),
                            types[i] == kUserDefined                       ? TokenKind::Added
                            : types[i] == kControl || types[i] == kUnknown ? TokenKind::Control
                                                                           : TokenKind::Unused);
        }
        if (!rules.unknown) rules.unknown = id("tokenizer.ggml.unknown_token_id");
        data_.sentencePiece = std::move(rules);
    }

    void readTokens() {
        findTokens();
        const auto types = perToken("tokenizer.ggml.token_type");
        VocabularyBuilder builder(data_.vocabulary, data_.origin, tokens_.size());
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            const auto number = static_cast<std::int64_t>(i);
            const double type = types.empty() ? kNormal : types[i];
            if (type == kNormal) {
                builder.putLetters(number, tokens_[i]);
                byLetters_.emplace(std::string(tokens_[i]), static_cast<TokenId>(i));
            } else {
                const bool special = type == kControl || type == kUnknown;
                builder.put(number, std::string(tokens_[i]),
                            special                ? TokenKind::Control
                            : type == kUserDefined ? TokenKind::Added
                                                   : TokenKind::Unused);
            }
        }
    }

    void readMerges() {
        constexpr const char* kKey = "tokenizer.ggml.merges";
        const auto merges = checkpoint_.stringArray(kKey);
        // There may be none: a vocabulary of bytes alone.
        if (merges.empty() && !checkpoint_.config().contains(kKey))
            fail("the merges (tokenizer.ggml.merges) are missing");
        const auto find = [&](const std::string& letters) -> std::optional<TokenId> {
            const auto found = byLetters_.find(letters);
            if (found == byLetters_.end()) return std::nullopt;
            return found->second;
        };
        data_.vocabulary.merges.reserve(merges.size());
        for (std::size_t i = 0; i < merges.size(); ++i) {
            const auto [left, right] = splitMerge(merges[i], i, data_.origin);
            data_.vocabulary.merges.push_back(resolveMerge(left, right, i, data_.origin, find));
        }
    }

    const Checkpoint& checkpoint_;
    TokenizerData data_;
    std::vector<std::string_view> tokens_;
    std::unordered_map<std::string, TokenId> byLetters_;
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizerFromCheckpoint(const Checkpoint& checkpoint) {
    if (checkpoint.layout() == CheckpointLayout::Gguf) return GgufReader(checkpoint).read();
    const auto& path = checkpoint.path();
    const auto folder = std::filesystem::is_directory(path) ? path : path.parent_path();
    const auto file = folder / "tokenizer.json";
    if (!std::filesystem::exists(file)) return nullptr;
    return tokenizerFromJson(file, embeddingRows(checkpoint));
}

}  // namespace moescope
