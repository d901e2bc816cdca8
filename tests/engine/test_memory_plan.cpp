// SPDX-License-Identifier: Apache-2.0
#include "engine/model/memory_plan.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

using namespace moescope;

namespace {

/// 2 layers, one with a window of 8; 2 key-value heads of 4.
ModelSpec small() {
    ModelSpec spec;
    spec.nLayer = 2;
    spec.dModel = 16;
    spec.nHead = 4;
    spec.nKvHead = 2;
    spec.headDim = 4;
    spec.vocab = 100;
    spec.contextLength = 1000;
    spec.nExpert = 4;
    spec.topK = 2;
    spec.layers.resize(2);
    spec.layers[0].window = 8;
    for (LayerSpec& layer : spec.layers) layer.ffn = 32;
    return spec;
}

}  // namespace

TEST_CASE("the memory plan sums weights and caches of a hand-worked shape") {
    const auto golden = openCheckpoint(MOESCOPE_SOURCE_DIR "/tests/golden/data/dtypes.gguf");
    const MemoryPlan plan = planMemory(small(), *golden, 1000);
    // Ring of 8 - 1 + 512 rows and 1000 rows; 2 x 4 bytes x 8 values a row.
    CHECK(plan.kvCache == (519 + 1000) * 64);
    // A token: 2 x 16 hidden, 2 x 16 query, 2 x 8 kv, 4 router, 2 experts x (2 x 32 + 16).
    CHECK(plan.activations == 4 * (512 * (32 + 32 + 16 + 4 + 160) + 100));
    CHECK(plan.weights > 50000);
    CHECK(plan.weights < golden->fileBytes());
    CHECK(plan.total() == plan.weights + plan.kvCache + plan.activations);
    CHECK(plan.available > 0);
    CHECK_NOTHROW(refuseIfTooLarge(plan, "x"));
}

TEST_CASE("the planned context is cut to the model's") {
    const auto golden = openCheckpoint(MOESCOPE_SOURCE_DIR "/tests/golden/data/dtypes.gguf");
    CHECK(planMemory(small(), *golden, 5000).context == 1000);
    CHECK(planMemory(small(), *golden, 0).context == 1);
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
