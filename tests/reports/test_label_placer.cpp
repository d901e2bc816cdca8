// SPDX-License-Identifier: Apache-2.0
// Where the texts of a picture go when points and lines are near.
#include <catch2/catch.hpp>

#include "reports/label_placer.h"

using namespace moescope;

TEST_CASE("a point's name crosses no roof while a place beside it is left") {
    constexpr double kHeight = 16, kWidth = 140, kRadius = 8;
    LabelPlacer labels({0, 0, 800, 600}, kHeight);
    const double x = 400, y = 300;
    // The roof runs just over the point, and other names take the places right of and below it.
    labels.avoidLine(x - 300, y + 140, x + 300, y - 160);
    labels.avoid({x - kRadius, y - kRadius, x + kRadius, y + kRadius});
    labels.avoid({x + 13, y - 20, x + 160, y + 8});
    labels.avoid({x - 160, y + 18, x - 12, y + 40});
    const auto at = labels.place(kWidth, x, y, kRadius);
    REQUIRE(at);
    const LabelBox box = at->box(kWidth, kHeight);
    for (double along = 0; along <= 1; along += 0.001) {
        const double px = x - 300 + 600 * along, py = y + 140 - 300 * along;
        CHECK_FALSE(box.touches({px, py, px + 0.1, py + 0.1}));
    }
}
