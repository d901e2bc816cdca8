// SPDX-License-Identifier: Apache-2.0
// Several sequences in one step of the cuda back end, against each of them alone and against the
// reference back end.
#include <catch2/catch.hpp>

#include "engine/backend/cuda/decode.h"
#include "engine/run/score.h"
#include "tests/cuda/cuda_models.h"
#include "tests/cuda/device_data.h"
#include "tests/engine/step_runs.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// Sequences of one back end, step by step.
class Steps {
public:
    Steps(const Backend& backend, int maxBatch)
        : backend_(backend), state_(backend.newState(256, maxBatch)) {}

    std::shared_ptr<KvCache> begin(int maxRun, std::shared_ptr<const KvCache> prefix = {},
                                   int prefixTokens = 0) {
        caches_.push_back(backend_.newCache({256, maxRun, std::move(prefix), prefixTokens}));
        return caches_.back();
    }
    void add(KvCache& cache, int position, std::span<const TokenId> tokens) {
        runs_.push_back({&cache, position, static_cast<int>(tokens.size())});
        tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    }
    /// Evaluates what was added: logits of every token.
    std::vector<float> run() {
        const std::vector<float> logits = step(backend_, *state_, tokens_, runs_);
        runs_.clear();
        tokens_.clear();
        return logits;
    }
    BackendState& state() { return *state_; }

private:
    const Backend& backend_;
    std::unique_ptr<BackendState> state_;
    std::vector<std::shared_ptr<KvCache>> caches_;
    std::vector<TokenId> tokens_;
    std::vector<StepRun> runs_;
};

/// Logits of `steps(Steps&)` on the cuda and on the reference back end: error norm of the latter's.
template <typename Work>
double errorOf(const TinyModel& model, int maxBatch, const Work& work) {
    const auto cuda = makeCuda(model.bound);
    const auto reference = makeReferenceBackend(model.bound);
    Steps found(*cuda, maxBatch);
    Steps expected(*reference, maxBatch);
    return errorNorm(work(found), work(expected));
}

void append(std::vector<float>& all, const std::vector<float>& more) {
    all.insert(all.end(), more.begin(), more.end());
}

std::vector<TokenId> tokensFrom(int first, int n, const TinyModel& model) {
    std::vector<TokenId> tokens;
    for (int i = 0; i < n; ++i) tokens.push_back((first * 7 + i * 13 + 1) % model.bound.spec.vocab);
    return tokens;
}

}  // namespace

TEST_CASE(
    "a prefix and what goes on from it in the same step have the bits of each alone on cuda") {
    for (const auto& model : {gptOssLike(), llamaLike(DType::Q4_1, DType::Q8_0)}) {
        INFO(model->bound.spec.architecture);
        const Sequences sequences(model->bound.spec.vocab);
        const auto cuda = makeCuda(model->bound);
        CHECK(togetherOf(*cuda, sequences) == aloneOf(*cuda, sequences, {kPrefix, 13}));
    }
}

TEST_CASE("sequences that are decoded in one step agree with each alone on cuda") {
    for (const auto& model : {gptOssLike(), llamaLike(DType::Q4_1, DType::Q8_0)}) {
        INFO(model->bound.spec.architecture);
        const Sequences sequences(model->bound.spec.vocab);
        const auto cuda = makeCuda(model->bound);
        std::vector<int> chunks(14, 1);
        chunks[0] = kPrefix;
        const std::vector<float> alone = aloneOf(*cuda, sequences, chunks);
        const std::vector<float> ragged = raggedOf(*cuda, sequences);
        // Experts are summed in the order of those that any of the step's tokens chose.
        if (model->bound.spec.nExpert > 0) {
            CHECK(errorNorm(ragged, alone) <= 1e-6);
        } else {
            CHECK(ragged == alone);
        }
    }
}

TEST_CASE("decoding more sequences than few tokens agrees with the reference on cuda") {
    for (const auto& model : {gptOssLike(), llamaLike(DType::Q4_1, DType::Q8_0)}) {
        INFO(model->bound.spec.architecture);
        const double error = errorOf(*model, 64, [&](Steps& steps) {
            std::vector<std::shared_ptr<KvCache>> caches;
            for (int i = 0; i < 11; ++i) caches.push_back(steps.begin(24));
            // Beginnings of 1 to 21 tokens, several to a step.
            for (int i = 0; i < 11; ++i) {
                steps.add(*caches[static_cast<std::size_t>(i)], 0,
                          tokensFrom(i, 1 + 2 * i, *model));
                if (i % 4 == 3 || i == 10) steps.run();
            }
            std::vector<float> all;
            for (int round = 0; round < 2; ++round) {
                for (int i = 0; i < 11; ++i)
                    steps.add(*caches[static_cast<std::size_t>(i)], 1 + 2 * i + round,
                              tokensFrom(3 * i + round, 1, *model));
                append(all, steps.run());
            }
            // Decoded ones in front, a prompt, and one token more behind it.
            for (int i = 0; i < 3; ++i)
                steps.add(*caches[static_cast<std::size_t>(i)], 3 + 2 * i,
                          tokensFrom(i, 1, *model));
            const auto late = steps.begin(24);
            steps.add(*late, 0, tokensFrom(5, 17, *model));
            steps.add(*caches[4], 11, tokensFrom(4, 1, *model));
            append(all, steps.run());
            return all;
        });
        CHECK(error <= kExact);
    }
}

TEST_CASE("long contexts of many sequences are shared out among blocks on cuda") {
    const auto model = gptOssLike();
    for (const int sequences : {3, 10}) {
        INFO(sequences << " sequences");
        const double error = errorOf(*model, 140, [&](Steps& steps) {
            const auto prefix = steps.begin(256);
            steps.add(*prefix, 0, tokensFrom(0, 140, *model));
            steps.run();
            std::vector<std::shared_ptr<KvCache>> caches;
            for (int i = 0; i < sequences; ++i) {
                // Of different lengths: some have a second tile of keys, some do not.
                caches.push_back(steps.begin(1, prefix, 140 - 3 * i));
                steps.add(*caches.back(), 140 - 3 * i, tokensFrom(i, 1, *model));
            }
            return steps.run();
        });
        CHECK(error <= kExact);
    }
}

TEST_CASE("a chain of beginnings in one step is copied from where each was written on cuda") {
    const auto model = gptOssLike();
    const double error = errorOf(*model, 64, [&](Steps& steps) {
        std::vector<float> all;
        const auto first = steps.begin(64);
        const auto second = steps.begin(64, first, 9);
        const auto third = steps.begin(64, second, 20);
        const auto fourth = steps.begin(64, third, 23);
        const auto aside = steps.begin(64, second, 14);
        steps.add(*first, 0, tokensFrom(0, 12, *model));
        steps.add(*second, 9, tokensFrom(1, 11, *model));
        steps.add(*third, 20, tokensFrom(2, 3, *model));
        steps.add(*fourth, 23, tokensFrom(3, 1, *model));
        steps.add(*aside, 14, tokensFrom(4, 10, *model));
        append(all, steps.run());
        // And on from there, one of them with a run of its own behind another's.
        steps.add(*fourth, 24, tokensFrom(5, 2, *model));
        steps.add(*aside, 24, tokensFrom(6, 1, *model));
        steps.add(*fourth, 26, tokensFrom(7, 1, *model));
        append(all, steps.run());
        return all;
    });
    CHECK(error <= kExact);
}

TEST_CASE("more runs of several tokens than a launch takes agree with the reference on cuda") {
    const auto model = llamaLike(DType::Q8_0, DType::Q8_0);
    const double error = errorOf(*model, 140, [&](Steps& steps) {
        for (int i = 0; i < 70; ++i) steps.add(*steps.begin(2), 0, tokensFrom(i, 2, *model));
        return steps.run();
    });
    CHECK(error <= kExact);
}

TEST_CASE("logits of scattered tokens are those of all tokens on cuda") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const auto vocab = static_cast<std::size_t>(model->bound.spec.vocab);
    Steps steps(*cuda, 24);
    for (int i = 0; i < 3; ++i) steps.add(*steps.begin(8), 0, tokensFrom(i, 8, *model));
    const std::vector<float> all = steps.run();
    const std::vector<std::int32_t> rows = {1, 7, 8, 15, 23};
    std::vector<float> some(rows.size() * vocab, NAN);
    cuda->head(steps.state(), rows, some);
    std::vector<float> expected;
    for (const std::int32_t row : rows) {
        const auto from = all.begin() + static_cast<std::ptrdiff_t>(row * vocab);
        expected.insert(expected.end(), from, from + static_cast<std::ptrdiff_t>(vocab));
    }
    // Five tokens go through another kernel than 24: float32 sums in another order, 16 bits of
    // mantissa in the activations.
    CHECK(errorNorm(some, expected) <= 1e-4);
}

TEST_CASE("routing of a step has a part for each of its sequences on cuda") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const auto topK = static_cast<std::size_t>(model->bound.spec.topK);
    for (const int count : {2, 9}) {  // sequences of one token, in steps of few and of many
        std::vector<std::int32_t> alone;
        for (int i = 0; i < count; ++i) {
            Steps steps(*cuda, 16);
            steps.add(*steps.begin(1), 0, tokensFrom(i, 1, *model));
            steps.run();
            const RoutingView chosen = cuda->routing(steps.state());
            alone.insert(alone.end(), chosen.experts.begin(), chosen.experts.end());
        }
        Steps steps(*cuda, 16);
        for (int i = 0; i < count; ++i) steps.add(*steps.begin(1), 0, tokensFrom(i, 1, *model));
        steps.run();
        const RoutingView chosen = cuda->routing(steps.state());
        REQUIRE(chosen.experts.size() == static_cast<std::size_t>(count) * topK);
        CHECK(std::vector(chosen.experts.begin(), chosen.experts.end()) == alone);
    }
}

TEST_CASE("a recorded step of a sequence that begins with another one has its keys on cuda") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const auto vocab = static_cast<std::size_t>(model->bound.spec.vocab);
    Steps steps(*cuda, 16);
    const auto prefix = steps.begin(16);
    steps.add(*prefix, 0, tokensFrom(0, 16, *model));
    steps.run();
    const auto one = steps.begin(1, prefix, 16);
    const auto other = steps.begin(1, prefix, 16);
    const std::vector<TokenId> next = tokensFrom(3, 1, *model);
    steps.add(*one, 16, next);
    const std::vector<float> expected = steps.run();
    std::vector<float> logits(vocab, NAN);
    wholeStep(*cuda, steps.state(), *other, next.front(), 16, logits);
    CHECK(logits == expected);
}

TEST_CASE("rows are copied between rings of different sizes, of any width") {
    using namespace moescope::cuda;
    using moescope::cuda::test::Buffer;
    for (const int width : {16, 20}) {
        constexpr int kFromRows = 11, kToRows = 7;
        std::vector<std::uint16_t> source(static_cast<std::size_t>(kFromRows * width));
        for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::uint16_t>(i);
        Buffer<std::uint16_t> keys(source);
        std::reverse(source.begin(), source.end());
        Buffer<std::uint16_t> values(source);
        std::reverse(source.begin(), source.end());
        const auto size = static_cast<std::size_t>(kToRows * width);
        const Buffer<std::uint16_t> oneKeys(size), oneValues(size), twoKeys(size), twoValues(size);
        CopyRows c;
        c.width = width;
        c.count = 2;
        const LayerCache from{kFromRows, keys.get(), values.get()};
        c.copies[0] = {from, {kToRows, oneKeys.get(), oneValues.get()}, 8, 14};
        c.copies[1] = {from, {kToRows, twoKeys.get(), twoValues.get()}, 3, 4};
        copyRows(c, nullptr);
        const auto check = [&](const Buffer<std::uint16_t>& k, const Buffer<std::uint16_t>& v,
                               int first, int end) {
            std::vector<std::uint16_t> expected(size, 0xFFFF), reversed(size, 0xFFFF);
            for (int p = first; p < end; ++p) {
                for (int i = 0; i < width; ++i) {
                    const auto at = static_cast<std::size_t>(p % kFromRows * width + i);
                    const auto to = static_cast<std::size_t>(p % kToRows * width + i);
                    expected[to] = source[at];
                    reversed[to] = source[source.size() - 1 - at];
                }
            }
            CHECK(k.read() == expected);
            CHECK(v.read() == reversed);
        };
        check(oneKeys, oneValues, 8, 14);
        check(twoKeys, twoValues, 3, 4);
    }
}

TEST_CASE("scores on cuda are the same with and without shared beginnings") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const Sequences parts(model->bound.spec.vocab);
    std::vector<ScoreSequence> sequences;
    for (std::size_t i = 0; i < 3; ++i) {
        sequences.push_back({parts.whole(i), 30});
        std::vector<TokenId> shorter = parts.whole(i);
        shorter.resize(41);
        if (i == 1) sequences.push_back({std::move(shorter), 38});
    }
    std::vector<std::vector<TokenFinding>> found[2];
    for (const bool share : {false, true}) {
        BatchScorer::Options options;
        options.share = share;
        options.maxBatch = 64;
        BatchScorer scorer(*cuda, 64, options);
        found[share ? 1 : 0].resize(sequences.size());
        for (int call = 0; call < (share ? 2 : 1); ++call)  // the second goes on from what is held
            scorer.score(sequences, [&](BatchScorer::Scored&& scored) {
                found[share ? 1 : 0][scored.sequence] = std::move(scored.findings);
            });
        CHECK((scorer.shared() > 0) == share);
    }
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        REQUIRE(found[1][i].size() == found[0][i].size());
        for (std::size_t t = 0; t < found[0][i].size(); ++t)
            CHECK(found[1][i][t].logProbability ==
                  Approx(found[0][i][t].logProbability).margin(1e-3));
    }
}
