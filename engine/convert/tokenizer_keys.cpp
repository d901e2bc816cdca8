// SPDX-License-Identifier: Apache-2.0
// tokenizer.json as GGUF's tokenizer keys, in the letters in which both write bytes.
#include <unordered_map>

#include "engine/convert/plan.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/sentencepiece.h"
#include "engine/text/tokenizer.h"

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

std::string mergeText(const json& merge) {
    if (merge.is_string()) return merge.get<std::string>();
    return merge.at(0).get<std::string>() + ' ' + merge.at(1).get<std::string>();
}

/// Scores that give the order of `merges`: a piece is as good as the first merge that makes it.
/// llama.cpp looks at the text of two neighbours alone, not at where it was split.
std::vector<float> scoresOf(const json& merges, const Tokens& tokens) {
    std::unordered_map<std::string, float> ranks;
    float rank = 0;
    for (const json& merge : merges) {
        std::string joined = mergeText(merge);
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

void writePieces(GgufWriter& writer, const json& model, const json& normalizer, Tokens tokens) {
    const std::string unknown = model.value("unk_token", json()).is_string()
                                    ? model.at("unk_token").get<std::string>()
                                    : std::string();
    for (std::size_t i = 0; i < tokens.texts.size(); ++i) {
        if (tokens.types[i] == kNormal && text::byteOfPiece(tokens.texts[i]))
            tokens.types[i] = kByte;
        else if (!unknown.empty() && tokens.texts[i] == unknown)
            tokens.types[i] = kUnknown;
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
    std::vector<std::string> merges;
    for (const json& merge : model.at("merges")) merges.push_back(mergeText(merge));
    writer.add("tokenizer.ggml.model", "gpt2");
    writer.add("tokenizer.ggml.pre", pre == "gpt2" ? "gpt-2" : pre);
    writer.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens.texts));
    writer.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(tokens.types));
    writer.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
}

/// Refuses what GGUF has no key for and what would give other ids without a word.
void checkCarried(const json& document, const std::string& origin) {
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
    const auto id = [&](const char* key, TokenId token) {
        writer.add(key, static_cast<std::uint32_t>(token));
    };
    if (tokenizer.bos()) id("tokenizer.ggml.bos_token_id", *tokenizer.bos());
    if (!tokenizer.endOfText().empty())
        id("tokenizer.ggml.eos_token_id", tokenizer.endOfText().front());
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
