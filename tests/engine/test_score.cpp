// SPDX-License-Identifier: Apache-2.0
// Scores against the golden logits, and continuations against whole texts.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/core/error.h"
#include "engine/run/score.h"
#include "tests/engine/golden.h"
#include "tests/engine/memory_checkpoint.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

struct Scored {
    Golden golden = loadGolden("gpt_oss_window");
    std::unique_ptr<Backend> backend = makeReferenceBackend(golden.model);
    Session session{*backend, 128, 16};
    std::span<const TokenId> tokens{golden.tokens};

    std::vector<TokenFinding> whole(std::span<const TokenId> text) {
        SequenceScorer scorer(session, {{{text.begin(), text.end()}, 1}}, {});
        return scorer.score(0);
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
    CHECK(s.session.position() == 39);  // the last token is scored and not evaluated
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
    Scored s;
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
    std::vector<std::vector<TokenFinding>> alone;
    SequenceScorer plain(s.session, sequences, {.share = false, .top = 2});
    for (std::size_t i = 0; i < sequences.size(); ++i) alone.push_back(plain.score(i));
    CHECK(plain.shared() == 0);
    std::uint64_t all = 0;
    for (const ScoreSequence& q : sequences) all += q.tokens.size() - 1;
    CHECK(plain.evaluated() == all);

    const auto same = [&](SequenceScorer& scorer, std::size_t i) {
        const auto found = scorer.score(i);
        REQUIRE(found.size() == alone[i].size());
        CHECK(combinedHash(found) == combinedHash(alone[i]));
        for (std::size_t t = 0; t < found.size(); ++t) {
            CHECK(found[t].logProbability == alone[i][t].logProbability);
            CHECK(found[t].rank == alone[i][t].rank);
            CHECK(found[t].top.size() == 2);
        }
    };
    SequenceScorer sharing(s.session, sequences, {.share = true, .top = 2});
    for (const std::size_t i : sharing.order()) same(sharing, i);
    CHECK(sharing.evaluated() + sharing.shared() == all);
    CHECK(sharing.evaluated() < all / 2);
    SequenceScorer anyOrder(s.session, sequences, {.share = true, .top = 2});
    std::mt19937 random(3);
    for (int round = 0; round < 60; ++round) same(anyOrder, random() % sequences.size());
}

TEST_CASE("the visitor sees the logits behind every score also of shared tokens") {
    Scored s;
    const std::vector<TokenId> tokens(s.tokens.begin(), s.tokens.end());
    SequenceScorer scorer(s.session, {{tokens, 30}, {tokens, 10}}, {});
    for (const std::size_t which : {1, 0, 1}) {
        std::size_t next = which == 0 ? 30 : 10;
        scorer.score(which, [&](std::size_t index, std::span<const float> logits) {
            CHECK(index == next++);
            CHECK(relativeError(logits, std::span(s.golden.logits).subspan((index - 1) * 96, 96)) <
                  1e-4);
        });
        CHECK(next == tokens.size());
    }
}

TEST_CASE("sequences with nothing to score and ids outside the vocabulary are refused") {
    Scored s;
    CHECK_THROWS_AS(SequenceScorer(s.session, {{{1}, 1}}, {}), Error);
    CHECK_THROWS_AS(SequenceScorer(s.session, {{{1, 2}, 0}}, {}), Error);
    CHECK_THROWS_AS(SequenceScorer(s.session, {{{}, 1}}, {}), Error);
    SequenceScorer scorer(s.session, {{{1, 96}, 1}, {{96, 1}, 1}, {{1, 2}, 1}}, {});
    CHECK_THROWS_AS(scorer.score(0), Error);
    CHECK_THROWS_AS(scorer.score(1), Error);
    CHECK(scorer.score(2).size() == 1);
}

TEST_CASE("a damaged head gives an error and no score") {
    // Numbers that loading accepts, and whose products with the last state overflow either way; and
    // an embedding row, which loading does not read.
    for (const float bad : {3e38F, -3e38F, float{NAN}}) {
        MemoryCheckpoint checkpoint = tinyGptOssGguf();
        const bool inHead = !std::isnan(bad);
        std::vector<float> rows(10 * 8, 0.25F);
        std::fill_n(rows.begin() + 7 * 8, 8, bad);
        checkpoint.add(inHead ? "output.weight" : "token_embd.weight", {10, 8}, rows);
        const BoundModel model = bindModel(checkpoint);
        const auto backend = makeReferenceBackend(model);
        Session session(*backend, 8);
        CAPTURE(bad);
        SequenceScorer scorer(session, {{{1, 7, 7, 7}, 1}}, {});
        CHECK_THROWS_WITH(scorer.score(0), Catch::Contains("not finite"));
        CHECK_THROWS_WITH(scorer.score(0), Catch::Contains("not finite"));
    }
}

TEST_CASE("a scoring that fails half way leaves the next one right") {
    Scored s;
    const std::vector<TokenId> tokens(s.tokens.begin(), s.tokens.end());
    SequenceScorer scorer(s.session, {{tokens, 1}}, {});
    const auto expected = combinedHash(scorer.score(0));
    SequenceScorer other(s.session, {{tokens, 1}}, {});
    CHECK_THROWS_WITH(other.score(0,
                                  [](std::size_t i, std::span<const float>) {
                                      if (i == 23) throw Error("visitor");
                                  }),
                      "visitor");
    CHECK(combinedHash(other.score(0)) == expected);
}
