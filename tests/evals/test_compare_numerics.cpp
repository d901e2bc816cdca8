// SPDX-License-Identifier: Apache-2.0
// Two models on one text: themselves, and a coarser copy.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "engine/convert/convert.h"
#include "engine/core/error.h"
#include "engine/model/synth.h"
#include "evals/compare_numerics.h"

using namespace moescope;
namespace fs = std::filesystem;

namespace {

/// A tiny mixture-of-experts model and a copy whose matrices are MXFP4, made once.
struct Pair {
    fs::path folder;
    std::unique_ptr<Model> exact, coarse;

    Pair() {
        std::string pattern = (fs::temp_directory_path() / "moescope-numerics-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        folder = pattern;
        SynthConfig config = synthConfig("demo-synthetic");
        config.layers = 3;
        config.experts = 8;
        config.vocab = 1024;
        synthesize(config, folder / "a.gguf");
        ConvertOptions options;
        options.part = ConvertPart::All;
        convertCheckpoint(folder / "a.gguf", folder / "b.gguf", options);
        exact = Model::load((folder / "a.gguf").string());
        coarse = Model::load((folder / "b.gguf").string());
    }
    ~Pair() {
        std::error_code ignored;
        fs::remove_all(folder, ignored);
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
};

const Pair& models() {
    static const Pair pair;
    return pair;
}

const std::vector<std::string>& texts() {
    static const std::vector<std::string> list = [] {
        std::vector<std::string> out(2);
        for (int i = 0; i < 90; ++i) {
            out[0] += "the river went on to the sea, and number " + std::to_string(i * 37) + "; ";
            out[1] += "a second text of other words " + std::to_string(i) + ". ";
        }
        return out;
    }();
    return list;
}

NumericsOptions small() {
    NumericsOptions options;
    options.context = 100;  // no multiple of the 64 tokens of a step
    options.maxTokens = 950;
    options.resamples = 200;
    return options;
}

}  // namespace

TEST_CASE("a model compared with itself differs in nothing") {
    const NumericsReport r = compareNumerics(*models().exact, *models().exact, texts(), small());
    CHECK(r.blocks == 10);
    CHECK(r.tokens == 950 - 10);
    CHECK(r.perplexityA.value == r.perplexityB.value);
    CHECK(r.nats.value == 0.0);
    CHECK(r.klMean.value == 0.0);
    CHECK(r.klP99.value == 0.0);
    CHECK(r.sameTop1.value == 1.0);
    CHECK(r.routing.value == 1.0);
    CHECK(r.routingEverywhere.value == 1.0);
    REQUIRE(r.layers.size() == 3);
    for (const LayerNumerics& layer : r.layers) {
        CHECK(layer.error.value == 0.0);
        CHECK(layer.routing.value == 1.0);
    }
}

TEST_CASE("a coarser copy is measured as its logits one by one say") {
    const Model& a = *models().exact;
    const Model& b = *models().coarse;
    NumericsOptions options = small();
    options.maxTokens = 100;
    const NumericsReport r = compareNumerics(a, b, texts(), options);
    REQUIRE(r.blocks == 1);
    CHECK(std::isnan(r.klMean.interval.low));  // one block says nothing about its spread

    auto tokens = a.tokenizer().encode(texts()[0], SpecialTokens::AsText);
    tokens.resize(100);
    Session sa(a, 100);
    Session sb(b, 100);
    double natsB = 0;
    double kl = 0;
    double same = 0;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
        const auto x = sa.append(std::span(tokens).subspan(i, 1));
        const auto y = sb.append(std::span(tokens).subspan(i, 1));
        natsB -= logProbability(y, tokens[i + 1]);
        same += mostLikely(x) == mostLikely(y) ? 1 : 0;
        for (std::int32_t t = 0; t < a.spec().vocab; ++t)
            kl += std::exp(logProbability(x, t)) * (logProbability(x, t) - logProbability(y, t));
    }
    CHECK(r.perplexityB.value == Approx(std::exp(natsB / 99)).epsilon(1e-4));
    CHECK(r.klMean.value == Approx(kl / 99).epsilon(1e-3));
    CHECK(r.sameTop1.value == Approx(same / 99));
    CHECK(r.klMean.value > 1e-4);
    CHECK(r.klP99.value > r.klMean.value);
    CHECK(r.routing.value < 1.0);
    CHECK(r.routing.value > 0.2);
    CHECK(r.routingEverywhere.value <= r.layers[2].routing.value);
    CHECK(r.layers[0].error.value > 0.01);
    CHECK(r.layers[2].error.value < 1.0);
}

TEST_CASE("intervals of a comparison hold the value and come from several blocks") {
    const NumericsReport r = compareNumerics(*models().exact, *models().coarse, texts(), small());
    for (const Estimate* e : {&r.perplexityA, &r.perplexityB, &r.klMean, &r.sameTop1, &r.routing}) {
        CHECK(e->interval.low <= e->value);
        CHECK(e->interval.high >= e->value);
        CHECK(e->interval.high > e->interval.low);
    }
    CHECK(r.nats.value == Approx(std::log(r.perplexityB.value / r.perplexityA.value)).margin(1e-9));
}

TEST_CASE("a comparison as rows of a run file") {
    const NumericsReport r = compareNumerics(*models().exact, *models().coarse, texts(), small());
    const std::vector<MetricRow> rows = numericsMetrics(r, 7, 200);
    REQUIRE(rows.size() == 8 + 3 * 2);
    CHECK(rows[3].name == "kl_mean");
    CHECK(rows[3].suite == 7);
    CHECK(rows[3].value == r.klMean.value);
    CHECK(rows[3].low == r.klMean.interval.low);
    CHECK(rows[3].high == r.klMean.interval.high);
    CHECK(rows[3].n == r.tokens);
    CHECK(rows[3].method == "percentile bootstrap over 10 blocks, 200 resamples, seed 1");
    CHECK(rows.back().name == "routing_agreement");
    CHECK(rows.back().group == "layer=002");
    CHECK(rows.back().value == r.layers[2].routing.value);
    NumericsReport alone = r;
    alone.klMean.interval = {std::nan(""), std::nan("")};
    alone.routing.value = std::nan("");
    const std::vector<MetricRow> fewer = numericsMetrics(alone, 1, 200);
    CHECK(fewer.size() == rows.size() - 1);
    CHECK_FALSE(fewer[3].low);
}

TEST_CASE("models of other shapes are not compared") {
    SynthConfig config = synthConfig("demo-synthetic");
    config.layers = 2;
    config.experts = 8;
    config.vocab = 1024;
    const auto path = models().folder / "other.gguf";
    synthesize(config, path);
    const auto other = Model::load(path.string());
    CHECK_THROWS_WITH(compareNumerics(*models().exact, *other, texts(), small()),
                      "the models cannot be compared token by token: layers 3 and 2");
}
