// SPDX-License-Identifier: Apache-2.0
// One transformer layer of the Llama pattern and its relatives: an architecture says how the parts
// are called and fills the ModelSpec; which parts there are follows from the spec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/binding.h"
#include "engine/model/spec.h"

namespace moescope {

inline constexpr std::int64_t kMaxFfn = 1 << 20;
inline constexpr std::int64_t kMaxExperts = 4096;

/// Names within a layer, without prefix and ".weight" or ".bias".
struct LayerNames {
    std::string_view attnNorm, q, k, v, o, qNorm, kNorm, postAttnNorm, ffnNorm;
    std::string_view gate, up, down, postFfnNorm, router;
    /// Stacks of all experts ("ffn_gate_exps"); with an asterisk for the number of the expert where
    /// each is a tensor of its own ("mlp.experts.*.gate_proj").
    std::string_view expertGate, expertUp, expertDown;
};
extern const LayerNames kGgufLayer;         ///< "attn_q"
extern const LayerNames kHuggingFaceLayer;  ///< "self_attn.q_proj"

/// Whether a family of biases must be there, must not, or is read where it is.
enum class Presence : std::uint8_t { IfPresent, Required, Absent };
/// What a flag of config.json ("attention_bias") says; IfPresent when the key is missing.
Presence presenceOf(const ConfigReader& config, std::string_view key);

struct BiasRules {
    Presence attention = Presence::IfPresent;    ///< q, k, v, o
    Presence feedForward = Presence::IfPresent;  ///< gate, up, down of a dense layer
    /// Of o, where it is not that of q, k and v.
    std::optional<Presence> attentionOutput = {};
};

/// Appends `layer` to the spec and its tensors, named `prefix` + name, to the weights.
void bindLayer(TensorBinder& tensors, BoundModel& model, const LayerSpec& layer,
               const LayerNames& names, const std::string& prefix, const BiasRules& biases = {});

/// nExpert, topK and what the experts' routing does with the probabilities, under the keys that
/// Qwen3-MoE and OLMoE share. `renormalise`: what a file means that does not say.
void readRouting(const ConfigReader& config, CheckpointLayout layout, bool renormalise,
                 ModelSpec& spec);

/// The file must compute the gate with this activation: key "hidden_act" of config.json.
void requireActivation(const ConfigReader& config, std::string_view key, std::string_view expected);
/// A switch that changes the computation and is not implemented: refused unless null, false or 0.
void refuseSwitch(const ConfigReader& config, std::string_view key);

}  // namespace moescope
