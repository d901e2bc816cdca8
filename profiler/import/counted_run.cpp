// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/counted_run.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/core/error.h"

namespace moescope {

CountedRun::CountedRun(RunWriter& writer, const ImportRequest& request, RoutedFacts facts)
    : writer_(writer),
      request_(request),
      facts_(std::move(facts)),
      sums_(static_cast<std::size_t>(facts_.layers) * static_cast<std::size_t>(facts_.experts)) {}

void CountedRun::addSource(const std::filesystem::path& file) {
    facts_.sources.push_back(sourceOf(file, request_.stop));
}

void CountedRun::begin(std::string group, std::int64_t passes) {
    if (passes_ > 0) write();
    group_ = std::move(group);
    passesPerSequence_ = (passes + kMaxCountedSequences - 1) / kMaxCountedSequences;
}

void CountedRun::add(const std::vector<std::int64_t>& counts, const std::string& name,
                     const std::string& origin) {
    constexpr std::int64_t kMost = std::int64_t{1} << 50U;
    for (const std::int64_t count : counts) {
        if (count < 0 || count > kMost - total_)
            throw Error(origin + ": " + name + ": a count of " + std::to_string(count) +
                        " is none that a router makes");
        total_ += count;
    }
    if (passes_ > 0 && passes_ == passesPerSequence_) write();
    if (passes_ == 0) firstName_ = name;
    lastName_ = name;
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += counts[i];
    ++passes_;
}

void CountedRun::write() {
    std::vector<AnyRow> rows(1);  // the sequence, once its tokens are known
    std::int64_t most = 0, routedLayers = 0, counted = 0;
    const auto experts = static_cast<std::size_t>(facts_.experts);
    for (int layer = 0; layer < facts_.layers; ++layer) {
        const auto begin =
            sums_.begin() + std::ptrdiff_t(static_cast<std::size_t>(layer) * experts);
        const std::int64_t sum =
            std::accumulate(begin, begin + std::ptrdiff_t(experts), std::int64_t{0});
        most = std::max(most, sum);
        counted += sum;
        routedLayers += sum > 0 ? 1 : 0;
        for (int expert = 0; expert < facts_.experts; ++expert) {
            const std::int64_t count = begin[expert];
            if (count > 0)
                rows.emplace_back(RoutingCountRow{sequences_, kUnknownPhase, layer, expert, count});
        }
    }
    const std::int64_t tokens = (most + facts_.topK - 1) / facts_.topK;
    rows[0] =
        SequenceRow{sequences_, firstName_ + (passes_ > 1 ? " to " + lastName_ : std::string()),
                    group_, tokens, 0};
    writer_.add(std::move(rows));
    counted_ += counted;
    expected_ += tokens * facts_.topK * routedLayers;
    ++sequences_;
    passes_ = 0;
    std::fill(sums_.begin(), sums_.end(), 0);
}

void CountedRun::finish() {
    if (passes_ > 0) write();
    addRoutedFacts(writer_, request_, facts_);
    writer_.add(QualityRow{kPromptLengthsUnknown, double(sequences_), "sequences", false,
                           "Counters of forward passes: prompts and replies of many requests are "
                           "mixed, and a sequence is some passes in a row."});
    writer_.add(QualityRow{
        "routing_sum", double(counted_ - expected_), "assignments", counted_ == expected_,
        "Routing counts add up to " + std::to_string(counted_) +
            "; routed tokens x top-k x layers with experts is " + std::to_string(expected_) + "."});
}

}  // namespace moescope
