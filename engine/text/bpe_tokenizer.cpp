// SPDX-License-Identifier: Apache-2.0
// Splits text at special tokens, then normalises, pre-tokenises and merges what lies
// between.
#include "engine/text/bpe_tokenizer.h"

#include <algorithm>
#include <array>

#include "engine/core/error.h"
#include "engine/text/literal_matcher.h"
#include "engine/text/unicode.h"

namespace moescope::text {
namespace {

// Tokens that end a reply whatever the file's eos entry says; GGUF and tokenizer.json name only
// one.
constexpr std::array<std::string_view, 6> kEndNames = {
    "<|endoftext|>", "<|im_end|>", "<|return|>", "<|call|>", "<|eot_id|>", "<end_of_turn>"};

class TextTokenizer final : public Tokenizer {
public:
    explicit TextTokenizer(TokenizerData data) : data_(std::move(data)) {
        if (data_.sentencePiece)
            sentencePiece_.emplace(data_.vocabulary, *data_.sentencePiece);
        else
            bpe_.emplace(data_.vocabulary);
        const auto& vocabulary = data_.vocabulary;
        for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
            const auto id = static_cast<TokenId>(i);
            if (vocabulary.kinds[i] == TokenKind::Added)
                plainLiterals_.add(vocabulary.tokens[i], id);
            if (vocabulary.kinds[i] == TokenKind::Control) {
                controls_.add(vocabulary.tokens[i], id);
                allLiterals_.add(vocabulary.tokens[i], id);
            } else if (vocabulary.kinds[i] == TokenKind::Added) {
                allLiterals_.add(vocabulary.tokens[i], id);
            }
        }
        for (const auto& [name, id] : data_.aliases) {
            controls_.add(name, id);
            allLiterals_.add(name, id);
        }
        for (const std::string_view name : kEndNames)
            if (const auto id = controls_.find(name)) data_.endOfText.push_back(*id);
        checkIds();
        if (sentencePiece_ && !sentencePiece_->complete())
            throw Error(data_.origin +
                        ": the vocabulary has neither a token for every byte nor an unknown token");
    }

    std::int32_t vocabSize() const noexcept override {
        return static_cast<std::int32_t>(data_.vocabulary.tokens.size());
    }
    std::string_view preTokenizer() const noexcept override {
        return sentencePiece_ ? "sentencepiece" : data_.preTokenizer->name;
    }

    std::vector<TokenId> encode(std::string_view text, SpecialTokens specials) const override {
        const LiteralMatcher& literals =
            specials == SpecialTokens::Parse ? allLiterals_ : plainLiterals_;
        std::vector<TokenId> out;
        std::vector<std::size_t> ends;
        std::size_t plainStart = 0;
        for (std::size_t pos = 0; !literals.empty() && pos < text.size();) {
            const auto [id, length] = literals.at(text, pos);
            if (length == 0) {
                ++pos;
                continue;
            }
            encodePlain(text.substr(plainStart, pos - plainStart), ends, out);
            out.push_back(id);
            pos += length;
            plainStart = pos;
        }
        encodePlain(text.substr(plainStart), ends, out);
        return out;
    }

    std::string decode(std::span<const TokenId> tokens, bool withSpecials) const override {
        std::string out;
        for (const TokenId token : tokens) {
            const std::string_view piece = bytes(token);
            if (withSpecials || !isSpecial(token)) out.append(piece);
        }
        return out;
    }

    std::string_view bytes(TokenId token) const override {
        if (token < 0 || token >= vocabSize())
            throw Error(data_.origin + ": token " + std::to_string(token) +
                        " is outside the vocabulary of " + std::to_string(vocabSize()));
        return data_.vocabulary.tokens[static_cast<std::size_t>(token)];
    }
    bool isSpecial(TokenId token) const noexcept override {
        return token >= 0 && token < vocabSize() &&
               data_.vocabulary.kinds[static_cast<std::size_t>(token)] == TokenKind::Control;
    }
    std::optional<TokenId> find(std::string_view specialToken) const override {
        return allLiterals_.find(specialToken);
    }

    std::optional<TokenId> bos() const noexcept override { return data_.bos; }
    bool addBos() const noexcept override { return data_.addBos; }
    const std::vector<TokenId>& endOfText() const noexcept override { return data_.endOfText; }
    const std::string& chatTemplate() const noexcept override { return data_.chatTemplate; }

private:
    void checkIds() {
        const auto check = [&](TokenId id) { static_cast<void>(bytes(id)); };
        auto& ends = data_.endOfText;
        std::sort(ends.begin(), ends.end());
        ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
        std::for_each(ends.begin(), ends.end(), check);
        if (data_.bos) check(*data_.bos);
        for (const auto& alias : data_.aliases) check(alias.second);
    }

    void encodePlain(std::string_view text, std::vector<std::size_t>& ends,
                     std::vector<TokenId>& out) const {
        if (text.empty()) return;
        if (sentencePiece_) return sentencePiece_->encode(text, out);
        std::string normalised;
        if (data_.nfc) {
            normalised = unicode::toNfc(text);
            text = normalised;
        }
        ends.clear();
        data_.preTokenizer->split(text, ends);
        std::size_t start = 0;
        for (const std::size_t end : ends) {
            bpe_->encode(text.substr(start, end - start), out);
            start = end;
        }
    }

    TokenizerData data_;
    std::optional<Bpe> bpe_;  // one of the two
    std::optional<SentencePiece> sentencePiece_;
    LiteralMatcher controls_;       // special tokens only
    LiteralMatcher plainLiterals_;  // what text may contain: added tokens that are not special
    LiteralMatcher allLiterals_;    // both
};

}  // namespace

std::unique_ptr<Tokenizer> makeTokenizer(TokenizerData data) {
    return std::make_unique<TextTokenizer>(std::move(data));
}

}  // namespace moescope::text
