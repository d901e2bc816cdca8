// SPDX-License-Identifier: Apache-2.0
// Input lines of moescope score, as token sequences.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/run/score.h"
#include "engine/run/session.h"

namespace moescope::cli {

/// One text and continuation of a line.
struct ScoreCandidate {
    ScoreSequence sequence;
    std::size_t scoredFrom = 1;  ///< first token that counts; sequence.reportFrom or later
    /// UTF-8 bytes of the text behind the scored tokens (scored_bytes.h); none: no tokenizer.
    std::optional<std::size_t> textBytes;
    std::size_t bytes = 0, characters = 0;  ///< of the continuation without leading white space
};

struct ScoreItem {
    std::string id, group;  ///< group "": none
    std::size_t line = 0;   ///< from 1
    bool listed = false;    ///< "continuations": there may be several
    std::vector<ScoreCandidate> candidates;
};

/// All lines of the file. `prompts`: report the tokens before a continuation too. Errors name file
/// and line.
std::vector<ScoreItem> readScoreItems(const Model& model, const std::filesystem::path& path,
                                      bool prompts);

/// The result line of one item; `findings` of each candidate, of its tokens from reportFrom on.
nlohmann::json scoreResult(const Model& model, const ScoreItem& item,
                           const std::vector<std::vector<TokenFinding>>& findings);

}  // namespace moescope::cli
