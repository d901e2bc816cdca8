// SPDX-License-Identifier: Apache-2.0
// Several sequences in one step, and sequences that begin with another one's tokens.
#include <catch2/catch.hpp>

#include "engine/backend/cpu/kernel_table.h"
#include "tests/engine/step_runs.h"

using namespace moescope;
using namespace moescope::test;

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
