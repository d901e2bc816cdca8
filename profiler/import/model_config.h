// SPDX-License-Identifier: Apache-2.0
// What a Hugging Face config.json says of a mixture of experts.
#pragma once

#include <filesystem>

#include "profiler/import/importers.h"

namespace moescope {

/// Facts that the file does not state stay 0. The bytes of an expert are those of its three
/// matrices in the type of the checkpoint ("torch_dtype", or "quant_method" mxfp4 or fp8); of other
/// quantisations they are not known. Throws Error naming the file: unreadable, no JSON object, no
/// mixture of experts, a number out of range.
ModelFacts factsOfConfig(const std::filesystem::path& path);

}  // namespace moescope
