// SPDX-License-Identifier: Apache-2.0
// Many sequences on a back end whose caches are in the memory of a device.
#include "engine/run/cache_memory.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>

#include "engine/core/error.h"
#include "engine/run/generate_many.h"
#include "engine/run/memory.h"
#include "engine/run/score.h"
#include "tests/engine/tiny_models.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// The reference back end, as if its caches were in a device's memory of `total` bytes (0: in the
/// host's, of which each takes hostBytes).
class WithDevice final : public Backend {
public:
    WithDevice(const BoundModel& model, std::uint64_t total)
        : inner_(makeReferenceBackend(model)), total_(total) {}

    std::string_view name() const noexcept override { return "device"; }
    std::string description() const override { return "device"; }
    int threads() const noexcept override { return 1; }
    const ModelSpec& spec() const noexcept override { return inner_->spec(); }
    int maxRuns() const noexcept override { return inner_->maxRuns(); }
    std::uint64_t stateBytes(int, int) const override { return 0; }
    std::uint64_t cacheBytes(const CacheShape& shape) const override { return hostBytes(shape); }
    std::uint64_t deviceCacheBytes(const CacheShape& shape) const override {
        return inner_->cacheBytes(shape);
    }
    DeviceMemory deviceMemory() const override { return {used_, total_}; }
    std::unique_ptr<BackendState> newState(int maxContext, int maxBatch) const override {
        return inner_->newState(maxContext, maxBatch);
    }
    std::shared_ptr<KvCache> newCache(const CacheShape& shape) const override {
        const std::uint64_t bytes = deviceCacheBytes(shape);
        used_ += bytes;
        mostUsed = std::max(mostUsed, used_);
        longestRun = std::max(longestRun, shape.maxRun);
        const std::shared_ptr<KvCache> cache = inner_->newCache(shape);
        return {cache.get(), [this, cache, bytes](KvCache*) { used_ -= bytes; }};
    }
    OpWork embed(BackendState& s, std::span<const TokenId> tokens,
                 std::span<const StepRun> runs) const override {
        mostRuns = std::max(mostRuns, runs.size());
        return inner_->embed(s, tokens, runs);
    }
    OpWork attentionInput(BackendState& s, int layer) const override {
        return inner_->attentionInput(s, layer);
    }
    OpWork attention(BackendState& s, int layer) const override {
        return inner_->attention(s, layer);
    }
    OpWork attentionOutput(BackendState& s, int layer) const override {
        return inner_->attentionOutput(s, layer);
    }
    OpWork route(BackendState& s, int layer) const override { return inner_->route(s, layer); }
    RoutingView routing(const BackendState& s) const override { return inner_->routing(s); }
    OpWork feedForward(BackendState& s, int layer) const override {
        return inner_->feedForward(s, layer);
    }
    OpWork head(BackendState& s, std::span<const std::int32_t> rows,
                std::span<float> logits) const override {
        return inner_->head(s, rows, logits);
    }
    std::span<const float> hidden(const BackendState& s) const override {
        return inner_->hidden(s);
    }

    std::function<std::uint64_t(const CacheShape&)> hostBytes = [](const CacheShape&) { return 0; };
    mutable int longestRun = 0;
    mutable std::uint64_t mostUsed = 0;
    mutable std::size_t mostRuns = 0;

private:
    std::unique_ptr<Backend> inner_;
    std::uint64_t total_;
    mutable std::uint64_t used_ = 0;
};

}  // namespace

TEST_CASE("a back end on the host has no bound of device memory") {
    const auto model = llamaLike(DType::F32, DType::F32);
    const auto reference = makeReferenceBackend(model->bound);
    CHECK(deviceRoomForCaches(*reference) == std::numeric_limits<std::uint64_t>::max());
    CHECK_NOTHROW(requireCacheMemory(*reference, {16, 16}, 1000));
}

TEST_CASE("generations whose caches a device has not the memory for are refused with the numbers") {
    const auto model = llamaLike(DType::F32, DType::F32);
    const WithDevice backend(model->bound, 1 << 20);
    const std::uint64_t each = backend.deviceCacheBytes({64, 16});
    const auto fitting = static_cast<int>((std::uint64_t{15} << 16) / each);
    CHECK_NOTHROW(BatchGenerator(backend, {64, fitting, 16}));
    CHECK_THROWS_WITH(
        BatchGenerator(backend, {64, fitting + 1, 16}),
        Catch::Contains("sequences of 64 tokens needs") && Catch::Contains("of device memory"));
}

TEST_CASE("a step of scoring begins as many sequences as a device has the memory for") {
    const auto model = llamaLike(DType::F32, DType::F32);
    std::vector<ScoreSequence> sequences;
    for (int i = 0; i < 12; ++i)
        sequences.push_back({{i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7}, 1});
    const WithDevice plenty(model->bound, std::uint64_t{1} << 40);
    // Of three sequences and a half, with what is not counted on.
    const std::uint64_t each = plenty.deviceCacheBytes({7, 7});
    const WithDevice scarce(model->bound, each * 7 / 2 * 16 / 15);
    std::vector<double> found[2];
    for (const WithDevice* backend : {&plenty, &scarce}) {
        auto& all = found[backend == &plenty ? 0 : 1];
        all.resize(sequences.size());
        BatchScorer scorer(*backend, 16, {});
        scorer.score(sequences, [&](BatchScorer::Scored&& scored) {
            all[scored.sequence] = scored.findings[3].logProbability;
        });
    }
    CHECK(found[0] == found[1]);
    CHECK(plenty.mostRuns == 12);
    CHECK(scarce.mostRuns == 3);
    CHECK(scarce.mostUsed == 3 * each);
}

TEST_CASE("a scoring asks for caches as long as those it takes") {
    const auto model = llamaLike(DType::F32, DType::F32);
    const std::vector<ScoreSequence> sequences{{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 1}};
    for (const bool share : {true, false}) {
        CAPTURE(share);
        WithDevice backend(model->bound, 0);
        const BatchScorer::Options options{.share = share, .maxBatch = 4};
        BatchScorer(backend, 16, options).score(sequences, [](BatchScorer::Scored&&) {});
        CHECK(backend.longestRun == (share ? 11 : 4));
        // As if there were memory for rings only.
        backend.hostBytes = [](const CacheShape& shape) {
            return shape.maxRun < shape.maxContext ? 0 : std::uint64_t{1} << 62;
        };
        if (share)
            CHECK_THROWS_WITH(BatchScorer(backend, 16, options), Catch::Contains(" needs "));
        else
            CHECK_NOTHROW(BatchScorer(backend, 16, options));
    }
}

TEST_CASE("a step of scoring begins as many sequences as the host has the memory for") {
    const auto model = llamaLike(DType::F32, DType::F32);
    const std::vector<ScoreSequence> sequences{{{1, 2, 3, 4, 5}, 1}, {{6, 7, 8, 9, 10}, 1}};
    WithDevice backend(model->bound, 0);
    BatchScorer scorer(backend, 16, {});
    backend.hostBytes = [](const CacheShape&) { return availableMemory() / 10 * 6; };
    std::size_t scored = 0;
    scorer.score(sequences, [&](BatchScorer::Scored&&) { ++scored; });
    CHECK(scored == 2);
    CHECK(backend.mostRuns == 1);
    backend.hostBytes = [](const CacheShape&) { return std::uint64_t{1} << 62; };
    CHECK_THROWS_WITH(scorer.score(sequences, [](BatchScorer::Scored&&) {}),
                      Catch::Contains("key-value memory of 1 sequence of 4 tokens needs"));
}
