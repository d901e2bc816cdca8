// SPDX-License-Identifier: Apache-2.0
// Errors of a linear fit with group effects, by leaving out one cluster at a time.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace moescope {

/// A fit that is done, seen from its solution. All of a column have the same length n.
struct FittedClusters {
    /// (k, each n): differences from their group's mean under `bread`, independent of each other.
    const std::vector<std::vector<double>>& within;
    std::span<const double> bread;   ///< (n) derivative of an observation's score by its residual
    std::span<const double> scores;  ///< (n) residuals as they pull; of every group they sum to 0
    std::span<const std::size_t> group, cluster;  ///< (n) numbers below `groups`, `clusters`
    std::size_t groups = 0, clusters = 0;
};

struct ClusterErrors {
    /// (k) NaN for a column that one cluster alone determines, and with one cluster.
    std::vector<double> standardError;
    std::vector<double> degrees;  ///< (k) of freedom, at most clusters - 1; NaN with the former
};

/// The jackknife over clusters, CR3 of MacKinnon, Nielsen and Webb (2023, Cluster-robust inference:
/// a guide to empirical practice): variance (G-1)/G times the sum of squared changes of a
/// coefficient when a cluster leaves, the levels of the groups estimated anew each time. Of least
/// squares the change is exact, of an M-estimator one Newton step. Degrees are those of Bell and
/// McCaffrey (2002, Bias reduction in standard errors for linear regression with multi-stage
/// samples): tr(B)^2 / tr(B^2), B the covariance of these changes (G x G) were the errors alike
/// and independent; the levels of the groups enter B as one common level. Where all clusters
/// weigh alike that is about G - 2, where one decides about 1. Takes O(n k^2 + G k^3), memory O(n).
ClusterErrors clusterErrors(const FittedClusters& fit);

/// Inverse of a small symmetric positive definite matrix, by Gauss-Jordan with pivots; not finite
/// where there is none.
std::vector<std::vector<double>> inverseOf(std::vector<std::vector<double>> matrix);

}  // namespace moescope
