// SPDX-License-Identifier: Apache-2.0
// Generations side by side against the same ones alone.
#include <catch2/catch.hpp>

#include <cmath>
#include <map>

#include "engine/core/error.h"
#include "engine/run/generate_many.h"
#include "engine/run/sequence_error.h"
#include "tests/engine/golden.h"
#include "tests/engine/memory_checkpoint.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

struct Requests {
    Golden golden = loadGolden("gpt_oss_window");
    std::unique_ptr<Backend> reference = makeReferenceBackend(golden.model);
    std::unique_ptr<Backend> cpu = makeCpuBackend(golden.model, *golden.checkpoint, {});
    std::vector<GenerateRequest> list;

    Requests() {
        for (int i = 0; i < 9; ++i) {
            GenerateRequest& request = list.emplace_back();
            const auto length = static_cast<std::size_t>(1 + 7 * (i % 4));
            const auto prompt =
                std::span(golden.tokens).subspan(static_cast<std::size_t>(i), length);
            request.prompt.assign(prompt.begin(), prompt.end());
            request.options.maxTokens = 3 + 5 * (i % 3);
            request.options.sampling.temperature = i % 2 == 0 ? 0.0 : 0.8;
            request.options.sampling.seed = static_cast<std::uint64_t>(i);
            request.label = 100 + i;
        }
        list[8].options.maxTokens = 1000;  // until the context is full
    }
    std::vector<Generation> alone(const Backend& backend) const {
        std::vector<Generation> all;
        Session session(backend, 40, 16);
        for (const GenerateRequest& request : list) {
            session.beginSequence(request.label);
            all.push_back(generate(session, request.prompt, request.options));
        }
        return all;
    }
    BatchGenerator::Source source() const {
        return [this, at = std::size_t{0}]() mutable {
            return at < list.size() ? std::optional(list[at++]) : std::nullopt;
        };
    }
};

}  // namespace

TEST_CASE("generations side by side are to the bit those that come alone") {
    Requests requests;
    // One that stops at a token of its own choice.
    requests.list[2].options.stopTokens = {requests.alone(*requests.cpu)[2].tokens[4]};
    for (const Backend* backend : {requests.cpu.get(), requests.reference.get()}) {
        const std::vector<Generation> expected = requests.alone(*backend);
        for (const int parallel : {1, 3, 8, 20}) {
            for (const int batch : {1, 5, 64}) {
                INFO(backend->name() << ", " << parallel << " at a time, steps of " << batch);
                BatchGenerator generator(*backend, {40, parallel, batch});
                std::size_t done = 0;
                generator.run(requests.source(), [&](std::size_t i, Generation&& found) {
                    ++done;
                    CHECK(found.tokens == expected[i].tokens);
                    CHECK(found.reason == expected[i].reason);
                    CHECK(found.logitsHash == expected[i].logitsHash);
                    CHECK(found.promptTokens == expected[i].promptTokens);
                    CHECK(found.firstTokenNs > 0);
                    CHECK(found.tokenNs.size() + 1 == found.tokens.size());
                });
                CHECK(done == requests.list.size());
            }
        }
    }
}

TEST_CASE("routing of generations side by side is told under each one's label") {
    struct Counter final : RoutingSink {
        std::map<std::pair<std::int64_t, StepKind>, std::vector<std::int32_t>> experts;
        void onRouting(const StepInfo& step, int layer, int, std::span<const std::int32_t> ids,
                       std::span<const float>) override {
            if (layer != 1) return;
            auto& all = experts[{step.sequence, step.kind}];
            all.insert(all.end(), ids.begin(), ids.end());
        }
    };
    const Requests requests;
    Counter alone, together;
    Session session(*requests.cpu, 40, 16);
    session.setRouting(&alone);
    for (const GenerateRequest& request : requests.list) {
        session.beginSequence(request.label);
        generate(session, request.prompt, request.options);
    }
    BatchGenerator generator(*requests.cpu, {40, 4, 16});
    generator.setRouting(&together);
    generator.run(requests.source(), [](std::size_t, Generation&&) {});
    CHECK(together.experts == alone.experts);
}

TEST_CASE("a stop ends all generations under way and keeps what they have") {
    const Requests requests;
    StopFlag stop{false};
    BatchGenerator generator(*requests.cpu, {40, 4, 16});
    generator.setStop(&stop);
    std::vector<FinishReason> reasons;
    CHECK_THROWS_AS(generator.run(requests.source(),
                                  [&](std::size_t, Generation&& found) {
                                      stop = true;
                                      reasons.push_back(found.reason);
                                  }),
                    Interrupted);
    REQUIRE(reasons.size() == 4);  // the one that ended, and three; no other was begun
    CHECK(reasons.front() == FinishReason::Length);
    CHECK(reasons.back() == FinishReason::Interrupted);
}

TEST_CASE("requests that cannot be served are refused with the reason") {
    const Requests requests;
    BatchGenerator generator(*requests.cpu, {16, 2, 16});
    const auto refuse = [&](GenerateRequest request, const char* why) {
        bool given = false;
        CHECK_THROWS_WITH(
            generator.run(
                [&] { return std::exchange(given, true) ? std::nullopt : std::optional(request); },
                [](std::size_t, Generation&&) {}),
            Catch::Contains(why));
    };
    refuse({{}, {}, 0}, "no tokens");
    refuse({std::vector<TokenId>(17, 1), {}, 0}, "context of 16 tokens is too short");
    refuse({{96}, {}, 0}, "outside the vocabulary of 96");
    GenerateRequest none{{1}, {}, 0};
    none.options.maxTokens = 0;
    refuse(none, "at least 1");
    CHECK_THROWS_AS(BatchGenerator(*requests.cpu, {16, 0, 16}), UsageError);
}

TEST_CASE("a request that cannot be served is named by its number") {
    const Requests requests;
    BatchGenerator generator(*requests.cpu, {16, 2, 16});
    std::size_t given = 0;
    try {
        generator.run(
            [&]() -> std::optional<GenerateRequest> {
                GenerateRequest request{{given == 2 ? TokenId{96} : TokenId{1}}, {}, 0};
                request.options.maxTokens = 2;
                return given++ < 4 ? std::optional(request) : std::nullopt;
            },
            [](std::size_t, Generation&&) {});
        FAIL("not refused");
    } catch (const SequenceError& e) {
        CHECK(e.sequence() == 2);
    }
}

TEST_CASE("logits that are not finite name the generation whose next token they were for") {
    // An embedding row that loading accepts and its scale makes infinite: only a prompt with token
    // 7 meets it.
    MemoryCheckpoint checkpoint = tinyGptOssGguf();
    std::vector<float> rows(10 * 8, 0.25F);
    std::fill_n(rows.begin() + 7 * 8, 8, 3e38F);
    checkpoint.add("token_embd.weight", {10, 8}, rows);
    BoundModel model = bindModel(checkpoint);
    model.spec.embeddingScale = 4.0F;
    const auto backend = makeReferenceBackend(model);
    for (const double temperature : {0.0, 1.0}) {
        BatchGenerator generator(*backend, {8, 3, 0});
        std::size_t given = 0;
        try {
            generator.run(
                [&]() -> std::optional<GenerateRequest> {
                    GenerateRequest request{{1, given == 1 ? TokenId{7} : TokenId{2}}, {}, 0};
                    request.options.maxTokens = 2;
                    request.options.sampling.temperature = temperature;
                    return given++ < 3 ? std::optional(request) : std::nullopt;
                },
                [](std::size_t, Generation&&) {});
            FAIL("not refused");
        } catch (const SequenceError& e) {
            CHECK(e.sequence() == 1);
            CHECK_THAT(e.what(), Catch::Contains("not finite"));
        }
    }
}
