// SPDX-License-Identifier: Apache-2.0
#include "engine/model/shape_figures.h"

#include <catch2/catch.hpp>

#include "engine/backend/backend.h"
#include "engine/model/synth_checkpoint.h"
#include "engine/run/session.h"

using namespace moescope;

namespace {

ShapeFigures figuresOf(const SynthConfig& config, const ShapeSetting& setting) {
    const SynthOutline outline(config);
    return shapeFigures(outline, bindModel(outline), setting);
}

/// What a back end says of one step.
class Told final : public TraceSink {
public:
    void stepBegin(const StepInfo&) override {}
    void stepEnd() override {}
    void opBegin(Op, int) override { ++operations; }
    void opEnd(const OpWork& work) override {
        bytes += work.bytes;
        flops += work.flops;
    }
    int operations = 0;
    std::uint64_t bytes = 0, flops = 0;
};

}  // namespace

TEST_CASE("a uniform router's tokens meet fewer distinct experts than they choose") {
    CHECK(distinctExperts(32, 4, 1) == 4);
    CHECK(distinctExperts(32, 4, 2) == Approx(32 * (1 - 0.875 * 0.875)));
    CHECK(distinctExperts(32, 4, 8) == Approx(21.0044).margin(1e-4));
    CHECK(distinctExperts(8, 8, 1) == 8);
    CHECK(distinctExperts(128, 4, 1 << 20) == Approx(128));
}

TEST_CASE("caches of gpt-oss-20b: full layers grow, windowed ones hold a ring") {
    // Keys and values of 8 heads of 64 in two bytes: 2048 bytes a row. 12 layers hold 4096 rows,
    // 12 the window of 128 and a step of 512: 639.
    const ShapeFigures f = figuresOf(synthConfig("gpt-oss-20b"), {.context = 4096});
    CHECK(f.tokenKvBytes == 12 * 2048);
    CHECK(f.kvBytes == 2048ULL * 12 * (4096 + 639));
    CHECK(figuresOf(synthConfig("gpt-oss-20b"), {.context = 4096, .kvElementBytes = 4}).kvBytes ==
          2 * f.kvBytes);
    CHECK(f.parameters.total == 20'914'757'184);
    // 4.25 bits a weight of the experts, 8.5 of the other matrices, 32 of the rest.
    const double experts = 24.0 * 32 * 3 * 2880 * 2880;
    const double matrices = 2.0 * 201088 * 2880 + 24.0 * 2880 * 64 * (64 + 8 + 8 + 64);
    const double rest = double(f.parameters.total) - experts - matrices;
    CHECK(double(f.weightBytes) == (experts * 4.25 + matrices * 8.5 + rest * 32) / 8);
}

TEST_CASE("the work of a decoded token is what the engine counts when it decodes one") {
    for (const char* name : {"demo-synthetic", "qwen3-30b-a3b"}) {
        INFO(name);
        SynthConfig config = synthConfig(name);
        config.layers = 2;
        config.dModel = config.ffn = 64;
        config.heads = 4;
        config.kvHeads = 2;
        config.headDim = 32;
        config.experts = 6;
        config.topK = 2;
        config.vocab = 1024;
        const SynthCheckpoint checkpoint(config, "synth:tiny", 1);
        const BoundModel model = bindModel(checkpoint);
        const auto backend = makeReferenceBackend(model);
        constexpr int kContext = 9;
        Session session(*backend, kContext);
        session.append(std::vector<TokenId>(kContext - 1, 7), StepKind::Prefill);
        Told told;
        session.setTrace(&told);
        session.append(std::vector<TokenId>{5}, StepKind::Decode);
        const ShapeFigures f =
            shapeFigures(checkpoint, model, {.context = kContext, .kvElementBytes = 4});
        CHECK(f.steps.at(0).bytes == Approx(double(told.bytes)).epsilon(1e-12));
        CHECK(f.steps.at(0).flops == double(told.flops));
        CHECK(f.dependentOperations == told.operations + 1);  // the choice is the caller's
        CHECK(f.dependentOperations == 3 + 5 * 2);
    }
}

TEST_CASE("several sequences share the weights of a step but not its caches") {
    const SynthConfig config = synthConfig("gpt-oss-20b");
    const ShapeFigures f = figuresOf(config, {.context = 4096, .sequences = {1, 64}});
    REQUIRE(f.steps.size() == 2);
    CHECK(f.steps[0].distinctExperts == 4);
    CHECK(f.steps[1].distinctExperts == Approx(32).epsilon(0.001));
    CHECK(f.steps[1].flops == 64 * f.steps[0].flops);
    // 28 more experts of 13.2 MB in 24 layers; 63 times: 4096 rows of 12 layers and 128 of 12 read,
    // one row of 24 written, a row of the embedding (2880 weights in 8.5 bits).
    const double expert = 3 * 2880.0 * 2880 * 4.25 / 8 + 3 * 2880 * 4;
    const double sequence = 2048.0 * 12 * (4096 + 128) + 2048.0 * 24 + 2880 * 8.5 / 8;
    CHECK(f.steps[1].bytes - f.steps[0].bytes ==
          Approx(24 * (f.steps[1].distinctExperts - 4) * expert + 63 * sequence));
}

TEST_CASE("a dense layer has one operation less, and no distinct experts") {
    ModelSpec spec;
    spec.nLayer = 3;
    spec.layers.resize(3);
    CHECK(operationsPerToken(spec) == 3 + 4 * 3);
    spec.layers[1].mlp = MlpKind::Experts;
    CHECK(operationsPerToken(spec) == 3 + 4 * 3 + 1);
}
