// SPDX-License-Identifier: Apache-2.0
// What a synthetic checkpoint consists of, for the file and the one in memory alike.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "engine/formats/gguf_writer.h"
#include "engine/model/synth.h"
#include "engine/model/synth_fill.h"
#include "engine/model/synth_tokenizer.h"

namespace moescope {

using SynthValue = std::variant<std::uint32_t, float, bool, std::string, std::vector<std::string>,
                                std::vector<std::int32_t>>;

/// One entry of a GGUF key-value table.
struct SynthKey {
    std::string name;
    SynthValue value;
};

/// All tensors in file order: embedding, final norm, head, then "blk.N." layer by layer.
std::vector<SynthTensor> synthTensors(const SynthConfig& config);

/// Shape and vocabulary, in file order.
std::vector<SynthKey> synthKeys(const SynthConfig& config, SynthVocabulary vocabulary);

/// Everything that `writer` must know before the tensors' bytes.
void addSynthTables(GgufWriter& writer, const std::vector<SynthKey>& keys,
                    const std::vector<SynthTensor>& tensors);

}  // namespace moescope
