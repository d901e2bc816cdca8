// SPDX-License-Identifier: Apache-2.0
// Routing traces of gpt-oss-20b as published by GPT-OSS-MoE-ExpertFingerprinting: one example a
// file.
//
// "full_text" holds every token, "generated_only" its tail. "router_data" is a list of one-key
// objects
// {"token_N": {"layer_L": {"selected_experts", "selected_probs"}}}: N is the index into full_text
// of the token that was routed (not of the token predicted from it), found by letting the token's
// text predict layer 0's experts: aligned so, 54 % of choices repeat, shifted by one, 40 %. N
// starts at the first generated token, and the last one is usually absent: it was never fed back.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "engine/core/decompress.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "profiler/import/importers.h"

namespace moescope {
namespace {

using nlohmann::json;

constexpr int kLayers = 24, kExperts = 32, kTopK = 4, kWidth = 2880;  // gpt-oss-20b
/// One expert as published: three square matrices in MXFP4 (17 bytes for 32 weights), biases of
/// gate, up and down in bf16.
constexpr int kExpertBytes = 3 * kWidth * kWidth / 32 * 17 + 3 * kWidth * 2;
/// The JSON tree takes some twenty times the text; the published files have 3.5 MB.
constexpr std::uint64_t kMaxBytes = 64ULL << 20U;
constexpr double kMaxWeightError = 0.01;  ///< bf16 weights of four experts sum to 1 within 0.3 %

struct Totals {
    std::int64_t tokens = 0, promptTokens = 0, assignments = 0;
    std::int64_t unfinished = 0, repetitive = 0, lastTokensUnrouted = 0;
    double weightError = 0;
    json sources = json::array();
};

/// One file being read: turns every surprise into an Error that names it.
class Example {
public:
    Example(json document, std::string origin, std::int64_t sequence)
        : document_(std::move(document)), origin_(std::move(origin)), sequence_(sequence) {}

    std::vector<AnyRow> rows(Totals& totals) {
        readTokens(totals);
        readRouting(totals);
        addCounts();
        return std::move(rows_);
    }

private:
    [[noreturn]] void fail(const std::string& cause) const { throw Error(origin_ + ": " + cause); }

    const json& member(const json& object, const char* key, json::value_t type) const {
        if (!object.is_object() || !object.contains(key))
            fail("\"" + std::string(key) + "\" is absent");
        const json& value = object[key];
        const bool integer = type == json::value_t::number_unsigned && value.is_number_integer();
        if (value.type() != type && !integer) {
            fail("\"" + std::string(key) + "\" is a " + value.type_name());
        }
        return value;
    }

    void readTokens(Totals& totals) {
        const json& full = member(document_, "full_text", json::value_t::array);
        const json& generated = member(document_, "generated_only", json::value_t::array);
        if (generated.size() > full.size()) fail("\"generated_only\" is longer than \"full_text\"");
        tokens_ = std::int64_t(full.size());
        prompt_ = tokens_ - std::int64_t(generated.size());
        const auto& dataset = member(document_, "dataset", json::value_t::string);
        const auto& category = member(document_, "category", json::value_t::string);
        const auto& row = member(document_, "row_index", json::value_t::number_unsigned);
        const std::string label =
            dataset.get<std::string>() + "/" + category.get<std::string>() + "/" + row.dump();
        rows_.emplace_back(SequenceRow{sequence_, label, dataset, prompt_, tokens_ - prompt_});
        std::int64_t position = 0;
        for (const json& text : full) {
            if (!text.is_string()) fail("token " + std::to_string(position) + " is no text");
            rows_.emplace_back(TokenRow{sequence_, position, -1, text.get<std::string>(),
                                        position < prompt_, std::nullopt});
            ++position;
        }
        for (std::int64_t i = 0; i < std::int64_t(generated.size()); ++i) {
            if (full[std::size_t(prompt_ + i)] != generated[std::size_t(i)]) {
                fail("\"generated_only\" is not the end of \"full_text\"");
            }
        }
        totals.tokens += tokens_;
        totals.promptTokens += prompt_;
        totals.unfinished += flag("finished_successfully") ? 0 : 1;
        totals.repetitive += flag("has_repetition") ? 1 : 0;
    }

    bool flag(const char* key) const {
        return member(document_, key, json::value_t::boolean).get<bool>();
    }

    std::int64_t positionOf(const std::string& key) const {
        constexpr std::string_view kPrefix = "token_";
        std::int64_t position = -1;
        if (key.compare(0, kPrefix.size(), kPrefix) == 0) {
            const char* end = key.data() + key.size();
            const auto result = std::from_chars(key.data() + kPrefix.size(), end, position);
            if (result.ec != std::errc{} || result.ptr != end) position = -1;
        }
        if (position < 0 || position >= tokens_) fail("\"" + key + "\" names no token of the text");
        return position;
    }

    void readRouting(Totals& totals) {
        layers_.resize(kLayers);
        std::int64_t last = -1;
        for (const json& entry : member(document_, "router_data", json::value_t::array)) {
            if (!entry.is_object() || entry.size() != 1) {
                fail("an entry of \"router_data\" is not one token");
            }
            const std::int64_t position = positionOf(entry.begin().key());
            if (position <= last) fail("tokens of \"router_data\" are out of order");
            readToken(position, entry.begin().value(), last >= 0 && position == last + 1, totals);
            last = position;
        }
        if (last < 0) fail("\"router_data\" is empty");
        totals.lastTokensUnrouted += last < tokens_ - 1 ? 1 : 0;
    }

    void readToken(std::int64_t position, const json& token, bool follows, Totals& totals) {
        if (!token.is_object() || token.size() != kLayers) {
            fail("token " + std::to_string(position) + " has not the " + std::to_string(kLayers) +
                 " layers of gpt-oss-20b");
        }
        for (int layer = 0; layer < kLayers; ++layer) {
            RoutingTokensRow& row = layers_[std::size_t(layer)];
            if (!follows && row.tokens > 0) rows_.emplace_back(std::exchange(row, {}));
            if (row.tokens == 0) {
                row.sequence = sequence_;
                row.layer = layer;
                row.firstPosition = position;
                row.topK = kTopK;
            }
            const std::string key = "layer_" + std::to_string(layer);
            readChoice(member(token, key.c_str(), json::value_t::object), row, position, totals);
            ++row.tokens;
        }
    }

    void readChoice(const json& choice, RoutingTokensRow& row, std::int64_t position,
                    Totals& totals) {
        const json& experts = member(choice, "selected_experts", json::value_t::array);
        const json& weights = member(choice, "selected_probs", json::value_t::array);
        const std::string where =
            "token " + std::to_string(position) + ", layer " + std::to_string(row.layer);
        if (experts.size() != kTopK || weights.size() != kTopK) {
            fail(where + " has not " + std::to_string(kTopK) + " experts and weights");
        }
        const std::size_t phase = position < prompt_ ? 0 : 1;
        std::uint32_t seen = 0;
        double sum = 0;
        for (std::size_t i = 0; i < kTopK; ++i) {
            if (!experts[i].is_number_integer()) fail(where + ": an expert id is no integer");
            const auto expert = experts[i].get<std::int64_t>();
            if (expert < 0 || expert >= kExperts) {
                fail(where + ": expert " + experts[i].dump() + " is not one of " +
                     std::to_string(kExperts));
            }
            if ((seen >> unsigned(expert) & 1U) != 0) fail(where + ": an expert is chosen twice");
            seen |= 1U << unsigned(expert);
            if (!weights[i].is_number()) fail(where + ": a weight is no number");
            const auto weight = weights[i].get<double>();
            if (!(weight >= 0 && weight <= 1)) fail(where + ": a weight is outside [0, 1]");
            sum += weight;
            row.experts.push_back(std::int16_t(expert));
            row.weights.push_back(float(weight));
            ++counts_[phase][row.layer][expert];
            ++totals.assignments;
        }
        totals.weightError = std::max(totals.weightError, std::abs(sum - 1));
    }

    void addCounts() {
        for (RoutingTokensRow& row : layers_) rows_.emplace_back(std::move(row));
        constexpr const char* kPhases[] = {"prefill", "decode"};
        for (std::size_t phase = 0; phase < 2; ++phase) {
            for (int layer = 0; layer < kLayers; ++layer) {
                for (int expert = 0; expert < kExperts; ++expert) {
                    const std::int64_t count = counts_[phase][layer][expert];
                    if (count == 0) continue;
                    rows_.emplace_back(
                        RoutingCountRow{sequence_, kPhases[phase], layer, expert, count});
                }
            }
        }
    }

    json document_;
    std::string origin_;
    std::int64_t sequence_;
    std::int64_t tokens_ = 0, prompt_ = 0;
    std::vector<RoutingTokensRow> layers_;  // (n_layer)
    std::int64_t counts_[2][kLayers][kExperts] = {};
    std::vector<AnyRow> rows_;
};

json readExample(const std::filesystem::path& path, Totals& totals) {
    std::string bytes = readFile(path, kMaxBytes);
    totals.sources.push_back({{"file", path.filename().string()},
                              {"bytes", bytes.size()},
                              {"sha256", sha256Hex(bytes)}});
    if (path.extension() == ".xz") bytes = decompressXz(bytes, path.string(), kMaxBytes);
    return parseJson(bytes, path.string());
}

void addQuality(RunWriter& writer, const Totals& totals, std::int64_t sequences) {
    const auto add = [&](const char* name, double value, const char* unit, bool ok,
                         std::string note) {
        writer.add(QualityRow{name, value, unit, ok, std::move(note)});
    };
    add("timings", 0, "steps", false, "Imported routing: nothing was timed here.");
    add("prompt_tokens_unrouted", double(totals.promptTokens), "tokens", totals.promptTokens == 0,
        "The source holds routing of generated tokens only; prompts are text without routing.");
    add("sequences_cut", double(totals.unfinished), "sequences", totals.unfinished == 0,
        "Sequences of " + std::to_string(sequences) +
            " that did not finish; most were cut near 511 generated tokens.");
    add("sequences_repetitive", double(totals.repetitive), "sequences", totals.repetitive == 0,
        "Sequences that the source marks as repeating themselves.");
    add("last_tokens_unrouted", double(totals.lastTokensUnrouted), "tokens", true,
        "Last generated tokens: they were never fed back, so no router saw them.");
    add("routing_weight_error", totals.weightError, "ratio", totals.weightError <= kMaxWeightError,
        "Largest distance of a token's gate weights from summing to 1; kept as given (bf16).");
    const std::int64_t routed = totals.tokens - totals.promptTokens - totals.lastTokensUnrouted;
    const std::int64_t difference = totals.assignments - routed * kTopK * kLayers;
    add("routing_sum", double(difference), "assignments", difference == 0,
        "Routing counts add up to " + std::to_string(totals.assignments) +
            "; routed tokens x top-k x layers is " + std::to_string(routed * kTopK * kLayers) +
            ".");
}

}  // namespace

void importFingerprint(const ImportRequest& request, RunWriter& writer) {
    Totals totals;
    std::int64_t sequence = 0;
    for (const std::filesystem::path& path : request.files) {
        throwIfStopped(request.stop);
        Example example(readExample(path, totals), path.string(), sequence++);
        writer.add(example.rows(totals));
    }
    writer.setMeta("model", json{{"name", "gpt-oss-20b"},
                                 {"architecture", "gpt-oss"},
                                 {"layers", kLayers},
                                 {"d_model", kWidth},
                                 {"ffn", kWidth},
                                 {"experts", kExperts},
                                 {"top_k", kTopK},
                                 {"expert_bytes", kExpertBytes}});
    writer.setMeta("routing", json{{"experts", kExperts}, {"top_k", kTopK}, {"layers", kLayers}});
    writer.setMeta("sources", totals.sources);
    writer.setMeta("synthetic", "false");
    addQuality(writer, totals, sequence);
}

}  // namespace moescope
