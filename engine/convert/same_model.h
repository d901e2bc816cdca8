// SPDX-License-Identifier: Apache-2.0
// Whether the keys and names of a GGUF file to come mean the model they are made from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/model/spec.h"

namespace moescope {

/// Reads the GGUF `tables` back as a program will that opens the result, and compares what it finds
/// with `model`. Throws Error that names the first difference: something GGUF's keys cannot say.
/// `scratch`: file name to use for it, removed again; a sparse file of `fileBytes`.
void requireSameModel(const BoundModel& model, const std::string& tables, std::uint64_t fileBytes,
                      const std::filesystem::path& scratch);

}  // namespace moescope
