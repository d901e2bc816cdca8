// SPDX-License-Identifier: Apache-2.0
#include "engine/run/sampler.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/core/split_mix.h"
#include "engine/run/session.h"

namespace moescope {
namespace {

/// Uniform in [0, 1), 53 bits.
double nextUniform(std::uint64_t& state) {
    return static_cast<double>(splitMix(state += kSplitMixStep) >> 11) * 0x1.0p-53;
}

void require(bool valid, const char* message) {
    if (!valid) throw UsageError(message);
}

}  // namespace

// The seed is mixed: seeds one increment apart would give one stream, shifted by a draw.
Sampler::Sampler(const SamplingOptions& options)
    : options_(options), state_(splitMix(options.seed)) {
    require(std::isfinite(options.temperature) && options.temperature >= 0.0,
            "--temperature must be 0 or more");
    require(options.topK >= 0, "--top-k must be 0 or more");
    require(options.topP > 0.0 && options.topP <= 1.0, "--top-p must be above 0 and at most 1");
    require(options.minP >= 0.0 && options.minP <= 1.0, "--min-p must be from 0 to 1");
    const bool all = options.topK == 0 && options.topP == 1.0 && options.minP == 0.0;
    require(options.temperature > 0.0 || all,
            "--top-k, --top-p and --min-p need a --temperature above 0: at 0 the likeliest token "
            "is taken");
}

TokenId Sampler::sample(std::span<const float> logits) {
    const TokenId best = mostLikely(logits);
    if (options_.temperature == 0.0) return best;
    collect(logits, logits[static_cast<std::size_t>(best)]);
    keepTopK();
    keepTopP();
    return draw();
}

bool Sampler::ruled() const noexcept {
    return options_.temperature == 0.0 ||
           (options_.topK == 0 && options_.topP >= 1.0 && options_.minP == 0.0);
}

TokenRule Sampler::rule() noexcept {
    // Hotter ones are no different, and their products with a logarithm would overflow.
    const auto temperature = static_cast<float>(std::min(options_.temperature, 1e30));
    return {temperature, options_.seed, draws_++};
}

void Sampler::collect(std::span<const float> logits, float largest) {
    // min-p is relative to the largest probability, which top-k and top-p never remove, so dropping
    // here gives the same set as dropping last would - except that top-p's total counts them: the
    // cut is therefore applied early only when top-p is off.
    const double cut = options_.topP < 1.0 ? 0.0 : options_.minP;
    candidates_.clear();
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double p =
            std::exp((static_cast<double>(logits[i]) - largest) / options_.temperature);
        if (p > 0.0 && p >= cut) candidates_.push_back({p, static_cast<TokenId>(i)});
    }
}

void Sampler::sortFirst(std::size_t count) {
    const auto before = [](const Candidate& a, const Candidate& b) {
        return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
    };
    const auto middle = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
    if (count < candidates_.size()) {
        std::nth_element(candidates_.begin(), middle, candidates_.end(), before);
    }
    std::sort(candidates_.begin(), middle, before);
}

void Sampler::keepTopK() {
    const auto k = static_cast<std::size_t>(options_.topK);
    if (k == 0 || k >= candidates_.size()) return;
    sortFirst(k);
    candidates_.resize(k);
}

void Sampler::keepTopP() {
    if (options_.topP >= 1.0) return;
    double total = 0.0;
    for (const Candidate& c : candidates_) total += c.weight;
    // The nucleus is usually tiny: sort a growing prefix instead of the whole vocabulary.
    std::size_t sorted = 0;
    std::size_t kept = 0;
    double sum = 0.0;
    while (kept < candidates_.size() && sum < options_.topP * total) {
        if (kept == sorted) {
            sorted = std::min(candidates_.size(), std::max<std::size_t>(64, sorted * 4));
            sortFirst(sorted);
        }
        sum += candidates_[kept++].weight;
    }
    while (kept > 1 && candidates_[kept - 1].weight < options_.minP) --kept;
    candidates_.resize(kept);
}

TokenId Sampler::draw() {
    double total = 0.0;
    for (const Candidate& c : candidates_) total += c.weight;
    double left = nextUniform(state_) * total;
    for (const Candidate& c : candidates_) {
        left -= c.weight;
        if (left < 0.0) return c.id;
    }
    return candidates_.back().id;  // rounding left a remainder
}

}  // namespace moescope
