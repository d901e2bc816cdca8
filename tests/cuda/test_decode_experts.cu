// SPDX-License-Identifier: Apache-2.0
// The experts of few tokens against plain loops in double.
#include <catch2/catch.hpp>

#include "engine/backend/cuda/decode.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

/// Relative, of pairs of bf16 numbers: 16 bits of mantissa.
constexpr double kPairs = 1e-4;

/// Error norm of the second half with every token choosing expert 0.
double downError(WeightFormat format, int rows, int ffn, int tokens) {
    const Weights w(format, 1, rows, ffn, 31);
    const std::vector<float> x = randomFloats(static_cast<std::size_t>(tokens) * ffn, 32);
    const Buffer<float> in(x);
    const int stride = w.matrix().paddedCols();
    const Buffer<std::uint32_t> words(
        std::vector<std::uint32_t>(static_cast<std::size_t>(tokens) * stride));
    const auto count = static_cast<std::size_t>(tokens);
    const Buffer<float> scale(count);
    const Buffer<std::int32_t> experts(std::vector<std::int32_t>(count, 0));
    const Buffer<float> weights(std::vector<float>(count, 1.0F));
    const Buffer<float> out(count * static_cast<std::size_t>(rows));
    NormRows copy;
    copy.in = in.get();
    copy.norm.none = true;
    copy.rows = tokens;
    copy.width = ffn;
    copy.out = {words.get(), stride, scale.get(), format};
    normRows(copy, nullptr);
    DecodeExpertsDown e;
    e.down = w.matrix();
    e.hidden = copy.out;
    e.choice = {experts.get(), weights.get()};
    e.tokens = tokens;
    e.topK = 1;
    e.nExpert = 1;
    e.out = out.get();
    e.add = false;
    decodeExpertsDown(e, nullptr);
    std::vector<double> expected;
    for (int t = 0; t < tokens; ++t) {
        for (int r = 0; r < rows; ++r) {
            double sum = 0.0;
            for (int c = 0; c < ffn; ++c)
                sum += double{w.at(0, r, c)} * x[static_cast<std::size_t>(t) * ffn + c];
            expected.push_back(sum);
        }
    }
    return errorNorm(out.read(), expected);
}

/// Vectors as products take them, and what they are.
struct Vectors {
    std::vector<float> values;
    Buffer<std::uint32_t> words;
    Buffer<float> scale;
    PairRows rows;

    Vectors(int count, int width, WeightFormat format, int stride, unsigned seed)
        : values(randomFloats(static_cast<std::size_t>(count) * width, seed)),
          words(std::vector<std::uint32_t>(static_cast<std::size_t>(count) * stride)),
          scale(static_cast<std::size_t>(count)),
          rows{words.get(), stride, scale.get(), format} {
        const Buffer<float> in(values);
        NormRows copy;
        copy.in = in.get();
        copy.norm.none = true;
        copy.rows = count;
        copy.width = width;
        copy.out = rows;
        normRows(copy, nullptr);
    }
};

/// Error norm of both halves of experts that a router's logits choose, gated, with biases, added to
/// what is there.
double expertsError(int width, int ffn, int topK, int tokens) {
    constexpr int kExperts = 6;
    constexpr WeightFormat kFormat = WeightFormat::Mxfp4;
    const Weights gateUp(kFormat, kExperts, 2 * ffn, width, 41);
    const Weights down(kFormat, kExperts, width, ffn, 42);
    const std::vector<float> gateUpBias =
        randomFloats(static_cast<std::size_t>(kExperts) * 2 * ffn, 43);
    const std::vector<float> downBias =
        randomFloats(static_cast<std::size_t>(kExperts) * width, 44);
    const std::vector<float> logits = randomFloats(static_cast<std::size_t>(tokens) * kExperts, 45);
    const std::vector<float> before = randomFloats(static_cast<std::size_t>(tokens) * width, 46);
    const Vectors x(tokens, width, kFormat, gateUp.matrix().paddedCols(), 47);
    const int stride = down.matrix().paddedCols();
    const Buffer<std::uint32_t> hidden(
        std::vector<std::uint32_t>(static_cast<std::size_t>(tokens) * topK * stride));
    const Buffer<float> deviceGateUpBias(gateUpBias);
    const Buffer<float> deviceDownBias(downBias);
    const Buffer<float> deviceLogits(logits);
    const Buffer<float> out(before);
    const auto chosen = static_cast<std::size_t>(tokens) * topK;
    const Buffer<std::int32_t> experts(chosen);
    const Buffer<float> weights(chosen);
    DecodeExpertsUp up;
    up.gateUp = gateUp.matrix();
    up.bias = deviceGateUpBias.get();
    up.x = x.rows;
    up.routerLogits = deviceLogits.get();
    up.rule = {RoutingRule::TopKThenSoftmax, kExperts, topK};
    up.choice = {experts.get(), weights.get()};
    up.tokens = tokens;
    up.topK = topK;
    up.nExpert = kExperts;
    up.hidden = {hidden.get(), stride, nullptr, kFormat};
    decodeExpertsUp(up, 3, nullptr);
    DecodeExpertsDown e;
    e.down = down.matrix();
    e.bias = deviceDownBias.get();
    e.hidden = up.hidden;
    e.routerLogits = up.routerLogits;
    e.rule = up.rule;
    e.choice = up.choice;
    e.tokens = tokens;
    e.topK = topK;
    e.nExpert = kExperts;
    e.out = out.get();
    decodeExpertsDown(e, nullptr);

    const std::vector<std::int32_t> expertOf = experts.read();
    const std::vector<float> weightOf = weights.read();
    std::vector<double> expected(before.begin(), before.end());
    for (int t = 0; t < tokens; ++t) {
        const float* const in = x.values.data() + static_cast<std::size_t>(t) * width;
        for (int k = 0; k < topK; ++k) {
            const int expert = expertOf[static_cast<std::size_t>(t * topK + k)];
            std::vector<double> inner;
            for (int r = 0; r < ffn; ++r) {
                double both[2];
                for (int i = 0; i < 2; ++i) {
                    both[i] = gateUpBias[static_cast<std::size_t>(expert) * 2 * ffn + 2 * r + i];
                    for (int c = 0; c < width; ++c)
                        both[i] += double{gateUp.at(expert, 2 * r + i, c)} * in[c];
                }
                inner.push_back(both[0] / (1 + std::exp(-both[0])) * both[1]);
            }
            for (int r = 0; r < width; ++r) {
                double sum = downBias[static_cast<std::size_t>(expert) * width + r];
                for (int c = 0; c < ffn; ++c)
                    sum += double{down.at(expert, r, c)} * inner[static_cast<std::size_t>(c)];
                expected[static_cast<std::size_t>(t) * width + r] +=
                    weightOf[static_cast<std::size_t>(t * topK + k)] * sum;
            }
        }
    }
    return errorNorm(out.read(), expected);
}

}  // namespace

TEST_CASE("few groups of one expert, taken in rounds, leave no warp without weights",
          "[cuda][decode]") {
    // Six groups of 512 columns of eight tokens fit into shared memory: of those warps 0 and 4
    // would have none, of the five that are left warp 4 would have one.
    CHECK(downError(WeightFormat::Mxfp4, 24, 11 * 512, 8) < kPairs);
}

TEST_CASE("hidden vectors that are staged in several rounds", "[cuda][decode]") {
    CHECK(downError(WeightFormat::Bf16, 24, 3500, 8) < kPairs);
}

TEST_CASE("the second half sums up columns of every format and number of tokens",
          "[cuda][decode]") {
    for (const WeightFormat format :
         {WeightFormat::Bf16, WeightFormat::Bf16Pair, WeightFormat::Q8_0, WeightFormat::Mxfp4}) {
        for (const int tokens : {1, 4, 5, 8}) {
            INFO(static_cast<int>(format) << ", " << tokens << " tokens");
            CHECK(downError(format, 40, 736, tokens) < kPairs);
        }
    }
}

TEST_CASE("experts that a router chooses for one to eight tokens agree with plain loops",
          "[cuda][decode]") {
    for (const int tokens : {1, 2, 4, 5, 8}) {
        for (const int topK : {1, 3, 4, 5}) {
            INFO(tokens << " tokens, " << topK << " experts each");
            CHECK(expertsError(736, 104, topK, tokens) < kPairs);
        }
    }
    // More columns than eight warps can share out in chunks of three, and a number of rows of which
    // the last tile has some.
    CHECK(expertsError(3204, 72, 2, 1) < kPairs);
}

TEST_CASE("experts that tokens share leave blocks without rows", "[cuda][decode]") {
    // One band of sixteen rows an expert, and blocks for six experts, of which fewer are chosen.
    CHECK(expertsError(736, 8, 1, 8) < kPairs);
}

TEST_CASE("experts of few rows and many columns agree with plain loops", "[cuda][decode]") {
    // So few that the emulator's three multiprocessors hold all of a token's second half: up to
    // eight tiles each, the last one of four rows; columns of some warps or of all, the last of
    // three blocks.
    for (const int topK : {1, 3, 4}) {
        INFO(topK << " experts");
        CHECK(expertsError(172, 1120, topK, 1) < kPairs);
        CHECK(expertsError(64, 3040, topK, 1) < kPairs);
    }
}
