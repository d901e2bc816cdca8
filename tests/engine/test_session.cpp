// SPDX-License-Identifier: Apache-2.0
// Sessions on the reference back end: chunking, the ring caches, marks, sinks, refusals.
#include <catch2/catch.hpp>

#include <numeric>

#include "engine/core/error.h"
#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

/// Tokens far past the window of 8 and the YaRN context of 16.
std::vector<TokenId> longPrompt(int count) {
    std::vector<TokenId> tokens;
    for (int i = 0; i < count; ++i) tokens.push_back((i * 37 + 11) % 96);
    return tokens;
}

struct TinyModel {
    Golden golden = loadGolden("gpt_oss_window");
    std::unique_ptr<Backend> backend = makeReferenceBackend(golden.model);
};

/// Records what a sink is told, as text.
struct Recorder final : TraceSink, RoutingSink {
    std::vector<std::string> calls;
    std::size_t routed = 0;
    int open = 0;

    void stepBegin(const StepInfo& step) override {
        calls.push_back((step.kind == StepKind::Decode ? "decode " : "prefill ") +
                        std::to_string(step.sequence) + " " + std::to_string(step.firstPosition) +
                        " " + std::to_string(step.tokens));
        ++open;
    }
    void stepEnd() override { --open; }
    void opBegin(Op op, int layer) override {
        calls.push_back(std::string(opName(op)) + " " + std::to_string(layer));
        ++open;
    }
    void opEnd(const OpWork& work) override {
        calls.back() += work.kernel.empty() ? " -" : " " + std::string(work.kernel);
        --open;
    }
    void onRouting(const StepInfo& step, int layer, int topK, std::span<const std::int32_t> experts,
                   std::span<const float> weights) override {
        REQUIRE(experts.size() == static_cast<std::size_t>(step.tokens * topK));
        REQUIRE(weights.size() == experts.size());
        for (std::size_t t = 0; t < experts.size(); t += static_cast<std::size_t>(topK)) {
            const auto gate = weights.subspan(t, static_cast<std::size_t>(topK));
            CHECK(std::accumulate(gate.begin(), gate.end(), 0.0) == Approx(1.0));
            CHECK(std::is_sorted(gate.rbegin(), gate.rend()));
        }
        routed += experts.size();
        calls.push_back("routing " + std::to_string(layer));
    }
};

}  // namespace

TEST_CASE("a session that was warmed up answers as a new one, in any context") {
    const TinyModel tiny;
    for (const int length : {1, 2, 5, 70}) {
        const auto tokens = longPrompt(length);
        for (const int context : {length, length + 1}) {
            Session fresh(*tiny.backend, context, 16);
            const auto expected = allLogits(fresh, tokens);
            Session session(*tiny.backend, context, 16);
            session.warmUp(tokens);
            CHECK(session.position() == 0);
            CHECK(session.trace() == nullptr);
            CHECK(allLogits(session, tokens) == expected);
        }
    }
}

TEST_CASE("any chunking of a prompt gives the logits of one chunk") {
    const TinyModel tiny;
    const auto tokens = longPrompt(70);
    Session whole(*tiny.backend, 70, 70);
    const auto expected = allLogits(whole, tokens);
    for (const int batch : {1, 2, 3, 7, 8, 9, 33, 64}) {
        Session session(*tiny.backend, 70, batch);
        CAPTURE(batch);
        CHECK(relativeError(allLogits(session, tokens), expected) < 1e-5);
    }
}

TEST_CASE("decoding token by token equals prefill past the wrap of the ring") {
    const TinyModel tiny;
    const auto tokens = longPrompt(60);
    Session whole(*tiny.backend, 60, 60);
    const auto expected = allLogits(whole, tokens);
    Session session(*tiny.backend, 512, 4);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto logits = session.append(std::span(tokens).subspan(i, 1));
        CHECK(relativeError(logits, std::span(expected).subspan(i * 96, 96)) < 1e-5);
    }
    CHECK(session.position() == 60);
}

TEST_CASE("after a throw the position is what the cache holds") {
    const TinyModel tiny;
    const auto tokens = longPrompt(40);
    const std::span<const TokenId> all(tokens);
    Session whole(*tiny.backend, 64, 4);
    const auto expected = allLogits(whole, all);
    Session session(*tiny.backend, 64, 4);
    const auto throwAtSix = [](int i, std::span<const float>) {
        if (i == 6) throw Error("visitor");
    };
    CHECK_THROWS_WITH(session.append(all.first(12), throwAtSix), "visitor");
    CHECK(session.position() == 8);  // the second chunk of four is in the cache
    const auto rest = allLogits(session, all.subspan(8));
    CHECK(relativeError(rest, std::span(expected).subspan(8 * 96)) < 1e-5);
}

TEST_CASE("the caller can say what kind of step one token is") {
    const TinyModel tiny;
    Recorder recorder;
    Session session(*tiny.backend, 64);
    session.setTrace(&recorder);
    const auto kindOf = [&](const auto& append) {
        recorder.calls.clear();
        append();
        return recorder.calls[0].substr(0, recorder.calls[0].find(' '));
    };
    const std::vector<TokenId> one{5};
    CHECK(kindOf([&] { session.append(one); }) == "decode");
    CHECK(kindOf([&] { session.append(one, StepKind::Prefill); }) == "prefill");
    CHECK(kindOf([&] { session.append(one, [](int, auto) {}); }) == "prefill");
    CHECK(kindOf([&] { session.append(longPrompt(3), StepKind::Decode); }) == "decode");
}

TEST_CASE("a new sequence does not see the old one") {
    const TinyModel tiny;
    const auto tokens = longPrompt(30);
    Session session(*tiny.backend, 64, 8);
    const auto expected = allLogits(session, tokens);
    session.beginSequence(7);
    CHECK(session.position() == 0);
    CHECK(allLogits(session, tokens) == expected);
}

TEST_CASE("append returns the logits of the last token") {
    const TinyModel tiny;
    const auto tokens = longPrompt(20);
    Session session(*tiny.backend, 64, 6);
    const auto all = allLogits(session, tokens);
    session.beginSequence(0);
    const auto last = session.append(tokens);
    CHECK(std::equal(last.begin(), last.end(), all.end() - 96));
}

TEST_CASE("sinks hear every operation in order and every choice of the router") {
    const TinyModel tiny;
    Recorder recorder;
    Session session(*tiny.backend, 64, 3);
    session.setTrace(&recorder);
    session.setRouting(&recorder);
    session.beginSequence(42);
    const auto tokens = longPrompt(6);
    session.append(std::span(tokens).first(5));
    CHECK(recorder.open == 0);
    CHECK(recorder.calls[0] == "prefill 42 0 3");
    CHECK(recorder.calls[1] == "embed -1 reference");
    CHECK(recorder.calls[2] == "attention_input 0 reference");
    CHECK(recorder.calls[3] == "attention 0 reference");
    CHECK(recorder.calls[4] == "attention_output 0 reference");
    CHECK(recorder.calls[5] == "router 0 reference");
    CHECK(recorder.calls[6] == "routing 0");
    CHECK(recorder.calls[7] == "experts 0 reference");
    CHECK(recorder.calls[26] == "prefill 42 3 2");
    CHECK(recorder.calls.back() == "head -1 reference");
    recorder.calls.clear();
    session.append(std::span(tokens).last(1));
    CHECK(recorder.calls[0] == "decode 42 5 1");
    CHECK(recorder.routed == 6U * 2U * 4U);  // tokens x top-k x layers
}

TEST_CASE("sinks stay nested when a visitor throws") {
    const TinyModel tiny;
    Recorder recorder;
    Session session(*tiny.backend, 64);
    session.setTrace(&recorder);
    const auto tokens = longPrompt(4);
    CHECK_THROWS_AS(
        session.append(tokens, [](int, std::span<const float>) { throw Error("stop"); }), Error);
    CHECK(recorder.open == 0);
}

TEST_CASE("a sink that cannot write ends the step with its error and not the program") {
    struct FullDisk final : TraceSink {
        void stepBegin(const StepInfo&) override {}
        void stepEnd() override { throw Error("run.moescope: cannot write: disk full"); }
        void opBegin(Op, int) override {}
        void opEnd(const OpWork&) override {}
    };
    const TinyModel tiny;
    FullDisk sink;
    Session session(*tiny.backend, 16);
    session.setTrace(&sink);
    CHECK_THROWS_WITH(session.append(longPrompt(4)), Catch::Contains("disk full"));
    CHECK(session.position() == 4);
    // Already unwinding: the visitor's error wins.
    CHECK_THROWS_WITH(
        session.append(longPrompt(2), [](int, std::span<const float>) { throw Error("visitor"); }),
        "visitor");
}

TEST_CASE("what does not fit the session is refused and leaves it usable") {
    const TinyModel tiny;
    Session session(*tiny.backend, 10, 4);
    const auto tokens = longPrompt(11);
    CHECK_THROWS_WITH(session.append(tokens), Catch::Contains("context of 10 tokens is full"));
    CHECK_THROWS_WITH(session.append(std::vector<TokenId>{96}),
                      Catch::Contains("outside the vocabulary of 96"));
    CHECK_THROWS_AS(session.append(std::vector<TokenId>{-1}), Error);
    CHECK_THROWS_AS(session.append(std::vector<TokenId>{}), Error);
    CHECK(session.position() == 0);
    session.append(std::span(tokens).first(10));
    CHECK_THROWS_AS(Session(*tiny.backend, 513), Error);
    CHECK_THROWS_AS(Session(*tiny.backend, 0), Error);
    CHECK_THROWS_AS(Session(*tiny.backend, 8, -1), Error);
}

TEST_CASE("a stop request interrupts between chunks and keeps what was evaluated") {
    const TinyModel tiny;
    StopFlag stop{false};
    Session session(*tiny.backend, 64, 4);
    session.setStop(&stop);
    const auto tokens = longPrompt(12);
    const auto visit = [&](int i, std::span<const float>) {
        if (i == 5) stop = true;
    };
    CHECK_THROWS_AS(session.append(tokens, visit), Interrupted);
    CHECK(session.position() == 8);
}

TEST_CASE("log-probabilities are a log-softmax and the hash sees one changed bit") {
    const std::vector<float> logits{0.0F, std::log(3.0F), -1e30F};
    CHECK(logProbability(logits, 0) == Approx(std::log(0.25)));
    CHECK(logProbability(logits, 1) == Approx(std::log(0.75)));
    CHECK(logProbability(logits, 2) == Approx(-1e30));
    CHECK(mostLikely(std::vector<float>{1, 3, 3, 2}) == 1);
    std::vector<float> changed = logits;
    changed[0] = -0.0F;
    CHECK(logitsHash(logits) != logitsHash(changed));
    CHECK(logitsHash({}) == 0xCBF29CE484222325ULL);
}

TEST_CASE("no score comes of logits that are not finite") {
    for (const float bad : {float{NAN}, float{INFINITY}, -float{INFINITY}}) {
        for (std::size_t place = 0; place < 3; ++place) {
            std::vector<float> logits{1.0F, 3.0F, 2.0F};
            logits[place] = bad;
            CAPTURE(bad, place);
            CHECK_THROWS_WITH(logProbability(logits, static_cast<TokenId>(place)),
                              Catch::Contains("not finite"));
        }
    }
}
