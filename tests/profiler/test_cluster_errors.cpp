// SPDX-License-Identifier: Apache-2.0
// Errors of a fit by leaving out its clusters, by hand and against fits without them.
#include <catch2/catch.hpp>
#include <cmath>

#include "profiler/analysis/cluster_errors.h"
#include "profiler/analysis/regression.h"

using namespace moescope;

namespace {

/// Observations of clusters of unequal size and leverage in four groups, one of them in a single
/// cluster.
struct Unequal {
    std::vector<double> y;
    std::vector<std::vector<double>> x{2};
    std::vector<int> group, cluster;

    Unequal() {
        for (int c = 0; c < 9; ++c) {
            for (int i = 0; i < 3 + c % 3; ++i) {
                const int g = c == 8 ? i : i % 3;
                x[0].push_back(c == 7 ? 40 : (c * 5) % 7 + 0.3 * i);
                x[1].push_back((3 * c + 2 * i * i) % 5);
                y.push_back(2 * x[0].back() - x[1].back() + 10 * g + (7 * c + 3 * i) % 11);
                group.push_back(g);
                cluster.push_back(c);
            }
        }
    }

    Unequal without(int left) const {
        Unequal out = *this;
        for (std::size_t i = y.size(); i-- > 0;) {
            if (cluster[i] != left) continue;
            const auto at = static_cast<std::ptrdiff_t>(i);
            for (std::vector<double>* column : {&out.y, &out.x[0], &out.x[1]})
                column->erase(column->begin() + at);
            out.group.erase(out.group.begin() + at);
            out.cluster.erase(out.cluster.begin() + at);
        }
        return out;
    }

    Regression fit() const { return regress(y, x, {"a", "b"}, group, cluster, kLeastSquares); }
};

}  // namespace

TEST_CASE("error and degrees of a slope over equal clusters, worked by hand") {
    // Every leverage is 1/12 + 1/12, so that leaving one out changes the slope by x r / 12 / (5/6);
    // B is the projection on the 10 remaining dimensions over 100.
    std::vector<double> x, y;
    std::vector<int> group(12, 0), cluster;
    for (int i = 0; i < 12; ++i) {
        x.push_back(i % 4 < 2 ? 1 : -1);
        y.push_back(2 * x.back() + (i % 2 == 0 ? 1 : -1));
        cluster.push_back(i);
    }
    const Coefficient c = regress(y, {x}, {"x"}, group, cluster, kLeastSquares).coefficients[0];
    CHECK(c.value == Approx(2));
    CHECK(c.standardError == Approx(std::sqrt(11.0 / 12 * 12 / 100)));
    CHECK(c.degrees == Approx(10));
    CHECK(c.high - c.value == Approx(2.228139 * c.standardError).epsilon(1e-3));
    CHECK(c.value - c.low == Approx(c.high - c.value));
}

TEST_CASE("a cluster that leaves changes the slopes as a fit without it says") {
    const Unequal all;
    const Regression fit = all.fit();
    std::vector<double> squares(2, 0);
    for (int c = 0; c < 9; ++c) {
        const Regression less = all.without(c).fit();
        for (std::size_t a = 0; a < 2; ++a)
            squares[a] +=
                std::pow(less.coefficients[a].value - fit.coefficients[a].value, 2) * 8 / 9;
    }
    for (std::size_t a = 0; a < 2; ++a) {
        CHECK(fit.coefficients[a].standardError == Approx(std::sqrt(squares[a])));
        CHECK(fit.coefficients[a].degrees >= 1);
        CHECK(fit.coefficients[a].degrees < 8);
    }
    // Cluster 7 lies far out in the first column and decides its slope.
    CHECK(fit.coefficients[0].degrees < 2);
    CHECK(std::isnan(fit.coefficients[0].low));
    CHECK(fit.coefficients[1].degrees > 3);
    CHECK(std::isfinite(fit.coefficients[1].low));
}

TEST_CASE("a column that varies in one cluster alone has no error, the others have theirs") {
    std::vector<double> y, once, x;
    std::vector<int> group, cluster;
    for (int c = 0; c < 12; ++c) {
        for (int i = 0; i < 2; ++i) {
            once.push_back(c == 4 ? 5 - i : 8);
            x.push_back(c % 3 + i * (c % 2));
            y.push_back(3 * x.back() + once.back() + (c * 5 + i) % 4);
            group.push_back(i);
            cluster.push_back(c);
        }
    }
    const Regression fit = regress(y, {once, x}, {"once", "x"}, group, cluster, kLeastSquares);
    CHECK(fit.coefficients[0].estimated);
    CHECK(std::isnan(fit.coefficients[0].standardError));
    CHECK(std::isnan(fit.coefficients[0].low));
    CHECK(std::isfinite(fit.coefficients[1].standardError));
    CHECK(std::isfinite(fit.coefficients[1].low));
    const Regression single =
        regress(y, {once, x}, {"once", "x"}, group, std::vector<int>(24, 0), kLeastSquares);
    CHECK(single.coefficients[1].estimated);
    CHECK(std::isnan(single.coefficients[1].standardError));
}
