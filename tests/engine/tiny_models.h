// SPDX-License-Identifier: Apache-2.0
// Tiny random models bound in memory, and how tests of the cpu back end run them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/formats/checkpoint.h"
#include "tests/engine/random_tensors.h"

namespace moescope::test {

/// The cpu back end asks a checkpoint for nothing but release().
class NoCheckpoint final : public Checkpoint {
public:
    CheckpointLayout layout() const noexcept override { return CheckpointLayout::Gguf; }
    const std::filesystem::path& path() const noexcept override { return path_; }
    const nlohmann::json& config() const noexcept override { return config_; }
    std::vector<std::string_view> stringArray(std::string_view) const override { return {}; }
    std::vector<double> numberArray(std::string_view) const override { return {}; }
    const std::vector<TensorView>& tensors() const noexcept override { return tensors_; }
    const TensorView* find(std::string_view) const noexcept override { return nullptr; }
    std::uint64_t fileBytes() const noexcept override { return 0; }
    std::string identity() const override { return {}; }
    void release(const TensorView& t) const noexcept override {
        released += static_cast<std::uint64_t>(t.rows() * t.stack() * t.rowStride);
    }
    mutable std::uint64_t released = 0;

private:
    std::filesystem::path path_;
    nlohmann::json config_;
    std::vector<TensorView> tensors_;
};

struct TinyModel {
    RandomTensors random{7};
    BoundModel bound;

    void addAttention(LayerWeights& w, DType type, bool biases) {
        const ModelSpec& s = bound.spec;
        const int q = s.nHead * s.headDim;
        const int kv = s.nKvHead * s.headDim;
        w.attnNorm = random.vector(s.dModel, 1.0F, 0.2F);
        w.ffnNorm = random.vector(s.dModel, 1.0F, 0.2F);
        w.q = random.matrix(type, q, s.dModel);
        w.k = random.matrix(type, kv, s.dModel);
        w.v = random.matrix(type, kv, s.dModel);
        w.o = random.matrix(type, s.dModel, q);
        if (!biases) return;
        w.qBias = random.vector(q, 0, 0.3F);
        w.kBias = random.vector(kv, 0, 0.3F);
        w.vBias = random.vector(kv, 0, 0.3F);
        w.oBias = random.vector(s.dModel, 0, 0.3F);
        w.sinks = random.vector(s.nHead, 0, 1.0F);
    }
};

/// gpt-oss in small: windows on even layers, sinks, YaRN, biases, MXFP4 experts, Q8_0 attention.
inline std::unique_ptr<TinyModel> gptOssLike(DType experts = DType::MXFP4) {
    auto m = std::make_unique<TinyModel>();
    ModelSpec& s = m->bound.spec;
    s.architecture = "gpt-oss";
    s.nLayer = 3;
    s.dModel = 96;
    s.nHead = 4;
    s.nKvHead = 2;
    s.headDim = 32;
    s.vocab = 50;
    s.contextLength = 256;
    s.sinks = true;
    s.activation = Activation::GptOssSwiGlu;
    s.nExpert = 6;
    s.topK = 2;
    RandomTensors& r = m->random;
    ModelWeights& w = m->bound.weights;
    w.embedding = r.matrix(DType::Q8_0, s.vocab, s.dModel);
    w.head = r.matrix(DType::Q8_0, s.vocab, s.dModel);
    w.outputNorm = r.vector(s.dModel, 1.0F, 0.2F);
    for (int i = 0; i < s.nLayer; ++i) {
        LayerSpec& l = s.layers.emplace_back();
        l.window = i % 2 == 0 ? 7 : 0;
        l.mlp = MlpKind::Experts;
        l.ffn = 64;
        l.rope.theta = 150000;
        l.rope.yarn = true;
        l.rope.factor = 32;
        l.rope.originalContext = 64;
        LayerWeights& lw = w.layers.emplace_back();
        m->addAttention(lw, DType::Q8_0, true);
        lw.router = r.matrix(DType::F32, s.nExpert, s.dModel);
        lw.routerBias = r.vector(s.nExpert, 0, 0.3F);
        lw.gate = r.matrix(experts, l.ffn, s.dModel, s.nExpert);
        lw.up = r.matrix(experts, l.ffn, s.dModel, s.nExpert);
        lw.down = r.matrix(experts, s.dModel, l.ffn, s.nExpert);
        lw.gateBias = r.vector(l.ffn, 0, 0.3F, s.nExpert);
        lw.upBias = r.vector(l.ffn, 0, 0.3F, s.nExpert);
        lw.downBias = r.vector(s.dModel, 0, 0.3F, s.nExpert);
    }
    return m;
}

/// llama in small: interleaved rope, tied head, no biases, different widths of the MLP per layer.
inline std::unique_ptr<TinyModel> llamaLike(DType weights, DType head) {
    auto m = std::make_unique<TinyModel>();
    ModelSpec& s = m->bound.spec;
    s.architecture = "llama";
    s.nLayer = 2;
    s.dModel = 64;
    s.nHead = 4;
    s.nKvHead = 2;
    s.headDim = 24;  // no multiple of 16
    s.vocab = 45;
    s.contextLength = 128;
    s.tiedHead = true;
    RandomTensors& r = m->random;
    ModelWeights& w = m->bound.weights;
    w.embedding = r.matrix(head, s.vocab, s.dModel);
    w.head = w.embedding;
    w.outputNorm = r.vector(s.dModel, 1.0F, 0.2F);
    for (int i = 0; i < s.nLayer; ++i) {
        LayerSpec& l = s.layers.emplace_back();
        l.ffn = i == 0 ? 160 : 96;
        l.rope.pairing = RopePairing::Interleaved;
        LayerWeights& lw = w.layers.emplace_back();
        m->addAttention(lw, weights, false);
        lw.gate = r.matrix(weights, l.ffn, s.dModel);
        lw.up = r.matrix(weights, l.ffn, s.dModel);
        lw.down = r.matrix(weights, s.dModel, l.ffn);
    }
    return m;
}

inline std::vector<TokenId> someTokens(int n, int vocab) {
    std::vector<TokenId> tokens;
    for (int i = 0; i < n; ++i) tokens.push_back((i * 17 + 3) % vocab);
    return tokens;
}

/// Runs one step on `backend`; logits of every token, (n, vocab).
inline std::vector<float> step(const Backend& b, BackendState& s, std::span<const TokenId> tokens,
                               std::span<const StepRun> runs) {
    b.embed(s, tokens, runs);
    for (int l = 0; l < b.spec().nLayer; ++l) {
        b.attentionInput(s, l);
        b.attention(s, l);
        b.attentionOutput(s, l);
        if (b.spec().layers[static_cast<std::size_t>(l)].mlp == MlpKind::Experts) b.route(s, l);
        b.feedForward(s, l);
    }
    std::vector<float> logits(tokens.size() * static_cast<std::size_t>(b.spec().vocab));
    std::vector<std::int32_t> rows(tokens.size());
    std::iota(rows.begin(), rows.end(), 0);
    b.head(s, rows, logits);
    return logits;
}

/// The same for tokens of one sequence.
inline std::vector<float> step(const Backend& b, BackendState& s, KvCache& cache,
                               std::span<const TokenId> tokens, int position) {
    const StepRun whole{&cache, position, static_cast<int>(tokens.size())};
    return step(b, s, tokens, {&whole, 1});
}

/// The whole sequence in chunks of the given sizes, repeated; logits of every token.
inline std::vector<float> run(const Backend& b, std::span<const TokenId> tokens,
                              std::vector<int> chunks, int maxBatch) {
    const auto state = b.newState(static_cast<int>(tokens.size()), maxBatch);
    const auto cache = b.newCache({static_cast<int>(tokens.size()), maxBatch});
    std::vector<float> all;
    std::size_t at = 0;
    for (std::size_t i = 0; at < tokens.size(); ++i) {
        const std::size_t n =
            std::min(tokens.size() - at, static_cast<std::size_t>(chunks[i % chunks.size()]));
        const std::vector<float> logits =
            step(b, *state, *cache, tokens.subspan(at, n), static_cast<int>(at));
        all.insert(all.end(), logits.begin(), logits.end());
        at += n;
    }
    return all;
}

inline std::unique_ptr<Backend> makeCpu(const BoundModel& model, std::string_view target,
                                        int threads = 2, Numerics numerics = Numerics::Exact) {
    CpuOptions options;
    options.numerics = numerics;
    options.threads = threads;
    options.target = target;
    return makeCpuBackend(model, NoCheckpoint(), options);
}

}  // namespace moescope::test
