// SPDX-License-Identifier: Apache-2.0
// The parts of the reference back end that golden models of two architectures do not reach, with
// values worked by hand.
#include <catch2/catch.hpp>

#include <array>
#include <cmath>

#include "engine/backend/activation.h"
#include "engine/backend/kv_layout.h"
#include "engine/backend/reference/reference_math.h"
#include "engine/backend/routing_rule.h"
#include "engine/backend/work.h"
#include "tests/engine/golden.h"
#include "tests/engine/memory_checkpoint.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

struct Choice {
    std::vector<std::int32_t> experts;
    std::vector<float> weights;
};

Choice choose(RoutingRule rule, const std::vector<float>& logits, std::size_t topK) {
    Choice c{std::vector<std::int32_t>(topK), std::vector<float>(topK)};
    chooseExperts(rule, logits, c.experts, c.weights);
    return c;
}

}  // namespace

TEST_CASE("experts are chosen largest first and ties go to the lower id") {
    const auto pick = [](const std::vector<float>& logits, std::size_t k) {
        return choose(RoutingRule::TopKThenSoftmax, logits, k).experts;
    };
    CHECK(pick({1, 3, 2, 0}, 3) == std::vector<std::int32_t>{1, 2, 0});
    CHECK(pick({2, 2, 2, 2}, 2) == std::vector<std::int32_t>{0, 1});
    CHECK(pick({0, 1, 5, 1, 5}, 4) == std::vector<std::int32_t>{2, 4, 1, 3});
    CHECK(pick({-1, -2}, 2) == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("gate weights follow the routing rule") {
    const std::vector<float> logits{std::log(1.0F), std::log(4.0F), std::log(2.0F), std::log(3.0F)};
    const auto chosen = choose(RoutingRule::TopKThenSoftmax, logits, 2);
    CHECK(chosen.experts == std::vector<std::int32_t>{1, 3});
    CHECK(chosen.weights[0] == Approx(4.0 / 7));
    CHECK(chosen.weights[1] == Approx(3.0 / 7));
    CHECK(choose(RoutingRule::SoftmaxThenTopK, logits, 2).weights[0] == Approx(0.4));
    CHECK(choose(RoutingRule::SoftmaxThenTopKRenorm, logits, 2).weights[1] == Approx(3.0 / 7));
    CHECK(choose(RoutingRule::TopKThenSoftmax, {1000, -1000}, 2).weights[0] == 1.0F);
}

TEST_CASE("NaN router logits still give valid ids") {
    const auto chosen = choose(RoutingRule::TopKThenSoftmax, {NAN, NAN, NAN}, 2);
    for (const std::int32_t e : chosen.experts) CHECK((e >= 0 && e < 3));
    CHECK(std::isnan(chosen.weights[0]));
}

TEST_CASE("the clamped SwiGLU of gpt-oss clamps the gate above only") {
    const auto f = [](double gate, double up) { return gptOssSwiGlu(gate, up, 1.702, 7.0); };
    const auto g = [](double x) { return x / (1 + std::exp(-1.702 * x)); };
    CHECK(f(1, 2) == Approx(g(1) * 3));
    CHECK(f(9, 0) == Approx(g(7)));
    CHECK(f(-9, 0) == Approx(g(-9)));
    CHECK(f(1, 20) == Approx(g(1) * 8));
    CHECK(f(1, -20) == Approx(g(1) * -6));
}

TEST_CASE("silu and gelu have their known values") {
    CHECK(silu(1.0) == Approx(0.7310585786));
    CHECK(silu(-1.0) == Approx(-0.2689414214));
    CHECK(geluTanh(1.0) == Approx(0.8411919906));
    CHECK(geluTanh(0.0) == 0.0);
}

TEST_CASE("norms divide by the root mean square or the deviation") {
    const std::vector<float> in{3, 4};
    const std::vector<float> weight{1, 2};
    const std::vector<float> bias{0.5F, 0};
    std::vector<float> out(2);
    const double rms = std::sqrt(12.5);
    reference::normalize(NormKind::Rms, 0.0F, weight, {}, in, out);
    CHECK(out[0] == Approx(3 / rms));
    CHECK(out[1] == Approx(8 / rms));
    reference::normalize(NormKind::RmsPlusOne, 0.0F, weight, {}, in, out);
    CHECK(out[1] == Approx(12 / rms));
    reference::normalize(NormKind::LayerNorm, 0.0F, weight, bias, in, out);
    CHECK(out[0] == Approx(-0.5));
    CHECK(out[1] == Approx(2.0));
    reference::normalize(NormKind::Rms, 12.5F, weight, {}, in, out);
    CHECK(out[0] == Approx(0.6));
}

TEST_CASE("a sink takes its share of the attention and adds no value") {
    const std::vector<float> query{1.0F};
    const std::vector<float> keys{0.0F, std::log(2.0F)};
    const std::vector<float> values{10.0F, 20.0F};
    const float sink = 0.0F;
    reference::HeadAttention head;
    head.query = query;
    head.keys = keys.data();
    head.values = values.data();
    head.cacheRows = 2;
    head.rowWidth = 1;
    head.last = 1;
    std::vector<float> out(1);
    reference::attendHead(head, out);
    CHECK(out[0] == Approx((10.0 + 2 * 20.0) / 3));
    head.sink = &sink;
    reference::attendHead(head, out);
    CHECK(out[0] == Approx((10.0 + 2 * 20.0) / 4));
    const float huge = 1000.0F;
    head.sink = &huge;
    reference::attendHead(head, out);
    CHECK(out[0] == Approx(0.0));
}

TEST_CASE("a ring holds the window of the first token and the whole step") {
    CHECK(kvRows(0, 4096, 512) == 4096);
    CHECK(kvRows(128, 4096, 512) == 639);
    CHECK(kvRows(128, 100, 512) == 100);
    CHECK(kvRows(1, 100, 1) == 1);
    CHECK(firstVisible(127, 128) == 0);
    CHECK(firstVisible(128, 128) == 1);
    CHECK(firstVisible(5000, 0) == 0);
}

TEST_CASE("bytes count every chosen expert once and flops every token") {
    const MemoryCheckpoint c = tinyGptOssGguf();
    const BoundModel model = bindModel(c);
    const LayerWeights& layer = model.weights.layers[0];
    const StepRun run{nullptr, 10, 3};
    const StepShape step{3, {&run, 1}, 2};
    const std::array<std::int32_t, 6> experts{0, 2, 2, 0, 0, 2};
    const OpWork work = expertsWork(model.spec, layer, step, experts);
    CHECK(work.bytes == 2 * (3 * 48 + 6 + 6 + 8) * 4);  // experts 0 and 2
    CHECK(work.flops == 3 * 2 * 2 * (3 * 48));          // tokens x top-k x multiply-add x weights
    // Window 4: positions 10, 11, 12 see 4 keys each, keys 7 to 12 are read once.
    const OpWork sliding = attentionWork(model.spec, model.spec.layers[0], step);
    CHECK(sliding.bytes == 6 * 2 * 2 * 4 * 2);
    CHECK(sliding.flops == 4 * (4 + 4 + 4) * 16);
    const OpWork full = attentionWork(model.spec, model.spec.layers[1], step);
    CHECK(full.bytes == 13 * 2 * 2 * 4 * 2);
    CHECK(full.flops == 4 * (11 + 12 + 13) * 16);
    // Two sequences in one step read their own keys each.
    const std::array<StepRun, 2> both = {run, {nullptr, 0, 2}};
    const OpWork ragged = attentionWork(model.spec, model.spec.layers[1], {5, both, 2});
    CHECK(ragged.bytes == (13 + 2) * 2 * 2 * 4 * 2);
    CHECK(ragged.flops == 4 * (11 + 12 + 13 + 1 + 2) * 16);
    CHECK(matrixBytes(layer.gate) == 48 * 4);
    CHECK(headWork(model.weights, 2).flops == 2 * 80 * 2);
}

TEST_CASE("the state takes the bytes it was announced with") {
    const Golden golden = loadGolden("gpt_oss_window");
    const auto backend = makeReferenceBackend(golden.model);
    // 2 full layers x 100 rows, 2 rings x 17 rows, keys and values of 32; activations of 10 tokens.
    const std::uint64_t cache = (2 * 100 + 2 * 17) * 2 * 32;
    const std::uint64_t activations = 10 * (3 * 32 + 2 * 64 + 2 * 32 + 4 + 2 * 2);
    CHECK(backend->stateBytes(100, 10) == activations * 4);
    CHECK(backend->cacheBytes({100, 10}) == cache * 4);
}

TEST_CASE("norms after the blocks and on queries and keys are applied") {
    // No golden model has these switches; what is checked is that each changes the result, and that
    // a post-norm of weight zero removes the block altogether.
    const Golden golden = loadGolden("llama_untied");
    const auto logitsOf = [&](const BoundModel& model) {
        const auto backend = makeReferenceBackend(model);
        Session session(*backend, 32);
        return allLogits(session, golden.tokens);
    };
    const std::vector<float> zero(40, 0.0F);
    const std::vector<float> one(48, 1.0F);
    const auto vector = [](const std::vector<float>& values, std::int64_t width) {
        TensorView t;
        t.rank = 1;
        t.shape = {width, 1, 1, 1};
        t.data = reinterpret_cast<const std::byte*>(values.data());
        return t;
    };
    BoundModel silent = golden.model;
    silent.spec.normPlace = NormPlace::PreAndPost;
    for (LayerWeights& layer : silent.weights.layers) {
        layer.postAttnNorm = vector(zero, 40);
        layer.postFfnNorm = vector(zero, 40);
    }
    const auto backend = makeReferenceBackend(silent);
    Session session(*backend, 32);
    const auto first = session.append(std::span(golden.tokens).first(1));
    const std::vector<float> alone(first.begin(), first.end());
    session.append(std::span(golden.tokens).subspan(1, 5));
    // With silent blocks a token's logits do not depend on what came before.
    const auto again = session.append(std::span(golden.tokens).first(1));
    CHECK(std::equal(again.begin(), again.end(), alone.begin()));

    BoundModel perHead = golden.model;
    perHead.spec.qkNorm = QkNorm::PerHead;
    BoundModel fullWidth = golden.model;
    fullWidth.spec.qkNorm = QkNorm::FullWidth;
    for (std::size_t i = 0; i < perHead.weights.layers.size(); ++i) {
        perHead.weights.layers[i].qNorm = perHead.weights.layers[i].kNorm = vector(one, 12);
        fullWidth.weights.layers[i].qNorm = fullWidth.weights.layers[i].kNorm = vector(one, 48);
    }
    const auto headLogits = logitsOf(perHead);
    const auto widthLogits = logitsOf(fullWidth);
    CHECK(relativeError(headLogits, golden.logits) > 1e-3);
    CHECK(relativeError(widthLogits, golden.logits) > 1e-3);
    CHECK(relativeError(widthLogits, headLogits) > 1e-3);
}
