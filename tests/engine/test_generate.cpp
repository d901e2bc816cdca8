// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/run/generate.h"
#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

struct Generator {
    Golden golden = loadGolden("gpt_oss_window");
    std::unique_ptr<Backend> backend = makeReferenceBackend(golden.model);
    Session session{*backend, 64, 16};
    std::span<const TokenId> prompt = std::span(golden.tokens).first(10);

    Generation run(const GenerateOptions& options, const TokenCallback& onToken = {}) {
        session.beginSequence(0);
        return generate(session, prompt, options, onToken);
    }
};

GenerateOptions upTo(int tokens) {
    GenerateOptions options;
    options.maxTokens = tokens;
    return options;
}

struct SampleCounter final : TraceSink {
    int samples = 0, open = 0;
    void stepBegin(const StepInfo&) override { ++open; }
    void stepEnd() override { --open; }
    void opBegin(Op op, int) override {
        ++open;
        samples += op == Op::Sample ? 1 : 0;
    }
    void opEnd(const OpWork&) override { --open; }
};

}  // namespace

TEST_CASE("greedy generation repeats what single steps give") {
    Generator g;
    const Generation result = g.run(upTo(12));
    REQUIRE(result.tokens.size() == 12);
    CHECK(result.reason == FinishReason::Length);
    CHECK(result.promptTokens == 10);
    CHECK(result.firstTokenNs > 0);
    CHECK(result.tokenNs.size() == 11);
    CHECK(result.decodeTokensPerSecond() > 0);
    // The last token was chosen, not evaluated.
    CHECK(g.session.position() == 10 + 11);
    g.session.beginSequence(1);
    std::vector<TokenId> text(g.prompt.begin(), g.prompt.end());
    text.insert(text.end(), result.tokens.begin(), result.tokens.end());
    const auto logits = allLogits(g.session, text);
    for (std::size_t i = 0; i < 12; ++i) {
        const auto row = std::span(logits).subspan((9 + i) * 96, 96);
        CHECK(std::max_element(row.begin(), row.end()) - row.begin() == result.tokens[i]);
    }
}

TEST_CASE("a stop token ends the generation and is reported") {
    Generator g;
    const Generation free = g.run(upTo(8));
    GenerateOptions options = upTo(8);
    options.stopTokens = {free.tokens[3]};
    const Generation stopped = g.run(options);
    CHECK(stopped.reason == FinishReason::StopToken);
    CHECK(stopped.tokens.back() == free.tokens[3]);
    CHECK(stopped.tokens.size() <= 4);
}

TEST_CASE("the context ends a generation without an error") {
    Generator g;
    const Generation result = g.run(upTo(1000));
    CHECK(result.reason == FinishReason::ContextFull);
    CHECK(g.session.position() == 64);
    CHECK(result.tokens.size() == 64 - 10 + 1);
}

TEST_CASE("the callback hears every token and may end the generation") {
    Generator g;
    std::vector<TokenId> heard;
    const Generation result = g.run(upTo(20), [&](TokenId token) {
        heard.push_back(token);
        return heard.size() < 3;
    });
    CHECK(result.reason == FinishReason::Caller);
    CHECK(heard == result.tokens);
    CHECK(heard.size() == 3);
}

TEST_CASE("an interruption keeps what was generated") {
    Generator g;
    StopFlag stop{false};
    g.session.setStop(&stop);
    const Generation result = g.run(upTo(20), [&](TokenId) {
        stop = true;
        return true;
    });
    CHECK(result.reason == FinishReason::Interrupted);
    CHECK(result.tokens.size() == 1);
    CHECK(finishReasonName(result.reason) == "interrupted");
}

TEST_CASE("the same seed gives the same text and hash") {
    Generator g;
    GenerateOptions options = upTo(16);
    options.sampling.temperature = 1.5;
    options.sampling.seed = 3;
    const Generation first = g.run(options);
    const Generation second = g.run(options);
    CHECK(first.tokens == second.tokens);
    CHECK(first.logitsHash == second.logitsHash);
    options.sampling.seed = 4;
    CHECK(g.run(options).tokens != first.tokens);
}

TEST_CASE("every choice is traced as an operation") {
    Generator g;
    SampleCounter counter;
    g.session.setTrace(&counter);
    g.run(upTo(5));
    CHECK(counter.samples == 5);
    CHECK(counter.open == 0);
}

TEST_CASE("generation options out of range are refused") {
    Generator g;
    CHECK_THROWS_AS(g.run(upTo(0)), UsageError);
    GenerateOptions options = upTo(1);
    options.sampling.topP = 2.0;
    CHECK_THROWS_AS(g.run(options), UsageError);
}
