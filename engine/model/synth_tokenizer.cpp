// SPDX-License-Identifier: Apache-2.0
#include "engine/model/synth_tokenizer.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/model/synth_words.h"
#include "engine/text/byte_alphabet.h"

namespace moescope {
namespace {

constexpr std::int32_t kNormal = 1;
constexpr std::int32_t kControl = 3;
constexpr std::int32_t kUnused = 5;
constexpr std::int32_t kOtherSpecials = 64;  // of a vocabulary of no known size

struct Special {
    std::int32_t offset;  // from the first special id
    std::string_view text;
};
// Offsets as in o200k_harmony (openai/harmony, registry): 199998 + offset.
constexpr std::array<Special, 10> kHarmony{{{0, "<|startoftext|>"},
                                            {1, "<|endoftext|>"},
                                            {4, "<|return|>"},
                                            {5, "<|constrain|>"},
                                            {7, "<|channel|>"},
                                            {8, "<|start|>"},
                                            {9, "<|end|>"},
                                            {10, "<|message|>"},
                                            {14, "<|call|>"},
                                            {20, "<|endofprompt|>"}}};
constexpr std::array<Special, 3> kQwen{
    {{0, "<|endoftext|>"}, {1, "<|im_start|>"}, {2, "<|im_end|>"}}};

// Renders plain conversations; names the tokens by which programs recognise harmony.
constexpr std::string_view kHarmonyTemplate =
    "{%- for message in messages -%}<|start|>{{ message.role }}"
    "{%- if message.role == 'assistant' -%}<|channel|>final{%- endif -%}"
    "<|message|>{{ message.content }}<|end|>{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}";

/// Raw bytes in the printable alphabet.
std::string letters(std::string_view bytes) {
    static constexpr auto kAlphabet = text::byteAlphabet();
    std::string out;
    for (const char c : bytes) {
        unicode::appendUtf8(out, kAlphabet[static_cast<unsigned char>(c)]);
    }
    return out;
}

using Ranks = std::unordered_map<std::string, std::int32_t>;

/// Byte-pair encoding of `word` with the merges of rank below `limit`, as raw byte strings.
std::vector<std::string> encode(const Ranks& ranks, std::string_view word, std::int32_t limit) {
    std::vector<std::string> parts;
    for (const char c : word) parts.emplace_back(1, c);
    while (parts.size() > 1) {
        std::size_t best = parts.size();
        std::int32_t bestRank = limit;
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            const auto found = ranks.find(parts[i] + parts[i + 1]);
            if (found == ranks.end() || found->second >= bestRank) continue;
            bestRank = found->second;
            best = i;
        }
        if (best == parts.size()) break;
        parts[best] += parts[best + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    return parts;
}

/// Grows the vocabulary; keeps ranks, tokens and merges in step.
class VocabularyBuilder {
public:
    VocabularyBuilder(SynthVocabulary& out, std::int32_t capacity)
        : out_(out), capacity_(capacity) {}

    bool full() const { return static_cast<std::int32_t>(out_.tokens.size()) >= capacity_; }

    void addToken(const std::string& bytes) {
        ranks_.emplace(bytes, static_cast<std::int32_t>(out_.tokens.size()));
        out_.tokens.push_back(letters(bytes));
        out_.types.push_back(kNormal);
    }

    void addBytes() {
        for (int b = 0; b < 256; ++b) addToken(std::string(1, static_cast<char>(b)));
    }

    /// Adds merges from the left until `word` is one token.
    void addWord(std::string_view word) {
        auto parts = encode(ranks_, word, std::numeric_limits<std::int32_t>::max());
        std::string left = parts.front();
        for (std::size_t i = 1; i < parts.size() && !full(); ++i) {
            addMerge(left, parts[i]);
            left += parts[i];
            if (!ranks_.contains(left)) addToken(left);
        }
    }

    /// A token of a ranked vocabulary: its merge is how lower ranks encode it.
    void addRanked(const std::string& bytes, const std::string& origin) {
        const auto rank = static_cast<std::int32_t>(out_.tokens.size());
        if (bytes.empty() || ranks_.contains(bytes)) {
            throw Error(origin + ": rank " + std::to_string(rank) + " is empty or repeated");
        }
        // Ranks that no pair of lower ranks forms exist only as whole pieces and have no merge.
        const auto parts = encode(ranks_, bytes, rank);
        if (parts.size() == 2) addMerge(parts[0], parts[1]);
        addToken(bytes);
    }

private:
    void addMerge(const std::string& left, const std::string& right) {
        out_.merges.push_back(letters(left) + " " + letters(right));
    }

    SynthVocabulary& out_;
    std::int32_t capacity_;
    Ranks ranks_;
};

std::optional<std::string> decodeBase64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    while (!text.empty() && text.back() == '=') text.remove_suffix(1);
    std::string out;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        constexpr std::string_view kDigits =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const std::size_t digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = bits << 6U | static_cast<std::uint32_t>(digit);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out.push_back(static_cast<char>(bits >> held & 0xFFU));
    }
    return out;
}

void addRankFile(VocabularyBuilder& builder, const std::filesystem::path& path) {
    const std::string content = readFile(path, 64U << 20);
    const std::string origin = path.string();
    std::string_view rest = content;
    for (std::int64_t line = 0; !rest.empty(); ++line) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view text = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        const std::size_t space = text.find(' ');
        const auto bytes = decodeBase64(text.substr(0, space));
        std::int64_t rank = -1;
        if (space != std::string_view::npos) {
            std::from_chars(text.data() + space + 1, text.data() + text.size(), rank);
        }
        if (!bytes || rank != line) {
            throw Error(origin + ": line " + std::to_string(line + 1) +
                        " is not a base64 token and its rank in order");
        }
        if (builder.full()) throw Error(origin + ": more tokens than the model's vocabulary holds");
        builder.addRanked(*bytes, origin);
    }
}

void addWords(VocabularyBuilder& builder) {
    std::string_view rest = kSynthWords;
    std::string spaced;
    while (!rest.empty() && !builder.full()) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        builder.addWord(spaced.assign(1, ' ').append(word));  // as it stands inside a sentence
        if (!builder.full()) builder.addWord(word);
        rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
}

std::int32_t firstSpecial(const SynthConfig& config) {
    if (config.vocab == 201088) return 199998;
    if (config.vocab == 151936) return 151643;
    return config.vocab - kOtherSpecials;
}

}  // namespace

SynthVocabulary synthVocabulary(const SynthConfig& config,
                                const std::filesystem::path& tiktokenRanks) {
    SynthVocabulary out;
    const bool harmony = config.architecture == "gpt-oss";
    out.preTokenizer = harmony ? "gpt-4o" : "qwen2";
    out.chatTemplate = harmony ? kHarmonyTemplate : "";
    const std::int32_t specials = firstSpecial(config);
    out.bos = specials;
    out.eos = specials + (harmony ? 4 : 2);
    out.pad = specials + (harmony ? 1 : 0);

    VocabularyBuilder builder(out, specials);
    if (tiktokenRanks.empty()) {
        builder.addBytes();
        addWords(builder);
    } else {
        addRankFile(builder, tiktokenRanks);
    }
    for (auto id = static_cast<std::int32_t>(out.tokens.size()); id < config.vocab; ++id) {
        const bool special = id >= specials;
        out.tokens.push_back((special ? "<|reserved_" : "<|unused_") + std::to_string(id) + "|>");
        out.types.push_back(special ? kControl : kUnused);
    }
    const auto name = [&](const Special& s) {
        out.tokens[static_cast<std::size_t>(specials + s.offset)] = s.text;
    };
    if (harmony) {
        for (const Special& s : kHarmony) name(s);
    } else {
        for (const Special& s : kQwen) name(s);
    }
    return out;
}

}  // namespace moescope
