// SPDX-License-Identifier: Apache-2.0
// What imports of counters share: assignments by layer and expert of one forward pass after the
// other, without tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "profiler/import/routed_facts.h"

namespace moescope {

/// Passes in a row make one sequence of the run, so that there are several to tell the difference
/// of two recordings from chance by: of each recording at most this many.
inline constexpr std::int64_t kMaxCountedSequences = 64;

class CountedRun {
public:
    /// `facts` are complete but for sources.
    CountedRun(RunWriter& writer, const ImportRequest& request, RoutedFacts facts);

    /// A recording. `passes`: as many as add will be called for.
    void begin(std::string group, std::int64_t passes);
    /// `counts`: (n_layer, n_expert). `name`: of the pass, for labels. Throws Error beginning with
    /// `origin`: a count that is negative, or more of them than 2^50 in all.
    void add(const std::vector<std::int64_t>& counts, const std::string& name,
             const std::string& origin);
    void addSource(const std::filesystem::path& file);
    /// Meta and quality.
    void finish();

private:
    void write();

    RunWriter& writer_;
    const ImportRequest& request_;
    RoutedFacts facts_;
    std::int64_t passesPerSequence_ = 1;
    std::vector<std::int64_t> sums_;  ///< (n_layer, n_expert) of the passes since the last write
    std::int64_t passes_ = 0;         ///< in sums_
    std::string firstName_, lastName_, group_;
    std::int64_t sequences_ = 0, total_ = 0, counted_ = 0, expected_ = 0;
};

}  // namespace moescope
