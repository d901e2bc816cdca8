// SPDX-License-Identifier: Apache-2.0
// Scores against the golden logits, and continuations against whole texts.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

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
    const Score score = scoreTokens(s.session, s.tokens);
    REQUIRE(score.tokens.size() == s.tokens.size() - 1);
    double sum = 0.0;
    for (std::size_t i = 0; i < score.tokens.size(); ++i) {
        const double expected = goldenLogProbability(s.golden, i, s.tokens[i + 1]);
        CHECK(score.tokens[i].token == s.tokens[i + 1]);
        CHECK(score.tokens[i].logProbability == Approx(expected).margin(1e-4));
        sum += expected;
    }
    CHECK(score.sum() == Approx(sum).margin(1e-3));
    CHECK(score.perplexity() == Approx(std::exp(-sum / 39)).epsilon(1e-4));
    CHECK(s.session.position() == 39);
}

TEST_CASE("a continuation scores as it does within the whole text") {
    Scored s;
    const Score whole = scoreTokens(s.session, s.tokens);
    s.session.beginSequence(1);
    PrefixScorer scorer(s.session, s.tokens.first(20));
    const Score shorter = scorer.score(s.tokens.subspan(20, 1));
    const Score longer = scorer.score(s.tokens.subspan(20));
    const Score again = scorer.score(s.tokens.subspan(20));
    CHECK(s.session.position() == 20);
    REQUIRE(longer.tokens.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(longer.tokens[i].logProbability ==
              Approx(whole.tokens[19 + i].logProbability).margin(1e-5));
        CHECK(longer.tokens[i].greedy == whole.tokens[19 + i].greedy);
    }
    CHECK(shorter.tokens[0].logProbability == longer.tokens[0].logProbability);
    CHECK(again.sum() == longer.sum());
    CHECK(again.logitsHash == longer.logitsHash);
    CHECK(again.logitsHash != shorter.logitsHash);
}

TEST_CASE("greedy agreement holds for what greedy decoding gives") {
    Scored s;
    PrefixScorer scorer(s.session, s.tokens.first(5));
    const auto logits = scorer.prefixLogits();
    const auto best =
        static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    CHECK(scorer.score(std::vector<TokenId>{best}).greedy());
    CHECK_FALSE(scorer.score(std::vector<TokenId>{(best + 1) % 96}).greedy());
}

TEST_CASE("the callback sees the logits behind every score") {
    Scored s;
    std::size_t calls = 0;
    const Score score = scoreTokens(s.session, s.tokens.first(4), [&](std::size_t i, auto logits) {
        CHECK(i == calls++);
        CHECK(relativeError(logits, std::span(s.golden.logits).subspan(i * 96, 96)) < 1e-4);
    });
    CHECK(calls == 3);
    CHECK(score.tokens.size() == 3);
}

TEST_CASE("one token alone has no score and bad input is refused") {
    Scored s;
    CHECK(scoreTokens(s.session, s.tokens.first(1)).tokens.empty());
    CHECK(Score{}.perplexity() == 1.0);
    CHECK_THROWS_AS(scoreTokens(s.session, {}), Error);
    CHECK_THROWS_AS(scoreTokens(s.session, std::vector<TokenId>{1, 96}), Error);
    s.session.beginSequence(0);
    s.session.append(s.tokens.first(2));
    CHECK_THROWS_AS(scoreTokens(s.session, s.tokens), Error);
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
        CHECK_THROWS_WITH(scoreTokens(session, std::vector<TokenId>{1, 7, 7, 7}),
                          Catch::Contains("not finite"));
        session.beginSequence(1);
        PrefixScorer scorer(session, std::vector<TokenId>{1, 7});
        CHECK_THROWS_AS(scorer.score(std::vector<TokenId>{7}), Error);
    }
}

TEST_CASE("a continuation that fails leaves the session at the end of the prefix") {
    Scored s;
    PrefixScorer scorer(s.session, s.tokens.first(20));
    const Score expected = scorer.score(s.tokens.subspan(20));
    const auto fail = [](std::size_t i, std::span<const float>) {
        if (i == 3) throw Error("callback");
    };
    CHECK_THROWS_WITH(scorer.score(s.tokens.subspan(20), fail), "callback");
    CHECK(s.session.position() == 20);
    CHECK(scorer.score(s.tokens.subspan(20)).logitsHash == expected.logitsHash);
}
