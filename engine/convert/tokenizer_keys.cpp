// SPDX-License-Identifier: Apache-2.0
// tokenizer.json as GGUF's tokenizer keys, in the letters in which both write bytes.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "engine/convert/plan.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/bpe_tokenizer.h"
#include "engine/text/sentencepiece.h"
#include "engine/text/tokenizer.h"
#include "engine/text/unicode.h"

namespace moescope {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxFile = 512ULL << 20;
// llama.h, enum llama_token_type.
constexpr std::int32_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5,
                       kByte = 6;

struct Tokens {
    std::vector<std::string> texts;
    std::vector<std::int32_t> types;

    /// Ids nobody uses get a name of their own: llama.cpp wants one for every row of the embedding.
    explicit Tokens(std::size_t size) : types(size, kUnused) {
        for (std::size_t i = 0; i < size; ++i) texts.push_back("[PAD" + std::to_string(i) + "]");
    }
    void put(std::int64_t id, const std::string& text, std::int32_t type,
             const std::string& origin) {
        if (id < 0 || static_cast<std::size_t>(id) >= texts.size())
            throw Error(origin + ": token id " + std::to_string(id) +
                        " has no row in the model's embedding of " + std::to_string(texts.size()));
        texts[static_cast<std::size_t>(id)] = text;
        types[static_cast<std::size_t>(id)] = type;
    }
};

/// "left right" each. Of one listed twice the last, which counts in tokenizer.json; of GGUF's
/// merges the first does.
std::vector<std::string> mergesOf(const json& merges) {
    std::vector<std::string> texts;
    std::unordered_set<std::string> seen;
    for (std::size_t i = merges.size(); i-- > 0;) {
        const json& merge = merges[i];
        std::string text = merge.is_string() ? merge.get<std::string>()
                                             : merge.at(0).get<std::string>() + ' ' +
                                                   merge.at(1).get<std::string>();
        if (seen.insert(text).second) texts.push_back(std::move(text));
    }
    std::reverse(texts.begin(), texts.end());
    return texts;
}

/// Scores that give the order of `merges`: a piece is as good as the first merge that makes it.
/// llama.cpp looks at the text of two neighbours alone, not at where it was split. Where that gives
/// other ids (a token that no merge makes), requireSameModel sees it.
std::vector<float> scoresOf(const json& merges, const Tokens& tokens) {
    std::unordered_map<std::string, float> ranks;
    float rank = 0;
    for (std::string& joined : mergesOf(merges)) {
        joined.erase(joined.find(' '), 1);
        ranks.emplace(std::move(joined), -rank++);
    }
    std::vector<float> scores;
    for (std::size_t i = 0; i < tokens.texts.size(); ++i) {
        const auto found = ranks.find(tokens.texts[i]);
        scores.push_back(found == ranks.end() || tokens.types[i] != kNormal ? -1e9F
                                                                            : found->second);
    }
    return scores;
}

/// Its type would make it a special token, which is looked for in text: only where it is one.
void unknownToken(GgufWriter& writer, std::size_t id, std::int32_t& type) {
    writer.add("tokenizer.ggml.unknown_token_id", static_cast<std::uint32_t>(id));
    if (type == kControl) type = kUnknown;
}

void writePieces(GgufWriter& writer, const json& model, const json& normalizer, Tokens tokens) {
    const std::string unknown = model.value("unk_token", json()).is_string()
                                    ? model.at("unk_token").get<std::string>()
                                    : std::string();
    for (std::size_t i = 0; i < tokens.texts.size(); ++i) {
        if (tokens.types[i] == kNormal && text::byteOfPiece(tokens.texts[i]))
            tokens.types[i] = kByte;
        else if (!unknown.empty() && tokens.texts[i] == unknown)
            unknownToken(writer, i, tokens.types[i]);
        else if (tokens.types[i] == kUserDefined)
            // llama.cpp looks for these in the raw text.
            tokens.texts[i] = text::spacesFromBlocks(tokens.texts[i]);
    }
    const std::vector<float> scores = scoresOf(model.at("merges"), tokens);
    writer.add("tokenizer.ggml.model", "llama");
    writer.add("tokenizer.ggml.pre", "default");
    writer.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens.texts));
    writer.add("tokenizer.ggml.scores", std::span<const float>(scores));
    writer.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(tokens.types));
    writer.add("tokenizer.ggml.add_space_prefix",
               normalizer.dump().find("Prepend") != std::string::npos);
}

void writeLetters(GgufWriter& writer, const json& model, std::string_view pre,
                  const Tokens& tokens) {
    const std::vector<std::string> merges = mergesOf(model.at("merges"));
    writer.add("tokenizer.ggml.model", "gpt2");
    writer.add("tokenizer.ggml.pre", pre == "gpt2" ? "gpt-2" : pre);
    writer.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens.texts));
    writer.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(tokens.types));
    writer.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
}

/// Whether NFC can make `literal` out of other text, or take its first or last character away from
/// it. Of characters beyond ASCII this is taken for granted.
bool changesInNfc(const std::string& literal) {
    const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (!std::all_of(literal.begin(), literal.end(), ascii)) return true;
    constexpr char32_t kEnd = 0x20000;  // no character beyond composes or becomes an ASCII one
    for (char32_t c = 0x80; c < kEnd; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string other;
        unicode::appendUtf8(other, c);
        const std::string alone = unicode::toNfc(other);
        if (literal.find(alone) != std::string::npos ||
            unicode::toNfc(literal.back() + other) != literal.back() + alone)
            return true;
    }
    return false;
}

/// Whether a search of the raw text for all added tokens at once, which is GGUF's, can find others
/// than one for `raw` tokens and then one for `literal` in what is left.
bool overlaps(const std::string& literal, const std::vector<std::string>& raw) {
    for (const std::string& other : raw) {
        if (other == literal) continue;
        if (literal.find(other) != std::string::npos) return true;
        for (std::size_t n = 1; n < std::min(literal.size(), other.size()); ++n)
            if (literal.ends_with(std::string_view(other).substr(0, n))) return true;
    }
    return false;
}

/// GGUF's added tokens are looked for in the text as it stands. Those that are looked for in
/// normalised text are carried where that is the same.
void checkNormalised(const json& document, const std::string& origin) {
    const std::string normaliser = document.value("normalizer", json()).dump();
    const bool prepends = normaliser.find("\"Prepend\"") != std::string::npos;
    const bool blocks = normaliser.find("\"Replace\"") != std::string::npos;
    const bool nfc = normaliser.find("\"NFC\"") != std::string::npos;
    std::vector<std::string> raw, normalised;
    for (const json& added : document.value("added_tokens", json::array())) {
        const bool special = added.value("special", false);
        (added.value("normalized", !special) ? normalised : raw)
            .push_back(added.value("content", ""));
    }
    for (const std::string& literal : normalised) {
        const bool spaced =
            literal.find(' ') != std::string::npos || text::spacesFromBlocks(literal) != literal;
        if (prepends || (blocks && spaced) || (nfc && changesInNfc(literal)) ||
            overlaps(literal, raw))
            throw Error(origin + ": added token '" + literal +
                            "' is looked for in normalised text, which GGUF cannot say",
                        "other ids would come out; use the model as it is");
    }
}

/// Refuses what GGUF has no key for and what would give other ids without a word; requireSameModel
/// compares the rest.
void checkCarried(const json& document, const std::string& origin) {
    checkNormalised(document, origin);
    const json pieces = document.value("pre_tokenizer", json());
    if (pieces.is_object() && pieces.value("type", "") == "Metaspace" &&
        pieces.value("prepend_scheme", "always") != "never")
        throw Error(
            origin + ": Metaspace puts a space only where there is none, which GGUF cannot say",
            "other ids would come out; use the model as it is");
    for (const json& added : document.value("added_tokens", json::array()))
        for (const char* rule : {"lstrip", "rstrip", "single_word"})
            if (added.value(rule, false))
                throw Error(origin + ": added token '" + added.value("content", "") + "' uses " +
                                rule + ", which GGUF cannot say",
                            "other ids would come out; use the model as it is");
}

/// Tokens that end a reply, but for those known by name.
void writeEnds(GgufWriter& writer, const Tokenizer& tokenizer, const std::string& origin) {
    if (!tokenizer.eos()) return;
    constexpr std::array kKeys{"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                               "tokenizer.ggml.eom_token_id"};
    writer.add(kKeys[0], static_cast<std::uint32_t>(*tokenizer.eos()));
    std::size_t used = 1;
    for (const TokenId end : tokenizer.endOfText()) {
        const bool named = tokenizer.isSpecial(end) && text::endsReplies(tokenizer.bytes(end));
        if (end == *tokenizer.eos() || named) continue;
        if (used == kKeys.size())
            throw Error(origin +
                            ": generation_config.json names more tokens that end a reply than "
                            "GGUF has keys for",
                        "use the model as it is");
        writer.add(kKeys[used++], static_cast<std::uint32_t>(end));
    }
}

void write(GgufWriter& writer, const std::filesystem::path& file, const Tokenizer& tokenizer,
           const ModelSpec& spec) {
    const std::string origin = file.string();
    const json document = parseJson(readFile(file, kMaxFile), origin);
    checkCarried(document, origin);
    const json& model = document.at("model");
    Tokens tokens(static_cast<std::size_t>(spec.vocab));
    for (const auto& [letters, id] : model.at("vocab").items())
        tokens.put(id.get<std::int64_t>(), letters, kNormal, origin);
    for (const json& added : document.value("added_tokens", json::array())) {
        tokens.put(added.at("id").get<std::int64_t>(), added.at("content").get<std::string>(),
                   added.value("special", false) ? kControl : kUserDefined, origin);
    }
    if (tokenizer.preTokenizer() == "sentencepiece")
        writePieces(writer, model, document.value("normalizer", json()), std::move(tokens));
    else
        writeLetters(writer, model, tokenizer.preTokenizer(), tokens);
    if (tokenizer.bos())
        writer.add("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(*tokenizer.bos()));
    writeEnds(writer, tokenizer, origin);
    writer.add("tokenizer.ggml.add_bos_token", tokenizer.addBos());
    if (!tokenizer.chatTemplate().empty())
        writer.add("tokenizer.chat_template", tokenizer.chatTemplate());
}

}  // namespace

void addTokenizerKeys(GgufWriter& writer, const Checkpoint& checkpoint, const ModelSpec& spec) {
    const auto tokenizer = tokenizerFromCheckpoint(checkpoint);
    if (tokenizer == nullptr) return;
    const auto& path = checkpoint.path();
    const auto folder = std::filesystem::is_directory(path) ? path : path.parent_path();
    const auto file = folder / "tokenizer.json";
    try {
        write(writer, file, *tokenizer, spec);
    } catch (const json::exception& e) {
        throw Error(file.string() + ": " + toValidUtf8(e.what()));
    }
}

}  // namespace moescope
