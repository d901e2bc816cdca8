// SPDX-License-Identifier: Apache-2.0
// A run file with everything in it, of known content, written by RunWriter.
#pragma once

#include <filesystem>

#include "profiler/runfile/rows.h"

namespace moescope::gui::test {

struct SampleShape {
    int layers = 12, experts = 32, topK = 4;
    int sequences = 3, promptTokens = 40, generatedTokens = 24;
    RunStatus status = RunStatus::Done;
    bool synthetic = true;
};

/// Deterministic: the same shape gives the same rows. Layer 3 sends every token to expert 5 first.
void makeSampleRun(const std::filesystem::path& path, const SampleShape& shape = {});

}  // namespace moescope::gui::test
