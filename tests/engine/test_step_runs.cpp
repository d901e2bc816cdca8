// SPDX-License-Identifier: Apache-2.0
// Several sequences in one step, and sequences that begin with another one's tokens.
#include <catch2/catch.hpp>

#include "engine/backend/cpu/kernel_table.h"
#include "tests/engine/tiny_models.h"

using namespace moescope;
using namespace moescope::test;

namespace {

constexpr int kPrefix = 37;  // in the middle of a group of 16 rows

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

/// Logits of the own tokens of each, evaluated on its own from the first token on.
std::vector<float> aloneOf(const Backend& backend, const Sequences& sequences) {
    std::vector<float> logits;
    for (std::size_t i = 0; i < 3; ++i) {
        const std::vector<float> all = run(backend, sequences.whole(i), {50}, 50);
        const auto from = kPrefix * static_cast<std::ptrdiff_t>(backend.spec().vocab);
        logits.insert(logits.end(), all.begin() + from, all.end());
    }
    return logits;
}

/// The prefix and all three sequences in the same step.
std::vector<float> togetherOf(const Backend& backend, const Sequences& sequences) {
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
std::vector<float> raggedOf(const Backend& backend, const Sequences& sequences) {
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

}  // namespace

TEST_CASE("sequences in one step have the bits they have alone on the reference back end") {
    const auto model = gptOssLike();
    const Sequences sequences(model->bound.spec.vocab);
    const auto backend = makeReferenceBackend(model->bound);
    const std::vector<float> alone = aloneOf(*backend, sequences);
    CHECK(togetherOf(*backend, sequences) == alone);
    CHECK(raggedOf(*backend, sequences) == alone);
}

TEST_CASE("sequences in one step have the bits they have alone on every cpu target") {
    for (const auto& model : {gptOssLike(), llamaLike(DType::Q4_1, DType::Q8_0)}) {
        const Sequences sequences(model->bound.spec.vocab);
        for (const cpu::Kernels* kernels : cpu::availableKernels()) {
            for (const Numerics numerics : {Numerics::Exact, Numerics::Fast}) {
                if (numerics == Numerics::Fast && kernels->fast == nullptr) continue;
                const auto backend = makeCpu(model->bound, kernels->name, 2, numerics);
                INFO(backend->description());
                const std::vector<float> alone = aloneOf(*backend, sequences);
                CHECK(togetherOf(*backend, sequences) == alone);
                CHECK(raggedOf(*backend, sequences) == alone);
            }
        }
    }
}

TEST_CASE("a chain of sequences that each begin with the one before has the bits of one") {
    const auto model = gptOssLike();
    const auto backend = makeCpu(model->bound, "", 2);
    const std::vector<TokenId> tokens = someTokens(8 * 7, model->bound.spec.vocab);
    const auto vocab = static_cast<std::size_t>(model->bound.spec.vocab);
    REQUIRE(backend->maxLineage() == 8);
    const std::vector<float> expected = run(*backend, tokens, {56}, 56);
    const auto state = backend->newState(64, 64);
    std::shared_ptr<KvCache> last;
    for (int i = 0; i < 8; ++i) {
        last = backend->newCache({7 * (i + 1), 7 * (i + 1), last, 7 * i});
        const auto found =
            step(*backend, *state, *last,
                 std::span(tokens).subspan(static_cast<std::size_t>(7 * i), 7), 7 * i);
        CHECK(std::equal(found.begin(), found.end(),
                         expected.begin() +
                             static_cast<std::ptrdiff_t>(static_cast<std::size_t>(7 * i) * vocab)));
    }
}

TEST_CASE("a sequence goes on from the middle of another one that nothing was overwritten in") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens = someTokens(60, model->bound.spec.vocab);
    const auto vocab = static_cast<std::ptrdiff_t>(model->bound.spec.vocab);
    const std::span<const TokenId> all(tokens);
    const auto cpu = makeCpu(model->bound, "", 2);
    const auto reference = makeReferenceBackend(model->bound);
    for (const Backend* backend : {cpu.get(), reference.get()}) {
        const std::vector<float> expected = run(*backend, all, {60}, 60);
        const auto state = backend->newState(60, 60);
        const std::shared_ptr<KvCache> first = backend->newCache({60, 60});
        step(*backend, *state, *first, all, 0);
        for (const int at : {1, 16, 29, 59}) {
            const auto second = backend->newCache({60, 60, first, at});
            const auto found =
                step(*backend, *state, *second, all.subspan(static_cast<std::size_t>(at)), at);
            INFO(backend->name() << " from " << at);
            CHECK(std::equal(found.begin(), found.end(), expected.begin() + at * vocab));
        }
    }
}

TEST_CASE("logits of chosen tokens are those of all tokens") {
    const auto model = gptOssLike();
    const std::vector<TokenId> tokens = someTokens(9, model->bound.spec.vocab);
    const auto vocab = static_cast<std::size_t>(model->bound.spec.vocab);
    const auto cpu = makeCpu(model->bound, "", 2);
    const auto reference = makeReferenceBackend(model->bound);
    for (const Backend* backend : {cpu.get(), reference.get()}) {
        const auto state = backend->newState(16, 16);
        const auto cache = backend->newCache({16, 16});
        const std::vector<float> all = step(*backend, *state, *cache, tokens, 0);
        const std::vector<std::int32_t> rows = {0, 3, 4, 8};
        std::vector<float> some(rows.size() * vocab);
        backend->head(*state, rows, some);
        for (std::size_t r = 0; r < rows.size(); ++r)
            CHECK(std::equal(some.begin() + static_cast<std::ptrdiff_t>(r * vocab),
                             some.begin() + static_cast<std::ptrdiff_t>((r + 1) * vocab),
                             all.begin() + static_cast<std::ptrdiff_t>(
                                               static_cast<std::size_t>(rows[r]) * vocab)));
    }
}
