// SPDX-License-Identifier: Apache-2.0
// From what the user typed to the checkpoint on disk. Nothing is downloaded.
#pragma once

#include <filesystem>
#include <string>

namespace moescope {

/// `name` is one of
///   a path                  a .gguf or .safetensors file, or a folder with config.json
///   demo, demo-wide,        an embedded model (engine/run/demo_model.h): $MOESCOPE_DATA/demo,
///   demo-deep               <executable>/../share/moescope/demo, <source>/datasets/demo
///   ollama:NAME[:TAG]       $OLLAMA_MODELS, ~/.ollama/models, /usr/share/ollama/.ollama/models
///   hf:ORG/NAME             $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub
/// Throws Error that lists where it looked.
std::filesystem::path resolveModel(const std::string& name);

}  // namespace moescope
