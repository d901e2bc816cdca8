// SPDX-License-Identifier: Apache-2.0
// Loads a golden folder (made by tests/golden/make_golden.py) and compares logits with it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/file.h"
#include "engine/formats/checkpoint.h"
#include "engine/model/spec.h"
#include "engine/run/session.h"

namespace moescope::testing {

inline std::filesystem::path goldenFolder(const std::string& name) {
    return std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data" / name;
}

/// A tiny model with the logits that Hugging Face transformers computed for `tokens`.
struct Golden {
    std::unique_ptr<Checkpoint> checkpoint;
    BoundModel model;
    std::vector<TokenId> tokens;
    std::vector<float> logits;  // (n_tokens, vocab)
};

/// (n_tokens, vocab)
inline std::vector<float> readLogits(const std::filesystem::path& folder) {
    const std::string raw = readFile(folder / "logits.f32");
    std::vector<float> logits(raw.size() / sizeof(float));
    std::memcpy(logits.data(), raw.data(), raw.size());
    return logits;
}

/// `file` within the folder: "" for the Hugging Face layout, "model.gguf", "original".
inline Golden loadGolden(const std::string& name, const std::string& file = {}) {
    const auto folder = goldenFolder(name);
    Golden golden;
    golden.checkpoint = openCheckpoint(file.empty() ? folder : folder / file);
    golden.model = bindModel(*golden.checkpoint);
    const auto about = parseJson(readFile(folder / "golden.json"), "golden.json");
    golden.tokens = about.at("tokens").get<std::vector<TokenId>>();
    golden.logits = readLogits(folder);
    return golden;
}

/// max |a - b| / max |b|
inline double relativeError(std::span<const float> a, std::span<const float> b) {
    double difference = 0.0;
    double largest = 0.0;
    if (a.size() != b.size()) return INFINITY;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!std::isfinite(a[i])) return INFINITY;
        difference = std::max(difference, std::abs(static_cast<double>(a[i]) - b[i]));
        largest = std::max(largest, std::abs(static_cast<double>(b[i])));
    }
    return difference / largest;
}

/// Logits of every token. (n_tokens, vocab)
inline std::vector<float> allLogits(Session& session, std::span<const TokenId> tokens) {
    std::vector<float> all;
    session.append(tokens, [&](int, std::span<const float> logits) {
        all.insert(all.end(), logits.begin(), logits.end());
    });
    return all;
}

}  // namespace moescope::testing
