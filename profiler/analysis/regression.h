// SPDX-License-Identifier: Apache-2.0
// A linear fit with group effects that a few disturbed observations do not move, and errors that
// allow for clusters.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace moescope {

struct Coefficient {
    std::string name;
    double value = 0;
    /// NaN where one cluster alone determines it, and with one cluster.
    double standardError = 0;
    double low = 0, high = 0;  ///< 95 % interval; NaN below 3 degrees
    bool estimated = true;     ///< false: does not vary, or follows from those before it
    double degrees = 0;        ///< of freedom that the error has, few where few clusters decide
};

struct Regression {
    std::vector<Coefficient> coefficients;  ///< (n_columns), in the given order
    /// Share of the variation within groups that is explained, each observation with its weight;
    /// NaN without any.
    double r2 = 0;
    std::vector<double> residuals;  ///< (n), of y; empty when nothing is estimated
    std::size_t observations = 0, groups = 0, clusters = 0;
    /// Further from the fit than the clip, so that they count less: above it, and below.
    std::size_t clippedAbove = 0, clippedBelow = 0;
    bool estimated() const noexcept;  ///< at least one coefficient
};

/// Standard deviations of the residuals beyond which an observation counts less: with normal errors
/// 95 % as efficient as least squares (Huber 1981, Robust Statistics).
inline constexpr double kHuberClip = 1.345;
inline constexpr double kLeastSquares = std::numeric_limits<double>::infinity();

/// y (n) on the columns of x (n_columns, each n), every group (n, any labels) with a level of its
/// own ("fixed effects"), by Huber's M-estimator: a residual beyond `clip` scales pulls with the
/// force of one at `clip` scales. The scale is the median absolute residual over 0.6745, taken
/// again with every round of reweighting, the first of which is least squares. Columns are taken in
/// order: one without variation within groups, or that the ones before it determine (to 1e-9 of its
/// variance), is not estimated, and the others are as if it were not there. Standard errors and
/// degrees of freedom are those of clusterErrors() (clipped residuals as scores, unclipped
/// observations as bread), the interval is Student's t. All spans have the same length; with
/// n <= k, the groups and columns estimated, nothing is estimated.
Regression regress(std::span<const double> y, const std::vector<std::vector<double>>& x,
                   const std::vector<std::string>& names, std::span<const int> group,
                   std::span<const int> cluster, double clip = kHuberClip);

}  // namespace moescope
