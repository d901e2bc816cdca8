// SPDX-License-Identifier: Apache-2.0
// Correlation of two columns, and whether chance explains it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moescope::stats {

/// sum (x - mx)(y - my) / sqrt(sum (x - mx)^2 sum (y - my)^2). NaN for fewer than two points or
/// when all x or all y are equal. x, y: (n), finite.
double pearson(std::span<const double> x, std::span<const double> y);
/// Slope of the least-squares line y = a + b x. NaN like pearson, save that y may be constant.
double slope(std::span<const double> x, std::span<const double> y);
/// Ranks from 1 upwards; ties share the mean of theirs. Spearman's rho is pearson of the ranks.
std::vector<double> ranks(std::span<const double> x);
double spearman(std::span<const double> x, std::span<const double> y);

/// Two-sided p of "y is independent of x" by exchanging the y: share of the n! orders with |r| at
/// least the observed one for n <= 8, else (hits + 1) / (draws + 1) over seeded random orders,
/// which is a valid p for any number of draws (Phipson and Smyth 2010, "Permutation p-values should
/// never be zero"). Give ranks for Spearman's. NaN when pearson is. Everything is exchangeable
/// under independence only: scatter that grows with x can be found too, not merely a trend.
double permutationTest(std::span<const double> x, std::span<const double> y, int draws = 10'000,
                       std::uint64_t seed = 1);
/// Up to how many points `permutationTest` goes through all orders.
inline constexpr std::size_t kAllOrders = 8;

}  // namespace moescope::stats
