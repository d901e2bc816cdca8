// SPDX-License-Identifier: Apache-2.0
// Hugging Face's tokenizer.json, with the files beside it that name bos, eos and the chat template.
#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/bpe_tokenizer.h"
#include "engine/text/tokenizer.h"
#include "engine/text/vocabulary_builder.h"

namespace moescope {
namespace {

using nlohmann::json;
using namespace text;

constexpr std::uint64_t kMaxFile = 512ULL << 20;

/// Member `key`, or null when absent.
const json& member(const json& object, const char* key) {
    static const json null;
    if (!object.is_object()) return null;
    const auto found = object.find(key);
    return found == object.end() ? null : *found;
}

bool flag(const json& object, const char* key, bool otherwise) {
    const json& value = member(object, key);
    return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::string textOf(const json& object, const char* key) {
    const json& value = member(object, key);
    return value.is_string() ? value.get<std::string>() : std::string();
}

std::int64_t integerOf(const json& value, const std::string& what) {
    if (!value.is_number_integer()) throw Error(what + " is not an integer");
    return value.get<std::int64_t>();
}

/// Members of a Sequence (nested ones too), or the single component itself.
void flatten(const json& component, const char* listKey, std::vector<const json*>& out) {
    if (component.is_null()) return;
    if (textOf(component, "type") != "Sequence") {
        out.push_back(&component);
        return;
    }
    for (const json& part : member(component, listKey)) flatten(part, listKey, out);
}

class JsonReader {
public:
    JsonReader(const json& document, const std::string& origin, TokenizerData& data)
        : document_(document), origin_(origin), data_(data) {}

    void read() {
        checkModel();
        readVocabulary();
        readMerges();
        readAddedTokens();
        readNormalizer();
        if (data_.sentencePiece)
            checkPieces();
        else
            data_.preTokenizer = findSplit();
        readPostProcessor();
    }

private:
    [[noreturn]] void fail(const std::string& cause, std::string hint = {}) const {
        throw Error(origin_ + ": " + cause, std::move(hint));
    }

    void checkModel() {
        const json& model = member(document_, "model");
        if (!model.is_object()) fail("not a tokenizer.json (no model)");
        const std::string type = textOf(model, "type");
        if (!type.empty() && type != "BPE")
            fail("tokenizer model '" + type + "' is not supported",
                 "BPE is, of bytes or with byte fallback");
        // How Hugging Face writes SentencePiece BPE: characters merge, byte-level BPE never falls
        // back.
        if (flag(model, "byte_fallback", false)) data_.sentencePiece.emplace();
        for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
            if (!textOf(model, key).empty())
                fail(std::string("BPE with ") + key + " is not supported");
        const json& dropout = member(model, "dropout");
        if (dropout.is_number() && dropout.get<double>() != 0.0)
            fail("BPE dropout is not supported");
    }

    void readVocabulary() {
        const json& model = document_["model"];
        const json& vocab = member(model, "vocab");
        if (!vocab.is_object() || vocab.empty()) fail("the vocabulary is missing");
        const std::size_t entries = vocab.size() + member(document_, "added_tokens").size();
        builder_ = std::make_unique<VocabularyBuilder>(data_.vocabulary, origin_, entries);
        for (const auto& [letters, id] : vocab.items()) {
            const std::int64_t number = integerOf(id, origin_ + ": a token id");
            if (!data_.sentencePiece)
                builder_->putLetters(number, letters);
            else if (const auto byte = byteOfPiece(letters))
                builder_->put(number, std::string(1, static_cast<char>(*byte)), TokenKind::Byte);
            else
                builder_->put(number, spacesFromBlocks(letters), TokenKind::Normal);
        }
        data_.vocabulary.ignoreMerges = flag(model, "ignore_merges", false);
        readUnknown(model, vocab);
    }

    void readUnknown(const json& model, const json& vocab) {
        const std::string name = textOf(model, "unk_token");
        if (name.empty()) return;
        std::optional<TokenId> id;
        if (const auto found = vocab.find(name); found != vocab.end()) id = found->get<TokenId>();
        data_.vocabulary.fuseUnknown = flag(model, "fuse_unk", false);
        (data_.sentencePiece ? data_.sentencePiece->unknown : data_.vocabulary.unknown) = id;
        if (!id && !data_.sentencePiece && !hasEveryByte())
            fail("the vocabulary lacks its unknown token '" + name + "' and a token for some byte");
    }

    bool hasEveryByte() const {
        std::array<bool, 256> found{};
        for (std::size_t i = 0; i < data_.vocabulary.tokens.size(); ++i)
            if (data_.vocabulary.tokens[i].size() == 1 &&
                data_.vocabulary.kinds[i] == TokenKind::Normal)
                found[static_cast<unsigned char>(data_.vocabulary.tokens[i][0])] = true;
        return std::find(found.begin(), found.end(), false) == found.end();
    }

    void readMerges() {
        const json& vocab = document_["model"]["vocab"];
        const json& merges = member(document_["model"], "merges");
        if (!merges.is_array()) fail("the merges are missing");
        const auto find = [&](const std::string& letters) -> std::optional<TokenId> {
            const auto found = vocab.find(letters);
            if (found == vocab.end()) return std::nullopt;
            return found->get<TokenId>();
        };
        data_.vocabulary.lastMergeCounts = true;
        data_.vocabulary.merges.reserve(merges.size());
        for (std::size_t i = 0; i < merges.size(); ++i) {
            const auto [left, right] = mergePair(merges[i], i);
            data_.vocabulary.merges.push_back(resolveMerge(left, right, i, origin_, find));
        }
    }

    /// "a b" (old files) or ["a", "b"].
    std::pair<std::string_view, std::string_view> mergePair(const json& merge,
                                                            std::size_t number) const {
        if (merge.is_string())
            return splitMerge(merge.get_ref<const std::string&>(), number, origin_);
        if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
            return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
        fail("merge " + std::to_string(number) + " is not two tokens");
    }

    void readAddedTokens() {
        const json& added = member(document_, "added_tokens");
        if (!added.is_null() && !added.is_array()) fail("added_tokens is not a list");
        for (const json& token : added) {
            const std::string content = textOf(token, "content");
            if (content.empty()) fail("an added token has no content");
            // Gemma lists its runs of spaces here as well; in text, merging makes them.
            if (data_.sentencePiece && spacesFromBlocks(content) != content &&
                document_["model"]["vocab"].contains(content))
                continue;
            const bool special = flag(token, "special", false);
            const auto id =
                integerOf(member(token, "id"), origin_ + ": the id of '" + content + "'");
            builder_->put(id, content, special ? TokenKind::Control : TokenKind::Added);
            data_.literalRules[static_cast<TokenId>(id)] = {
                flag(token, "single_word", false), flag(token, "lstrip", false),
                flag(token, "rstrip", false), flag(token, "normalized", !special)};
        }
    }

    void readNormalizer() {
        std::vector<const json*> parts;
        flatten(member(document_, "normalizer"), "normalizers", parts);
        for (const json* part : parts) {
            const std::string type = textOf(*part, "type");
            if (data_.sentencePiece && isBlockNormalizer(*part)) continue;
            if (type != "NFC" || data_.sentencePiece)
                fail("normalizer '" + type + "' is not supported",
                     data_.sentencePiece ? "Prepend and Replace of spaces are" : "NFC is");
            data_.nfc = true;
        }
    }

    /// Replace " " by U+2581, and Prepend, which asks for a space before the text.
    bool isBlockNormalizer(const json& part) {
        const std::string type = textOf(part, "type");
        if (type == "Prepend" && spacesFromBlocks(textOf(part, "prepend")) == " ") {
            data_.sentencePiece->prefix = SpacePrefix::Always;
            return true;
        }
        return type == "Replace" && textOf(member(part, "pattern"), "String") == " " &&
               spacesFromBlocks(textOf(part, "content")) == " ";
    }

    /// The normaliser leaves no plain space for a split to find; Metaspace without a split does the
    /// normaliser's work. Anything else would matter.
    void checkPieces() {
        const json& pieces = member(document_, "pre_tokenizer");
        if (pieces.is_null()) return;
        const std::string type = textOf(pieces, "type");
        if (type == "Split" && textOf(member(pieces, "pattern"), "String") == " ") return;
        if (type == "Metaspace" && spacesFromBlocks(textOf(pieces, "replacement")) == " " &&
            !flag(pieces, "split", true) && data_.sentencePiece->prefix == SpacePrefix::None) {
            const bool old = flag(pieces, "add_prefix_space", true);  // what files said before 2024
            const std::string scheme = pieces.contains("prepend_scheme")
                                           ? textOf(pieces, "prepend_scheme")
                                       : old ? "always"
                                             : "never";
            data_.sentencePiece->metaspace = true;
            if (scheme == "always") data_.sentencePiece->prefix = SpacePrefix::IfNone;
            if (scheme == "first") data_.sentencePiece->prefix = SpacePrefix::AtStartIfNone;
            if (scheme == "always" || scheme == "first" || scheme == "never") return;
        }
        fail("pre-tokenizer " + dumpJson(pieces) + " with byte fallback is not supported");
    }

    /// A Split by `pattern` of which each match is a piece. The patterns known here leave nothing
    /// between matches, so that removing what is no match is the same.
    static bool splitsAtMatches(const json& part) {
        const std::string behavior = textOf(part, "behavior");
        const bool inverted = flag(part, "invert", false);
        return textOf(part, "type") == "Split" &&
               ((behavior == "Isolated" && !inverted) || (behavior == "Removed" && inverted));
    }

    const PreTokenizer* findSplit() const {
        std::vector<const json*> parts;
        flatten(member(document_, "pre_tokenizer"), "pretokenizers", parts);
        const json* last = parts.empty() ? nullptr : parts.back();
        const bool byteLevel = last != nullptr && textOf(*last, "type") == "ByteLevel";
        if (byteLevel && flag(*last, "add_prefix_space", true))
            fail("pre-tokenizer ByteLevel with add_prefix_space is not supported");
        const bool ownPattern = byteLevel && flag(*last, "use_regex", true);  // that of GPT-2
        const auto byPattern = [&](std::string_view pattern) {
            return findPreTokenizerByPattern(pattern, data_.nfc, data_.vocabulary.ignoreMerges);
        };
        const PreTokenizer* found = nullptr;
        if (ownPattern && parts.size() == 1) found = byPattern(findPreTokenizer("gpt2")->pattern);
        if (byteLevel && parts.size() == 2) {
            const json& first = *parts[0];
            if (ownPattern && textOf(first, "type") == "Digits" &&
                flag(first, "individual_digits", false))
                found = findPreTokenizer("smollm");
            if (!ownPattern && splitsAtMatches(first))
                found = byPattern(textOf(member(first, "pattern"), "Regex"));
        }
        if (found == nullptr)
            fail("unknown pre-tokenizer " + dumpJson(member(document_, "pre_tokenizer")),
                 "known are those of " + preTokenizerNames());
        return found;
    }

    /// A template that begins with a special token: the model was trained with a leading bos.
    void readPostProcessor() {
        std::vector<const json*> parts;
        flatten(member(document_, "post_processor"), "processors", parts);
        for (const json* part : parts) {
            const json& single = member(*part, "single");
            if (textOf(*part, "type") != "TemplateProcessing" || !single.is_array() ||
                single.empty())
                continue;
            const std::string name = textOf(member(single[0], "SpecialToken"), "id");
            for (const json& token : member(document_, "added_tokens")) {
                if (name.empty() || textOf(token, "content") != name) continue;
                data_.bos = token["id"].get<TokenId>();
                data_.addBos = true;
            }
        }
    }

    const json& document_;
    const std::string& origin_;
    TokenizerData& data_;
    std::unique_ptr<VocabularyBuilder> builder_;
};

std::optional<TokenId> idOf(const TokenizerData& data, const std::string& token) {
    for (std::size_t i = 0; i < data.vocabulary.tokens.size(); ++i)
        if (data.vocabulary.tokens[i] == token && data.vocabulary.kinds[i] != TokenKind::Unused)
            return static_cast<TokenId>(i);
    return std::nullopt;
}

/// "<s>" or {"content": "<s>", ...}.
std::string tokenName(const json& config, const char* key) {
    const json& value = member(config, key);
    return value.is_object() ? textOf(value, "content") : textOf(config, key);
}

/// One template, or a list of named ones of which "default" counts.
std::string chatTemplateOf(const json& config) {
    const json& value = member(config, "chat_template");
    if (value.is_string()) return value.get<std::string>();
    for (const json& entry : value.is_array() ? value : json::array())
        if (textOf(entry, "name") == "default") return textOf(entry, "template");
    return {};
}

void readTokenizerConfig(const std::filesystem::path& path, TokenizerData& data) {
    const json config = parseJson(readFile(path, kMaxFile), path.string());
    if (const auto id = idOf(data, tokenName(config, "bos_token"))) data.bos = id;
    data.eos = idOf(data, tokenName(config, "eos_token"));
    data.addBos = flag(config, "add_bos_token", data.addBos) && data.bos.has_value();
    data.chatTemplate = chatTemplateOf(config);
}

void readGenerationConfig(const std::filesystem::path& path, TokenizerData& data) {
    const json config = parseJson(readFile(path, kMaxFile), path.string());
    const json& eos = member(config, "eos_token_id");
    const auto add = [&](const json& id) {
        const std::int64_t value = integerOf(id, path.string() + ": eos_token_id");
        const auto count = static_cast<std::int64_t>(data.vocabulary.tokens.size());
        if (value < 0 || value >= count)
            throw Error(path.string() + ": eos_token_id " + std::to_string(value) +
                        " is outside the vocabulary");
        data.endOfText.push_back(static_cast<TokenId>(value));
        if (!data.eos) data.eos = data.endOfText.back();
    };
    if (eos.is_array())
        for (const json& id : eos) add(id);
    else if (!eos.is_null())
        add(eos);
}

std::unique_ptr<Tokenizer> load(const std::filesystem::path& tokenizerJson,
                                std::int64_t modelVocab) {
    TokenizerData data;
    data.modelVocab = modelVocab;
    data.origin = tokenizerJson.string();
    {
        const json document = parseJson(readFile(tokenizerJson, kMaxFile), data.origin);
        JsonReader(document, data.origin, data).read();
    }
    const auto folder = tokenizerJson.parent_path();
    if (const auto path = folder / "tokenizer_config.json"; std::filesystem::exists(path))
        readTokenizerConfig(path, data);
    if (const auto path = folder / "chat_template.jinja"; std::filesystem::exists(path))
        data.chatTemplate = readFile(path, kMaxFile);
    if (const auto path = folder / "generation_config.json"; std::filesystem::exists(path))
        readGenerationConfig(path, data);
    return makeTokenizer(std::move(data));
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizerFromJson(const std::filesystem::path& tokenizerJson,
                                             std::int64_t modelVocab) {
    try {
        return load(tokenizerJson, modelVocab);
    } catch (const json::exception& e) {  // a number out of range, a member of another type
        throw Error(tokenizerJson.string() + ": " + toValidUtf8(e.what()));
    }
}

}  // namespace moescope
