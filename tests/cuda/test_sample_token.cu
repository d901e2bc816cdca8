// SPDX-License-Identifier: Apache-2.0
// The choice of the next token on the device.
#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "engine/backend/cuda/decode.h"
#include "tests/cuda/device_data.h"

using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

/// Tokens that `count` calls choose from the same logits.
std::vector<std::int32_t> choose(const std::vector<float>& values, float temperature, int count,
                                 std::uint64_t seed) {
    const Buffer<float> logits(values);
    const Buffer<std::int32_t> ids(std::vector<std::int32_t>{0});
    const Buffer<std::int32_t> tokens(static_cast<std::size_t>(count));
    const Buffer<TokenPlace> place(std::vector<TokenPlace>{{5, 0}});
    const Buffer<std::int32_t> generated(std::vector<std::int32_t>{0});
    const Buffer<float2> partial(kSampleBlocks);
    const Buffer<unsigned> counter(std::vector<unsigned>{0});
    SampleToken s;
    s.logits = logits.get();
    s.vocab = static_cast<std::int32_t>(values.size());
    s.temperature = temperature;
    s.seed = seed;
    s.ids = ids.get();
    s.place = place.get();
    s.generated = generated.get();
    s.tokens = tokens.get();
    s.maxGenerated = count;
    s.partial = partial.get();
    s.counter = counter.get();
    for (int i = 0; i < count; ++i) sampleToken(s, nullptr);
    CHECK(place.read()[0].position == 5 + count);
    CHECK(generated.read()[0] == count);
    CHECK(counter.read()[0] == 0);
    return tokens.read();
}

}  // namespace

TEST_CASE("the largest logit is chosen, the first of equals, and none that is no number") {
    std::vector<float> logits(700, -1.0F);
    logits[0] = NAN;
    logits[256] = NAN;
    logits[301] = 4.0F;
    logits[650] = 4.0F;
    CHECK(choose(logits, 0.0F, 2, 1) == std::vector<std::int32_t>{301, 301});
}

TEST_CASE("with a temperature tokens are drawn as often as their probabilities say") {
    // Two tokens of probabilities 3/4 and 1/4 and one that is all but impossible.
    const std::vector<float> logits{std::log(3.0F), 0.0F, -60.0F};
    constexpr int kDraws = 60;
    const std::vector<std::int32_t> drawn = choose(logits, 1.0F, kDraws, 20261127);
    int first = 0;
    for (const std::int32_t token : drawn) {
        CHECK(token != 2);
        first += token == 0 ? 1 : 0;
    }
    // Binomial(60, 3/4): mean 45, standard deviation 3.4; a draw outside 4 of them has p < 1e-4.
    CHECK(first > 31);
    CHECK(first < 59);
}
