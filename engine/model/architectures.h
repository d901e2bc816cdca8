// SPDX-License-Identifier: Apache-2.0
// The registration table of architectures. To add one: write arch_<name>.cpp with a binder, declare
// it here and add its line to the table in architectures.cpp.
#pragma once

#include <span>
#include <string_view>

#include "engine/model/spec.h"

namespace moescope {

struct Architecture {
    std::string_view name;             ///< ModelSpec::architecture, unless the binder knows better
    std::string_view ggufName;         ///< general.architecture; empty: GGUF has no name for it
    std::string_view huggingFaceName;  ///< "model_type" in config.json
    BoundModel (*bind)(const Checkpoint& checkpoint, const ArchitectureOptions& options);
    /// A tensor by which a folder is known whose config.json has no "model_type".
    std::string_view tensor = {};
};

std::span<const Architecture> architectures() noexcept;

BoundModel bindGptOss(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindGptOssOriginal(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindLlama(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindMistral(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindMixtral(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindQwen2(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindQwen3(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindQwen3Moe(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindOlmoe(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindOlmo2(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindOlmo3(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindGpt2(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindGemma3(const Checkpoint& checkpoint, const ArchitectureOptions& options);
BoundModel bindGemma3WithImages(const Checkpoint& checkpoint, const ArchitectureOptions& options);

}  // namespace moescope
