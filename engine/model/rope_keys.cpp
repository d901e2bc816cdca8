// SPDX-License-Identifier: Apache-2.0
// The configuration keys of rotary embeddings, which the two layouts spell differently.
#include <algorithm>
#include <numbers>

#include "engine/model/binding.h"

namespace moescope {
namespace {

constexpr std::int64_t kMaxContext = 1 << 24;
constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;
constexpr std::string_view kGroup = "rope_parameters";
constexpr std::string_view kOlderGroup = "rope_scaling";
constexpr std::string_view kFullLayers = "full_attention";

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

/// Llama 3.1 and later, as transformers computes it: frequencies that turn less than
/// low_freq_factor times over the original context are divided by the factor, those that turn more
/// than high_freq_factor times are kept, and between them the two are blended.
void readLlama3(const ConfigReader& config, const ModelSpec& spec, RopeSpec& rope) {
    const double factor = config.number("factor", 1.0, kMaxFactor);
    const double low = config.number("low_freq_factor", 1e-3, 1e6);
    const double high = config.number("high_freq_factor", 1e-3, 1e6);
    const double context = config.integer("original_max_position_embeddings", 1, kMaxContext);
    if (!(low < high))
        config.fail(
            "configuration key 'low_freq_factor' must be a number below 'high_freq_factor'");
    for (const double frequency : ropeTable({.theta = rope.theta}, spec.headDim).inverseFrequency) {
        const double turns = context * frequency / (2.0 * std::numbers::pi);
        const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
        rope.divisors.push_back(static_cast<float>(1.0 / ((1.0 - kept) / factor + kept)));
    }
}

/// Scalings that other programs write and this engine does not apply: ignoring one would give
/// plausible, wrong logits. A value that changes nothing is no reason to refuse.
void refuseGgufRopeKey(const ConfigReader& config, std::string_view key) {
    if (config.has(key) && config.number(key, 0.0, kMaxFactor) != 1.0) {
        config.fail("RoPE key '" + std::string(key) + "' is not supported");
    }
}

/// transformers 5.23 reads the key in the group alone and takes the whole context where it is not
/// there, but means to prefer the outer one; other programs do. Which the model was trained with,
/// the file must say.
void refuseOuterContext(const ConfigReader& config, const ModelSpec& spec) {
    constexpr std::string_view kKey = "original_max_position_embeddings";
    if (config.integerOr(kKey, spec.contextLength, 1, kMaxContext) != spec.contextLength) {
        config.fail("RoPE key '" + std::string(kKey) +
                    "' is not supported outside 'rope_scaling' or 'rope_parameters'");
    }
}

/// The concentration of YaRN where the architecture's files state it; 0 where they leave it to the
/// formula.
double ggufAttentionFactor(const ConfigReader& config, const RopeDefaults& defaults) {
    double factor = 0.0;
    for (const std::string_view key :
         {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"}) {
        if (!defaults.ggufAttentionFactor) {
            refuseGgufRopeKey(config, key);
        } else if (config.has(key)) {
            factor = config.number(key, 0.0, kMaxFactor);
        }
    }
    return factor;
}

/// Of the group named `key`, or of nothing where there is none.
RopeSpec readRopeGroup(const ConfigReader& config, const ModelSpec& spec,
                       const RopeDefaults& defaults, const ArchitectureOptions& options,
                       std::string_view key, std::string_view layerType) {
    const ConfigReader outer = config.group(key);
    const ConfigReader scaling = outer.has(layerType) ? outer.group(layerType) : outer;
    RopeSpec rope;
    for (const ConfigReader& place : {config, scaling}) {
        if (place.numberOr("partial_rotary_factor", 1.0, 0.0, 1.0) != 1.0) {
            config.fail("partial rotary embedding (partial_rotary_factor) is not supported");
        }
    }
    rope.theta = scaling.has("rope_theta")
                     ? scaling.number("rope_theta", 1.001, kMaxTheta)
                     : config.numberOr("rope_theta", defaults.theta, 1.001, kMaxTheta);
    const std::string type = scaling.textOr("rope_type", scaling.textOr("type", "default"));
    if (type == "linear") {
        rope.factor = scaling.number("factor", 1.0, kMaxFactor);
    } else if (type == "yarn") {
        readYarn(scaling, {"factor", "original_max_position_embeddings", "beta_fast", "beta_slow"},
                 rope);
        if (rope.originalContext == 0) {
            refuseOuterContext(config, spec);
            rope.originalContext = spec.contextLength;
        }
        rope.attentionFactor = scaling.numberOr("attention_factor", 0.0, 0.0, 1e3);
        if (rope.attentionFactor == 0.0 && scaling.has("mscale")) {
            config.fail("RoPE key 'mscale' is not supported");
        }
        rope.truncate = scaling.flagOr("truncate", defaults.truncate) || options.ggmlCompatibleYarn;
    } else if (type == "llama3") {
        readLlama3(scaling, spec, rope);
    } else if (type != "default") {
        config.fail("RoPE scaling '" + type + "' (key '" + std::string(key) +
                    ".rope_type') is not supported, expected default, linear, yarn or llama3");
    }
    return rope;
}

}  // namespace

RopeSpec readGgufRope(const ConfigReader& config, const RopeDefaults& defaults,
                      const ArchitectureOptions& options) {
    RopeSpec rope;
    refuseGgufRopeKey(config, "rope.scale_linear");
    const double attentionFactor = ggufAttentionFactor(config, defaults);
    rope.theta = config.numberOr("rope.freq_base", defaults.theta, 1.001, kMaxTheta);
    // A file that states a factor alone means "linear", as llama.cpp reads it.
    const std::string type = config.textOr("rope.scaling.type", "linear");
    if (type == "linear") {
        rope.factor = config.numberOr("rope.scaling.factor", 1.0, 1.0, kMaxFactor);
    } else if (type == "yarn") {
        readYarn(config,
                 {"rope.scaling.factor", "rope.scaling.original_context_length",
                  "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"},
                 rope);
        if (rope.originalContext == 0) {
            rope.originalContext = config.integer("context_length", 1, kMaxContext);
        }
        rope.truncate = defaults.truncate || options.ggmlCompatibleYarn;
        rope.attentionFactor = attentionFactor;
    } else if (type != "none") {
        config.fail("RoPE scaling '" + type +
                    "' (key 'rope.scaling.type') is not supported, expected none, linear or yarn");
    }
    return rope;
}

RopeSpec readHuggingFaceRope(const ConfigReader& config, const ModelSpec& spec,
                             const RopeDefaults& defaults, const ArchitectureOptions& options,
                             std::string_view layerType) {
    // transformers 5 moved theta and scaling into one group, "rope_parameters", with a group for
    // each type of layer inside where these differ.
    const bool grouped = config.has(kGroup);
    RopeSpec rope =
        readRopeGroup(config, spec, defaults, options, grouped ? kGroup : kOlderGroup, layerType);
    // transformers 5.24 takes the older group for it where both are there, of Gemma 3 and OLMo 3
    // for the full layers alone, and llama.cpp the newer one.
    if (grouped && !config.group(kOlderGroup).empty() && layerType == kFullLayers &&
        readRopeGroup(config, spec, defaults, options, kOlderGroup, layerType) != rope) {
        config.fail("'" + std::string(kOlderGroup) + "' and '" + std::string(kGroup) +
                    "' describe different RoPE, and which of them the model was trained with is " +
                    "not said");
    }
    return rope;
}

LayerRopes readGgufRopes(const ConfigReader& config, const RopeDefaults& defaults,
                         const ArchitectureOptions& options) {
    LayerRopes ropes{readGgufRope(config, defaults, options), {}};
    ropes.sliding.theta = config.numberOr(
        "rope.freq_base_swa",
        defaults.slidingTheta > 0.0 ? defaults.slidingTheta : ropes.full.theta, 1.001, kMaxTheta);
    return ropes;
}

LayerRopes readHuggingFaceRopes(const ConfigReader& config, const ModelSpec& spec,
                                const RopeDefaults& defaults, const ArchitectureOptions& options) {
    constexpr std::string_view kSliding = "sliding_attention";
    LayerRopes ropes{readHuggingFaceRope(config, spec, defaults, options), {}};
    if (config.group(kGroup).has(kSliding)) {
        ropes.sliding = readHuggingFaceRope(config, spec, defaults, options, kSliding);
    } else {
        ropes.sliding.theta =
            config.numberOr("rope_local_base_freq",
                            defaults.slidingTheta > 0.0 ? defaults.slidingTheta : ropes.full.theta,
                            1.001, kMaxTheta);
    }
    return ropes;
}

}  // namespace moescope
