// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/routed_run.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/core/count_text.h"
#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::array kPhases{"prefill", "decode", kUnknownPhase};
constexpr std::int64_t kTokensPerRow = 256;  ///< as the routing recorder writes them

using Choice = std::span<const std::int16_t>;

Choice choiceOf(const ExpertIds& ids, std::int64_t token, std::int64_t layer) {
    const auto k = static_cast<std::size_t>(ids.topK);
    return {ids.ids.data() + static_cast<std::size_t>(token * ids.layers + layer) * k, k};
}

/// All the same: -1, or what fills a layer without a router.
bool isNone(Choice choice) {
    const bool same =
        std::all_of(choice.begin(), choice.end(), [&](std::int16_t id) { return id == choice[0]; });
    return same && (choice.size() > 1 || choice[0] < 0);
}

std::string shapeText(std::int64_t layers, std::int64_t topK) {
    return countText(layers, "layer") + " and top-" + std::to_string(topK);
}

}  // namespace

RoutedRun::RoutedRun(RunWriter& writer, const ImportRequest& request)
    : writer_(writer), request_(request) {
    facts_.experts = request.facts.experts;
    facts_.from = facts_.experts > 0 ? ExpertsFrom::Option : ExpertsFrom::GreatestId;
    expertsSaidBy_ = request.facts.expertsOfConfig ? "in " + request.config.string()
                                                   : std::string("by --experts");
}

void RoutedRun::agree(const RoutedSequence& sequence) {
    const auto fail = [&](const std::string& cause) {
        throw Error(sequence.origin + ": " + cause);
    };
    const ExpertIds& ids = sequence.ids;
    if (ids.layers < 1 || ids.layers > kMaxImportLayers || ids.topK < 1 ||
        ids.topK > kMaxImportTopK)
        fail("the array is of " + shapeText(ids.layers, ids.topK) + "; up to " +
             std::to_string(kMaxImportLayers) + " and top-" + std::to_string(kMaxImportTopK) +
             " are read");
    if (first_.empty()) {
        first_ = sequence.origin;
        facts_.layers = static_cast<int>(ids.layers);
        facts_.topK = static_cast<int>(ids.topK);
        layers_.resize(static_cast<std::size_t>(ids.layers));
    }
    const int topK = request_.facts.topK;
    const int layers = request_.facts.layersOfConfig ? 0 : request_.facts.layers;
    if (layers > 0 && ids.layers != layers)
        fail("the array is of " + countText(ids.layers, "layer") + ", not of " +
             std::to_string(layers) + " as --layers says");
    if (topK > 0 && ids.topK != topK)
        fail("the array is of top-" + std::to_string(ids.topK) + ", not of top-" +
             std::to_string(topK) + " as " +
             (request_.facts.topKOfConfig ? request_.config.string() : "--top-k") + " says");
    const auto differ = [&](const std::string& here, const std::string& before) {
        fail(here + ", but " + before + " in " + first_);
    };
    if (ids.layers != facts_.layers || ids.topK != facts_.topK)
        differ("the array is of " + shapeText(ids.layers, ids.topK),
               shapeText(facts_.layers, facts_.topK));
    if (facts_.model.empty()) facts_.model = sequence.model;
    if (!sequence.model.empty() && sequence.model != facts_.model)
        differ("the model is \"" + sequence.model + "\"", "\"" + facts_.model + "\"");
    if (sequence.experts > 0 && facts_.experts == 0) {
        if (sequence.experts <= greatest_)
            fail("the model has " + countText(sequence.experts, "expert") +
                 " here, but a line before has expert " + std::to_string(greatest_));
        facts_.experts = sequence.experts;
        facts_.from = ExpertsFrom::File;
        expertsSaidBy_ = "in " + sequence.origin;
    }
    if (sequence.experts > 0 && sequence.experts != facts_.experts)
        fail("the model has " + countText(sequence.experts, "expert") + " here, but " +
             std::to_string(facts_.experts) + " " + expertsSaidBy_);
    if (layers_.size() * static_cast<std::size_t>(facts_.experts) > kMaxImportCells)
        fail(countText(layers_.size(), "layer") + " x " + countText(facts_.experts, "expert") +
             " are more than analyses take");
    if (!sequence.tokens.empty() && !sequence.texts.empty() &&
        sequence.tokens.size() != sequence.texts.size())
        fail("has " + std::to_string(sequence.tokens.size()) + " token ids and " +
             std::to_string(sequence.texts.size()) + " token texts");
}

void RoutedRun::add(const RoutedSequence& sequence) {
    agree(sequence);
    const std::int64_t end = sequence.firstPosition + sequence.ids.tokens;
    const std::int64_t known =
        std::max({std::int64_t(sequence.tokens.size()), std::int64_t(sequence.texts.size()),
                  sequence.totalTokens});
    if (known > 0 && end > known)
        throw Error(sequence.origin + ": has experts for token " + std::to_string(end) + " of " +
                    std::to_string(known));
    const std::int64_t tokens = std::max(known, end);
    const std::int64_t prompt = sequence.promptTokens.value_or(tokens);
    if (prompt < 0 || prompt > tokens)
        throw Error(sequence.origin + ": has " + std::to_string(prompt) + " prompt tokens of " +
                    std::to_string(tokens));
    std::vector<AnyRow> rows;
    rows.emplace_back(
        SequenceRow{sequences_, sequence.label, sequence.group, prompt, tokens - prompt});
    addTexts(sequence, rows);
    for (std::int64_t layer = 0; layer < sequence.ids.layers; ++layer)
        addLayer(sequence, layer, rows);
    writer_.add(std::move(rows));
    promptsUnknown_ += sequence.promptTokens ? 0 : 1;
    leadingUnrouted_ += sequence.firstPosition;
    lastUnrouted_ += tokens - end;
    ++sequences_;
}

void RoutedRun::addTexts(const RoutedSequence& sequence, std::vector<AnyRow>& rows) {
    const std::size_t tokens = std::max(sequence.tokens.size(), sequence.texts.size());
    for (std::size_t i = 0; i < tokens; ++i) {
        const auto position = static_cast<std::int64_t>(i);
        rows.emplace_back(
            TokenRow{sequences_, position, sequence.tokens.empty() ? -1 : sequence.tokens[i],
                     sequence.texts.empty() ? std::string() : sequence.texts[i],
                     position < sequence.promptTokens.value_or(position + 1), std::nullopt});
    }
}

void RoutedRun::addLayer(const RoutedSequence& sequence, std::int64_t layer,
                         std::vector<AnyRow>& rows) {
    const ExpertIds& ids = sequence.ids;
    std::int64_t routed = 0;
    for (std::int64_t token = 0; token < ids.tokens; ++token)
        routed += isNone(choiceOf(ids, token, layer)) ? 0 : 1;
    if (routed == 0) return;  // layers without experts have no rows
    layers_[static_cast<std::size_t>(layer)].everRouted = true;
    const std::int64_t before = assignments_;
    for (std::int64_t begin = 0; begin < ids.tokens; begin += kTokensPerRow) {
        const std::int64_t end = std::min(begin + kTokensPerRow, ids.tokens);
        RoutingTokensRow row{sequences_,
                             static_cast<std::int32_t>(layer),
                             sequence.firstPosition + begin,
                             static_cast<std::int32_t>(end - begin),
                             static_cast<std::int32_t>(ids.topK),
                             {},
                             {}};
        for (std::int64_t token = begin; token < end; ++token) {
            const Choice choice = choiceOf(ids, token, layer);
            if (isNone(choice)) {
                row.experts.insert(row.experts.end(), choice.size(), std::int16_t{-1});
                continue;
            }
            countChoice(sequence, token, layer);
            row.experts.insert(row.experts.end(), choice.begin(), choice.end());
        }
        rows.emplace_back(std::move(row));
    }
    padding_ += ids.tokens * ids.topK - (assignments_ - before);
    addCounts(layer, rows);
}

void RoutedRun::countChoice(const RoutedSequence& sequence, std::int64_t token,
                            std::int64_t layer) {
    const Choice choice = choiceOf(sequence.ids, token, layer);
    const std::int64_t position = sequence.firstPosition + token;
    const auto fail = [&](const std::string& cause) {
        throw Error(sequence.origin + ": token " + std::to_string(position) + ", layer " +
                    std::to_string(layer) + ": " + cause);
    };
    const std::size_t phase = !sequence.promptTokens              ? 2
                              : position < *sequence.promptTokens ? 0
                                                                  : 1;
    std::vector<std::int64_t>& counts = layers_[static_cast<std::size_t>(layer)].counts[phase];
    for (std::size_t i = 0; i < choice.size(); ++i) {
        const std::int16_t id = choice[i];
        if (id < 0) continue;
        if (facts_.experts > 0 && id >= facts_.experts)
            fail("expert " + std::to_string(id) + " is not one of " +
                 std::to_string(facts_.experts) + " (" + expertsSaidBy_ + ")");
        if (std::find(choice.begin(), choice.begin() + std::ptrdiff_t(i), id) !=
            choice.begin() + std::ptrdiff_t(i))
            fail("expert " + std::to_string(id) + " is chosen twice");
        if (id > greatest_) {
            greatest_ = id;
            if (layers_.size() * (static_cast<std::size_t>(id) + 1) > kMaxImportCells)
                fail("expert " + std::to_string(id) + " in each of " +
                     countText(layers_.size(), "layer") + " is more than analyses take");
        }
        const auto index = static_cast<std::size_t>(id);
        if (counts.size() <= index) counts.resize(index + 1);
        ++counts[index];
        ++assignments_;
    }
}

void RoutedRun::addCounts(std::int64_t layer, std::vector<AnyRow>& rows) {
    for (std::size_t phase = 0; phase < kPhases.size(); ++phase) {
        std::vector<std::int64_t>& counts = layers_[static_cast<std::size_t>(layer)].counts[phase];
        for (std::size_t expert = 0; expert < counts.size(); ++expert) {
            if (counts[expert] > 0)
                rows.emplace_back(
                    RoutingCountRow{sequences_, kPhases[phase], static_cast<std::int32_t>(layer),
                                    static_cast<std::int32_t>(expert), counts[expert]});
            counts[expert] = 0;
        }
    }
}

void RoutedRun::finish() {
    if (facts_.from == ExpertsFrom::GreatestId)
        facts_.experts = std::max(greatest_ + 1, facts_.topK);
    addRoutedFacts(writer_, request_, facts_);
    const auto add = [&](const char* name, std::int64_t value, const char* unit, bool ok,
                         std::string note) {
        writer_.add(QualityRow{name, double(value), unit, ok, std::move(note)});
    };
    add("sequences_unrouted", unrouted_, "sequences", unrouted_ == 0,
        "Texts of the source that came without experts and are left out; " +
            countText(sequences_, "text") + " came with them.");
    add(kPromptLengthsUnknown, promptsUnknown_, "sequences", promptsUnknown_ == 0,
        "The source does not say which of their tokens are the prompt; all of them are shown as "
        "such.");
    add("prompt_tokens_unrouted", leadingUnrouted_, "tokens", leadingUnrouted_ == 0,
        "Tokens before the first whose experts the source has.");
    add("last_tokens_unrouted", lastUnrouted_, "tokens", true,
        "Last tokens without experts; one that was never fed back no router saw.");
    const auto dense = std::count_if(layers_.begin(), layers_.end(),
                                     [](const Layer& layer) { return !layer.everRouted; });
    add("layers_unrouted", dense, "layers", assignments_ > 0,
        "Layers of the source's arrays in which no token has an expert.");
    add("padding_ids", padding_, "assignments", padding_ == 0,
        "Places without an expert in layers that have experts for other tokens.");
}

}  // namespace moescope
