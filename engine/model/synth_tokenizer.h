// SPDX-License-Identifier: Apache-2.0
// The vocabulary of a synthetic checkpoint: byte-level BPE that any text survives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/model/synth.h"

namespace moescope {

/// As the GGUF keys tokenizer.ggml.* want it. Texts are in the printable byte alphabet.
struct SynthVocabulary {
    std::vector<std::string> tokens;  ///< (vocab)
    std::vector<std::int32_t> types;  ///< (vocab): 1 normal, 3 control, 5 unused
    std::vector<std::string> merges;  ///< "left right", best first
    std::string preTokenizer;         ///< "gpt-4o" or "qwen2"
    std::string chatTemplate;         ///< harmony's; empty for others
    std::int32_t bos = 0, eos = 0, pad = 0;
};

/// All 256 bytes, then merges for common English words (or, with `tiktokenRanks`, the whole ranked
/// vocabulary of that file), then unused entries up to the special tokens, which stand where the
/// true model has them (201,088 entries: from 199998; 151,936: from 151643; else the last 64).
/// Throws Error when the rank file is malformed or does not fit.
SynthVocabulary synthVocabulary(const SynthConfig& config,
                                const std::filesystem::path& tiktokenRanks = {});

}  // namespace moescope
