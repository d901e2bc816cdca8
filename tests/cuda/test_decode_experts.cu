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
