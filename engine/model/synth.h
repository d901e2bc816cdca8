// SPDX-License-Identifier: Apache-2.0
// Checkpoints of a known shape with seeded random weights: the true sizes, names, types and bytes
// of a public model without its training. For timing, memory and file handling; scores mean
// nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/interrupt.h"
#include "engine/formats/tensor.h"

namespace moescope {

/// The shape of a mixture-of-experts model. Source of the built-in values:
/// the public model cards and configuration files of gpt-oss and Qwen3.
struct SynthConfig {
    std::string name;
    std::string architecture = "gpt-oss";  ///< or "qwen3moe"
    std::int32_t layers = 0;
    std::int32_t dModel = 0;  ///< multiple of 32, as are heads * headDim and ffn
    std::int32_t heads = 0;
    std::int32_t kvHeads = 0;
    std::int32_t headDim = 0;
    std::int32_t experts = 0;
    std::int32_t topK = 0;
    std::int32_t ffn = 0;  ///< intermediate width of one expert
    std::int32_t vocab = 0;
    std::int32_t context = 0;
    std::int32_t window = 0;  ///< sliding window of every other layer of gpt-oss; 0: of others
    std::int32_t originalContext = 0;
    double yarnFactor = 1.0;  ///< 1 = plain RoPE
    double ropeTheta = 10000.0;
    double normEps = 1e-5;
    /// Stored type of the matrices that are no experts: Q8_0, or BF16 as in gpt-oss's published
    /// checkpoints.
    DType dense = DType::Q8_0;
};

/// Built-in configurations, for messages and completion.
std::vector<std::string> synthConfigNames();

/// A built-in configuration by name, or one read from a JSON file: an object with the fields of
/// SynthConfig in snake_case ("d_model", "n_layer", ...); "base" names a built-in one to start
/// from. Throws Error (unknown name or field, impossible shape).
SynthConfig synthConfig(const std::string& nameOrFile);

/// As synthConfig reads it from a file, all fields and no base: one JSON object, indented.
std::string synthConfigText(const SynthConfig& config);

/// Throws Error "<origin>: <what is impossible>".
void requireSynthShape(const SynthConfig& config, const std::string& origin);

/// The type that "q8_0" or "bf16" names; empty for any other text.
std::optional<DType> synthDense(std::string_view text);

struct SynthOptions {
    std::uint64_t seed = 1;
    int threads = 0;  ///< 0: one per processor
    std::filesystem::path
        tiktokenRanks;  ///< embed this vocabulary (o200k_base.tiktoken); may be empty
    const StopFlag* stop = nullptr;
    std::function<void(std::uint64_t done, std::uint64_t total)> progress;  ///< bytes; may be empty
};

struct SynthResult {
    std::uint64_t fileBytes = 0;
    std::uint64_t parameters = 0;  ///< weights of all tensors
    std::int32_t tensors = 0;
};

/// Writes a GGUF file: experts MXFP4, other matrices config.dense, the rest F32, named as llama.cpp
/// names them; general.moescope.synthetic = true. The bytes depend on config, seed and ranks only,
/// not on the number of threads. Memory: about 8 MiB a thread. On Error or Interrupted nothing
/// remains.
SynthResult synthesize(const SynthConfig& config, const std::filesystem::path& out,
                       const SynthOptions& options = {});

}  // namespace moescope
