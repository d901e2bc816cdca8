// SPDX-License-Identifier: Apache-2.0
// The experts of each token as servers return them for the replay of routing in training ("R3").
//
// vLLM, --enable-return-routed-experts. From 0.22 (vllm-project/vllm pull 38939; tests/entrypoints/
// openai/test_return_routed_experts.py at 184bf813): "routed_experts" of each choice is base64 of
// an .npy file of (n_token, n_layer, top_k), the prompt and all generated tokens but the last,
// which no forward pass saw; "routed_experts_prompt_start" of a request leaves out the beginning
// (pull 51906). 0.21 (docs/training/routed_experts_replay.md): nested lists, those of the prompt in
// "prompt_routed_experts" of the response.
//
// SGLang, --enable-return-routed-experts and "return_routed_experts" in the request (sgl-project/
// sglang pulls 12162, 17434; docs/basic_usage/openai_api_completions): base64 of int32, the same
// three dimensions but flat, in "meta_info" of /generate and "sgl_ext" of a choice. The shape is
// not said. Layers without experts hold 0, or -1 in SGL-JAX
// (docs/features/return_routed_experts.md).
#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "engine/core/base64.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/import/id_lines.h"
#include "profiler/import/routed_run.h"

namespace moescope {
namespace {

using nlohmann::json;

const LineKeys kKeys{{"routed_experts", "prompt_routed_experts"}, {"id",        "custom_id",
                                                                   "group",     "suite",
                                                                   "prompt",    "text",
                                                                   "tokens",    "prompt_tokens",
                                                                   "experts",   "first_position",
                                                                   "shape",     "dtype",
                                                                   "data",      "choices",
                                                                   "index",     "usage",
                                                                   "meta_info", "sgl_ext",
                                                                   "sglext",    "completion_tokens",
                                                                   "token_ids", "prompt_token_ids",
                                                                   "response",  "body",
                                                                   "model"}};

/// The member, or null: also of what is no object.
const json& member(const json& object, const char* key) {
    static const json kNull;
    if (!object.is_object()) return kNull;
    const auto found = object.find(key);
    return found == object.end() ? kNull : *found;
}

std::span<const std::byte> bytesOf(const std::string& text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// One line of a file to the sequences it holds.
class RoutedLine {
public:
    RoutedLine(IdLine& line, const ImportRequest& request, RoutedRun& run)
        : line_(line), request_(request), run_(run) {
        const json& body = member(member(line.object, "response"), "body");  // of a batch's output
        body_ = body.is_object() ? &body : &line.object;
    }

    void add() {
        const json& choices = member(*body_, "choices");
        if (!choices.is_array()) {
            const json& meta = member(*body_, "meta_info");
            const json& only = meta.is_object() ? meta : *body_;
            addText(only, only, label());
            return;
        }
        if (choices.size() == 1) {
            addText(choices[0], member(*body_, "usage"), label());
            return;
        }
        refuseManyCopies(choices.size());
        for (const json& choice : choices)
            addText(choice, json(), label() + "/" + dumpJson(member(choice, "index")), true);
    }

private:
    [[noreturn]] void fail(const std::string& cause, std::string hint = {}) const {
        throw Error(line_.origin + ": " + cause, std::move(hint));
    }

    std::optional<std::int64_t> integer(
        const json& object, const char* key, std::int64_t least = 0,
        std::int64_t most = std::numeric_limits<std::int32_t>::max()) const {
        const json& value = member(object, key);
        if (value.is_null()) return std::nullopt;
        if (!value.is_number_integer() || value.get<std::int64_t>() < least ||
            value.get<std::int64_t>() > most)
            fail("\"" + std::string(key) + "\" is " + dumpJson(value) + ", no count from " +
                 std::to_string(least) + " to " + std::to_string(most));
        return value.get<std::int64_t>();
    }

    /// The first of the keys that holds something, as text.
    std::string text(std::initializer_list<const char*> keys) const {
        const std::array objects{&std::as_const(line_.object), body_, &member(*body_, "meta_info")};
        for (const json* object : objects) {
            for (const char* key : keys) {
                const json& value = member(*object, key);
                if (value.is_string()) return value.get<std::string>();
                if (value.is_number()) return dumpJson(value);
            }
        }
        return {};
    }

    std::string label() const {
        constexpr std::size_t kLongest = 60;
        std::string name = text({"custom_id", "id"});
        if (name.empty()) name = text({"prompt", "text"});
        if (name.empty()) return "line " + std::to_string(line_.number);
        return name.size() > kLongest ? toValidUtf8(name.substr(0, kLongest)) + ".." : name;
    }

    /// A short line could become gigabytes.
    void refuseManyCopies(std::size_t choices) const {
        const std::size_t ids = idsAt(*body_, "prompt_routed_experts", true).ids.size();
        if (ids > 0 && choices > kMaxLineBytes / sizeof(std::int16_t) / ids)
            fail("its " + std::to_string(choices) + " choices repeat " + std::to_string(ids) +
                 " experts of the prompt, which are more than a line holds");
    }

    /// Experts from `holder`, numbers of tokens from `usage`. For `several` choices of a reply
    /// there are none: those of a reply are sums over prompts and choices. Nor are the line's
    /// "tokens" and "first_position" those of each of them.
    void addText(const json& holder, const json& usage, std::string name, bool several = false) {
        RoutedSequence out;
        out.origin = line_.origin;
        out.label = std::move(name);
        out.group = text({"group", "suite"});
        out.model = text({"model"});
        out.experts =
            static_cast<int>(integer(line_.object, "experts", 1, kMaxImportExperts).value_or(0));
        ExpertIds prompt = idsAt(*body_, "prompt_routed_experts", several);
        const bool split = prompt.tokens > 0;
        out.promptTokens = integer(usage, "prompt_tokens");
        if (split && !out.promptTokens) out.promptTokens = prompt.tokens;
        ExpertIds ids = idsAt(holder, "routed_experts");
        for (const char* key : {"sgl_ext", "sglext"}) {
            if (ids.tokens == 0) ids = idsAt(member(holder, key), "routed_experts");
        }
        out.ids = joined(std::move(prompt), std::move(ids));
        if (out.ids.tokens == 0) {
            run_.addUnrouted();
            return;
        }
        readTokens(holder, several ? json() : member(line_.object, "tokens"), out);
        place(out, usage, several ? json() : line_.object);
        run_.add(out);
    }

    /// Where the experts begin: servers leave out what was asked for before.
    void place(RoutedSequence& out, const json& usage, const json& stated) const {
        const auto generated = integer(usage, "completion_tokens");
        if (generated && out.promptTokens) out.totalTokens = *out.promptTokens + *generated;
        if (const auto first = integer(stated, "first_position")) {
            out.firstPosition = *first;
            return;
        }
        const std::int64_t total =
            std::max<std::int64_t>(out.totalTokens, static_cast<std::int64_t>(out.tokens.size()));
        if (member(stated, "tokens").is_null())
            out.firstPosition = std::max<std::int64_t>(total - 1 - out.ids.tokens, 0);
    }

    void readTokens(const json& holder, const json& own, RoutedSequence& out) const {
        if (own.is_array() && !own.empty() && own[0].is_string()) {
            for (const json& token : own) {
                if (!token.is_string()) fail("\"tokens\" holds texts and others");
                out.texts.push_back(token.get<std::string>());
            }
            return;
        }
        appendTokens(own, "tokens", out.tokens);
        const bool ofChoice = member(holder, "prompt_token_ids").is_array();
        const json& prompt = member(ofChoice ? holder : *body_, "prompt_token_ids");
        if (!prompt.is_array()) return;
        appendTokens(prompt, "prompt_token_ids", out.tokens);
        out.promptTokens = static_cast<std::int64_t>(out.tokens.size());
        const json& generated = member(holder, "token_ids");
        appendTokens(generated, "token_ids", out.tokens);
        if (generated.is_null()) out.tokens.clear();  // a part of them would pass for all
    }

    void appendTokens(const json& from, const char* key, std::vector<std::int32_t>& to) const {
        if (from.is_null()) return;
        if (!from.is_array()) fail("\"" + std::string(key) + "\" is no array");
        for (const json& token : from) {
            if (!token.is_number_integer() || token.get<std::int64_t>() < 0 ||
                token.get<std::int64_t>() > std::numeric_limits<std::int32_t>::max())
                fail("\"" + std::string(key) + "\" holds " + dumpJson(token) + ", no token id");
            to.push_back(token.get<std::int32_t>());
        }
    }

    /// What the key holds; no tokens where it is absent or null. Several texts may need it: `keep`.
    ExpertIds idsAt(const json& holder, const char* key, bool keep = false) const {
        const json& value = member(holder, key);
        if (value.is_null() || value == "") return {};
        if (value.is_array()) {
            ExpertIds& ids = line_.arrays[value[0].get<std::size_t>()];
            return keep ? ids : std::move(ids);
        }
        if (value.is_object()) return decoded(member(value, "data"), value, key);
        return decoded(value, holder, key);
    }

    ExpertIds decoded(const json& data, const json& holder, const char* key) const {
        const std::string what = "\"" + std::string(key) + "\"";
        if (!data.is_string()) fail(what + " is neither nested arrays nor base64");
        const auto bytes = decodeBase64(data.get_ref<const std::string&>());
        if (!bytes) fail(what + " is no base64");
        if (isNpy(bytesOf(*bytes))) return readNpy(bytesOf(*bytes), line_.origin);
        const json& name = member(holder, "dtype");
        const auto type =
            integerTypeNamed(name.is_string() ? name.get<std::string>() : std::string("int32"));
        if (!type) fail("\"dtype\" " + dumpJson(name) + " is no integer of this byte order");
        const json& shape = member(holder, "shape");
        if (!shape.is_null()) {
            std::vector<std::int64_t> extents;
            for (const json& extent : shape) {
                if (!extent.is_number_integer()) fail("\"shape\" holds no integers");
                extents.push_back(extent.get<std::int64_t>());
            }
            return expertIdsOf(bytesOf(*bytes), *type, extents, line_.origin);
        }
        const ModelFacts& facts = request_.facts;
        if (facts.layers == 0 || facts.topK == 0)
            fail(what + " is base64 that does not say its shape",
                 "say --config FILE, the model's config.json, or --layers L (num_hidden_layers) "
                 "and --top-k K (num_experts_per_tok)");
        return expertIdsOf(bytesOf(*bytes), *type, facts.layers, facts.topK, line_.origin);
    }

    ExpertIds joined(ExpertIds first, ExpertIds second) const {
        if (first.tokens == 0) return second;
        if (second.tokens == 0) return first;
        if (first.layers != second.layers || first.topK != second.topK)
            fail("the experts of the prompt and of the reply are of other layers or top-k");
        first.tokens += second.tokens;
        first.ids.insert(first.ids.end(), second.ids.begin(), second.ids.end());
        return first;
    }

    IdLine& line_;
    const ImportRequest& request_;
    RoutedRun& run_;
    const json* body_;
};

void addFile(const std::filesystem::path& path, const ImportRequest& request, RoutedRun& run) {
    const MappedFile file(path);
    run.addSource(path);
    const std::string_view begin(reinterpret_cast<const char*>(file.data()),
                                 static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), 4)));
    if (isNpy(file.bytes())) {
        RoutedSequence sequence;
        sequence.origin = path.string();
        sequence.label = path.stem().string();
        sequence.ids = readNpy(file.bytes(), path.string());
        if (sequence.ids.tokens == 0)
            run.addUnrouted();
        else
            run.add(sequence);
        return;
    }
    if (begin.starts_with("PK"))
        throw Error(path.string() + ": is an archive (.npz, .pt), not JSON lines or .npy",
                    "of an .npz unpack the .npy files; of SGLang's .pt see 'import sglang'");
    readIdLines(file, kKeys, request.stop,
                [&](IdLine& line) { RoutedLine(line, request, run).add(); });
}

}  // namespace

void importRoutedExperts(const ImportRequest& request, RunWriter& writer) {
    RoutedRun run(writer, request);
    for (const std::filesystem::path& path : request.files) {
        throwIfStopped(request.stop);
        addFile(path, request, run);
    }
    if (run.sequences() == 0)
        throw Error(request.files.front().string() + ": holds no \"routed_experts\"",
                    "vLLM and SGLang return them with --enable-return-routed-experts, SGLang where "
                    "each request asks with \"return_routed_experts\": true as well");
    run.finish();
}

}  // namespace moescope
