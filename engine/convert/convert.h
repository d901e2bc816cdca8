// SPDX-License-Identifier: Apache-2.0
// Any supported checkpoint to a GGUF file, in memory that does not grow with the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/interrupt.h"
#include "engine/formats/mxfp4.h"
#include "engine/formats/tensor.h"

namespace moescope {

/// Which tensors take the new type. The router and all vectors never do.
enum class ConvertPart : std::uint8_t {
    Experts,  ///< stacks of expert matrices
    Linear,   ///< those and every other matrix of the layers
    All,      ///< those, the embedding and the head
};

struct ConvertOptions {
    DType type = DType::MXFP4;        ///< MXFP4, Q8_0, BF16, F32 and what else quantizeRow stores
    std::optional<ConvertPart> part;  ///< none: experts where the model has them, else linear
    Mxfp4Rule rule = Mxfp4Rule::Floor;
    int threads = 0;         ///< 0: every available core
    bool startOver = false;  ///< throw an unfinished result away instead of continuing it
    const StopFlag* stop = nullptr;
    /// In bytes of the result; `resumed` of `done` are those of an earlier, interrupted run.
    std::function<void(std::uint64_t done, std::uint64_t total, std::uint64_t resumed)> progress;
};

struct ConvertResult {
    std::uint64_t fileBytes = 0;
    std::uint64_t resumedAt = 0;  ///< bytes that an earlier, interrupted run had written
    std::int64_t tensors = 0, converted = 0;
    std::vector<std::string> unconverted;  ///< chosen, but their rows are no whole blocks
    /// What llama.cpp is known not to do with the result, one sentence; mostly "".
    std::string llamaCpp;
};

/// Writes `out` by way of `out`.part, beside which `out`.part.journal says how far it is: the same
/// call continues after a kill, a full disk or Ctrl-C, unless a file of the source has changed (its
/// name, size or time). Matrices of the wanted type already are copied bit for bit (MXFP4 in either
/// byte order too); those that are not converted keep their values. GGUF input: every key but those
/// of the file itself (alignment, split, file type) is carried over unread. Hugging Face input:
/// keys, names and tokenizer are written as llama.cpp's converter does.
/// Throws Error (unsupported input, weights that are not finite or too large for the new type, a
/// full disk, an unfinished result of something else, `out` or its .part a file of the source) and
/// Interrupted; what is written is kept in both cases.
ConvertResult convertCheckpoint(const std::filesystem::path& in, const std::filesystem::path& out,
                                const ConvertOptions& options);

}  // namespace moescope
