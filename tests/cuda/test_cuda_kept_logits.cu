// SPDX-License-Identifier: Apache-2.0
// Generation and scoring where the cuda back end keeps the logits, beside what the host makes of
// the same logits.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/core/error.h"
#include "engine/run/generate_many.h"
#include "engine/run/score.h"
#include "tests/cuda/cuda_models.h"

using namespace moescope;
using namespace moescope::test;

namespace {

constexpr int kContext = 32;

Generation alone(const Backend& backend, const GenerateRequest& request) {
    Session session(backend, kContext, 16);
    return generate(session, request.prompt, request.options);
}

std::vector<Generation> sideBySide(const Backend& backend,
                                   const std::vector<GenerateRequest>& requests,
                                   RoutingSink* routing = nullptr) {
    BatchGenerator generator(backend, {kContext, 8, 16});
    generator.setRouting(routing);
    std::vector<Generation> found(requests.size());
    std::size_t at = 0;
    generator.run(
        [&] { return at < requests.size() ? std::optional(requests[at++]) : std::nullopt; },
        [&](std::size_t i, Generation&& done) { found[i] = std::move(done); });
    return found;
}

GenerateRequest request(int first, int maxTokens, double temperature) {
    GenerateRequest r;
    r.prompt = {first % 50, (3 * first + 1) % 50};
    r.options.maxTokens = maxTokens;
    r.options.sampling.temperature = temperature;
    r.options.sampling.seed = 40 + static_cast<std::uint64_t>(first);
    return r;
}

}  // namespace

TEST_CASE("a greedy generation has the tokens and the hash of the logits that the host would see") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const GenerateRequest asked = request(5, 12, 0.0);
    const Generation found = alone(*cuda, asked);

    Session session(*cuda, kContext, 16);
    REQUIRE(session.keepsLogits());
    std::vector<TokenId> tokens;
    std::uint64_t hash = logitsHash({});
    std::span<const TokenId> next = asked.prompt;
    for (int i = 0; i < asked.options.maxTokens; ++i) {
        const auto logits =
            session.append(next, tokens.empty() ? StepKind::Prefill : StepKind::Decode);
        tokens.push_back(mostLikely(logits));
        hash = addHash(hash, logitsHash(logits));
        next = std::span(tokens).last(1);
    }
    CHECK(found.tokens == tokens);
    CHECK(found.logitsHash == hash);
    CHECK(found.tokenNs.size() == tokens.size() - 1);
}

TEST_CASE("generations side by side on cuda have the tokens of each alone") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    std::vector<std::vector<TokenId>> tokens[2];
    for (const bool sampled : {false, true}) {
        std::vector<GenerateRequest> requests;
        for (int i = 0; i < 11; ++i) requests.push_back(request(i, 3 + i % 2, sampled ? 1.0 : 0.0));
        const std::vector<Generation> found = sideBySide(*cuda, requests);
        for (std::size_t i = 0; i < requests.size(); ++i) {
            INFO("request " << i << ", sampled " << sampled);
            CHECK(found[i].tokens == alone(*cuda, requests[i]).tokens);
            tokens[sampled ? 1 : 0].push_back(found[i].tokens);
        }
    }
    CHECK(tokens[0] != tokens[1]);
}

TEST_CASE("what a rule cannot say is sampled on the host") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    GenerateRequest asked = request(9, 6, 1.0);
    asked.options.sampling.topK = 3;
    const Generation found = alone(*cuda, asked);
    CHECK(sideBySide(*cuda, {asked, request(1, 4, 0.0)})[0].tokens == found.tokens);

    Session session(*cuda, kContext, 16);
    Sampler sampler(asked.options.sampling);
    std::span<const TokenId> next = asked.prompt;
    std::vector<TokenId> tokens;
    for (int i = 0; i < asked.options.maxTokens; ++i) {
        tokens.push_back(sampler.sample(session.append(next)));
        next = std::span(tokens).last(1);
    }
    CHECK(found.tokens == tokens);
}

TEST_CASE("cuda logits that overflow end a generation instead of choosing a token") {
    const auto model = gptOssLike();
    // Two rows of finite weights, opposite to each other: of one the logit overflows upwards.
    const int width = model->bound.spec.dModel;
    model->bound.weights.head = model->random.matrix(DType::BF16, model->bound.spec.vocab, width);
    auto* const head = const_cast<std::byte*>(model->bound.weights.head.data);
    for (int i = 0; i < 2 * width; ++i) {
        const std::uint16_t largest = i < width ? 0x7F7F : 0xFF7F;
        std::memcpy(head + 2 * i, &largest, sizeof largest);
    }
    const auto cuda = makeCuda(model->bound);
    for (const double temperature : {0.0, 1.0}) {
        const GenerateRequest asked = request(5, 3, temperature);
        CHECK_THROWS_WITH(alone(*cuda, asked), Catch::Contains("not finite"));
        CHECK_THROWS_WITH(sideBySide(*cuda, {asked, asked}), Catch::Contains("not finite"));
    }
    Session session(*cuda, kContext, 16);
    CHECK_THROWS_WITH(session.appendGreedy(3, 4), Catch::Contains("not finite"));
}

TEST_CASE("scores of logits that stay on cuda are those of logits that come to the host") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    std::vector<ScoreSequence> sequences;
    for (int i = 0; i < 4; ++i) {
        ScoreSequence& s = sequences.emplace_back();
        // Two and two begin alike and go on differently, at a place where both are asked for.
        for (int t = 0; t < 14; ++t)
            s.tokens.push_back((5 * t + (t < 9 ? i / 2 : i) * 7 + 1) % model->bound.spec.vocab);
        s.reportFrom = i % 2 == 0 ? 4 : 9;
    }
    std::vector<std::vector<TokenFinding>> found[2];
    for (const int top : {0, 1}) {  // alternatives are found on the host
        BatchScorer::Options options;
        options.top = top;
        options.maxBatch = 16;
        BatchScorer scorer(*cuda, kContext, options);
        found[top].resize(sequences.size());
        scorer.score(sequences, [&](BatchScorer::Scored&& scored) {
            found[top][scored.sequence] = std::move(scored.findings);
        });
        CHECK(scorer.shared() > 0);
    }
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        REQUIRE(found[0][i].size() == sequences[i].tokens.size() - sequences[i].reportFrom);
        REQUIRE(found[1][i].size() == found[0][i].size());
        for (std::size_t t = 0; t < found[0][i].size(); ++t) {
            const TokenFinding& there = found[0][i][t];
            const TokenFinding& here = found[1][i][t];
            INFO("sequence " << i << ", token " << t);
            CHECK(there.logProbability == Approx(here.logProbability).epsilon(1e-12));
            CHECK(there.likeliest == here.likeliest);
            CHECK(there.rank == here.rank);
            CHECK(there.logitsHash == here.logitsHash);
        }
    }
}

TEST_CASE("everything that a choosing generation hands to the device is within an operation") {
    struct Watcher final : TraceSink, LaunchSink {
        bool whole = false, open = false, capturing = false;
        LaunchCounts eager;
        int outside = 0;
        std::uint64_t choices = 0, replayedChoices = 0;
        void stepBegin(const StepInfo&) override {}
        void stepEnd() override {}
        void opBegin(Op op, int) override {
            open = true;
            choices += op == Op::Sample ? 1 : 0;
        }
        void opEnd(const OpWork&) override { open = false; }
        bool takesWholeSteps() const noexcept override { return whole; }
        void launched(const LaunchCounts& counts) noexcept override {
            if (capturing) return;
            eager.kernels += counts.kernels;
            eager.copies += counts.copies;
            outside += open ? 0 : counts.kernels + counts.copies;
        }
        void captureBegin(std::uint64_t) noexcept override { capturing = true; }
        void captureOp(Op, int) noexcept override {}
        void captureEnd() noexcept override { capturing = false; }
        void replay(std::uint64_t) noexcept override {}
        void replayed(Op op, int, const OpWork& work) noexcept override {
            replayedChoices += op == Op::Sample && work.bytes > 0 ? 1 : 0;
        }
    };
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const GenerateRequest asked = request(5, 6, 0.0);
    for (const bool whole : {true, false}) {
        Watcher watcher;
        watcher.whole = whole;
        Session session(*cuda, kContext, 16);
        session.setTrace(&watcher);
        session.setLaunches(&watcher);
        CHECK(generate(session, asked.prompt, asked.options).tokens == alone(*cuda, asked).tokens);
        CHECK(watcher.outside == 0);
        // The prompt's choice is launched by itself; those of later tokens may be in a graph.
        CHECK(watcher.choices == (whole ? 1U : 6U));
        CHECK(watcher.replayedChoices == (whole ? 5U : 0U));
        CHECK(watcher.eager.copies > 0);
    }
}

TEST_CASE("routing that is told of after a step is that of its operations one by one") {
    /// Everything in the order in which it was told.
    struct Heard final : RoutingSink {
        std::vector<std::int32_t> ints;
        std::vector<float> weights;
        void onRouting(const StepInfo& step, int layer, int topK,
                       std::span<const std::int32_t> experts, std::span<const float> w) override {
            ints.insert(ints.end(), {static_cast<std::int32_t>(step.sequence), step.firstPosition,
                                     step.tokens, layer, topK});
            ints.insert(ints.end(), experts.begin(), experts.end());
            weights.insert(weights.end(), w.begin(), w.end());
        }
    };
    /// Has each operation waited for.
    struct Timer final : TraceSink {
        void stepBegin(const StepInfo&) override {}
        void stepEnd() override {}
        void opBegin(Op, int) override {}
        void opEnd(const OpWork&) override {}
    } timer;
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    for (const int tokens : {3, 6, 12}) {
        Heard heard[2];
        for (const bool timed : {false, true}) {
            ForwardPass pass(*cuda, kContext, 16);
            pass.setTrace(timed ? &timer : nullptr);
            pass.setRouting(&heard[timed ? 1 : 0]);
            std::vector<TokenId> ids;
            std::vector<StepRun> runs;
            std::vector<std::shared_ptr<KvCache>> caches;
            for (int i = 0; i < tokens; ++i) {
                ids.push_back((11 * i + 3) % model->bound.spec.vocab);
                caches.push_back(cuda->newCache({kContext, 16}));
                runs.push_back({caches.back().get(), 0, 1});
            }
            pass.step({7, StepKind::Decode, 0, tokens}, ids, runs, [] {});
        }
        const auto layers = static_cast<std::size_t>(model->bound.spec.nLayer);
        const auto chosen = static_cast<std::size_t>(tokens * model->bound.spec.topK);
        CHECK(heard[0].ints.size() == layers * (5 + chosen));
        CHECK(heard[0].ints == heard[1].ints);
        CHECK(heard[0].weights == heard[1].weights);
    }
}

TEST_CASE("what a sequence draws does not depend on how the others of its step are chosen") {
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    std::vector<GenerateRequest> requests;
    for (int i = 0; i < 4; ++i) {
        requests.push_back(request(i, 3 + i, 1.0));
        if (i % 2 == 1) requests.back().options.sampling.topP = 0.9;
    }
    const std::vector<Generation> found = sideBySide(*cuda, requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        INFO("request " << i);
        const Generation expected = alone(*cuda, requests[i]);
        CHECK(found[i].tokens == expected.tokens);
    }
}

TEST_CASE("a recorded step that chooses has the choice of its operations one by one, and counts") {
    struct Listener final : LaunchSink {
        LaunchCounts nodes, eager;
        int samples = 0;
        bool capturing = false;
        void launched(const LaunchCounts& counts) noexcept override {
            LaunchCounts& sum = capturing ? nodes : eager;
            sum.kernels += counts.kernels;
            sum.copies += counts.copies;
        }
        void captureBegin(std::uint64_t) noexcept override { capturing = true; }
        void captureOp(Op, int) noexcept override {}
        void captureEnd() noexcept override { capturing = false; }
        void replay(std::uint64_t) noexcept override {}
        void replayed(Op op, int, const OpWork& work) noexcept override {
            if (op == Op::Sample && work.kernel == "choose_tokens") ++samples;
        }
    } listener;
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const auto state = cuda->newState(kContext, 4);
    const auto cache = cuda->newCache({kContext, 4});
    const auto other = cuda->newCache({kContext, 4});
    cuda->setLaunches(*state, &listener);
    std::vector<TokenChoice> whole;
    const auto ruleOf = [](int i) { return TokenRule{1.0F, 3, std::uint64_t{254} + i}; };
    for (int i = 0; i < 4; ++i) {
        const TokenRule rule = ruleOf(i);
        cuda->sendToken(*state, *cache, 5 + i, i, &rule);
        cuda->runToken(*state);
        cuda->fetchChoice(*state, whole.emplace_back());
    }
    cuda->setLaunches(*state, nullptr);
    CHECK(listener.nodes.kernels > 0);
    CHECK(listener.nodes.copies == 0);
    CHECK(listener.eager.kernels == 0);
    CHECK(listener.eager.copies == 4 * (3 + 3));  // ids, place, rule; choice, experts, weights
    CHECK(listener.samples == 4);
    for (int i = 0; i < 4; ++i) {
        const TokenId token = 5 + i;
        step(*cuda, *state, *other, {&token, 1}, i);
        const std::int32_t row = 0;
        cuda->keepLogits(*state, {&row, 1});
        const TokenRule rule = ruleOf(i);
        TokenChoice choice;
        cuda->choose(*state, {&rule, 1}, {&choice, 1});
        CHECK(choice.token == whole[static_cast<std::size_t>(i)].token);
        CHECK(choice.logitsHash == whole[static_cast<std::size_t>(i)].logitsHash);
    }
}

TEST_CASE("logits that overflow amid greedy decoding on the device are noticed") {
    const auto model = gptOssLike();
    // One column alone, so that the logits of some tokens overflow and those of others do not.
    const int width = model->bound.spec.dModel;
    model->bound.weights.head = model->random.matrix(DType::BF16, model->bound.spec.vocab, width);
    auto* const head = const_cast<std::byte*>(model->bound.weights.head.data);
    std::memset(head, 0, 2 * static_cast<std::size_t>(width));
    const std::uint16_t largest = 0x7F7F;
    std::memcpy(head, &largest, sizeof largest);
    const auto cuda = makeCuda(model->bound);
    const auto isFinite = [](std::span<const float> logits) {
        return std::ranges::all_of(logits, [](float x) { return x < INFINITY; });
    };
    // The device goes on with token 0 until the host looks.
    int tried = 0;
    for (TokenId first = 0; first < model->bound.spec.vocab && tried < 2; ++first) {
        Session session(*cuda, kContext, 16);
        int failed = -1, count = 0;
        TokenId next = first;
        while (count < 12) {
            const auto logits = session.append(std::span(&next, 1));
            ++count;
            const bool finite = isFinite(logits);
            if (!finite && failed < 0) failed = count - 1;
            if (finite && failed >= 0) break;  // the last one tells nothing
            next = finite ? mostLikely(logits) : 0;
        }
        if (failed < 0 || count == 12) continue;
        ++tried;
        INFO("token " << first << ": " << failed << " of " << count);
        Session greedy(*cuda, kContext, 16);
        CHECK_THROWS_WITH(greedy.appendGreedy(first, count), Catch::Contains("not finite"));
        CHECK(greedy.position() == count);
    }
    CHECK(tried > 0);
}

TEST_CASE("more logits than the host's buffer holds come in portions") {
    auto model = llamaLike(DType::BF16, DType::BF16);
    ModelSpec& spec = model->bound.spec;
    spec.vocab = 1'050'000;  // seven rows are 29 MB
    spec.dModel = 16;
    spec.layers.clear();
    spec.nLayer = 0;
    ModelWeights& w = model->bound.weights;
    w.layers.clear();
    w.embedding = w.head = model->random.matrix(DType::BF16, spec.vocab, spec.dModel);
    w.outputNorm = model->random.vector(spec.dModel, 1.0F, 0.2F);
    const auto cuda = makeCuda(model->bound);
    const auto state = cuda->newState(8, 8);
    const auto cache = cuda->newCache({8, 8});
    const StepRun run{cache.get(), 0, 8};
    const std::vector<TokenId> tokens = someTokens(8, spec.vocab);
    cuda->embed(*state, tokens, {&run, 1});
    const std::vector<std::int32_t> rows{0, 1, 2, 3, 4, 5, 6, 7};
    std::vector<float> logits(8 * static_cast<std::size_t>(spec.vocab));
    cuda->head(*state, rows, logits);
    for (const std::size_t row : {std::size_t{6}, std::size_t{7}}) {
        std::vector<float> alone(static_cast<std::size_t>(spec.vocab));
        cuda->head(*state, std::span(rows).subspan(row, 1), alone);
        CHECK(errorNorm(std::span(logits).subspan(row * alone.size(), alone.size()), alone) < 1e-5);
    }
}

TEST_CASE("a step whose routing its sink refuses is not counted, and can be run again on cuda") {
    struct Refusing final : RoutingSink {
        void onRouting(const StepInfo&, int, int, std::span<const std::int32_t>,
                       std::span<const float>) override {
            throw Error("no");
        }
    } refusing;
    const auto model = gptOssLike();
    const auto cuda = makeCuda(model->bound);
    const std::vector<TokenId> tokens = someTokens(6, model->bound.spec.vocab);
    const std::span<const TokenId> all(tokens);
    Session session(*cuda, kContext, 4), calm(*cuda, kContext, 4);
    std::size_t done = 0;
    for (const std::size_t count : {3, 1, 2}) {
        const auto next = all.subspan(done, count);
        session.setRouting(&refusing);
        CHECK_THROWS_WITH(session.append(next), "no");
        CHECK(session.position() == static_cast<int>(done));
        session.setRouting(nullptr);
        const auto logits = session.append(next);
        const auto expected = calm.append(next);
        CHECK(std::equal(logits.begin(), logits.end(), expected.begin(), expected.end()));
        done += count;
        CHECK(session.position() == static_cast<int>(done));
    }
}
