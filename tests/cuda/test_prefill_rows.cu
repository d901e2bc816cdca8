// SPDX-License-Identifier: Apache-2.0
// What a step of many tokens does row by row, against double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "engine/backend/cuda/prefill_rows.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

TEST_CASE("a token's products are weighted, summed and added, for any width and number of them") {
    constexpr int kTokens = 3;
    for (const int width : {8, 1100, 37}) {
        for (const int topK : {1, 4, 9}) {
            for (const bool add : {false, true}) {
                INFO("width " << width << ", " << topK << " products, add " << add);
                const auto slots = static_cast<std::size_t>(kTokens * topK);
                const std::vector<float> products = randomFloats(slots * width, 1);
                const std::vector<float> weights = randomFloats(slots, 2);
                const std::vector<float> before =
                    randomFloats(static_cast<std::size_t>(kTokens) * width, 3);
                const Buffer<float> in(products), factors(weights);
                const Buffer<float> out =
                    add ? Buffer<float>(before) : Buffer<float>(before.size());
                combineExperts({in.get(), factors.get(), kTokens, topK, width, out.get(), add},
                               nullptr);
                std::vector<double> expected(before.size());
                for (std::size_t i = 0; i < expected.size(); ++i) {
                    const std::size_t token = i / width;
                    expected[i] = add ? before[i] : 0.0;
                    for (std::size_t k = token * topK; k < (token + 1) * topK; ++k)
                        expected[i] += double{weights[k]} * products[k * width + i % width];
                }
                CHECK(errorNorm(out.read(), expected) < 1e-6);  // sums of ten float32 numbers
            }
        }
    }
}
