// SPDX-License-Identifier: Apache-2.0
// Sequences that begin alike, evaluated alone and together: what tests of every back end compare.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "tests/engine/tiny_models.h"

namespace moescope::test {

inline constexpr int kPrefix = 37;  // in the middle of a group of 16 rows

/// Three sequences that begin alike and go on alone, 13 tokens each.
struct Sequences {
    explicit Sequences(int vocab) {
        const std::vector<TokenId> all = someTokens(kPrefix + 3 * 13, vocab);
        prefix.assign(all.begin(), all.begin() + kPrefix);
        for (int i = 0; i < 3; ++i)
            own.emplace_back(all.begin() + kPrefix + 13 * i, all.begin() + kPrefix + 13 * (i + 1));
    }
    std::vector<TokenId> whole(std::size_t i) const {
        std::vector<TokenId> tokens = prefix;
        tokens.insert(tokens.end(), own[i].begin(), own[i].end());
        return tokens;
    }
    std::vector<TokenId> prefix;
    std::vector<std::vector<TokenId>> own;
};

/// Logits of the own tokens of each, evaluated on its own from the first token on in steps of the
/// given sizes, repeated.
inline std::vector<float> aloneOf(const Backend& backend, const Sequences& sequences,
                                  const std::vector<int>& chunks = {50}) {
    std::vector<float> logits;
    for (std::size_t i = 0; i < 3; ++i) {
        const std::vector<float> all = run(backend, sequences.whole(i), chunks, 50);
        const auto from = kPrefix * static_cast<std::ptrdiff_t>(backend.spec().vocab);
        logits.insert(logits.end(), all.begin() + from, all.end());
    }
    return logits;
}

/// The prefix and all three sequences in the same step.
inline std::vector<float> togetherOf(const Backend& backend, const Sequences& sequences) {
    const auto state = backend.newState(64, 128);
    const std::shared_ptr<KvCache> prefix = backend.newCache({kPrefix, kPrefix});
    std::vector<TokenId> tokens = sequences.prefix;
    std::vector<StepRun> runs = {{prefix.get(), 0, kPrefix}};
    std::vector<std::shared_ptr<KvCache>> caches;
    for (const std::vector<TokenId>& own : sequences.own) {
        caches.push_back(backend.newCache({64, 64, prefix, kPrefix}));
        tokens.insert(tokens.end(), own.begin(), own.end());
        runs.push_back({caches.back().get(), kPrefix, static_cast<int>(own.size())});
    }
    const std::vector<float> all = step(backend, *state, tokens, runs);
    return {all.begin() + kPrefix * static_cast<std::ptrdiff_t>(backend.spec().vocab), all.end()};
}

/// The prefix first; then one token of each sequence a step, as when decoding, the second sequence
/// two steps behind the others.
inline std::vector<float> raggedOf(const Backend& backend, const Sequences& sequences) {
    const auto vocab = static_cast<std::size_t>(backend.spec().vocab);
    const auto state = backend.newState(64, 64);
    const std::shared_ptr<KvCache> prefix = backend.newCache({kPrefix, kPrefix});
    step(backend, *state, *prefix, sequences.prefix, 0);
    std::vector<std::shared_ptr<KvCache>> caches;
    for (int i = 0; i < 3; ++i) caches.push_back(backend.newCache({64, 1, prefix, kPrefix}));
    std::vector<float> logits(3 * 13 * vocab);
    for (int round = 0; round < 15; ++round) {
        std::vector<TokenId> tokens;
        std::vector<StepRun> runs;
        std::vector<std::size_t> targets;
        for (std::size_t i = 0; i < 3; ++i) {
            const int at = i == 1 ? round - 2 : round;
            if (at < 0 || at >= 13) continue;
            tokens.push_back(sequences.own[i][static_cast<std::size_t>(at)]);
            runs.push_back({caches[i].get(), kPrefix + at, 1});
            targets.push_back(i * 13 + static_cast<std::size_t>(at));
        }
        const std::vector<float> found = step(backend, *state, tokens, runs);
        for (std::size_t r = 0; r < targets.size(); ++r)
            std::copy_n(found.begin() + static_cast<std::ptrdiff_t>(r * vocab), vocab,
                        logits.begin() + static_cast<std::ptrdiff_t>(targets[r] * vocab));
    }
    return logits;
}

}  // namespace moescope::test
