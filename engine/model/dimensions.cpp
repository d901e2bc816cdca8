// SPDX-License-Identifier: Apache-2.0
// The configuration keys and tensors that all architectures share. The limits keep a hostile file
// from sizing an allocation; real models are far inside them.
#include <algorithm>
#include <cmath>

#include "engine/model/binding.h"

namespace moescope {
namespace {

constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxWidth = 1 << 17;
constexpr std::int64_t kMaxHeads = 4096;
constexpr std::int64_t kMaxHeadDim = 1024;
constexpr std::int64_t kMaxContext = 1 << 24;
constexpr std::int64_t kMaxVocab = 1 << 23;
constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;

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

void checkHeads(const ConfigReader& config, const ModelSpec& spec) {
    if (spec.nHead % spec.nKvHead != 0) {
        config.fail(std::to_string(spec.nHead) + " query heads cannot share " +
                    std::to_string(spec.nKvHead) + " key-value heads evenly");
    }
    if (spec.headDim % 2 != 0) {
        config.fail("head dimension " + std::to_string(spec.headDim) + " is odd, RoPE needs pairs");
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

/// Keys of YaRN, which the two layouts spell differently.
struct YarnKeys {
    std::string_view factor, originalContext, betaFast, betaSlow;
};

void readYarn(const ConfigReader& config, const YarnKeys& keys, RopeSpec& rope) {
    rope.yarn = true;
    rope.factor = config.number(keys.factor, 1.0, kMaxFactor);
    rope.betaFast = config.numberOr(keys.betaFast, 32.0, 1e-3, 1e6);
    rope.betaSlow = config.numberOr(keys.betaSlow, 1.0, 1e-3, 1e6);
    if (config.has(keys.originalContext)) {
        rope.originalContext = config.integer(keys.originalContext, 1, kMaxContext);
    }
}

/// Scalings that other programs write and this engine does not apply: ignoring one would give
/// plausible, wrong logits. A value that changes nothing is no reason to refuse.
void refuseGgufRopeKeys(const ConfigReader& config) {
    for (const std::string_view key :
         {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor", "rope.scale_linear"}) {
        if (config.has(key) && config.number(key, 0.0, kMaxFactor) != 1.0) {
            config.fail("RoPE key '" + std::string(key) + "' is not supported");
        }
    }
}

}  // namespace

void readGgufDimensions(const Checkpoint& checkpoint, const ConfigReader& config, ModelSpec& spec) {
    spec.name = nameOf(checkpoint);
    spec.synthetic = checkpoint.synthetic();
    spec.nLayer = config.integer("block_count", 1, kMaxLayers);
    spec.dModel = config.integer("embedding_length", 1, kMaxWidth);
    spec.contextLength = config.integer("context_length", 1, kMaxContext);
    spec.nHead = config.integer("attention.head_count", 1, kMaxHeads);
    spec.nKvHead = config.integerOr("attention.head_count_kv", spec.nHead, 1, spec.nHead);
    spec.headDim = config.has("attention.key_length")
                       ? config.integer("attention.key_length", 2, kMaxHeadDim)
                       : impliedHeadDim(config, spec);
    if (config.integerOr("attention.value_length", spec.headDim, 1, kMaxHeadDim) != spec.headDim) {
        config.fail("attention.value_length differs from attention.key_length");
    }
    if (config.integerOr("rope.dimension_count", spec.headDim, 1, kMaxHeadDim) != spec.headDim) {
        config.fail("partial rotary embedding (rope.dimension_count) is not supported");
    }
    spec.normEps =
        static_cast<float>(config.number("attention.layer_norm_rms_epsilon", 1e-12, 0.1));
    checkHeads(config, spec);
}

void readHuggingFaceDimensions(const Checkpoint& checkpoint, const ConfigReader& config,
                               ModelSpec& spec) {
    spec.name = nameOf(checkpoint);
    spec.synthetic = checkpoint.synthetic();
    spec.nLayer = config.integer("num_hidden_layers", 1, kMaxLayers);
    spec.dModel = config.integer("hidden_size", 1, kMaxWidth);
    spec.contextLength = config.integer("max_position_embeddings", 1, kMaxContext);
    spec.nHead = config.integer("num_attention_heads", 1, kMaxHeads);
    spec.nKvHead = config.integerOr("num_key_value_heads", spec.nHead, 1, spec.nHead);
    spec.headDim = config.has("head_dim") ? config.integer("head_dim", 2, kMaxHeadDim)
                                          : impliedHeadDim(config, spec);
    spec.normEps = static_cast<float>(config.number("rms_norm_eps", 1e-12, 0.1));
    checkHeads(config, spec);
}

RopeSpec readGgufRope(const ConfigReader& config, bool truncate,
                      const ArchitectureOptions& options) {
    RopeSpec rope;
    refuseGgufRopeKeys(config);
    rope.theta = config.numberOr("rope.freq_base", 10000.0, 1.001, kMaxTheta);
    const std::string type = config.textOr("rope.scaling.type", "none");
    if (type == "linear") {
        rope.factor = config.number("rope.scaling.factor", 1.0, kMaxFactor);
    } else if (type == "yarn") {
        readYarn(config,
                 {"rope.scaling.factor", "rope.scaling.original_context_length",
                  "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"},
                 rope);
        if (rope.originalContext == 0) {
            rope.originalContext = config.integer("context_length", 1, kMaxContext);
        }
        rope.truncate = truncate || options.ggmlCompatibleYarn;
    } else if (type != "none") {
        config.fail("RoPE scaling '" + type + "' is not supported");
    }
    return rope;
}

RopeSpec readHuggingFaceRope(const ConfigReader& config, const ModelSpec& spec, bool truncate,
                             const ArchitectureOptions& options) {
    // transformers 5 moved theta and scaling into one group, "rope_parameters".
    const bool grouped = config.has("rope_parameters");
    const ConfigReader scaling = config.group(grouped ? "rope_parameters" : "rope_scaling");
    RopeSpec rope;
    for (const ConfigReader& place : {config, scaling}) {
        if (place.numberOr("partial_rotary_factor", 1.0, 0.0, 1.0) != 1.0) {
            config.fail("partial rotary embedding (partial_rotary_factor) is not supported");
        }
    }
    rope.theta = scaling.has("rope_theta")
                     ? scaling.number("rope_theta", 1.001, kMaxTheta)
                     : config.numberOr("rope_theta", 10000.0, 1.001, kMaxTheta);
    const std::string type = scaling.textOr("rope_type", scaling.textOr("type", "default"));
    if (type == "linear") {
        rope.factor = scaling.number("factor", 1.0, kMaxFactor);
    } else if (type == "yarn") {
        readYarn(scaling, {"factor", "original_max_position_embeddings", "beta_fast", "beta_slow"},
                 rope);
        if (rope.originalContext == 0) rope.originalContext = spec.contextLength;
        rope.attentionFactor = scaling.numberOr("attention_factor", 0.0, 0.0, 1e3);
        rope.truncate = scaling.flagOr("truncate", truncate) || options.ggmlCompatibleYarn;
    } else if (type != "default") {
        config.fail("RoPE scaling '" + type + "' is not supported");
    }
    return rope;
}

void bindEnds(const Checkpoint& checkpoint, TensorBinder& tensors, BoundModel& model) {
    const bool gguf = checkpoint.layout() == CheckpointLayout::Gguf;
    const std::string embedding = gguf ? "token_embd.weight" : "model.embed_tokens.weight";
    const std::string head = gguf ? "output.weight" : "lm_head.weight";
    ModelSpec& spec = model.spec;
    if (const TensorView* t = checkpoint.find(embedding); t != nullptr && t->rank == 2) {
        spec.vocab = static_cast<std::int32_t>(std::clamp<std::int64_t>(t->rows(), 1, kMaxVocab));
    }
    model.weights.embedding = tensors.matrix(embedding, {spec.vocab, spec.dModel});
    model.weights.outputNorm =
        tensors.vector(gguf ? "output_norm.weight" : "model.norm.weight", {spec.dModel});
    // A folder may store a head although its configuration ties it; transformers then ignores it.
    const ConfigReader config(checkpoint.config(), checkpoint.path().string());
    spec.tiedHead = !tensors.has(head) || (!gguf && config.flagOr("tie_word_embeddings", false));
    model.weights.head =
        spec.tiedHead ? model.weights.embedding : tensors.matrix(head, {spec.vocab, spec.dModel});
}

std::string layerPrefix(CheckpointLayout layout, std::int32_t layer) {
    const std::string number = std::to_string(layer);
    return layout == CheckpointLayout::Gguf ? "blk." + number + "."
                                            : "model.layers." + number + ".";
}

}  // namespace moescope
