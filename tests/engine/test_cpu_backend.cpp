// SPDX-License-Identifier: Apache-2.0
// The cpu back end against the reference back end, operation by operation, on tiny random models.
#include <malloc.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/kernel_table.h"
#include "engine/backend/cpu/packed_model.h"
#include "engine/core/error.h"
#include "tests/engine/tiny_models.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// max |a - b| / max |b|; not a number counts as infinite.
double relativeError(std::span<const float> a, std::span<const float> b) {
    double worst = 0;
    double largest = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        const double d = std::fabs(double{a[i]} - b[i]);
        if (!(d <= worst)) worst = std::isnan(d) ? INFINITY : d;
        largest = std::max(largest, std::fabs(double{b[i]}));
    }
    return worst / largest;
}

/// Every operation of one step after another, hidden states compared after each.
void compareOperations(const BoundModel& model, std::string_view target, double bound) {
    const auto reference = makeReferenceBackend(model);
    const auto cpu = makeCpu(model, target);
    const std::vector<TokenId> tokens = someTokens(11, model.spec.vocab);
    const auto rs = reference->newState(64, 16);
    const auto cs = cpu->newState(64, 16);
    const auto check = [&](const char* what) {
        INFO(target << " " << what);
        CHECK(relativeError(cpu->hidden(*cs), reference->hidden(*rs)) <= bound);
    };
    const auto rc = reference->newCache({64, 16});
    const auto count = static_cast<int>(tokens.size());
    const StepRun mine{rc.get(), 0, count};
    reference->embed(*rs, tokens, {&mine, 1});
    const auto cc = cpu->newCache({64, 16});
    const StepRun its{cc.get(), 0, count};
    cpu->embed(*cs, tokens, {&its, 1});
    check("embed");
    for (int l = 0; l < model.spec.nLayer; ++l) {
        for (auto op : {&Backend::attentionInput, &Backend::attention, &Backend::attentionOutput}) {
            const OpWork a = ((*reference).*op)(*rs, l);
            const OpWork b = ((*cpu).*op)(*cs, l);
            CHECK(a.bytes == b.bytes);
            CHECK(a.flops == b.flops);
            CHECK_FALSE(b.kernel.empty());
        }
        check("attention");
        if (model.spec.layers[static_cast<std::size_t>(l)].mlp == MlpKind::Experts) {
            reference->route(*rs, l);
            cpu->route(*cs, l);
            const RoutingView a = reference->routing(*rs);
            const RoutingView b = cpu->routing(*cs);
            CHECK(
                std::equal(a.experts.begin(), a.experts.end(), b.experts.begin(), b.experts.end()));
            CHECK(relativeError(b.weights, a.weights) <= bound);
        }
        reference->feedForward(*rs, l);
        cpu->feedForward(*cs, l);
        check("feed-forward");
    }
}

std::vector<std::string> targets() {
    std::vector<std::string> names;
    for (const cpu::Kernels* k : cpu::availableKernels()) names.emplace_back(k->name);
    return names;
}

/// Four times the worst error measured: 2.5e-6 in float32, 2.6e-4 with 16-bit activations, whose
/// error of 2^-16 of a block's largest value is passed on from layer to layer.
double boundOf(std::string_view target) {
    return target.find("_") != target.npos ? 1e-3 : 1e-5;
}

}  // namespace

TEST_CASE("cpu operations agree with the reference on a gpt-oss shaped model") {
    const auto model = gptOssLike();
    for (const std::string& target : targets())
        compareOperations(model->bound, target, boundOf(target));
}

TEST_CASE("cpu operations agree with the reference on llama shaped models") {
    for (const DType type :
         {DType::Q4_1, DType::Q8_0, DType::Q4_0, DType::BF16, DType::F32, DType::F16}) {
        const auto model = llamaLike(type, DType::Q8_0);
        for (const std::string& target : targets())
            compareOperations(model->bound, target, boundOf(target));
    }
}

TEST_CASE("cpu logits agree with the reference however the sequence is cut") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens =
        someTokens(60, model->bound.spec.vocab);  // wraps the rings often
    const auto reference = makeReferenceBackend(model->bound);
    const std::vector<float> expected = run(*reference, tokens, {60}, 60);
    for (const std::string& target : targets()) {
        const auto cpu = makeCpu(model->bound, target);
        for (const std::vector<int>& chunks :
             {std::vector<int>{60}, {1}, {16}, {7, 1, 3}, {2, 9}}) {
            INFO(target << " first chunk " << chunks[0]);
            const int maxBatch = *std::max_element(chunks.begin(), chunks.end());
            CHECK(relativeError(run(*cpu, tokens, chunks, maxBatch), expected) <= boundOf(target));
        }
    }
}

TEST_CASE("experts in the Hugging Face byte order decode like any other") {
    const auto model = gptOssLike(DType::MXFP4Split);
    const std::vector<TokenId> tokens = someTokens(24, model->bound.spec.vocab);
    const std::vector<float> expected = run(*makeReferenceBackend(model->bound), tokens, {24}, 24);
    for (const std::string& target : targets()) {
        INFO(target);
        CHECK(relativeError(run(*makeCpu(model->bound, target), tokens, {1}, 1), expected) <=
              boundOf(target));
    }
}

TEST_CASE("results do not depend on the number of threads") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens = someTokens(40, model->bound.spec.vocab);
    const std::vector<float> one = run(*makeCpu(model->bound, "", 1), tokens, {19, 1}, 19);
    for (const int threads : {2, 3, 5}) {
        CHECK(run(*makeCpu(model->bound, "", threads), tokens, {19, 1}, 19) == one);
    }
}

TEST_CASE("packing releases every matrix but the embedding that is still read") {
    const auto tied = llamaLike(DType::Q8_0, DType::Q8_0);
    const NoCheckpoint checkpoint;
    makeCpuBackend(tied->bound, checkpoint, {});
    std::uint64_t matrices = 0;
    for (const LayerWeights& l : tied->bound.weights.layers) {
        for (const TensorView* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}) {
            matrices += static_cast<std::uint64_t>(t->rows() * t->rowStride);
        }
    }
    CHECK(checkpoint.released == matrices);
}

TEST_CASE("both back ends refuse a model with anything in it that is not finite") {
    using Member = TensorView LayerWeights::*;
    const auto refused = [](const BoundModel& bound) {
        CHECK_THROWS_WITH(makeCpu(bound, ""), Catch::Contains("not finite"));
        CHECK_THROWS_WITH(makeReferenceBackend(bound), Catch::Contains("not finite"));
    };
    for (const Member member :
         {&LayerWeights::attnNorm, &LayerWeights::ffnNorm, &LayerWeights::q, &LayerWeights::k,
          &LayerWeights::v, &LayerWeights::o, &LayerWeights::qBias, &LayerWeights::kBias,
          &LayerWeights::vBias, &LayerWeights::oBias, &LayerWeights::sinks, &LayerWeights::router,
          &LayerWeights::routerBias, &LayerWeights::gate, &LayerWeights::up, &LayerWeights::down,
          &LayerWeights::gateBias, &LayerWeights::upBias, &LayerWeights::downBias}) {
        const auto model = gptOssLike();
        moescope::test::spoilLastBlock(model->bound.weights.layers[1].*member);
        refused(model->bound);
    }
    for (const auto member :
         {&ModelWeights::head, &ModelWeights::outputNorm, &ModelWeights::embedding}) {
        const auto model = gptOssLike();
        REQUIRE(model->bound.weights.embedding.data != model->bound.weights.head.data);
        moescope::test::spoilLastBlock(model->bound.weights.*member);
        refused(model->bound);
    }
}

TEST_CASE("both back ends refuse learned positions that are not finite") {
    const auto model = llamaLike(DType::F32, DType::F32);
    const auto other = llamaLike(DType::F32, DType::F32);
    model->bound.weights.positions = other->bound.weights.embedding;
    moescope::test::spoilLastBlock(model->bound.weights.positions);
    CHECK_THROWS_WITH(makeCpu(model->bound, ""), Catch::Contains("not finite"));
    CHECK_THROWS_WITH(makeReferenceBackend(model->bound), Catch::Contains("not finite"));
}

TEST_CASE("both back ends report MXFP4 blocks whose scale is at an end of its range") {
    for (const DType type : {DType::MXFP4, DType::MXFP4Split}) {
        const auto model = gptOssLike(type);
        CHECK_FALSE(makeCpu(model->bound, "")->mxfp4Edges().any());
        const TensorView t = model->bound.weights.layers[2].down.matrix(5);  // rows of two blocks
        const auto place = [&](std::int64_t row, std::int64_t block, int scale, int codes) {
            const std::int64_t bytes = dtypeInfo(type).blockBytes;
            auto* at = const_cast<std::byte*>(t.data) + row * t.rowStride + block * bytes;
            auto* e = type == DType::MXFP4
                          ? at
                          : const_cast<std::byte*>(t.scales) + row * t.scaleStride + block;
            *e = static_cast<std::byte>(scale);
            std::fill_n(at + (type == DType::MXFP4 ? 1 : 0), 16, static_cast<std::byte>(codes));
        };
        place(0, 0, 0, 0x22);
        place(1, 0, 0, 0x80);  // zeros of both signs: an ordinary block
        place(40, 1, 1, 0x22);
        place(95, 0, 254, 0x22);
        place(95, 1, 254, 0x33);
        for (const auto& backend :
             {makeCpu(model->bound, ""), makeReferenceBackend(model->bound)}) {
            const Mxfp4Edges edges = backend->mxfp4Edges();
            CHECK(edges.smallest == 1);
            CHECK(edges.next == 1);
            CHECK(edges.largest == 2);
        }
    }
}

TEST_CASE("an embedding that is not a number gives logits that are not on either back end") {
    const auto model = gptOssLike();
    std::vector<std::unique_ptr<Backend>> backends;
    backends.push_back(makeReferenceBackend(model->bound));
    for (const std::string& target : targets()) backends.push_back(makeCpu(model->bound, target));
    // Of token 49, and not before loading has looked: rows are read where they are.
    moescope::test::spoilLastBlock(model->bound.weights.embedding);
    for (const auto& backend : backends) {
        INFO(backend->description());
        for (const std::size_t n : {1U, 12U}) {  // by vectors, by tiles
            std::vector<TokenId> tokens(n, 3);
            tokens.front() = 49;
            const std::vector<float> logits =
                run(*backend, tokens, {static_cast<int>(n)}, static_cast<int>(n));
            CHECK(std::all_of(logits.begin(), logits.begin() + model->bound.spec.vocab,
                              [](float x) { return std::isnan(x); }));
        }
    }
}

TEST_CASE("operations name the kernel and the name outlives the back end") {
    const auto model = gptOssLike();
    std::vector<std::string_view> names;
    for (const int tokens : {1, 3}) {
        const auto cpu = makeCpu(model->bound, "portable");
        const auto state = cpu->newState(8, 4);
        const auto cache = cpu->newCache({8, 4});
        const StepRun whole{cache.get(), 0, tokens};
        cpu->embed(*state, someTokens(tokens, 50), {&whole, 1});
        names.push_back(cpu->attentionInput(*state, 0).kernel);
        cpu->attention(*state, 0);
        cpu->attentionOutput(*state, 0);
        cpu->route(*state, 0);
        names.push_back(cpu->feedForward(*state, 0).kernel);
    }
    CHECK(names[0] == "q8_0_gemv_portable");
    CHECK(names[1] == "mxfp4_gemv_portable");
    CHECK(names[2] == "q8_0_gemm_portable");
}

TEST_CASE("two sessions on two threads give what each gives alone") {
    const auto model = gptOssLike();
    const auto cpu = makeCpu(model->bound, "", 2);
    const std::vector<TokenId> tokens = someTokens(40, model->bound.spec.vocab);
    const std::vector<float> alone = run(*cpu, tokens, {5, 1}, 5);
    std::vector<float> other;
    std::thread thread([&] { other = run(*cpu, tokens, {5, 1}, 5); });
    const std::vector<float> mine = run(*cpu, tokens, {5, 1}, 5);
    thread.join();
    CHECK(mine == alone);
    CHECK(other == alone);
}

TEST_CASE("the bytes announced for a model are those its packing takes for every stored type") {
    for (const DType type : {DType::MXFP4, DType::MXFP4Split, DType::Q8_0, DType::Q4_0, DType::Q4_1,
                             DType::BF16, DType::F16, DType::F32}) {
        INFO(dtypeInfo(type).name);
        const auto model = gptOssLike(type);
        ThreadPool pool(1);
        const cpu::PackedModel packed(model->bound, NoCheckpoint(), pool, nullptr);
        const std::uint64_t arena = cpu::PackedModel::arenaBytes(model->bound.weights);
        CHECK(packed.usedBytes() == arena);
        // 50 embedding rows of 3 Q8_0 blocks. Vectors, in floats: the output norm; per layer two
        // norms and biases of o (96 each), q (128), k, v (64 each), sinks (4), router (6), and of
        // 6 experts gate, up (64 each) and down (96).
        const std::uint64_t vectors = 96 + 3 * (3 * 96 + 128 + 2 * 64 + 4 + 6 + 6 * (2 * 64 + 96));
        CHECK(cpuWeightBytes(model->bound) == arena + 50 * 3 * 34 + 4 * vectors);
    }
}

TEST_CASE("a K quant is announced with the scales in float32 that it is packed with") {
    RandomTensors random(5);
    BoundModel model;
    model.weights.embedding = random.matrix(DType::Q4_K, 64, 256);
    model.weights.head = model.weights.embedding;
    model.weights.outputNorm = random.vector(256, 1.0F, 0.2F);
    // Packed 16 + 8 bytes per 32 weights, and the file's 144 per 256 for the rows that stay mapped.
    CHECK(cpuWeightBytes(model) == 64 * 8 * (16 + 8) + 64 * 144 + 256 * 4);
}

TEST_CASE("the bytes announced for a state are those of the back end's own sessions") {
    for (const auto& model : {gptOssLike(), llamaLike(DType::Q8_0, DType::Q8_0)}) {
        const auto cpu = makeCpu(model->bound, "", 3);
        CHECK(cpuStateBytes(model->bound, 100, 9, 3) ==
              cpu->stateBytes(100, 9) + cpu->cacheBytes({100, 9}));
    }
}

TEST_CASE("state bytes of a batch whose expert slots exceed 32 bits do not wrap") {
    BoundModel model;
    model.spec = gptOssLike()->bound.spec;
    model.spec.topK = 4;
    const int batch = 1 << 30;  // 2^32 slots of 64 floats and more
    CHECK(cpuStateBytes(model, 64, batch, 1) > (std::uint64_t{4} << 30) * 64 * 4);
}

TEST_CASE("fast numerics stay near the reference on dense models of every integer format") {
    for (const DType type : {DType::Q4_1, DType::Q8_0, DType::Q4_0}) {
        const auto model = llamaLike(type, DType::Q8_0);
        const std::vector<TokenId> tokens = someTokens(40, model->bound.spec.vocab);
        const std::vector<float> expected =
            run(*makeReferenceBackend(model->bound), tokens, {40}, 40);
        const std::vector<float> exact = run(*makeCpu(model->bound, ""), tokens, {40}, 40);
        for (const cpu::Kernels* kernels : cpu::availableKernels()) {
            if (kernels->fast == nullptr) continue;
            INFO(dtypeInfo(type).name << " " << kernels->name);
            const auto fast = makeCpu(model->bound, kernels->name, 2, Numerics::Fast);
            CHECK_THAT(fast->description(), Catch::EndsWith("fast"));
            const std::vector<float> logits = run(*fast, tokens, {40}, 40);
            CHECK(relativeError(logits, expected) <= 4e-2);
            CHECK(logits != exact);
        }
    }
}

TEST_CASE("fast numerics leave models of plain formats as exact ones compute them") {
    const auto model = llamaLike(DType::BF16, DType::F16);
    const std::vector<TokenId> tokens = someTokens(20, model->bound.spec.vocab);
    for (const cpu::Kernels* kernels : cpu::availableKernels()) {
        if (kernels->fast == nullptr) continue;
        INFO(kernels->name);
        const auto fast = makeCpu(model->bound, kernels->name, 2, Numerics::Fast);
        CHECK(run(*fast, tokens, {20}, 20) ==
              run(*makeCpu(model->bound, kernels->name), tokens, {20}, 20));
    }
}

TEST_CASE("fast numerics are refused by name on a target that has none") {
    const auto model = gptOssLike();
    CHECK_THROWS_WITH(makeCpu(model->bound, "portable", 1, Numerics::Fast),
                      Catch::Contains("portable") && Catch::Contains("no fast numerics"));
}

TEST_CASE("state bytes grow with context and batch by what the caches need") {
    const auto model = gptOssLike();
    const auto cpu = makeCpu(model->bound, "", 1);
    // One full layer of 2 heads x 32 x 4 bytes for keys and values; scores, 8 floats a row.
    CHECK(cpu->cacheBytes({2048, 8}) - cpu->cacheBytes({1024, 8}) == 1024 * 2 * 2 * 32 * 4);
    CHECK(cpu->stateBytes(2048, 8) - cpu->stateBytes(1024, 8) == 1024 * 8 * 4);
    // What a sequence has in common with another takes no memory, but for a group of 16 rows.
    const std::shared_ptr<KvCache> prefix = cpu->newCache({1030, 1030});
    CHECK(cpu->cacheBytes({1100, 1100, prefix, 1030}) == cpu->cacheBytes({1100 - 1024, 1100}));
}

TEST_CASE("caches that come and go leave no holes in the heap between what stays") {
    const auto model = llamaLike(DType::F32, DType::F32);
    const auto backend = makeCpu(model->bound, "portable");
    int tokens = 64;
    while (backend->cacheBytes({tokens, 8}) < (3U << 20U)) tokens *= 2;
    std::vector<std::unique_ptr<char[]>> stays;
    const auto reply = [&](int longer) {
        const auto cache = backend->newCache({tokens + longer, 8});
        stays.push_back(std::make_unique<char[]>(2000));
    };
    reply(16 * 100);  // glibc takes from the heap what is smaller than what it unmapped before
    const std::size_t before = ::mallinfo2().arena;
    for (int i = 1; i < 60; ++i) reply(16 * i);  // none fits where another was
    CHECK(::mallinfo2().arena < before + (4U << 20U));
}
