// SPDX-License-Identifier: Apache-2.0
// Scores against the golden logits, and continuations against whole texts.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "engine/core/error.h"
#include "engine/run/score.h"
#include "tests/engine/golden.h"
#include "tests/engine/memory_checkpoint.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

/// Findings of every sequence.
std::vector<std::vector<TokenFinding>> allOf(BatchScorer& scorer,
                                             std::span<const ScoreSequence> sequences,
                                             const BatchScorer::LogitsVisitor& visit = {}) {
    std::vector<std::vector<TokenFinding>> all(sequences.size());
    std::size_t done = 0;
    scorer.score(
        sequences,
        [&](BatchScorer::Scored&& scored) {
            CHECK(all[scored.sequence].empty());
            CHECK(scored.durationNs > 0);
            all[scored.sequence] = std::move(scored.findings);
            ++done;
        },
        visit);
    CHECK(done == sequences.size());
    return all;
}

void requireSame(const std::vector<TokenFinding>& a, const std::vector<TokenFinding>& b) {
    REQUIRE(a.size() == b.size());
    CHECK(combinedHash(a) == combinedHash(b));
    for (std::size_t t = 0; t < a.size(); ++t) {
        CHECK(a[t].logProbability == b[t].logProbability);
        CHECK(a[t].rank == b[t].rank);
    }
}

struct Scored {
    Golden golden = loadGolden("gpt_oss_window");
    std::unique_ptr<Backend> backend = makeReferenceBackend(golden.model);
    std::span<const TokenId> tokens{golden.tokens};

    std::vector<TokenFinding> whole(std::span<const TokenId> text) const {
        BatchScorer scorer(*backend, 128, {});
        return allOf(scorer, std::vector<ScoreSequence>{{{text.begin(), text.end()}, 1}})[0];
    }
};

/// Straight from the golden logits, written differently from the library.
double goldenLogProbability(const Golden& golden, std::size_t position, TokenId token) {
    const float* row = golden.logits.data() + position * 96;
    double sum = 0.0;
    for (int i = 0; i < 96; ++i) sum += std::exp(static_cast<double>(row[i]));
    return row[token] - std::log(sum);
}

}  // namespace

TEST_CASE("a text's scores are those of the golden logits") {
    Scored s;
    const std::vector<TokenFinding> found = s.whole(s.tokens);
    REQUIRE(found.size() == s.tokens.size() - 1);
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double expected = goldenLogProbability(s.golden, i, s.tokens[i + 1]);
        CHECK(found[i].logProbability == Approx(expected).margin(1e-4));
        CHECK((found[i].rank == 1) == (found[i].likeliest == s.tokens[i + 1]));
    }
}

TEST_CASE("rank and alternatives follow the logits and ties go to lower ids") {
    const std::vector<float> logits = {1.0F, 3.0F, 3.0F, 2.0F, 3.0F};
    const double total = std::exp(1.0) + 3 * std::exp(3.0) + std::exp(2.0);
    const TokenFinding f = examine(logits, 2, 4);
    CHECK(f.rank == 2);
    CHECK(f.likeliest == 1);
    CHECK(f.logProbability == Approx(3.0 - std::log(total)));
    REQUIRE(f.top.size() == 4);
    CHECK(f.top[0].token == 1);
    CHECK(f.top[1].token == 2);
    CHECK(f.top[2].token == 4);
    CHECK(f.top[3].token == 3);
    CHECK(f.top[1].logProbability == f.logProbability);
    CHECK(f.top[3].logProbability == Approx(2.0 - std::log(total)));
    CHECK(examine(logits, 0, 9).top.size() == 5);
    CHECK(examine(logits, 0).rank == 5);
    CHECK(examine(logits, 1).rank == 1);
    CHECK(examine(logits, 0).top.empty());
    CHECK_THROWS_WITH(examine(logits, 5), Catch::Contains("outside the vocabulary of 5"));
}

TEST_CASE("shared beginnings are evaluated once and change no bit") {
    const Scored s;
    const auto part = [&](std::size_t n, TokenId last) {
        std::vector<TokenId> tokens(s.tokens.begin(), s.tokens.begin() + static_cast<long>(n));
        tokens.push_back(last);
        tokens.push_back(7);
        return tokens;
    };
    // Branches at 12, 20 and 30; one text is another's beginning; two are equal; one stands alone.
    std::vector<ScoreSequence> sequences = {
        {part(30, 1), 25}, {part(30, 2), 31}, {part(20, 3), 1},
        {part(20, 4), 21}, {part(12, 5), 13}, {part(30, 1), 1},
        {part(12, 6), 1},  {part(20, 3), 21}, {{9, 8, 7, 6}, 2}};
    sequences.push_back({std::vector<TokenId>(s.tokens.begin(), s.tokens.begin() + 30), 3});
    std::uint64_t all = 0;
    for (const ScoreSequence& q : sequences) all += q.tokens.size() - 1;

    const auto cpu = makeCpuBackend(s.golden.model, *s.golden.checkpoint, {});
    for (const Backend* backend : {s.backend.get(), cpu.get()}) {
        BatchScorer plain(*backend, 128, {.share = false});
        const auto alone = allOf(plain, sequences);
        CHECK(plain.shared() == 0);
        CHECK(plain.evaluated() == all);
        // Steps that nodes lie in together, end in, and are cut by.
        for (const int batch : {1, 5, 16, 512}) {
            INFO(backend->name() << ", steps of " << batch);
            BatchScorer sharing(*backend, 128, {.top = 2, .maxBatch = batch});
            const auto found = allOf(sharing, sequences);
            for (std::size_t i = 0; i < sequences.size(); ++i) {
                requireSame(found[i], alone[i]);
                CHECK(found[i].back().top.size() == 2);
            }
            CHECK(sharing.evaluated() + sharing.shared() == all);
            CHECK(sharing.evaluated() < all / 2);
            // Call by call, whatever the one before left behind.
            std::mt19937 random(3);
            for (int round = 0; round < 30; ++round) {
                const std::size_t i = random() % sequences.size();
                requireSame(allOf(sharing, std::span(sequences).subspan(i, 1))[0], alone[i]);
            }
        }
    }
}

TEST_CASE("a call goes on from what the one before evaluated last") {
    const Scored s;
    const std::vector<TokenId> text(s.tokens.begin(), s.tokens.begin() + 30);
    const auto with = [&](std::size_t n, TokenId last) {
        std::vector<TokenId> tokens(text.begin(), text.begin() + static_cast<long>(n));
        tokens.insert(tokens.end(), {last, 3});
        return tokens;
    };
    BatchScorer scorer(*s.backend, 128, {});
    allOf(scorer, std::vector<ScoreSequence>{{with(28, 1), 29}});
    CHECK(scorer.evaluated() == 29);
    allOf(scorer, std::vector<ScoreSequence>{{with(20, 2), 21}});
    CHECK(scorer.evaluated() == 29 + 1);  // the 20 tokens before are held
    allOf(scorer, std::vector<ScoreSequence>{{with(20, 2), 11}});
    CHECK(scorer.evaluated() == 29 + 1 + 11);  // logits from the tenth token on are asked for
    scorer.forget();
    allOf(scorer, std::vector<ScoreSequence>{{with(20, 2), 21}});
    CHECK(scorer.evaluated() == 29 + 1 + 11 + 21);
}

TEST_CASE("brief findings are the log-probabilities and choices of whole ones") {
    const Scored s;
    const std::vector<ScoreSequence> one = {{{s.tokens.begin(), s.tokens.end()}, 1}};
    BatchScorer whole(*s.backend, 128, {}), brief(*s.backend, 128, {.brief = true});
    const auto a = allOf(whole, one)[0];
    const auto b = allOf(brief, one)[0];
    for (std::size_t t = 0; t < a.size(); ++t) {
        CHECK(a[t].logProbability == b[t].logProbability);
        CHECK(a[t].likeliest == b[t].likeliest);
    }
}

TEST_CASE("the visitor sees the logits behind every score one sequence behind the other") {
    const Scored s;
    const std::vector<TokenId> tokens(s.tokens.begin(), s.tokens.end());
    BatchScorer scorer(*s.backend, 128, {.share = false, .maxBatch = 16});
    std::vector<std::pair<std::size_t, std::size_t>> seen, expected;
    for (std::size_t i = 30; i < tokens.size(); ++i) expected.emplace_back(0, i);
    for (std::size_t i = 10; i < tokens.size(); ++i) expected.emplace_back(1, i);
    allOf(scorer, std::vector<ScoreSequence>{{tokens, 30}, {tokens, 10}},
          [&](std::size_t sequence, std::size_t index, std::span<const float> logits) {
              seen.emplace_back(sequence, index);
              CHECK(relativeError(logits,
                                  std::span(s.golden.logits).subspan((index - 1) * 96, 96)) < 1e-4);
          });
    CHECK(seen == expected);
}

TEST_CASE("routing is told of every sequence whole whatever it shares") {
    struct Counter final : RoutingSink {
        std::map<std::int64_t, std::map<std::pair<int, int>, std::vector<std::int32_t>>> at;
        void onRouting(const StepInfo& step, int layer, int topK,
                       std::span<const std::int32_t> experts, std::span<const float>) override {
            for (int t = 0; t < step.tokens; ++t) {
                auto& ids = at[step.sequence][{layer, step.firstPosition + t}];
                const auto its = experts.subspan(static_cast<std::size_t>(t * topK),
                                                 static_cast<std::size_t>(topK));
                ids.insert(ids.end(), its.begin(), its.end());
            }
        }
    };
    const Scored s;
    std::vector<ScoreSequence> sequences;
    for (int i = 0; i < 6; ++i) {
        std::vector<TokenId> tokens(s.tokens.begin(), s.tokens.begin() + 20 + 2 * i);
        tokens.insert(tokens.end(), {i, 5, 6});
        // Two sequences a label: the second is told of from its own tokens on.
        const std::size_t from = i % 2 == 0 ? 0 : 20;
        sequences.push_back({std::move(tokens), 21, i / 2, from});
    }
    Counter alone, together, callByCall;
    BatchScorer plain(*s.backend, 128, {.share = false});
    plain.setRouting(&alone);
    allOf(plain, sequences);
    BatchScorer sharing(*s.backend, 128, {.maxBatch = 7});
    sharing.setRouting(&together);
    allOf(sharing, sequences);
    CHECK(together.at == alone.at);
    BatchScorer holding(*s.backend, 128, {});
    holding.setRouting(&callByCall);
    for (const ScoreSequence& one : sequences) allOf(holding, {&one, 1});
    CHECK(callByCall.at == alone.at);
    CHECK(holding.shared() > 80);
}

TEST_CASE("texts that begin alike and are reported from there have the findings of each alone") {
    const Scored s;
    std::vector<ScoreSequence> sequences;
    for (int i = 0; i < 5; ++i) {  // the head of all is reported, and cut by steps
        std::vector<TokenId> tokens(s.tokens.begin(), s.tokens.begin() + 17);
        tokens.insert(tokens.end(), {i, 2 * i, 7});
        sequences.push_back({std::move(tokens), static_cast<std::size_t>(1 + i)});
    }
    BatchScorer plain(*s.backend, 128, {.share = false}), sharing(*s.backend, 128, {.maxBatch = 6});
    const auto alone = allOf(plain, sequences);
    const auto found = allOf(sharing, sequences);
    for (std::size_t i = 0; i < sequences.size(); ++i) requireSame(found[i], alone[i]);
    CHECK(sharing.evaluated() == 17 + 5 * 2);
}

TEST_CASE("sequences with nothing to score or ids outside the vocabulary are refused by number") {
    const Scored s;
    BatchScorer scorer(*s.backend, 8, {});
    const std::vector<TokenId> good = {1, 2, 3}, outside = {1, 96}, one = {1},
                               tooLong(10, TokenId{1});
    const auto refused = [&](const ScoreSequence& bad, const std::string& why) {
        try {
            allOf(scorer, std::vector<ScoreSequence>{{good, 1}, bad});
            FAIL("not refused");
        } catch (const SequenceError& e) {
            CHECK(e.sequence() == 1);
            CHECK_THAT(e.what(), Catch::Contains(why));
        }
    };
    refused({one, 1}, "no tokens to score");
    refused({good, 0}, "no tokens to score");
    refused({good, 3}, "no tokens to score");
    refused({{}, 1}, "no tokens to score");
    refused({outside, 1}, "outside the vocabulary of 96");
    refused({tooLong, 1}, "context of 8 tokens");
    CHECK(allOf(scorer, std::vector<ScoreSequence>{{good, 1}})[0].size() == 2);
}

TEST_CASE("a damaged head gives an error and no score") {
    // Numbers that loading accepts: the head's products with the last state overflow either way,
    // and so does an embedding row with its scale.
    for (const auto& [name, bad] : {std::pair{"output.weight", 3e38F},
                                    {"output.weight", -3e38F},
                                    {"token_embd.weight", 3e38F}}) {
        MemoryCheckpoint checkpoint = tinyGptOssGguf();
        std::vector<float> rows(10 * 8, 0.25F);
        std::fill_n(rows.begin() + 7 * 8, 8, bad);
        checkpoint.add(name, {10, 8}, rows);
        BoundModel model = bindModel(checkpoint);
        model.spec.embeddingScale = 4.0F;
        const auto backend = makeReferenceBackend(model);
        CAPTURE(name, bad);
        BatchScorer scorer(*backend, 8, {});
        const std::vector<ScoreSequence> one = {{{1, 7, 7, 7}, 1}};
        for (int round = 0; round < 2; ++round)
            CHECK_THROWS_WITH(scorer.score(one, [](BatchScorer::Scored&&) {}),
                              Catch::Contains("not finite"));
    }
}

TEST_CASE("a scoring that fails or is stopped half way leaves the next one right") {
    const Scored s;
    const std::vector<ScoreSequence> two = {{{s.tokens.begin(), s.tokens.end()}, 1},
                                            {{s.tokens.begin(), s.tokens.begin() + 9}, 1}};
    BatchScorer scorer(*s.backend, 128, {.share = false, .maxBatch = 8});
    const auto expected = allOf(scorer, two);
    const auto failing = [](std::size_t, std::size_t i, std::span<const float>) {
        if (i == 7) throw Error("visitor");
    };
    CHECK_THROWS_WITH(allOf(scorer, two, failing), "visitor");
    StopFlag stop{false};
    scorer.setStop(&stop);
    std::size_t kept = 0;
    CHECK_THROWS_AS(scorer.score(two, [&](BatchScorer::Scored&&) { stop = true, ++kept; }),
                    Interrupted);
    CHECK(kept == 1);
    stop = false;
    const auto found = allOf(scorer, two);
    for (std::size_t i = 0; i < two.size(); ++i) requireSame(found[i], expected[i]);
}
