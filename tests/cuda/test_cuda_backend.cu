// SPDX-License-Identifier: Apache-2.0
// The cuda back end against the reference back end, operation by operation, on tiny random models:
// on the emulator everywhere, on a device where there is one.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "engine/run/session.h"
#include "tests/cuda/cuda_models.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// Every operation of one step after another, hidden states compared after each.
void compareOperations(const BoundModel& model, int count, double bound,
                       Numerics numerics = Numerics::Exact) {
    const auto reference = makeReferenceBackend(model);
    const auto cuda = makeCuda(model, numerics);
    const std::vector<TokenId> tokens = someTokens(count, model.spec.vocab);
    const auto rs = reference->newState(64, 32);
    const auto cs = cuda->newState(64, 32);
    const auto check = [&](const char* what, int layer) {
        INFO(count << " tokens, layer " << layer << ", " << what);
        CHECK(errorNorm(cuda->hidden(*cs), reference->hidden(*rs)) <= bound);
    };
    const auto rc = reference->newCache({64, 32});
    const auto cc = cuda->newCache({64, 32});
    const StepRun mine{rc.get(), 0, count};
    const StepRun its{cc.get(), 0, count};
    reference->embed(*rs, tokens, {&mine, 1});
    cuda->embed(*cs, tokens, {&its, 1});
    check("embed", -1);
    for (int l = 0; l < model.spec.nLayer; ++l) {
        for (auto op : {&Backend::attentionInput, &Backend::attention, &Backend::attentionOutput}) {
            const OpWork a = ((*reference).*op)(*rs, l);
            const OpWork b = ((*cuda).*op)(*cs, l);
            CHECK(a.flops == b.flops);
            CHECK_FALSE(b.kernel.empty());
        }
        check("attention", l);
        if (model.spec.layers[static_cast<std::size_t>(l)].mlp == MlpKind::Experts) {
            reference->route(*rs, l);
            cuda->route(*cs, l);
            const RoutingView a = reference->routing(*rs);
            const RoutingView b = cuda->routing(*cs);
            // Rounded activations may turn a near tie around; the hidden states still agree.
            if (numerics == Numerics::Exact) {
                CHECK(std::equal(a.experts.begin(), a.experts.end(), b.experts.begin(),
                                 b.experts.end()));
            }
            CHECK(errorNorm(b.weights, a.weights) <= 2 * bound);
        }
        reference->feedForward(*rs, l);
        cuda->feedForward(*cs, l);
        check("feed-forward", l);
    }
    const auto vocab = static_cast<std::size_t>(model.spec.vocab);
    std::vector<float> expected(static_cast<std::size_t>(count) * vocab);
    std::vector<float> logits(expected.size(), NAN);
    std::vector<std::int32_t> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), 0);
    reference->head(*rs, rows, expected);
    cuda->head(*cs, rows, logits);
    INFO(count << " tokens, head");
    CHECK(errorNorm(logits, expected) <= bound);
}

}  // namespace

TEST_CASE("cuda operations agree with the reference on a gpt-oss shaped model") {
    const auto model = gptOssLike();
    for (const int count : {1, 3, 8, 9, 21}) compareOperations(model->bound, count, kExact);
    compareOperations(model->bound, 21, kFast, Numerics::Fast);
}

TEST_CASE(
    "experts of five to eight tokens agree with the reference wherever the norms are on cuda") {
    for (const NormPlace place : {NormPlace::Pre, NormPlace::Post, NormPlace::PreAndPost}) {
        for (const int topK : {1, 2}) {
            INFO("norms " << static_cast<int>(place) << ", " << topK << " experts a token");
            const auto model = gptOssLike();
            ModelSpec& spec = model->bound.spec;
            spec.normPlace = place;
            spec.topK = topK;
            for (LayerWeights& w : model->bound.weights.layers) {
                if (place == NormPlace::Pre) continue;
                w.postAttnNorm = model->random.vector(spec.dModel, 1.0F, 0.2F);
                w.postFfnNorm = model->random.vector(spec.dModel, 1.0F, 0.2F);
            }
            for (const int count : {4, 5, 8}) compareOperations(model->bound, count, kExact);
            // Steps of few tokens keep pairs of bf16 whatever was asked for.
            compareOperations(model->bound, 6, kExact, Numerics::Fast);
        }
    }
}

TEST_CASE("cuda operations agree with the reference on llama shaped models of every format") {
    for (const DType type : {DType::Q4_1, DType::Q8_0, DType::BF16, DType::F32, DType::F16}) {
        INFO(dtypeInfo(type).name);
        const auto model = llamaLike(type, DType::Q8_0);
        for (const int count : {1, 5, 12}) compareOperations(model->bound, count, kExact);
    }
}

TEST_CASE("cuda logits agree with the reference however the sequence is cut") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens = someTokens(60, model->bound.spec.vocab);
    const std::vector<float> expected = run(*makeReferenceBackend(model->bound), tokens, {60}, 60);
    const auto cuda = makeCuda(model->bound);
    for (const std::vector<int>& chunks : {std::vector<int>{60}, {1}, {16}, {7, 1, 3}, {2, 9}}) {
        INFO("first chunk " << chunks[0]);
        const int maxBatch = *std::max_element(chunks.begin(), chunks.end());
        CHECK(errorNorm(run(*cuda, tokens, chunks, maxBatch), expected) <= kExact);
    }
}

TEST_CASE("experts in the Hugging Face byte order decode like any other on cuda") {
    const auto model = gptOssLike(DType::MXFP4Split);
    const std::vector<TokenId> tokens = someTokens(24, model->bound.spec.vocab);
    const std::vector<float> expected = run(*makeReferenceBackend(model->bound), tokens, {24}, 24);
    for (const int chunk : {1, 24})
        CHECK(errorNorm(run(*makeCuda(model->bound), tokens, {chunk}, chunk), expected) <= kExact);
}

TEST_CASE("a recorded step gives the logits and the routing of its operations one by one") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens = someTokens(40, model->bound.spec.vocab);
    const auto cuda = makeCuda(model->bound);
    const std::vector<float> expected = run(*cuda, tokens, {1}, 1);
    const auto state = cuda->newState(64, 4);
    const auto cache = cuda->newCache({64, 4});
    const auto vocab = static_cast<std::size_t>(model->bound.spec.vocab);
    std::vector<float> logits(vocab);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        INFO("position " << i);
        wholeStep(*cuda, *state, *cache, tokens[i], static_cast<int>(i), logits);
        CHECK(std::equal(logits.begin(), logits.end(),
                         expected.begin() + static_cast<std::ptrdiff_t>(i * vocab)));
        const RoutingView last = cuda->stepRouting(*state, model->bound.spec.nLayer - 1);
        CHECK(last.experts.size() == static_cast<std::size_t>(model->bound.spec.topK));
        CHECK(last.experts[0] != last.experts[1]);
        CHECK(last.weights[0] + last.weights[1] == Approx(1.0));
    }
}

TEST_CASE(
    "a recorded step tells its listener the nodes, the replays and the work of each operation") {
    struct Listener final : LaunchSink {
        std::vector<std::string> said;
        std::map<std::pair<Op, int>, OpWork> work;
        LaunchCounts nodes, eager;
        bool capturing = false;
        void launched(const LaunchCounts& counts) noexcept override {
            LaunchCounts& sum = capturing ? nodes : eager;
            sum.kernels += counts.kernels;
            sum.copies += counts.copies;
        }
        void captureBegin(std::uint64_t graph) noexcept override {
            capturing = true;
            said.push_back("begin " + std::to_string(graph));
        }
        void captureOp(Op op, int layer) noexcept override {
            said.push_back(std::string(opName(op)) + " " + std::to_string(layer));
        }
        void captureEnd() noexcept override {
            capturing = false;
            said.push_back("end");
        }
        void replay(std::uint64_t graph) noexcept override {
            said.push_back("replay " + std::to_string(graph));
        }
        void replayed(Op op, int layer, const OpWork& done) noexcept override {
            work[{op, layer}] = done;
        }
    } listener;
    const auto model = gptOssLike();
    const int layers = model->bound.spec.nLayer;
    const auto cuda = makeCuda(model->bound);
    const auto state = cuda->newState(64, 4);
    const auto cache = cuda->newCache({64, 4});
    std::vector<float> logits(static_cast<std::size_t>(model->bound.spec.vocab));
    wholeStep(*cuda, *state, *cache, 3, 0, logits);  // recorded while nobody listens
    cuda->setLaunches(*state, &listener);
    for (int i = 1; i < 4; ++i) wholeStep(*cuda, *state, *cache, 3 + i, i, logits);
    cuda->setLaunches(*state, nullptr);

    REQUIRE(listener.said.size() == 1 + 2 + 5 * static_cast<std::size_t>(layers) + 1 + 3);
    const std::string graph = listener.said.front().substr(6);
    CHECK(listener.said[1] == "embed -1");
    CHECK(listener.said[2] == "attention_input 0");
    CHECK(listener.said[6] == "experts 0");
    CHECK(listener.said[1 + 5 * static_cast<std::size_t>(layers) + 1] == "head -1");
    CHECK(listener.said[listener.said.size() - 4] == "end");
    for (std::size_t i = 1; i <= 3; ++i)
        CHECK(listener.said[listener.said.size() - i] == "replay " + graph);
    CHECK(listener.nodes.kernels >= 5 * layers);
    CHECK(listener.nodes.copies == 0);
    CHECK(listener.eager.kernels == 0);
    CHECK(listener.eager.copies == 3 * (2 + 3));  // ids and place; logits, experts, weights

    // The same token launched operation by operation does the same work.
    const StepRun whole{cache.get(), 3, 1};
    const TokenId token = 6;
    cuda->setTimed(*state, true);
    const OpWork embedded = cuda->embed(*state, {&token, 1}, {&whole, 1});
    REQUIRE(listener.work.size() == 5 * static_cast<std::size_t>(layers) + 2);
    const auto same = [&](Op op, int layer, const OpWork& eager) {
        const OpWork& replayed = listener.work.at({op, layer});
        INFO(opName(op) << " of layer " << layer);
        CHECK(replayed.bytes == eager.bytes);
        CHECK(replayed.flops == eager.flops);
        CHECK(replayed.kernel == eager.kernel);
    };
    same(Op::Embed, -1, embedded);
    for (int layer = 0; layer < layers; ++layer) {
        same(Op::AttentionInput, layer, cuda->attentionInput(*state, layer));
        same(Op::Attention, layer, cuda->attention(*state, layer));
        same(Op::AttentionOutput, layer, cuda->attentionOutput(*state, layer));
        same(Op::Router, layer, cuda->route(*state, layer));
        same(Op::Experts, layer, cuda->feedForward(*state, layer));
    }
    const std::int32_t row = 0;
    same(Op::Head, -1, cuda->head(*state, {&row, 1}, logits));
}

TEST_CASE("a sink that takes whole steps hears of their two ends and gets the same logits") {
    struct Sink final : TraceSink {
        std::string said;
        void stepBegin(const StepInfo&) override { said += "("; }
        void stepEnd() override { said += ")"; }
        void opBegin(Op op, int) override { said += std::string(opName(op)) + " "; }
        void opEnd(const OpWork& work) override { said += work.bytes > 0 ? "" : "without bytes "; }
        bool takesWholeSteps() const noexcept override { return true; }
    } sink;
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const std::vector<TokenId> tokens = someTokens(5, model->bound.spec.vocab);
    Session watched(*cuda, 16), alone(*cuda, 16);
    watched.setTrace(&sink);
    for (const TokenId& token : tokens) {
        const auto logits = watched.append({&token, 1});
        const auto expected = alone.append({&token, 1});
        CHECK(std::equal(logits.begin(), logits.end(), expected.begin(), expected.end()));
    }
    CHECK(watched.position() == 5);
    std::string wanted;
    for (int i = 0; i < 5; ++i) wanted += "(embed head )";
    CHECK(sink.said == wanted);
}

TEST_CASE("greedy decoding on the device chooses what the logits on the host say") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const auto state = cuda->newState(64, 4);
    const auto cache = cuda->newCache({64, 4});
    std::vector<TokenId> expected;
    std::vector<float> logits(static_cast<std::size_t>(model->bound.spec.vocab));
    TokenId next = 7;
    for (int i = 0; i < 30; ++i) {
        wholeStep(*cuda, *state, *cache, next, i, logits);
        next =
            static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        expected.push_back(next);
    }
    std::vector<TokenId> chosen(30);
    REQUIRE(cuda->decodeGreedy(*state, *cache, 7, 0, chosen) == 30);
    CHECK(chosen == expected);
    // The graphs that were recorded hold the addresses of the first cache.
    const auto other = cuda->newCache({64, 4});
    REQUIRE(cuda->decodeGreedy(*state, *other, 7, 0, chosen) == 30);
    CHECK(chosen == expected);
}

TEST_CASE("cuda results have the same bits from run to run") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const std::vector<TokenId> tokens = someTokens(40, model->bound.spec.vocab);
    const std::vector<float> once = run(*cuda, tokens, {19, 1, 4}, 19);
    CHECK(run(*cuda, tokens, {19, 1, 4}, 19) == once);
}

TEST_CASE("a sequence on cuda goes on from another one's beginning as from its own") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens = someTokens(60, model->bound.spec.vocab);
    const std::span<const TokenId> all(tokens);
    const auto cuda = makeCuda(model->bound);
    const auto state = cuda->newState(60, 8);
    for (const int maxRun : {8, 60}) {  // rings that wrap, and ones that keep everything
        const auto first = cuda->newCache({60, maxRun});
        for (int at = 0; at < 24; at += 8)
            step(*cuda, *state, *first, all.subspan(static_cast<std::size_t>(at), 8), at);
        for (const int otherRun : {8, 60}) {
            INFO("rings for steps of " << maxRun << " and " << otherRun);
            const auto second = cuda->newCache({60, otherRun, first, 24});
            const std::vector<float> found = step(*cuda, *state, *second, all.subspan(24, 5), 24);
            const auto alone = cuda->newCache({60, maxRun});
            for (int at = 0; at < 24; at += 8)
                step(*cuda, *state, *alone, all.subspan(static_cast<std::size_t>(at), 8), at);
            CHECK(step(*cuda, *state, *alone, all.subspan(24, 5), 24) == found);
        }
    }
}

TEST_CASE("experts read from host memory give the same bits") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens = someTokens(20, model->bound.spec.vocab);
    CudaOptions options;
    options.expertsOnHost = 2;
    const auto cuda = makeCudaBackend(model->bound, NoCheckpoint(), options);
    CHECK(run(*cuda, tokens, {11, 1}, 11) == run(*makeCuda(model->bound), tokens, {11, 1}, 11));
}

TEST_CASE("cuda refuses a model with anything in it that is not finite") {
    using Member = TensorView LayerWeights::*;
    for (const Member member :
         {&LayerWeights::attnNorm, &LayerWeights::q, &LayerWeights::v, &LayerWeights::sinks,
          &LayerWeights::router, &LayerWeights::gate, &LayerWeights::down, &LayerWeights::upBias}) {
        const auto model = gptOssLike();
        spoilLastBlock(model->bound.weights.layers[1].*member);
        CHECK_THROWS_WITH(makeCuda(model->bound), Catch::Contains("not finite"));
    }
}

TEST_CASE("cuda reports MXFP4 blocks whose scale is at the lower end of its range") {
    for (const DType type : {DType::MXFP4, DType::MXFP4Split}) {
        const auto model = gptOssLike(type);
        CHECK_FALSE(makeCuda(model->bound)->mxfp4Edges().any());
        for (const int scale : {0, 1}) {  // the upper end is refused: scales above 2
            const TensorView t = model->bound.weights.layers[2].down.matrix(5);
            const std::int64_t row = 40 + scale;
            auto* at = const_cast<std::byte*>(t.data) + row * t.rowStride;
            auto* e =
                type == DType::MXFP4 ? at : const_cast<std::byte*>(t.scales) + row * t.scaleStride;
            *e = static_cast<std::byte>(scale);
            std::fill_n(at + (type == DType::MXFP4 ? 1 : 0), 16, std::byte{0x22});
        }
        const Mxfp4Edges edges = makeCuda(model->bound)->mxfp4Edges();
        CHECK(edges.smallest == 1);
        CHECK(edges.next == 1);
        CHECK(edges.largest == 0);
    }
}

TEST_CASE("a CUDA device that does not exist is refused by number") {
    CudaOptions options;
    options.device = 77;
    CHECK_THROWS_WITH(makeCudaBackend(gptOssLike()->bound, NoCheckpoint(), options),
                      Catch::Contains("no CUDA device 77"));
}
