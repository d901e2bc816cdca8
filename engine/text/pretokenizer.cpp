// SPDX-License-Identifier: Apache-2.0
// The pattern scanners. Each function below is one alternative of the regular expressions quoted at
// the end of the file and returns the end of its match at `pos`, or `pos` when it does not match.
#include "engine/text/pretokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/text/unicode.h"

namespace moescope::text {
namespace {

using namespace unicode;

struct Char {
    char32_t codePoint;
    std::uint8_t cls;  ///< CharClass bits
    std::size_t end;   ///< offset after the character
};

Char charAt(std::string_view text, std::size_t pos) noexcept {
    const Decoded d = decodeUtf8(text, pos);
    return {d.codePoint, charClass(d.codePoint), pos + d.length};
}

/// End of the run of characters at `pos` that have a bit of `mask`, or none of it when `inverted`.
template <bool inverted = false>
std::size_t runEnd(std::string_view text, std::size_t pos, std::uint8_t mask) noexcept {
    while (pos < text.size()) {
        const Char c = charAt(text, pos);
        if (((c.cls & mask) != 0) == inverted) break;
        pos = c.end;
    }
    return pos;
}

/// 's 't 're 've 'm 'll 'd
std::size_t contraction(std::string_view text, std::size_t pos, bool ignoreCase) noexcept {
    if (pos >= text.size() || text[pos] != '\'') return pos;
    const auto letter = [&](std::size_t at) -> char {
        if (at >= text.size()) return 0;
        const char c = text[at];
        return ignoreCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    };
    const char first = letter(pos + 1);
    const char second = letter(pos + 2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return pos + 2;
    if ((first == 'r' || first == 'v') && second == 'e') return pos + 3;
    if (first == 'l' && second == 'l') return pos + 3;
    // Unicode case folding maps U+017F, the long s, to s.
    if (ignoreCase && text.substr(pos + 1, 2) == "\xC5\xBF") return pos + 3;
    return pos;
}

/// " ?" then a run of `mask` (or, `inverted`, of anything else).
template <bool inverted = false>
std::size_t spacedRun(std::string_view text, std::size_t pos, std::uint8_t mask) noexcept {
    const std::size_t start = text[pos] == ' ' ? pos + 1 : pos;
    const std::size_t end = runEnd<inverted>(text, start, mask);
    return end > start ? end : pos;
}

constexpr std::uint8_t kWordLike = kLetter | kNumber | kSpace;

/// " ?[^\s\p{L}\p{N}]+[\r\n...]*", the tail being any of `tail`.
template <std::uint8_t letters = kLetter>
std::size_t punctuation(std::string_view text, std::size_t pos, std::string_view tail) noexcept {
    std::size_t end = spacedRun<true>(text, pos, letters | kNumber | kSpace);
    if (end == pos) return pos;
    while (end < text.size() && tail.find(text[end]) != std::string_view::npos) ++end;
    return end;
}

/// "\s+(?!\S)|\s+": a run of white space, less its last character when a word follows (so that the
/// space goes with the word), unless it is the only one.
std::size_t whitespace(std::string_view text, std::size_t pos) noexcept {
    std::size_t end = pos;
    std::size_t last = pos;
    while (end < text.size()) {
        const Char c = charAt(text, end);
        if ((c.cls & kSpace) == 0) break;
        last = end;
        end = c.end;
    }
    return end < text.size() && last > pos ? last : end;
}

/// "\s*[\r\n]+|\s+(?!\S)|\s+": up to the last line end of the run if it has one.
std::size_t whitespaceByLines(std::string_view text, std::size_t pos) noexcept {
    const std::size_t end = runEnd(text, pos, kSpace);
    for (std::size_t i = end; i > pos; --i)
        if (text[i - 1] == '\n' || text[i - 1] == '\r') return i;
    return whitespace(text, pos);
}

/// Bytes that belong to no alternative cannot occur (each pattern's classes cover everything), but
/// progress must not rest on that.
std::size_t oneCharacter(std::string_view text, std::size_t pos) noexcept {
    return charAt(text, pos).end;
}

std::size_t gpt2Piece(std::string_view text, std::size_t pos) noexcept {
    if (const auto end = contraction(text, pos, false); end > pos) return end;
    if (const auto end = spacedRun(text, pos, kLetter); end > pos) return end;
    if (const auto end = spacedRun(text, pos, kNumber); end > pos) return end;
    if (const auto end = spacedRun<true>(text, pos, kWordLike); end > pos) return end;
    if (const auto end = whitespace(text, pos); end > pos) return end;
    return oneCharacter(text, pos);
}

/// "[^\r\n\p{L}\p{N}]?": offset after the optional character before a word, or `pos`.
std::size_t wordPrefix(std::string_view text, std::size_t pos) noexcept {
    const Char c = charAt(text, pos);
    return (c.cls & (kNewline | kLetter | kNumber)) == 0 ? c.end : pos;
}

/// "\p{N}{1,limit}"
std::size_t number(std::string_view text, std::size_t pos, int limit) noexcept {
    for (; limit > 0 && pos < text.size(); --limit) {
        const Char c = charAt(text, pos);
        if ((c.cls & kNumber) == 0) break;
        pos = c.end;
    }
    return pos;
}

/// "[^\r\n\p{L}\p{N}]?" then `word`: first with the optional character, then without.
template <typename Word>
std::size_t prefixed(std::string_view text, std::size_t pos, Word word) noexcept {
    const std::size_t start = wordPrefix(text, pos);
    if (const auto end = word(text, start); end > start) return end;
    return start > pos ? word(text, pos) : pos;
}

/// The family of cl100k: numbers of up to `digits` characters; `letters` are the word characters
/// (Qwen 3.5 counts marks among them).
template <int digits, std::uint8_t letters = kLetter>
std::size_t cl100kPiece(std::string_view text, std::size_t pos) noexcept {
    if (const auto end = contraction(text, pos, true); end > pos) return end;
    const auto word = [](std::string_view t, std::size_t p) { return runEnd(t, p, letters); };
    if (const auto end = prefixed(text, pos, word); end > pos) return end;
    if (const auto end = number(text, pos, digits); end > pos) return end;
    if (const auto end = punctuation<letters>(text, pos, "\r\n"); end > pos) return end;
    if (const auto end = whitespaceByLines(text, pos); end > pos) return end;
    return oneCharacter(text, pos);
}

constexpr std::uint8_t kUpperGroup = kUpper | kOtherLetter | kMark;
constexpr std::uint8_t kLowerGroup = kLower | kOtherLetter | kMark;

/// "[upper]*[lower]+" at `pos`. A greedy engine takes the whole upper run first; when no lower
/// character follows it gives characters back until one of them is in both groups.
std::size_t capitalisedWord(std::string_view text, std::size_t pos) noexcept {
    std::size_t upperEnd = pos;
    std::size_t lastShared = pos;  // offset after the last character of the run in both groups
    while (upperEnd < text.size()) {
        const Char c = charAt(text, upperEnd);
        if ((c.cls & kUpperGroup) == 0) break;
        upperEnd = c.end;
        if ((c.cls & kLowerGroup) != 0) lastShared = upperEnd;
    }
    const std::size_t lowerEnd = runEnd(text, upperEnd, kLowerGroup);
    return lowerEnd > upperEnd ? lowerEnd : lastShared;
}

/// "[upper]+[lower]*" at `pos`.
std::size_t upperWord(std::string_view text, std::size_t pos) noexcept {
    const std::size_t upperEnd = runEnd(text, pos, kUpperGroup);
    return upperEnd > pos ? runEnd(text, upperEnd, kLowerGroup) : pos;
}

/// The family of o200k: words end where a capital follows a small letter.
template <int digits, bool contractions>
std::size_t o200kPiece(std::string_view text, std::size_t pos) noexcept {
    const auto tail = [&](std::size_t end) {
        return contractions ? contraction(text, end, true) : end;
    };
    if (const auto end = prefixed(text, pos, capitalisedWord); end > pos) return tail(end);
    if (const auto end = prefixed(text, pos, upperWord); end > pos) return tail(end);
    if (const auto end = number(text, pos, digits); end > pos) return end;
    if (const auto end = punctuation(text, pos, "\r\n/"); end > pos) return end;
    if (const auto end = whitespaceByLines(text, pos); end > pos) return end;
    return oneCharacter(text, pos);
}

using Piece = std::size_t (*)(std::string_view text, std::size_t pos) noexcept;

template <Piece piece>
void splitRange(std::string_view text, std::size_t base, std::vector<std::size_t>& ends) {
    for (std::size_t pos = 0; pos < text.size();) {
        pos = piece(text, pos);
        ends.push_back(base + pos);
    }
}

template <Piece piece>
void splitAll(std::string_view text, std::vector<std::size_t>& ends) {
    splitRange<piece>(text, 0, ends);
}

/// Every number character is a piece; GPT-2's pattern sees only what lies between, so that a look-
/// ahead at a digit finds the end of the text.
void splitSmollm(std::string_view text, std::vector<std::size_t>& ends) {
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t wordsEnd = runEnd<true>(text, pos, kNumber);
        splitRange<gpt2Piece>(text.substr(pos, wordsEnd - pos), pos, ends);
        pos = wordsEnd;
        if (pos == text.size()) break;
        pos = oneCharacter(text, pos);
        ends.push_back(pos);
    }
}

// clang-format off
constexpr std::string_view kGpt2 =
    R"re('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kCl100k =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kQwen2 =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kQwen35 =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kO200k =
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)re"
    R"re(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)re"
    R"re(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kTekken =
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)re"
    R"re(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)re"
    R"re(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

// Sources of each row: docs/tokenizers.md.    nfc, ignoreMerges, leadingBos
constexpr PreTokenizer kPreTokenizers[] = {
    {"gpt2", kGpt2, splitAll<gpt2Piece>,                   false, false, false},
    {"olmo", kGpt2, splitAll<gpt2Piece>,                   true,  false, false},  // OLMo 1, OLMoE
    {"llama-bpe", kCl100k, splitAll<cl100kPiece<3>>,       false, true,  true},   // Llama 3
    {"dbrx", kCl100k, splitAll<cl100kPiece<3>>,            false, false, false},  // OLMo 2, OLMo 3
    {"glm4", kCl100k, splitAll<cl100kPiece<3>>,            false, true,  false},
    {"qwen2", kQwen2, splitAll<cl100kPiece<1>>,            true,  false, false},  // Qwen 2 to 3
    {"qwen35", kQwen35, splitAll<cl100kPiece<1, kLetter | kMark>>, true, false, false},
    {"gpt-4o", kO200k, splitAll<o200kPiece<3, true>>,      false, true,  false},  // gpt-oss
    {"tekken", kTekken, splitAll<o200kPiece<1, false>>,    false, true,  true},   // Mistral
    {"smollm", "", splitSmollm, false, false, false},  // tokenizer.json: Digits, then ByteLevel's own pattern
};

/// Other values of tokenizer.ggml.pre that mean the same in all respects.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"gpt-2", "gpt2"},         {"phi-2", "gpt2"},      {"mpt", "gpt2"},
    {"llama3", "llama-bpe"},   {"llama-v3", "llama-bpe"},
    {"smaug-bpe", "dbrx"},     {"chatglm-bpe", "dbrx"},
    {"deepseek-r1-qwen", "qwen2"},
    {"llama4", "gpt-4o"},
    {"starcoder", "smollm"},   {"refact", "smollm"},
};
// clang-format on

}  // namespace

const PreTokenizer* findPreTokenizer(std::string_view name) noexcept {
    for (const auto& [alias, meant] : kAliases)
        if (name == alias) name = meant;
    for (const PreTokenizer& p : kPreTokenizers)
        if (p.name == name) return &p;
    return nullptr;
}

const PreTokenizer* findPreTokenizerByPattern(std::string_view pattern, bool nfc,
                                              bool ignoreMerges) noexcept {
    const PreTokenizer* best = nullptr;
    int bestAgreement = -1;
    for (const PreTokenizer& p : kPreTokenizers) {
        const int agreement = int{p.nfc == nfc} + int{p.ignoreMerges == ignoreMerges};
        if (pattern.empty() || p.pattern != pattern || agreement <= bestAgreement) continue;
        best = &p;
        bestAgreement = agreement;
    }
    return best;
}

std::string preTokenizerNames() {
    std::vector<std::string_view> names;
    for (const PreTokenizer& p : kPreTokenizers) names.push_back(p.name);
    for (const auto& [alias, meant] : kAliases) names.push_back(alias);
    std::sort(names.begin(), names.end());
    std::string list;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0) list += i + 1 < names.size() ? ", " : " and ";
        list += names[i];
    }
    return list;
}

}  // namespace moescope::text
