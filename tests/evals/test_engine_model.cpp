// SPDX-License-Identifier: Apache-2.0
// Where prompt and continuation are split, and shared-prefix scoring against plain scoring.
#include "evals/engine_model.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "engine/core/error.h"

using namespace moescope;

namespace {

/// One token per byte, except that " y" and "ab" are merged: enough to show both border rules.
class ByteTokenizer final : public Tokenizer {
public:
    explicit ByteTokenizer(std::optional<TokenId> bos, bool addBos, std::vector<TokenId> end)
        : bos_(bos), addBos_(addBos), end_(std::move(end)) {}
    std::int32_t vocabSize() const noexcept override { return 1000; }
    std::string_view preTokenizer() const noexcept override { return "gpt2"; }
    std::vector<TokenId> encode(std::string_view text, SpecialTokens) const override {
        std::vector<TokenId> out;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::string_view two = text.substr(i, 2);
            if (two == " y" || two == "ab") {
                out.push_back(two == "ab" ? 301 : 300);
                ++i;
            } else {
                out.push_back(static_cast<unsigned char>(text[i]));
            }
        }
        return out;
    }
    std::string decode(std::span<const TokenId>, bool) const override { return {}; }
    std::string_view bytes(TokenId) const override { return {}; }
    bool isSpecial(TokenId) const noexcept override { return false; }
    std::optional<TokenId> find(std::string_view) const override { return {}; }
    std::optional<TokenId> bos() const noexcept override { return bos_; }
    bool addBos() const noexcept override { return addBos_; }
    const std::vector<TokenId>& endOfText() const noexcept override { return end_; }
    std::optional<TokenId> eos() const noexcept override {
        return end_.empty() ? std::nullopt : std::optional(end_.front());
    }
    const std::string& chatTemplate() const noexcept override { return none_; }

private:
    std::optional<TokenId> bos_;
    bool addBos_;
    std::vector<TokenId> end_;
    std::string none_;
};

const std::filesystem::path kSmolLm =
    std::filesystem::path(MOESCOPE_SOURCE_DIR) / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf";

}  // namespace

TEST_CASE("Prompt and continuation are encoded together and split after the prompt") {
    const ByteTokenizer plain({}, false, {500});
    const TokenPair pair = encodePair(plain, "Q:", " yes");
    CHECK(pair.tokens == std::vector<TokenId>{'Q', ':', 300, 'e', 's'});
    CHECK(pair.split == 2);
}

TEST_CASE("White space at the end of the prompt belongs to the continuation") {
    const ByteTokenizer plain({}, false, {500});
    const TokenPair pair = encodePair(plain, "Q: ", "yes");
    CHECK(pair.tokens == std::vector<TokenId>{'Q', ':', 300, 'e', 's'});
    CHECK(pair.split == 2);
}

TEST_CASE("A merge over the border never leaves the continuation empty") {
    const ByteTokenizer plain({}, false, {500});
    const TokenPair pair = encodePair(plain, "xa", "b");
    CHECK(pair.tokens == std::vector<TokenId>{'x', 301});
    CHECK(pair.split == 1);
}

TEST_CASE("An empty prompt is led by the first token that the model knows") {
    CHECK(encodePair(ByteTokenizer(7, false, {500}), "", "ok").tokens ==
          std::vector<TokenId>{7, 'o', 'k'});
    CHECK(encodePair(ByteTokenizer({}, false, {500}), "", "ok").tokens ==
          std::vector<TokenId>{500, 'o', 'k'});
    const TokenPair none = encodePair(ByteTokenizer({}, false, {}), "", "ok");
    CHECK(none.split == 1);  // nothing to predict the first character from
    CHECK_THROWS_AS(encodePair(ByteTokenizer({}, false, {}), "", "o"), Error);
    CHECK(encodePair(ByteTokenizer(7, true, {500}), "Q", "ok").split == 2);
}

TEST_CASE("Scores with a shared prefix equal those of whole sequences") {
    if (!std::filesystem::exists(kSmolLm)) {
        WARN("SmolLM2 is absent (scripts/get-model smollm2): skipped");
        return;
    }
    const auto model = Model::load(kSmolLm.string());
    EngineModelOptions options;
    options.maxContext = 64;
    EngineModel engine(*model, options);
    const std::string prompt = "Question: What is the capital of France?\nAnswer:";
    const std::vector<std::string> choices = {" Paris", " London, of course", " Rome"};
    const ScoreResult scores = engine.score({1, prompt, choices, false});
    REQUIRE(scores.continuations.size() == 3);
    Session session(*model, 64);
    for (std::size_t c = 0; c < choices.size(); ++c) {
        const TokenPair pair = encodePair(model->tokenizer(), prompt, choices[c]);
        session.beginSequence(static_cast<std::int64_t>(c));
        double sum = 0;
        bool greedy = true;
        session.append(pair.tokens, [&](int i, std::span<const float> logits) {
            const std::size_t next = static_cast<std::size_t>(i) + 1;
            if (next >= pair.split && next < pair.tokens.size()) {
                sum += logProbability(logits, pair.tokens[next]);
                const auto best = std::max_element(logits.begin(), logits.end());
                greedy = greedy && best - logits.begin() == pair.tokens[next];
            }
        });
        CHECK(scores.continuations[c].logLikelihood == Approx(sum).margin(2e-3));
        CHECK(scores.continuations[c].greedy == greedy);
        CHECK(scores.continuations[c].tokens == static_cast<int>(pair.tokens.size() - pair.split));
    }
    CHECK(scores.continuations[0].logLikelihood > scores.continuations[2].logLikelihood);
    const std::vector<std::string> tooLong = {std::string(400, 'z')};
    CHECK(engine.score({2, prompt, tooLong, false}).tooLong);
    REQUIRE(engine.hasChatFormat());
    const std::vector<std::string> reply = {"Paris"};
    CHECK(
        engine.score({3, "What is the capital of France?", reply, true}).continuations[0].tokens >=
        1);
}

TEST_CASE("Items that begin alike have the scores and routing of items on their own") {
    const auto model = Model::load("demo");
    struct Counter final : RoutingSink {
        std::vector<std::map<std::pair<int, std::int32_t>, int>> bySequence;
        void onRouting(const StepInfo& step, int layer, int, std::span<const std::int32_t> experts,
                       std::span<const float>) override {
            bySequence.resize(
                std::max(bySequence.size(), static_cast<std::size_t>(step.sequence) + 1));
            for (const std::int32_t e : experts)
                ++bySequence[static_cast<std::size_t>(step.sequence)][{layer, e}];
        }
    };
    const std::string preamble =
        "The following are questions about ships, trains and the weather, each with its answer.\n"
        "Question: What carries people over the sea? Answer: a ship.\n"
        "Question: What runs on rails? Answer: a train.\n";
    const std::vector<std::string> prompts = {
        preamble + "Question: What is wet? Answer:", preamble + "Question: What is hot? Answer:",
        preamble + "Question: What is hot? Answer:", "Something else. Answer:",
        preamble + "Question: What is far? Answer:"};
    const std::vector<std::string> continuations = {" the rain", " the summer sun", " Rome"};
    Counter shared, alone;
    std::uint64_t within = 0;  // tokens that the continuations of one item share
    std::vector<std::vector<ContinuationScore>> expected;
    EngineModel one(*model, {});
    one.observe(nullptr, &shared);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        EngineModel fresh(*model, {});
        fresh.observe(nullptr, &alone);
        const ScoreRequest request{static_cast<std::int64_t>(i), prompts[i], continuations};
        const ScoreResult a = one.score(request);
        const ScoreResult b = fresh.score(request);
        CAPTURE(i);
        CHECK(a.evaluatedTokens == b.evaluatedTokens);
        REQUIRE(a.continuations.size() == b.continuations.size());
        for (std::size_t c = 0; c < a.continuations.size(); ++c)
            CHECK(a.continuations[c].logLikelihood == b.continuations[c].logLikelihood);
        within += fresh.reusedTokens();
        expected.push_back(b.continuations);
    }
    CHECK(shared.bySequence == alone.bySequence);
    CHECK(one.reusedTokens() > within + 100);

    // All at once, in whatever order they come back.
    Counter together;
    EngineModel batched(*model, {});
    batched.observe(nullptr, &together);
    std::vector<ScoreRequest> requests;
    for (std::size_t i = 0; i < prompts.size(); ++i)
        requests.push_back({static_cast<std::int64_t>(i), prompts[i], continuations});
    std::size_t given = 0, done = 0;
    batched.score([&] { return given < requests.size() ? &requests[given++] : nullptr; },
                  [&](const ScoreRequest& request, ScoreResult&& result) {
                      ++done;
                      CHECK(result.durationNs > 0);
                      const auto& alike = expected[static_cast<std::size_t>(request.sequence)];
                      for (std::size_t c = 0; c < alike.size(); ++c)
                          CHECK(result.continuations[c].logLikelihood == alike[c].logLikelihood);
                  });
    CHECK(done == prompts.size());
    CHECK(together.bySequence == alone.bySequence);
    CHECK(batched.reusedTokens() >= one.reusedTokens());
}

TEST_CASE("Items that differ in their last token alone come back window by window") {
    const auto model = Model::load("demo");
    EngineModelOptions options;
    options.maxContext = 64;
    EngineModel engine(*model, options);
    // Nothing but the last token differs: as counted, the window never fills with tokens.
    const std::vector<std::string> one = {" x"}, other = {" y"};
    std::size_t given = 0, done = 0, greatest = 0;
    const std::size_t most = 3 * 8 * 512;
    std::vector<ScoreRequest> requests(most, ScoreRequest{0, "A ship sails over the", one, false});
    for (std::size_t i = 0; i < most; ++i) {
        requests[i].sequence = static_cast<std::int64_t>(i);
        if (i % 2 == 1) requests[i].continuations = other;
    }
    engine.score([&] { return given < most ? &requests[given++] : nullptr; },
                 [&](const ScoreRequest&, ScoreResult&&) {
                     ++done;
                     greatest = std::max(greatest, given - done);
                 });
    CHECK(done == most);
    CHECK(greatest < most / 2);
}
