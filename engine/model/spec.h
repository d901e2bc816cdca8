// SPDX-License-Identifier: Apache-2.0
// A model is data: every switch that the one forward pass looks at, and the tensors it reads.
// An architecture file (engine/model/arch_*.cpp) fills both from a checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/types.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/tensor.h"

namespace moescope {

enum class NormKind : std::uint8_t { Rms, RmsPlusOne, LayerNorm };
enum class NormPlace : std::uint8_t { Pre, Post, PreAndPost };
enum class QkNorm : std::uint8_t { None, PerHead, FullWidth };
enum class PositionKind : std::uint8_t { Rope, Learned };
enum class RopePairing : std::uint8_t {
    HalfSplit,  ///< NeoX: element i pairs with i + head_dim / 2 (Hugging Face checkpoints, gpt-oss)
    Interleaved,  ///< element 2i pairs with 2i + 1 (GGUF "llama" files, whose q/k rows are
                  ///< permuted)
};
enum class Activation : std::uint8_t {
    Silu,         ///< silu(gate) * up
    GeluTanh,     ///< gelu_tanh(gate) * up, or gelu_tanh(h) without a gate
    GptOssSwiGlu  ///< g = min(gate, limit); u = clamp(up, +-limit); g * sigmoid(alpha g) * (u + 1)
};
enum class MlpKind : std::uint8_t { Gated, Plain, Experts };
enum class RoutingRule : std::uint8_t {
    TopKThenSoftmax,        ///< gpt-oss: softmax over the chosen logits only
    SoftmaxThenTopK,        ///< OLMoE: probabilities used as they are
    SoftmaxThenTopKRenorm,  ///< Qwen3-MoE: divided by their sum
};

/// YaRN (arXiv 2309.00071) as gpt-oss uses it: fractional correction bounds unless `truncate`.
struct RopeSpec {
    double theta = 10000.0;
    RopePairing pairing = RopePairing::HalfSplit;
    bool yarn = false;
    double factor = 1.0;
    double betaFast = 32.0;
    double betaSlow = 1.0;
    std::int32_t originalContext = 0;
    bool truncate = false;       ///< floor/ceil the bounds, as llama.cpp always does
    double attentionFactor = 0;  ///< 0: 0.1 ln(factor) + 1
    /// (head_dim / 2) each frequency is divided by one: Llama 3's scaling, GGUF's
    /// rope_freqs.weight. Empty: by none.
    std::vector<float> divisors = {};

    bool operator==(const RopeSpec&) const = default;
};

struct LayerSpec {
    std::int32_t window = 0;  ///< keys visible including self; 0 = full attention
    RopeSpec rope;
    MlpKind mlp = MlpKind::Gated;
    std::int32_t ffn = 0;  ///< intermediate width (of one expert for MlpKind::Experts)
};

struct ModelSpec {
    std::string architecture;  ///< "gpt-oss", "llama"
    std::string name;          ///< general.name or the folder's name
    bool synthetic = false;
    std::string leftAside;  ///< parts of the checkpoint that are not read, in words; empty: none
    std::vector<std::string> leftAsideTensors;  ///< their names in the checkpoint

    std::int32_t nLayer = 0;
    std::int32_t dModel = 0;
    std::int32_t nHead = 0;
    std::int32_t nKvHead = 0;
    std::int32_t headDim = 0;
    std::int32_t vocab = 0;
    std::int32_t contextLength = 0;

    NormKind norm = NormKind::Rms;
    NormPlace normPlace = NormPlace::Pre;
    float normEps = 1e-5F;
    QkNorm qkNorm = QkNorm::None;
    PositionKind position = PositionKind::Rope;
    bool sinks = false;
    bool tiedHead = false;
    float embeddingScale = 1.0F;
    float attentionScale = 0.0F;  ///< 0: 1 / sqrt(head_dim)

    Activation activation = Activation::Silu;
    float swigluAlpha = 1.702F;
    float swigluLimit = 7.0F;

    std::int32_t nExpert = 0;
    std::int32_t topK = 0;
    RoutingRule routing = RoutingRule::TopKThenSoftmax;

    std::vector<LayerSpec> layers;  ///< (n_layer)

    float scale() const noexcept;       ///< attentionScale, or 1 / sqrt(head_dim)
    int expertLayers() const noexcept;  ///< layers with routed experts
};

/// Empty views mean "this model has none". Vectors (norms, biases, sinks) are rank 1.
struct LayerWeights {
    TensorView attnNorm;      ///< (d_model)
    TensorView attnNormBias;  ///< (d_model), LayerNorm only
    TensorView q, k, v;       ///< (n_head * head_dim, d_model), (n_kv_head * head_dim, d_model) x 2
    TensorView qBias, kBias, vBias;
    TensorView qNorm, kNorm;
    TensorView sinks;         ///< (n_head)
    TensorView o, oBias;      ///< (d_model, n_head * head_dim), (d_model)
    TensorView postAttnNorm;  ///< (d_model), NormPlace::Post*
    TensorView ffnNorm;       ///< (d_model)
    TensorView ffnNormBias;
    TensorView router, routerBias;  ///< (n_expert, d_model), (n_expert)
    TensorView gate, up, down;  ///< (ffn, d_model) x 2, (d_model, ffn); or stacks (n_expert, ...)
    TensorView gateBias, upBias,
        downBias;  ///< (ffn) x 2, (d_model); or (n_expert, ffn) x 2, (n_expert, d_model).
                   ///< Bias stacks are contiguous float32 rank 2: the binder
                   ///< de-interleaves and widens them into `owned`.
    TensorView postFfnNorm;
};

struct ModelWeights {
    TensorView embedding;  ///< (vocab, d_model)
    TensorView positions;  ///< (context, d_model), PositionKind::Learned
    TensorView outputNorm, outputNormBias;
    TensorView head;  ///< (vocab, d_model); the embedding when tied
    std::vector<LayerWeights> layers;
    /// Buffers made while binding (transposed or de-interleaved tensors of small side tables).
    std::vector<std::shared_ptr<const std::vector<std::byte>>> owned;
};

struct BoundModel {
    ModelSpec spec;
    ModelWeights weights;
};

/// Throws Error, naming the id, unless every token is in the vocabulary.
void requireTokens(const ModelSpec& spec, std::span<const TokenId> tokens);

struct ArchitectureOptions {
    bool ggmlCompatibleYarn = false;  ///< truncate the YaRN bounds, for comparison with llama.cpp
    /// Matrices that a layout stores transposed (GPT-2's Conv1D) stay so and are not copied: for
    /// the converter, which copies tensors and computes nothing with them.
    bool leaveTransposed = false;
};

/// Reads the architecture's name from the checkpoint, fills spec and weights, checks every shape
/// (Error names tensor, found and expected shape). The registration table is in architectures.cpp.
BoundModel bindModel(const Checkpoint& checkpoint, const ArchitectureOptions& options = {});

/// Parameters by part. "Active" counts the router, the top-k experts and the unembedding, not the
/// embedding row (gpt-oss model card's convention: 20.91 B total, 3.61 B active for the 20b).
struct ParameterCount {
    std::uint64_t total = 0, active = 0, attention = 0, mlp = 0, embedding = 0;
};
ParameterCount countParameters(const ModelSpec& spec, const ModelWeights& weights);

/// inv_freq (head_dim / 2) float64 and the concentration factor that multiplies cos and sin.
struct RopeTable {
    std::vector<double> inverseFrequency;
    double concentration = 1.0;
};
RopeTable ropeTable(const RopeSpec& rope, int headDim);

}  // namespace moescope
