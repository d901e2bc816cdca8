// SPDX-License-Identifier: Apache-2.0
// What llama.cpp does not do with a GGUF file that GGUF has keys and names for. Private to
// engine/convert.
#pragma once

#include <string>

#include "engine/model/spec.h"

namespace moescope {

/// One sentence, or "" where nothing is known to be missing. Seen with llama.cpp b11549
/// (docs/fidelity.md).
std::string llamaCppGap(const BoundModel& model);

}  // namespace moescope
