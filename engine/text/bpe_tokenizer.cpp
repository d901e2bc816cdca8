// SPDX-License-Identifier: Apache-2.0
// Splits text at special tokens, then normalises, pre-tokenises and merges what lies
// between.
#include "engine/text/bpe_tokenizer.h"

#include <algorithm>
#include <array>

#include "engine/core/error.h"
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
        collectLiterals();
        for (const std::string_view name : kEndNames)
            if (const auto id = controlNamed(name)) data_.endOfText.push_back(*id);
        if (data_.eos) data_.endOfText.push_back(*data_.eos);
        checkIds();
        if (!data_.eos && !data_.endOfText.empty()) data_.eos = data_.endOfText.front();
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
        return encodeWhole(text, specials == SpecialTokens::Parse, true);
    }
    std::vector<TokenId> encodeAfterSpecial(std::string_view text) const override {
        return encodeWhole(text, false, false);
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
        if (token < 0 || token >= idEnd())
            throw Error(data_.origin + ": token " + std::to_string(token) +
                        " is outside the vocabulary of " + std::to_string(idEnd()));
        if (token >= vocabSize()) return {};
        return data_.vocabulary.tokens[static_cast<std::size_t>(token)];
    }
    bool isSpecial(TokenId token) const noexcept override {
        if (token < 0 || token >= idEnd()) return false;
        if (token >= vocabSize()) return true;
        const TokenKind kind = data_.vocabulary.kinds[static_cast<std::size_t>(token)];
        return kind == TokenKind::Control || kind == TokenKind::Unused;
    }
    std::optional<TokenId> find(std::string_view specialToken) const override {
        return names_.find(specialToken);
    }

    std::optional<TokenId> bos() const noexcept override { return data_.bos; }
    bool addBos() const noexcept override { return data_.addBos; }
    const std::vector<TokenId>& endOfText() const noexcept override { return data_.endOfText; }
    std::optional<TokenId> eos() const noexcept override { return data_.eos; }
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

    struct Run {
        bool specials;
        std::vector<TokenId> out;
        std::vector<std::size_t> ends;  // of pieces; kept to save allocations
    };

    void collectLiterals() {
        const auto add = [&](const std::string& text, TokenId id, bool special) {
            const auto found = data_.literalRules.find(id);
            LiteralRules rules = found == data_.literalRules.end() ? LiteralRules{} : found->second;
            rules.special = special;
            names_.add(text, id);
            if (rules.normalized)
                normalised_.add(normalised(text), id, rules);
            else
                raw_.add(text, id, rules);
        };
        const auto& vocabulary = data_.vocabulary;
        for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
            const TokenKind kind = vocabulary.kinds[i];
            if (kind == TokenKind::Control || kind == TokenKind::Added)
                add(vocabulary.tokens[i], static_cast<TokenId>(i), kind == TokenKind::Control);
        }
        for (const auto& [name, id] : data_.aliases) add(name, id, true);
    }

    std::optional<TokenId> controlNamed(std::string_view name) const {
        const auto id = names_.find(name);
        return id && isSpecial(*id) ? id : std::nullopt;
    }

    std::int64_t idEnd() const noexcept {
        return std::max<std::int64_t>(vocabSize(), data_.modelVocab);
    }

    std::string normalised(std::string_view text) const {
        if (sentencePiece_) return sentencePiece_->normalise(text);
        return data_.nfc ? unicode::toNfc(text) : std::string(text);
    }

    /// `begins`: nothing comes before the text.
    std::vector<TokenId> encodeWhole(std::string_view text, bool specials, bool begins) const {
        Run run{specials, {}, {}};
        raw_.split(
            text, run.specials,
            [&](std::size_t start, std::string_view plain) {
                encodeSegment(plain, begins && start == 0, run);
            },
            [&](TokenId id) { run.out.push_back(id); });
        return std::move(run.out);
    }

    void encodeSegment(std::string_view text, bool first, Run& run) const {
        std::string changed;
        if (data_.nfc || sentencePiece_) text = changed = normalised(text);
        normalised_.split(
            text, run.specials,
            [&](std::size_t start, std::string_view plain) {
                encodePlain(plain, first && start == 0, run);
            },
            [&](TokenId id) { run.out.push_back(id); });
    }

    void encodePlain(std::string_view text, bool first, Run& run) const {
        if (sentencePiece_) return sentencePiece_->encode(text, first, run.out);
        run.ends.clear();
        data_.preTokenizer->split(text, run.ends);
        std::size_t start = 0;
        for (const std::size_t end : run.ends) {
            bpe_->encode(text.substr(start, end - start), run.out);
            start = end;
        }
    }

    TokenizerData data_;
    std::optional<Bpe> bpe_;  // one of the two
    std::optional<SentencePiece> sentencePiece_;
    LiteralMatcher raw_;         // special and added tokens looked for in the text as it stands
    LiteralMatcher normalised_;  // and those looked for in what is left, normalised
    LiteralMatcher names_;       // all of them as the file writes them
};

}  // namespace

bool endsReplies(std::string_view controlToken) noexcept {
    return std::find(kEndNames.begin(), kEndNames.end(), controlToken) != kEndNames.end();
}

std::unique_ptr<Tokenizer> makeTokenizer(TokenizerData data) {
    return std::make_unique<TextTokenizer>(std::move(data));
}

}  // namespace moescope::text
