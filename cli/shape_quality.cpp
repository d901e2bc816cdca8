// SPDX-License-Identifier: Apache-2.0
#include "cli/shape_quality.h"

#include <algorithm>
#include <iostream>
#include <limits>
#include <numbers>

#include "cli/json_lines.h"
#include "cli/output.h"
#include "cli/score_items.h"
#include "cli/shape_speed.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/run/score.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr char kRandom[] =
    "its weights are random: what it makes of a text, and which experts it chooses, says nothing "
    "of the shape";

/// Histograms of experts, one a layer.
class ExpertCounts final : public RoutingSink {
public:
    explicit ExpertCounts(const ModelSpec& spec) : counts_(spec.layers.size()) {
        for (std::size_t i = 0; i < counts_.size(); ++i)
            if (spec.layers[i].mlp == MlpKind::Experts)
                counts_[i].resize(static_cast<std::size_t>(spec.nExpert));
    }
    void onRouting(const StepInfo&, int layer, int, std::span<const std::int32_t> experts,
                   std::span<const float>) override {
        for (const std::int32_t e : experts)
            ++counts_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(e)];
    }
    const std::vector<std::vector<std::int64_t>>& counts() const { return counts_; }

private:
    std::vector<std::vector<std::int64_t>> counts_;
};

ShapeQuality scored(const Model& model, const std::vector<ScoreItem>& items,
                    const std::filesystem::path& path, const StopFlag* stop,
                    const std::function<void()>& done) {
    ShapeQuality out;
    std::vector<ScoreSequence> sequences;
    std::size_t longest = 1;
    for (const ScoreItem& item : items) {
        const ScoreCandidate& text = item.candidates.front();
        sequences.push_back(text.sequence);
        longest = std::max(longest, text.sequence.tokens.size() - 1);
        out.bytes.push_back(double(*text.textBytes));
        out.scoredTokens += text.sequence.tokens.size() - text.scoredFrom;
        out.routedTokens += text.sequence.tokens.size() - 1;
    }
    out.bits.resize(items.size());
    ExpertCounts counts(model.spec());
    BatchScorer scorer(model.backend(), static_cast<int>(longest), {.brief = true});
    scorer.setStop(stop);
    if (model.spec().expertLayers() > 0) scorer.setRouting(&counts);
    try {
        scorer.score(sequences, [&](BatchScorer::Scored&& text) {
            for (const TokenFinding& f : text.findings)
                out.bits[text.sequence] -= f.logProbability / std::numbers::ln2;
            done();
        });
    } catch (const SequenceError& e) {
        throw Error(lineName(path, items[e.sequence()].line) + ": " + e.what(), e.hint());
    }
    if (model.spec().expertLayers() > 0)
        out.balance = depthBands(counts.counts(), model.spec().topK, kDepthBands);
    out.trained = true;
    return out;
}

/// Bits per byte of each, and what sets it apart from the first on the same texts.
void compareWithFirst(std::vector<ShapeQuality>& shapes) {
    const ShapeQuality& first = shapes.front();
    for (ShapeQuality& shape : shapes) {
        shape.difference = {kNaN, {kNaN, kNaN}};
        shape.bitsPerByte = shape.difference;
        if (!shape.trained) continue;
        const stats::Ratio own{shape.bits, shape.bytes};
        shape.bitsPerByte = stats::ratioOfSums(own);
        if (first.trained)
            shape.difference = stats::ratioDifference(own, {first.bits, first.bytes});
    }
}

std::string bandName(const DepthBand& band) {
    return formatFixed(band.from, 2) + " to " + formatFixed(band.to, 2);
}

void printBalance(const MeasuredQuality& quality, const ShapeList& list) {
    TextTable table({"shape", "depth", "layers", "excess over chance", "entropy / log2 E",
                     "effective experts / E"});
    for (std::size_t i = 0; i < quality.shapes.size(); ++i) {
        for (const DepthBand& band : quality.shapes[i].balance) {
            const bool all = &band == &quality.shapes[i].balance.back();
            table.row({list.shapes[i].name, all ? "all" : bandName(band),
                       std::to_string(band.layers), formatFixed(band.excess, 3),
                       formatFixed(band.normalizedEntropy, 4),
                       formatFixed(band.effectiveShare, 4)});
        }
    }
    std::cout << '\n'
              << table.text()
              << "depth: 0 is the first layer's beginning, 1 the last one's end; excess: max/mean "
                 "load over what a uniform\nrouter shows by chance for as many tokens. Means of "
                 "the layers.\n";
}

}  // namespace

std::vector<ScoreItem> readTexts(const Model& model, const std::filesystem::path& path) {
    std::vector<ScoreItem> items = readScoreItems(model, path, false);
    for (const ScoreItem& item : items) {
        if (item.candidates.size() == 1 && !item.listed && item.candidates.front().textBytes)
            continue;
        throw Error(lineName(path, item.line) +
                    ": bits per byte need one text a line and a model with a tokenizer");
    }
    return items;
}

MeasuredQuality measureQuality(
    const ShapeList& list, const std::function<TextModel(std::size_t shape)>& load,
    const std::filesystem::path& path, const StopFlag* stop,
    const std::function<void(std::size_t done, std::size_t total)>& progress) {
    MeasuredQuality out;
    out.shapes.resize(list.shapes.size());
    const auto trained = static_cast<std::size_t>(
        std::count_if(list.shapes.begin(), list.shapes.end(),
                      [](const ListedShape& shape) { return !shape.random(); }));
    std::size_t done = 0;
    bool any = false;
    try {
        for (std::size_t i = 0; i < list.shapes.size(); ++i) {
            if (list.shapes[i].random()) continue;
            const TextModel loaded = load(i);
            out.texts = loaded.texts.size();
            out.shapes[i] = scored(*loaded.model, loaded.texts, path, stop,
                                   [&] { progress(++done, trained * out.texts); });
            any = true;
        }
    } catch (const Interrupted&) {
        if (!any) throw;
        out.interrupted = true;
    }
    compareWithFirst(out.shapes);
    return out;
}

void printQuality(const MeasuredQuality& quality, const ShapeList& list) {
    TextTable table({"shape", "bits per byte [95 %]", "from the first [95 %]", "scored tokens"});
    bool any = false, balance = false;
    for (std::size_t i = 0; i < quality.shapes.size(); ++i) {
        const ShapeQuality& q = quality.shapes[i];
        if (!q.trained) continue;
        any = true;
        balance = balance || !q.balance.empty();
        table.row({list.shapes[i].name, estimateText(q.bitsPerByte, 4),
                   i == 0 ? "" : estimateText(q.difference, 4),
                   formatCount(std::int64_t(q.scoredTokens))});
    }
    if (any) {
        std::cout << '\n'
                  << table.text() << groupedCount(quality.texts, "text")
                  << "; differences by text, intervals by leaving out one text at a time "
                     "(jackknife, Student's t).\n";
        if (balance) printBalance(quality, list);
    }
    for (std::size_t i = 0; i < quality.shapes.size(); ++i)
        if (list.shapes[i].random())
            std::cout << list.shapes[i].name << ": no quality and no balance, for " << kRandom
                      << ".\n";
}

nlohmann::json qualityJson(const MeasuredQuality& quality, const ShapeList& list) {
    nlohmann::json shapes = nlohmann::json::array();
    for (std::size_t i = 0; i < quality.shapes.size(); ++i) {
        const ShapeQuality& q = quality.shapes[i];
        nlohmann::json bands = nlohmann::json::array();
        for (const DepthBand& band : q.balance)
            bands.push_back({{"from", band.from},
                             {"to", band.to},
                             {"layers", band.layers},
                             {"excess", band.excess},
                             {"normalized_entropy", band.normalizedEntropy},
                             {"effective_share", band.effectiveShare}});
        shapes.push_back({{"name", list.shapes[i].name},
                          {"trained", q.trained},
                          {"scored_tokens", q.scoredTokens},
                          {"routed_tokens", q.routedTokens},
                          {"bits_per_byte", estimateJson(q.bitsPerByte)},
                          {"difference", estimateJson(q.difference)},
                          {"balance", std::move(bands)}});
        if (list.shapes[i].random()) shapes.back()["reason"] = kRandom;
    }
    return {{"texts", quality.texts},
            {"interrupted", quality.interrupted},
            {"shapes", std::move(shapes)}};
}

}  // namespace moescope::cli
