// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/depth_bands.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "profiler/analysis/balance.h"

using namespace moescope;

using Counts = std::vector<std::vector<std::int64_t>>;

TEST_CASE("layers fall into bands by their middle's share of the depth") {
    // Fixture A of the balance metrics: max/mean 2, entropy 0.851410, 3.255365 effective experts.
    const std::vector<std::int64_t> uneven{8, 4, 3, 1}, even{4, 4, 4, 4};
    const auto bands = depthBands(Counts{even, even, even, uneven}, 2, 2);
    REQUIRE(bands.size() == 3);
    CHECK(bands[0].layers == 2);
    CHECK(bands[0].normalizedEntropy == Approx(1));
    CHECK(bands[0].effectiveShare == Approx(1));
    const double chance = balanceNull(8, 4, 2).maxOverMean;
    CHECK(bands[0].excess == Approx(1 / chance));
    CHECK(bands[1].from == 0.5);
    CHECK(bands[1].to == 1.0);
    CHECK(bands[1].excess == Approx((1 + 2) / 2.0 / chance));
    CHECK(bands[1].normalizedEntropy == Approx((1 + 0.851410) / 2));
    CHECK(bands[1].effectiveShare == Approx((1 + 3.255365 / 4) / 2));
    CHECK(bands[2].layers == 4);  // all
    CHECK(bands[2].from == 0);
    CHECK(bands[2].to == 1);
    CHECK(bands[2].excess == Approx((3 + 2) / 4.0 / chance));
}

TEST_CASE("models of other depths fill the same bands, and a band without layers has no figure") {
    const std::vector<std::int64_t> even{4, 4};
    const auto one = depthBands(Counts{even}, 1, 4);
    CHECK(one[2].layers == 1);  // its middle is at 0.5
    CHECK(one[0].layers == 0);
    CHECK(std::isnan(one[0].excess));
    CHECK(std::isnan(one[0].normalizedEntropy));
    const auto many = depthBands(Counts(48, even), 1, 4);
    for (int i = 0; i < 4; ++i) CHECK(many[static_cast<std::size_t>(i)].layers == 12);
}

TEST_CASE("dense layers count for the depth and not for the balance") {
    const auto bands = depthBands(Counts{{}, {}, {4, 4}, {0, 0}}, 1, 2);
    CHECK(bands[0].layers == 0);
    CHECK(bands[1].layers == 1);  // no token reached the last
    CHECK(bands[1].normalizedEntropy == Approx(1));
}
