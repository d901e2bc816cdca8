// SPDX-License-Identifier: Apache-2.0
// What every architecture file needs to turn a checkpoint into a BoundModel: configuration values
// with limits and tensors with expected shapes. Every failure is an Error naming file, key or
// tensor.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/formats/checkpoint.h"
#include "engine/model/spec.h"

namespace moescope {

/// Reads numbers out of a configuration object. Holds references: lives within one binding.
class ConfigReader {
public:
    /// `origin` opens error messages; `prefix` is put before every key ("gpt-oss.").
    ConfigReader(const nlohmann::json& object, std::string origin, std::string prefix = {});

    bool has(std::string_view key) const;  ///< present and not null
    std::int32_t integer(std::string_view key, std::int64_t low, std::int64_t high) const;
    std::int32_t integerOr(std::string_view key, std::int32_t fallback, std::int64_t low,
                           std::int64_t high) const;
    double number(std::string_view key, double low, double high) const;
    double numberOr(std::string_view key, double fallback, double low, double high) const;
    bool flagOr(std::string_view key, bool fallback) const;
    std::string textOr(std::string_view key, std::string_view fallback) const;
    /// The object under `key`, for nested groups; an empty object when absent, Error when it is
    /// something else.
    ConfigReader group(std::string_view key) const;
    bool empty() const noexcept { return object_.empty(); }
    const nlohmann::json& at(std::string_view key) const;  ///< Error when absent

    [[noreturn]] void fail(const std::string& cause) const;  ///< throws Error "<origin>: <cause>"

private:
    const nlohmann::json* find(std::string_view key) const;

    const nlohmann::json& object_;
    std::string origin_;
    std::string prefix_;
};

/// Looks tensors up by name and checks type and shape. Views point into the checkpoint, or into
/// buffers appended to `weights.owned`.
class TensorBinder {
public:
    TensorBinder(const Checkpoint& checkpoint, ModelWeights& weights);

    bool has(std::string_view name) const noexcept { return checkpoint_.find(name) != nullptr; }
    /// A weight format of exactly this shape.
    TensorView matrix(const std::string& name, std::initializer_list<std::int64_t> shape);
    /// Matrices of one type and shape as a stack (n, rows, cols), wherever each of them lies.
    TensorView stacked(const std::vector<std::string>& names, std::int64_t rows, std::int64_t cols);
    /// Norms, biases, sinks, bias stacks: contiguous, aligned float32, widened when stored
    /// otherwise.
    TensorView vector(const std::string& name, std::initializer_list<std::int64_t> shape);
    /// The same, or an empty view when the checkpoint has no such tensor.
    TensorView vectorIfPresent(const std::string& name, std::initializer_list<std::int64_t> shape);
    /// A tensor of exactly this type and shape (MXFP4 codes and scales).
    const TensorView& raw(const std::string& name, DType type,
                          std::initializer_list<std::int64_t> shape);

    /// New tensor of a plain type in `owned`; `*data` receives its storage, to be filled while
    /// binding.
    TensorView own(const std::string& name, DType type, std::initializer_list<std::int64_t> shape,
                   std::byte** data);
    /// (n, rows, cols) copy with out[e][r][c] = stored[e][c][first + step * r]; a matrix that is no
    /// stack gives (rows, cols). Throws Error for block formats, which cannot be transposed.
    TensorView transposed(const TensorView& stored, std::int64_t first, std::int64_t step,
                          std::int64_t rows, std::int64_t cols);

    /// Refuses what was asked for by nobody among the tensors named `root` + layer + ".": a model
    /// that ignores a bias or a layer of its file computes something else than the file describes.
    void refuseUnread(const std::string& root, std::int32_t layers) const;

private:
    const TensorView& require(const std::string& name);
    void checkShape(const TensorView& t, std::initializer_list<std::int64_t> shape) const;

    const Checkpoint& checkpoint_;
    ModelWeights& weights_;
    std::set<std::string, std::less<>> read_;  ///< names handed out
};

/// Rows [begin, begin + count) of a matrix, or elements of a vector; a view.
TensorView rowsOf(const TensorView& t, std::int64_t begin, std::int64_t count);

/// Configuration keys of the dimensions; empty: the layout has no such key.
struct DimensionKeys {
    std::string_view layers, width, context, heads, kvHeads, headDim, eps;
};
extern const DimensionKeys kGgufDimensions;         ///< without "<architecture>."
extern const DimensionKeys kHuggingFaceDimensions;  ///< of config.json

/// Fills spec.{name, synthetic, nLayer, dModel, nHead, nKvHead, headDim, contextLength, normEps}.
void readDimensions(const Checkpoint& checkpoint, const ConfigReader& config,
                    const DimensionKeys& keys, ModelSpec& spec);
void readGgufDimensions(const Checkpoint& checkpoint, const ConfigReader& config, ModelSpec& spec);
void readHuggingFaceDimensions(const Checkpoint& checkpoint, const ConfigReader& config,
                               ModelSpec& spec);

/// What an architecture means where its files are silent.
struct RopeDefaults {
    double theta = 10000.0;
    bool truncate = true;       ///< the YaRN bounds
    double slidingTheta = 0.0;  ///< of layers that slide, where these differ; 0: no difference
    /// "rope.scaling.attn_factor" of a GGUF file is the whole concentration (OLMo 3), not a factor
    /// on top of it; elsewhere a value that is not 1 is refused.
    bool ggufAttentionFactor = false;
};
/// RoPE keys. Keys that would change the rotation and are not implemented are refused.
RopeSpec readGgufRope(const ConfigReader& config, const RopeDefaults& defaults,
                      const ArchitectureOptions& options);
/// `layerType`: the group of "rope_parameters" to read where it has one for each type of layer.
/// A "rope_scaling" beside it that means another rotation is refused.
RopeSpec readHuggingFaceRope(const ConfigReader& config, const ModelSpec& spec,
                             const RopeDefaults& defaults, const ArchitectureOptions& options,
                             std::string_view layerType = "full_attention");

/// Architectures that scale only the layers of full attention: the sliding ones rotate plainly.
struct LayerRopes {
    RopeSpec full, sliding;
};
LayerRopes readGgufRopes(const ConfigReader& config, const RopeDefaults& defaults,
                         const ArchitectureOptions& options);
LayerRopes readHuggingFaceRopes(const ConfigReader& config, const ModelSpec& spec,
                                const RopeDefaults& defaults, const ArchitectureOptions& options);

/// Which layers slide: by config.json's "layer_types" or GGUF's "attention.sliding_window_pattern"
/// (a list, or a period), else all but every `period`-th.
std::vector<bool> slidingLayers(const ConfigReader& config, const ModelSpec& spec,
                                std::int32_t period);

/// Full names of the tensors before and after the layers.
struct EndNames {
    std::string embedding, outputNorm, outputNormBias, head;
    bool tiedUnlessSaid = false;  ///< what a config.json without "tie_word_embeddings" means
};
EndNames endNames(CheckpointLayout layout);

/// Embedding, final norm (with its bias, for LayerNorm) and head; sets spec.vocab and
/// spec.tiedHead. `config`: where config.json states vocabulary and tied head.
void bindEnds(const Checkpoint& checkpoint, const ConfigReader& config, TensorBinder& tensors,
              BoundModel& model, const EndNames& names);
void bindEnds(const Checkpoint& checkpoint, TensorBinder& tensors, BoundModel& model);

/// "blk." or "model.layers."
std::string layerRoot(CheckpointLayout layout);
/// "blk.3." or "model.layers.3."
std::string layerPrefix(CheckpointLayout layout, std::int32_t layer);

}  // namespace moescope
