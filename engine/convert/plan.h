// SPDX-License-Identifier: Apache-2.0
// What a conversion will write: keys, and tensors with their source and their new type.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/convert/convert.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/gguf_writer.h"
#include "engine/model/spec.h"

namespace moescope {

struct PlannedTensor {
    std::string name;   ///< in the GGUF file
    TensorView source;  ///< into the checkpoint
    DType type;         ///< in the GGUF file
    /// Rows of each head (elements of a vector) are reordered from halves to neighbours, see
    /// RopePairing; 0: kept in place.
    std::int32_t headDim = 0;
    /// Added to every element: Gemma's norms are stored less one.
    float offset = 0.0F;
    /// > 0: stored transposed, so many bytes from one element of a row to the next. `source` has
    /// the shape of the result.
    std::int64_t columnStride = 0;
};

/// Tensors in file order. Views point into `checkpoint` and `model`.
std::vector<PlannedTensor> planTensors(const Checkpoint& checkpoint, const BoundModel& model,
                                       const ConvertOptions& options, ConvertResult& result);

/// The keys of the GGUF file, tokenizer included.
void addKeys(GgufWriter& writer, const Checkpoint& checkpoint, const BoundModel& model,
             const std::vector<PlannedTensor>& tensors, const ConvertOptions& options);

/// Names and sources for a Hugging Face checkpoint; types as stored. Error for an architecture
/// whose tensors or keys we do not write.
std::vector<PlannedTensor> huggingFaceTensors(const Checkpoint& checkpoint,
                                              const BoundModel& model);
void addHuggingFaceKeys(GgufWriter& writer, const Checkpoint& checkpoint, const BoundModel& model);
/// tokenizer.ggml.* from tokenizer.json and the files beside it; nothing when there is none.
void addTokenizerKeys(GgufWriter& writer, const Checkpoint& checkpoint, const ModelSpec& spec);

}  // namespace moescope
