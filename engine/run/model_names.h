// SPDX-License-Identifier: Apache-2.0
// From what the user typed to the checkpoint. Nothing is downloaded.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "engine/core/interrupt.h"
#include "engine/formats/checkpoint.h"
#include "engine/model/synth.h"

namespace moescope {

/// `name` is one of
///   a path                  a .gguf or .safetensors file, or a folder with config.json
///   demo, demo-wide,        an embedded model (engine/run/demo_model.h): $MOESCOPE_DATA/demo,
///   demo-deep               <executable>/../share/moescope/demo, <source>/datasets/demo
///   ollama:NAME[:TAG]       $OLLAMA_MODELS, ~/.ollama/models, /usr/share/ollama/.ollama/models
///   hf:ORG/NAME             $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub
/// Throws Error that lists where it looked, and for synth:CONFIG, which no file holds.
std::filesystem::path resolveModel(const std::string& name);

/// The shape that synth:CONFIG[:TYPE] names; none for other names. Throws Error as openModel does.
std::optional<SynthConfig> synthNamed(const std::string& name);

/// The checkpoint at resolveModel(name), or
///   synth:CONFIG[:TYPE]     random weights of a known shape, drawn into memory now
///                           (engine/model/synth_checkpoint.h); CONFIG as synthConfig takes it,
///                           TYPE (q8_0 or bf16) of the matrices that are no experts; Interrupted
///                           when `stop` (null: never) is set meanwhile
std::unique_ptr<Checkpoint> openModel(const std::string& name, const StopFlag* stop = nullptr);

}  // namespace moescope
