// SPDX-License-Identifier: Apache-2.0
// What a scoring adds up to: overall, by group, and the macro mean over the groups.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moescope::cli {

/// Sums over some items. Figures that nothing was scored for are NaN (JSON: null).
struct ScoreTotal {
    std::size_t items = 0;
    std::size_t tokens = 0;                ///< scored
    double sum = 0;                        ///< of the log-probabilities, nats
    std::optional<std::size_t> bytes = 0;  ///< of the scored tokens' text; none: no tokenizer

    double natsPerToken() const noexcept;  ///< -sum / tokens
    double bitsPerByte() const noexcept;   ///< -sum / ln 2 / bytes: comparable across tokenizers
};

/// Totals of a file of items, each with the group it belongs to ("": none).
class ScoreTotals {
public:
    /// `item`: the figures of one item (items = 1).
    void add(const std::string& group, const ScoreTotal& item);

    const ScoreTotal& overall() const noexcept { return overall_; }
    /// The body of score --json: the overall figures, "groups" in the order they first occurred,
    /// and "macro", the unweighted means over the groups (null without groups).
    nlohmann::json json() const;
    /// One row a group, then overall and macro mean; empty without groups.
    std::string table() const;

private:
    struct Group {
        std::string name;
        ScoreTotal total;
    };
    struct Macro {
        double natsPerToken = 0, bitsPerByte = 0;
    };
    Macro macro() const noexcept;

    ScoreTotal overall_;
    std::vector<Group> groups_;
};

}  // namespace moescope::cli
