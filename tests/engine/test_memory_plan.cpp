// SPDX-License-Identifier: Apache-2.0
#include "engine/model/memory_plan.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

/// A vocabulary of 128 rows of 256 weights; 2 layers without weights, one with a window of 8;
/// 2 key-value heads of 4. Sizes are planned without touching the data, so there is none.
BoundModel small(DType type) {
    BoundModel model;
    ModelSpec& spec = model.spec;
    spec.nLayer = 2;
    spec.dModel = 256;
    spec.nHead = 4;
    spec.nKvHead = 2;
    spec.headDim = 4;
    spec.vocab = 128;
    spec.contextLength = 1000;
    spec.nExpert = 4;
    spec.topK = 2;
    spec.layers.resize(2);
    spec.layers[0].window = 8;
    for (LayerSpec& layer : spec.layers) layer.ffn = 32;
    static const std::byte kNothing{};
    TensorView& t = model.weights.embedding;
    t.type = type;
    t.rank = 2;
    t.shape = {128, 256, 1, 1};
    t.data = &kNothing;
    t.rowStride = *rowBytes(type, 256);
    t.stackStride = 128 * t.rowStride;
    model.weights.head = t;
    model.weights.layers.resize(2);
    return model;
}

}  // namespace

TEST_CASE("the memory plan counts packed weights and not the file's") {
    // Beside the rows of the tied embedding, which stay mapped as stored; scales of K quants are
    // packed as float32.
    constexpr std::uint64_t kBlocks = 128 * 8;
    CHECK(planMemory(small(DType::Q4_K), 8).weights == kBlocks * (16 + 8) + 128 * 144);
    CHECK(planMemory(small(DType::Q6_K), 8).weights == kBlocks * (32 + 8) + 128 * 210);
    CHECK(planMemory(small(DType::F16), 8).weights == kBlocks * 64 + 128 * 512);
}

TEST_CASE("the memory plan counts copies that binding made and has them as available") {
    BoundModel model = small(DType::F16);
    const MemoryPlan before = planMemory(model, 8);
    model.weights.owned.push_back(
        std::make_shared<const std::vector<std::byte>>(std::size_t{3} << 20));
    CHECK(planMemory(model, 8).weights == before.weights + (3 << 20));
}

TEST_CASE("the memory plan is what the cpu back end allocates") {
    const auto golden = loadGolden("gpt_oss_window");
    CpuOptions options;
    options.threads = 2;
    const auto backend = makeCpuBackend(golden.model, *golden.checkpoint, options);
    for (const int context : {1, 100, 512}) {
        const MemoryPlan plan = planMemory(golden.model, context, 2);
        CAPTURE(context);
        const int batch = std::min(context, Session::kDefaultBatch);
        CHECK(plan.kvCache + plan.activations ==
              backend->stateBytes(context, batch) + backend->cacheBytes({context, batch}));
    }
}

TEST_CASE("the memory plan sums the caches of a hand-worked shape") {
    const MemoryPlan plan = planMemory(small(DType::F16), 1000);
    // Ring of 8 - 1 + 512 rows and 1000 rows; 2 x 4 bytes x 8 values a row.
    CHECK(plan.kvCache == (519 + 1000) * 64);
    CHECK(plan.activations > 4 * (512 * (2 * 256 + 2 * 16 + 2 * 8) + 128));
    CHECK(plan.total() == plan.weights + plan.kvCache + plan.activations);
    CHECK(plan.available > 0);
    CHECK_NOTHROW(refuseIfTooLarge(plan, "x"));
}

TEST_CASE("the planned context is cut to the model's") {
    CHECK(planMemory(small(DType::F16), 5000).context == 1000);
    CHECK(planMemory(small(DType::F16), 0).context == 1);
}

TEST_CASE("a model that cannot fit is refused with the sum") {
    MemoryPlan plan;
    plan.weights = 3ULL << 30;
    plan.kvCache = 1ULL << 30;
    plan.activations = 1ULL << 29;
    plan.available = 4ULL << 30;
    plan.context = 4096;
    CHECK_THROWS_WITH(refuseIfTooLarge(plan, "x.gguf"),
                      "x.gguf needs 4.50 GiB (weights 3.00 GiB + KV cache 1.00 GiB for 4096 tokens "
                      "+ activations 512.00 MiB), 4.00 GiB are available");
}

TEST_CASE("an expert's bytes are those of its matrices and biases as stored") {
    static const std::byte kNothing{};
    const auto stack = [](DType type, std::int64_t rows, std::int64_t cols) {
        TensorView t;
        t.type = type;
        t.rank = 3;
        t.shape = {4, rows, cols, 1};
        t.data = &kNothing;
        return t;
    };
    BoundModel model = small(DType::F16);
    CHECK(expertBytes(model.spec, model.weights) == 0);
    LayerWeights& layer = model.weights.layers[1];
    layer.router = stack(DType::BF16, 1, 256);
    for (TensorView* t : {&layer.gate, &layer.up}) *t = stack(DType::MXFP4, 32, 256);
    layer.down = stack(DType::MXFP4Split, 256, 32);
    layer.downBias = stack(DType::F32, 1, 256);
    // 17 bytes for 32 weights, however the scales lie.
    CHECK(expertBytes(model.spec, model.weights) == 3 * 32 * 256 / 32 * 17 + 256 * 4);
}
