// SPDX-License-Identifier: Apache-2.0
// What imports of per-token routing share: sequences of token x layer x top-k expert ids become
// rows, and what the engine did not say is told in the run's quality.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profiler/import/expert_ids.h"
#include "profiler/import/routed_facts.h"

namespace moescope {

struct RoutedSequence {
    std::string origin;                        ///< "F.jsonl: line 3", begins errors
    std::string label, group;                  ///< as SequenceRow has them
    std::optional<std::int64_t> promptTokens;  ///< nothing where the source does not say
    std::int64_t firstPosition = 0;            ///< of the first token of `ids`
    std::vector<std::int32_t> tokens;          ///< ids in the vocabulary; empty where not known
    std::vector<std::string> texts;            ///< of the tokens; empty where not known
    std::int64_t totalTokens = 0;              ///< with those that lack experts; 0: not known
    ExpertIds ids;
    int experts = 0;    ///< of a layer; 0 where the source does not say
    std::string model;  ///< "" where the source does not say
};

/// Writes one sequence after the other. Throws Error beginning with the sequence's origin: layers,
/// top-k, experts or model other than before, ids that are none of the experts, an expert chosen
/// twice by a token, more of anything than the analyses take.
///
/// A choice of which every id is -1, or every id is the same where top-k is at least 2, is none: so
/// engines fill layers without experts (with -1 or 0) and padding.
class RoutedRun {
public:
    RoutedRun(RunWriter& writer, const ImportRequest& request);

    void add(const RoutedSequence& sequence);
    /// A text that the source has without routing.
    void addUnrouted() noexcept { ++unrouted_; }
    void addSource(const std::filesystem::path& file) {
        facts_.sources.push_back(sourceOf(file, request_.stop));
    }
    std::int64_t sequences() const noexcept { return sequences_; }
    /// Meta and quality. At least one sequence was added.
    void finish();

private:
    struct Layer {
        std::array<std::vector<std::int64_t>, 3> counts;  ///< by phase: (expert), as far as needed
        bool everRouted = false;
    };

    void agree(const RoutedSequence& sequence);
    void addTexts(const RoutedSequence& sequence, std::vector<AnyRow>& rows);
    void addLayer(const RoutedSequence& sequence, std::int64_t layer, std::vector<AnyRow>& rows);
    void countChoice(const RoutedSequence& sequence, std::int64_t token, std::int64_t layer);
    void addCounts(std::int64_t layer, std::vector<AnyRow>& rows);

    RunWriter& writer_;
    const ImportRequest& request_;
    RoutedFacts facts_;
    std::string first_;          ///< origin of the sequence whose shape the others must have
    std::string expertsSaidBy_;  ///< "by --experts"
    std::vector<Layer> layers_;
    std::int16_t greatest_ = -1;
    std::int64_t sequences_ = 0, unrouted_ = 0, promptsUnknown_ = 0;
    std::int64_t leadingUnrouted_ = 0, lastUnrouted_ = 0;
    std::int64_t assignments_ = 0, padding_ = 0;
};

}  // namespace moescope
