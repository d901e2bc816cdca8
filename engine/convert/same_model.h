// SPDX-License-Identifier: Apache-2.0
// Whether the keys and names of a GGUF file to come mean the model they are made from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/formats/checkpoint.h"
#include "engine/model/spec.h"

namespace moescope {

/// Reads the GGUF `tables` back as a program will that opens the result, and compares what it finds
/// with `model` and with the tokenizer of `source`: its properties, and the ids it gives to the
/// text of every token. Throws Error that names the first difference: something GGUF's keys cannot
/// say. `beside`: a sparse file of `fileBytes` is written to a name of its own that begins like
/// this one, and removed again.
void requireSameModel(const Checkpoint& source, const BoundModel& model, const std::string& tables,
                      std::uint64_t fileBytes, const std::filesystem::path& beside);

}  // namespace moescope
