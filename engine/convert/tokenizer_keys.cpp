// SPDX-License-Identifier: Apache-2.0
// tokenizer.json as GGUF's tokenizer keys, in the letters in which both write bytes.
#include "engine/convert/plan.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/tokenizer.h"

namespace moescope {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxFile = 512ULL << 20;
// llama.h, enum llama_token_type.
constexpr std::int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;

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

void write(GgufWriter& writer, const std::filesystem::path& file, const Tokenizer& tokenizer,
           const ModelSpec& spec) {
    const std::string origin = file.string();
    const json document = parseJson(readFile(file, kMaxFile), origin);
    const json& model = document.at("model");
    Tokens tokens(static_cast<std::size_t>(spec.vocab));
    for (const auto& [letters, id] : model.at("vocab").items())
        tokens.put(id.get<std::int64_t>(), letters, kNormal, origin);
    for (const json& added : document.value("added_tokens", json::array())) {
        tokens.put(added.at("id").get<std::int64_t>(), added.at("content").get<std::string>(),
                   added.value("special", false) ? kControl : kUserDefined, origin);
    }
    std::vector<std::string> merges;
    for (const json& merge : model.at("merges")) merges.push_back(mergeText(merge));
    writer.add("tokenizer.ggml.model", "gpt2");
    const std::string_view pre = tokenizer.preTokenizer();
    writer.add("tokenizer.ggml.pre", pre == "gpt2" ? "gpt-2" : pre);
    writer.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens.texts));
    writer.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(tokens.types));
    writer.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
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
