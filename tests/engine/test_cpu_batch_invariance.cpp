// SPDX-License-Identifier: Apache-2.0
// The logits of a token must have the same bits however many tokens are evaluated in one step,
// however the sequence is cut, and on any number of threads: decode equals prefill.
#include <catch2/catch.hpp>

#include <filesystem>
#include <functional>
#include <random>
#include <string>

#include "engine/backend/cpu/kernel_table.h"
#include "engine/run/session.h"
#include "tests/engine/tiny_models.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// Chunk sizes of a sequence of n tokens, each list repeated until all are placed.
std::vector<std::vector<int>> cutsOf(int n) {
    std::vector<std::vector<int>> cuts = {{n}, {1}, {3}, {7}, {64}, {100}, {1, 2, 3, 4, 5}};
    std::mt19937 random(5);
    for (int i = 0; i < 3; ++i) {
        std::vector<int>& cut = cuts.emplace_back();
        for (int placed = 0; placed < n; placed += cut.back())
            cut.push_back(1 + static_cast<int>(random() % 37));
    }
    return cuts;
}

std::uint64_t hashOf(const Backend& backend, std::span<const TokenId> tokens,
                     const std::vector<int>& cut) {
    const int n = static_cast<int>(tokens.size());
    const int maxBatch = std::min(n, *std::max_element(cut.begin(), cut.end()));
    return logitsHash(run(backend, tokens, cut, maxBatch));
}

void checkTarget(const BoundModel& model, std::span<const TokenId> tokens, std::string_view target,
                 Numerics numerics, const std::string& what) {
    std::uint64_t expected = 0;
    for (const int threads : {1, 2}) {
        const auto backend = makeCpu(model, target, threads, numerics);
        for (const std::vector<int>& cut : cutsOf(static_cast<int>(tokens.size()))) {
            const std::uint64_t hash = hashOf(*backend, tokens, cut);
            if (expected == 0) expected = hash;
            INFO(what << " " << target << " " << threads << " threads, chunks of " << cut[0]);
            CHECK(hash == expected);
        }
    }
}

/// Every target and numerics, one and two threads, every cut.
void checkInvariance(const BoundModel& model, int n, const std::string& what) {
    const std::vector<TokenId> tokens = someTokens(n, model.spec.vocab);
    for (const cpu::Kernels* kernels : cpu::availableKernels()) {
        checkTarget(model, tokens, kernels->name, Numerics::Exact, what);
        if (kernels->fast != nullptr)
            checkTarget(model, tokens, kernels->name, Numerics::Fast, what + " fast");
    }
}

}  // namespace

TEST_CASE("logits of windows sinks and experts do not depend on how the sequence is cut") {
    checkInvariance(gptOssLike()->bound, 130, "gpt-oss");
}

TEST_CASE("logits of dense models do not depend on how the sequence is cut in any format") {
    for (const DType type :
         {DType::Q4_1, DType::Q8_0, DType::Q4_0, DType::BF16, DType::F32, DType::F16}) {
        checkInvariance(llamaLike(type, type)->bound, 101, std::string(dtypeInfo(type).name));
    }
}

TEST_CASE("experts of every format give the same logits however the sequence is cut") {
    for (const DType type : {DType::Q4_1, DType::Q8_0, DType::BF16})
        checkInvariance(gptOssLike(type)->bound, 70, std::string(dtypeInfo(type).name));
}

TEST_CASE("logits of the demo model do not depend on how the text is cut") {
    const std::string name = std::string(MOESCOPE_SOURCE_DIR) + "/datasets/demo/demo.gguf";
    if (!std::filesystem::exists(name)) {
        WARN("no demo model at " << name);
        return;
    }
    for (const Numerics numerics : {Numerics::Exact, Numerics::Fast}) {
        ModelOptions options;
        options.cpu.numerics = numerics;
        if (cpu::chooseKernels("").fast == nullptr && numerics == Numerics::Fast) continue;
        const auto model = Model::load(name, options);
        const std::vector<TokenId> tokens = someTokens(100, model->spec().vocab);
        const std::uint64_t expected = hashOf(model->backend(), tokens, {100});
        for (const std::vector<int>& cut : {std::vector<int>{1}, {3}, {7}, {64}, {13, 1, 29}}) {
            INFO(model->backend().description() << ", chunks of " << cut[0]);
            CHECK(hashOf(model->backend(), tokens, cut) == expected);
        }
    }
}
