// SPDX-License-Identifier: Apache-2.0
// Least squares with group effects and errors that allow for clusters.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace moescope {

struct Coefficient {
    std::string name;
    double value = 0;
    double standardError = 0;
    double low = 0, high = 0;  ///< 95 % interval; NaN with fewer than 4 clusters
    bool estimated = true;     ///< false: does not vary, or follows from those before it
};

struct Regression {
    std::vector<Coefficient> coefficients;  ///< (n_columns), in the given order
    double r2 = 0;                          ///< of the variation within groups; NaN without any
    std::size_t observations = 0, groups = 0, clusters = 0;
    bool estimated() const noexcept;  ///< at least one coefficient
};

/// y (n) on the columns of x (n_columns, each n), every group (n, any labels) with a level of its
/// own ("fixed effects": y and x are taken as differences from their group's mean). Columns are
/// taken in order: one without variation within groups, or that the ones before it determine
/// (to 1e-9 of its variance), is not estimated, and the others are as if it were not there.
/// Standard errors are cluster-robust (Liang and Zeger 1986; Cameron and Miller 2015: sandwich,
/// factor G/(G-1) (n-1)/(n-k), k the groups and columns estimated), the interval is Student's t
/// with G - 1 degrees, G the clusters.
/// All spans have the same length; with n <= k nothing is estimated.
Regression regress(std::span<const double> y, const std::vector<std::vector<double>>& x,
                   const std::vector<std::string>& names, std::span<const int> group,
                   std::span<const int> cluster);

}  // namespace moescope
