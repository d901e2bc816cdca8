// SPDX-License-Identifier: Apache-2.0
// What every architecture file needs to turn a checkpoint into a BoundModel: configuration values
// with limits and tensors with expected shapes. Every failure is an Error naming file, key or
// tensor.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

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
    /// The object under `key`, for nested groups; an empty object when absent.
    ConfigReader group(std::string_view key) const;
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
    TensorView matrix(const std::string& name, std::initializer_list<std::int64_t> shape) const;
    /// Norms, biases, sinks, bias stacks: contiguous, aligned float32, widened when stored
    /// otherwise.
    TensorView vector(const std::string& name, std::initializer_list<std::int64_t> shape);
    /// The same, or an empty view when the checkpoint has no such tensor.
    TensorView vectorIfPresent(const std::string& name, std::initializer_list<std::int64_t> shape);
    /// A tensor of exactly this type and shape (MXFP4 codes and scales).
    const TensorView& raw(const std::string& name, DType type,
                          std::initializer_list<std::int64_t> shape) const;

    /// New tensor of a plain type in `owned`; `*data` receives its storage, to be filled while
    /// binding.
    TensorView own(const std::string& name, DType type, std::initializer_list<std::int64_t> shape,
                   std::byte** data);

private:
    const TensorView& require(const std::string& name) const;
    void checkShape(const TensorView& t, std::initializer_list<std::int64_t> shape) const;

    const Checkpoint& checkpoint_;
    ModelWeights& weights_;
};

/// Dimensions that every architecture has, from GGUF keys "<architecture>.*" / from config.json.
/// Fills spec.{name, synthetic, nLayer, dModel, nHead, nKvHead, headDim, contextLength, normEps}.
void readGgufDimensions(const Checkpoint& checkpoint, const ConfigReader& config, ModelSpec& spec);
void readHuggingFaceDimensions(const Checkpoint& checkpoint, const ConfigReader& config,
                               ModelSpec& spec);
/// RoPE keys; `truncate` is what a file that does not say means. Keys that would change the
/// rotation and are not implemented are refused.
RopeSpec readGgufRope(const ConfigReader& config, bool truncate,
                      const ArchitectureOptions& options);
RopeSpec readHuggingFaceRope(const ConfigReader& config, const ModelSpec& spec, bool truncate,
                             const ArchitectureOptions& options);

/// Embedding, final norm and head under the layout's names; sets spec.vocab and spec.tiedHead.
void bindEnds(const Checkpoint& checkpoint, TensorBinder& tensors, BoundModel& model);

/// "blk.3." or "model.layers.3."
std::string layerPrefix(CheckpointLayout layout, std::int32_t layer);

}  // namespace moescope
