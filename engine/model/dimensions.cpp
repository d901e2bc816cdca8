// SPDX-License-Identifier: Apache-2.0
// The configuration keys and tensors that all architectures share. The limits keep a hostile file
// from sizing an allocation; real models are far inside them.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/model/binding.h"

namespace moescope {
namespace {

constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxWidth = 1 << 17;
constexpr std::int64_t kMaxHeads = 4096;
constexpr std::int64_t kMaxHeadDim = 1024;
constexpr std::int64_t kMaxContext = 1 << 24;
constexpr std::int64_t kMaxVocab = 1 << 23;

std::string nameOf(const Checkpoint& checkpoint) {
    if (checkpoint.layout() == CheckpointLayout::Gguf) {
        const auto& config = checkpoint.config();
        const auto name = config.find("general.name");
        if (name != config.end() && name->is_string()) return name->get<std::string>();
        return checkpoint.path().stem().string();
    }
    std::filesystem::path path = std::filesystem::absolute(checkpoint.path()).lexically_normal();
    if (path.extension() == ".safetensors" || path.filename().empty()) path = path.parent_path();
    return path.filename().string();
}

void checkHeads(const ConfigReader& config, const DimensionKeys& keys, const ModelSpec& spec) {
    const auto stated = [](std::string_view key) {
        return key.empty() ? std::string() : " (key '" + std::string(key) + "')";
    };
    if (spec.nHead % spec.nKvHead != 0) {
        config.fail(std::to_string(spec.nHead) + " query heads cannot share " +
                    std::to_string(spec.nKvHead) + " key-value heads evenly" +
                    stated(keys.kvHeads));
    }
    if (spec.headDim % 2 != 0) {
        config.fail("head dimension " + std::to_string(spec.headDim) + stated(keys.headDim) +
                    " is odd, RoPE needs pairs");
    }
}

/// Head width where the file leaves it out: the model width divided evenly.
std::int32_t impliedHeadDim(const ConfigReader& config, const ModelSpec& spec) {
    if (spec.dModel % spec.nHead != 0) {
        config.fail("width " + std::to_string(spec.dModel) + " is no multiple of " +
                    std::to_string(spec.nHead) + " heads");
    }
    return spec.dModel / spec.nHead;
}

}  // namespace

const DimensionKeys kGgufDimensions{
    "block_count",
    "embedding_length",
    "context_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
};
const DimensionKeys kHuggingFaceDimensions{
    "num_hidden_layers",   "hidden_size",         "max_position_embeddings",
    "num_attention_heads", "num_key_value_heads", "head_dim",
    "rms_norm_eps",
};

void readDimensions(const Checkpoint& checkpoint, const ConfigReader& config,
                    const DimensionKeys& keys, ModelSpec& spec) {
    spec.name = nameOf(checkpoint);
    spec.synthetic = checkpoint.synthetic();
    spec.nLayer = config.integer(keys.layers, 1, kMaxLayers);
    spec.dModel = config.integer(keys.width, 1, kMaxWidth);
    spec.contextLength = config.integer(keys.context, 1, kMaxContext);
    spec.nHead = config.integer(keys.heads, 1, kMaxHeads);
    spec.nKvHead = keys.kvHeads.empty() ? spec.nHead
                                        : config.integerOr(keys.kvHeads, spec.nHead, 1, spec.nHead);
    spec.headDim = !keys.headDim.empty() && config.has(keys.headDim)
                       ? config.integer(keys.headDim, 2, kMaxHeadDim)
                       : impliedHeadDim(config, spec);
    if (!keys.eps.empty()) {
        spec.normEps = static_cast<float>(config.number(keys.eps, 1e-12, 0.1));
    }
    checkHeads(config, keys, spec);
}

void readGgufDimensions(const Checkpoint& checkpoint, const ConfigReader& config, ModelSpec& spec) {
    readDimensions(checkpoint, config, kGgufDimensions, spec);
    if (config.integerOr("attention.value_length", spec.headDim, 1, kMaxHeadDim) != spec.headDim) {
        config.fail("attention.value_length differs from attention.key_length");
    }
    if (config.integerOr("rope.dimension_count", spec.headDim, 1, kMaxHeadDim) != spec.headDim) {
        config.fail("partial rotary embedding (rope.dimension_count) is not supported");
    }
}

void readHuggingFaceDimensions(const Checkpoint& checkpoint, const ConfigReader& config,
                               ModelSpec& spec) {
    readDimensions(checkpoint, config, kHuggingFaceDimensions, spec);
}

std::vector<bool> slidingLayers(const ConfigReader& config, const ModelSpec& spec,
                                std::int32_t period) {
    constexpr std::string_view kPattern = "attention.sliding_window_pattern";
    const std::string_view key = config.has(kPattern) ? kPattern : "layer_types";
    const nlohmann::json* list = config.has(key) ? &config.at(key) : nullptr;
    if (list != nullptr && list->is_number()) {
        period = config.integer(key, 1, kMaxLayers);
        list = nullptr;
    }
    std::vector<bool> sliding;
    for (std::int32_t i = 1; i <= spec.nLayer; ++i) sliding.push_back(i % period != 0);
    if (list == nullptr) return sliding;
    if (!list->is_array() || list->size() != sliding.size()) {
        config.fail("configuration key '" + std::string(key) + "' must list " +
                    std::to_string(spec.nLayer) + " layers");
    }
    for (std::size_t i = 0; i < sliding.size(); ++i) {
        const nlohmann::json& type = (*list)[i];
        const bool slides = type == "sliding_attention" || type == true || type == 1;
        if (!slides && type != "full_attention" && type != false && type != 0) {
            config.fail("configuration key '" + std::string(key) + "[" + std::to_string(i) +
                        "]' is neither sliding nor full attention");
        }
        sliding[i] = slides;
    }
    return sliding;
}

EndNames endNames(CheckpointLayout layout) {
    if (layout == CheckpointLayout::Gguf) {
        return {"token_embd.weight", "output_norm.weight", "output_norm.bias", "output.weight"};
    }
    return {"model.embed_tokens.weight", "model.norm.weight", "model.norm.bias", "lm_head.weight"};
}

namespace {

/// Reads no further than to the first difference.
bool sameBytes(const TensorView& a, const TensorView& b) {
    if (a.type != b.type || a.rank != 2 || b.rank != 2 || a.shape != b.shape) return false;
    const DTypeInfo& info = dtypeInfo(a.type);
    const auto rowBytes = static_cast<std::size_t>(a.cols() / info.blockWeights * info.blockBytes);
    for (std::int64_t r = 0; r < a.rows(); ++r) {
        if (std::memcmp(a.data + r * a.rowStride, b.data + r * b.rowStride, rowBytes) != 0)
            return false;
    }
    return true;
}

/// Whether the head is the embedding. A folder may store a head although its configuration ties it:
/// transformers 5 then ties the two only where they are equal, and warns where they are not.
bool headIsTied(const Checkpoint& checkpoint, const ConfigReader& config,
                const TensorBinder& tensors, const EndNames& names) {
    const bool stored = tensors.has(names.head);
    if (checkpoint.layout() == CheckpointLayout::Gguf) return !stored;
    const bool tied = config.flagOr("tie_word_embeddings", names.tiedUnlessSaid || !stored);
    if (!tied && !stored) {
        config.fail("configuration key 'tie_word_embeddings' is false, but tensor '" + names.head +
                    "' is missing");
    }
    if (!tied || !stored) return tied;
    return sameBytes(*checkpoint.find(names.embedding), *checkpoint.find(names.head));
}

}  // namespace

void bindEnds(const Checkpoint& checkpoint, const ConfigReader& config, TensorBinder& tensors,
              BoundModel& model, const EndNames& names) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    ModelSpec& spec = model.spec;
    if (const TensorView* t = checkpoint.find(names.embedding); t != nullptr && t->rank == 2) {
        spec.vocab = static_cast<std::int32_t>(std::clamp<std::int64_t>(t->rows(), 1, kMaxVocab));
        if (!gguf && config.integerOr("vocab_size", spec.vocab, 1, kMaxVocab) != spec.vocab) {
            config.fail("tensor '" + names.embedding + "' has " + std::to_string(t->rows()) +
                        " rows, configuration key 'vocab_size' says " +
                        std::to_string(config.integer("vocab_size", 1, kMaxVocab)));
        }
    }
    model.weights.embedding = tensors.matrix(names.embedding, {spec.vocab, spec.dModel});
    model.weights.outputNorm = tensors.vector(names.outputNorm, {spec.dModel});
    if (spec.norm == NormKind::LayerNorm) {
        model.weights.outputNormBias = tensors.vector(names.outputNormBias, {spec.dModel});
    }
    spec.tiedHead = headIsTied(checkpoint, config, tensors, names);
    model.weights.head = spec.tiedHead ? model.weights.embedding
                                       : tensors.matrix(names.head, {spec.vocab, spec.dModel});
}

void bindEnds(const Checkpoint& checkpoint, TensorBinder& tensors, BoundModel& model) {
    const ConfigReader config(checkpoint.config(), checkpoint.path().string());
    bindEnds(checkpoint, config, tensors, model, endNames(checkpoint.layout()));
}

std::string layerRoot(CheckpointLayout layout) {
    return layout == CheckpointLayout::Gguf ? "blk." : "model.layers.";
}

std::string layerPrefix(CheckpointLayout layout, std::int32_t layer) {
    return layerRoot(layout) + std::to_string(layer) + ".";
}

}  // namespace moescope
