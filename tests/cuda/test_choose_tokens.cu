// SPDX-License-Identifier: Apache-2.0
// The choice of next tokens on the device.
#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "engine/backend/cuda/decode.h"
#include "engine/run/logits.h"
#include "engine/run/score.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

/// What a launch needs beside logits and rules.
struct Scratch {
    explicit Scratch(int rows)
        : parts(choiceParts(rows)),
          counters(std::vector<unsigned>(static_cast<std::size_t>(rows), 0U)) {}

    Buffer<uint4> parts;
    Buffer<unsigned> counters;
};

ChooseTokens rowsOf(const Buffer<float>& logits, std::size_t count, int rows,
                    const Buffer<TokenRule>& rules, const Buffer<TokenChoice>& chosen,
                    const Scratch& scratch) {
    ChooseTokens c;
    c.logits = logits.get();
    c.rows = rows;
    c.vocab = static_cast<std::int32_t>(count) / rows;
    c.rules = rules.get();
    c.chosen = chosen.get();
    c.parts = scratch.parts.get();
    c.counters = scratch.counters.get();
    return c;
}

/// values: (rules, vocab).
std::vector<TokenChoice> choose(const std::vector<float>& values,
                                const std::vector<TokenRule>& rules) {
    const auto rows = static_cast<int>(rules.size());
    const Buffer<float> logits(values);
    const Buffer<TokenRule> deviceRules(rules);
    const Buffer<TokenChoice> chosen(rules.size());
    const Scratch scratch(rows);
    chooseTokens(rowsOf(logits, values.size(), rows, deviceRules, chosen, scratch), nullptr);
    for (const unsigned counter : scratch.counters.read()) CHECK(counter == 0);
    return chosen.read();
}

/// Tokens of `count` draws from the same logits by a device that goes on by itself.
std::vector<TokenId> draw(const std::vector<float>& values, TokenRule rule, int count) {
    const Buffer<float> logits(values);
    const Buffer<TokenRule> rules(std::vector<TokenRule>{rule});
    const Buffer<TokenChoice> chosen(static_cast<std::size_t>(count));
    const Scratch scratch(1);
    const Buffer<std::int32_t> ids(std::vector<std::int32_t>{0});
    const Buffer<TokenPlace> place(std::vector<TokenPlace>{{5, 0}});
    ChooseTokens c = rowsOf(logits, values.size(), 1, rules, chosen, scratch);
    c.ids = ids.get();
    c.place = place.get();
    c.fedChoices = count;
    for (int i = 0; i < count; ++i) chooseTokens(c, nullptr);
    CHECK(place.read()[0].position == 5 + count);
    CHECK(rules.read()[0].draw == rule.draw + static_cast<std::uint64_t>(count));
    std::vector<TokenId> tokens;
    for (const TokenChoice& choice : chosen.read()) tokens.push_back(choice.token);
    const auto last =
        (rule.draw + static_cast<std::uint64_t>(count) - 1) % static_cast<std::uint64_t>(count);
    CHECK(ids.read()[0] == tokens[last]);
    return tokens;
}

}  // namespace

TEST_CASE("of each row the largest logit is chosen, the first of equals") {
    std::vector<float> logits(3 * 700, -1.0F);
    logits[301] = 4.0F;
    logits[650] = 4.0F;
    logits[700 + 699] = -0.5F;
    for (int i = 0; i < 700; ++i) logits[1400 + static_cast<std::size_t>(i)] = -INFINITY;
    logits[1400 + 512] = -9.0F;
    const auto chosen = choose(logits, std::vector<TokenRule>(3));
    CHECK(chosen[0].token == 301);
    CHECK(chosen[1].token == 699);
    CHECK(chosen[2].token == 512);
}

TEST_CASE("a row of logits that are not finite has no choice, and the others have theirs") {
    for (const float temperature : {0.0F, 0.7F}) {
        std::vector<float> logits(4 * 600, 0.0F);
        logits[600 + 599] = NAN;
        logits[1200] = INFINITY;
        for (int i = 0; i < 600; ++i) logits[1800 + static_cast<std::size_t>(i)] = -INFINITY;
        const auto chosen = choose(logits, std::vector<TokenRule>(4, {temperature, 1, 0}));
        CHECK(chosen[0].token >= 0);
        CHECK(chosen[1].token == -1);
        CHECK(chosen[2].token == -1);
        CHECK(chosen[3].token == -1);
    }
}

TEST_CASE("the hash of a row is that of the host, whatever the number of rows") {
    for (const int rows : {1, 3, 70}) {
        const std::size_t vocab = 1031;
        const std::vector<float> logits =
            randomFloats(static_cast<std::size_t>(rows) * vocab, 20261127U);
        const auto chosen = choose(logits, std::vector<TokenRule>(static_cast<std::size_t>(rows)));
        for (std::size_t row = 0; row < chosen.size(); ++row) {
            const auto own = std::span(logits).subspan(row * vocab, vocab);
            CHECK(chosen[row].logitsHash == logitsHash(own));
            CHECK(chosen[row].token == mostLikely(own));
        }
    }
}

TEST_CASE("questions about logits are answered as the host answers them") {
    const std::size_t vocab = 1031, rows = 3;
    std::vector<float> values = randomFloats(rows * vocab, 20261128U, 4.0F);
    values[17] = values[900] = values[1000];  // ties
    values[vocab + 3] = -INFINITY;
    values[2 * vocab + 600] = 90.0F;  // all but certain
    const std::vector<TokenQuestion> questions{{0, 1000}, {0, 17},  {0, 900}, {0, 1030},
                                               {1, 0},    {1, 500}, {2, 600}, {2, 1}};
    const Buffer<float> logits(values);
    const Buffer<TokenQuestion> asked(questions);
    const Buffer<TokenAnswer> answers(questions.size());
    examineTokens({logits.get(), static_cast<std::int32_t>(vocab),
                   static_cast<std::int32_t>(questions.size()), asked.get(), answers.get()},
                  nullptr);
    const std::vector<TokenAnswer> found = answers.read();
    for (std::size_t i = 0; i < questions.size(); ++i) {
        INFO("question " << i);
        const auto row =
            std::span(values).subspan(static_cast<std::size_t>(questions[i].row) * vocab, vocab);
        const TokenFinding expected = examine(row, questions[i].token);
        CHECK(found[i].likeliest == expected.likeliest);
        CHECK(found[i].rank == expected.rank);
        CHECK(found[i].logitsHash == expected.logitsHash);
        const double probability =
            double{found[i].own} - double{found[i].largest} - found[i].logSum;
        CHECK(probability == Approx(expected.logProbability).epsilon(1e-13));
    }
}

TEST_CASE("a question about logits that are not finite has no answer") {
    for (const float bad : {NAN, INFINITY}) {
        std::vector<float> values(600, 0.5F);
        values[599] = bad;
        const Buffer<float> logits(values);
        const Buffer<TokenQuestion> asked(std::vector<TokenQuestion>{{0, 3}});
        const Buffer<TokenAnswer> answers(1);
        examineTokens({logits.get(), 600, 1, asked.get(), answers.get()}, nullptr);
        CHECK(answers.read()[0].likeliest == -1);
    }
}

TEST_CASE("a draw depends on logits, seed and number alone") {
    const std::size_t vocab = 777;
    const std::vector<float> row = randomFloats(vocab, 7U);
    std::vector<float> all;
    std::vector<TokenRule> rules;
    for (std::uint64_t i = 0; i < 9; ++i) {
        all.insert(all.end(), row.begin(), row.end());
        rules.push_back({1.0F, 11 + i % 2, i / 2});
    }
    const auto together = choose(all, rules);
    bool differ = false;
    for (std::size_t i = 0; i < rules.size(); ++i) {
        CHECK(choose(row, {rules[i]})[0].token == together[i].token);
        differ = differ || together[i].token != together[0].token;
    }
    CHECK(differ);
    // The device that goes on by itself draws what it would draw if it were asked each time.
    const std::vector<TokenId> fed = draw(row, {1.0F, 11, 0}, 5);
    for (std::size_t i = 0; i < 5; ++i) CHECK(fed[i] == together[2 * i].token);
}

TEST_CASE("with a temperature tokens are drawn as often as their probabilities say") {
    // At temperature 2: probabilities 3/4 and 1/4, and one that is all but impossible.
    const std::vector<float> logits{2 * std::log(3.0F), 0.0F, -120.0F};
    constexpr int kDraws = 60;
    int first = 0;
    for (const TokenId token : draw(logits, {2.0F, 20261127, 3}, kDraws)) {
        CHECK(token != 2);
        first += token == 0 ? 1 : 0;
    }
    // Binomial(60, 3/4): mean 45, standard deviation 3.4; a draw outside 4 of them has p < 1e-4.
    CHECK(first > 31);
    CHECK(first < 59);
}

TEST_CASE("the rarest draw takes nothing from a token that is all but certain") {
    // The uniform number of this draw lies within 2^-25 of 1, which a float rounds to.
    const TokenRule rarest{1.0F, 0, 1869153};
    CHECK(choose({5.0F}, {rarest})[0].token == 0);
}
