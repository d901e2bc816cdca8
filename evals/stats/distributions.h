// SPDX-License-Identifier: Apache-2.0
// Distribution functions that intervals and tests need. Double precision, about 1e-12 relative.
#pragma once

namespace moescope::stats {

double normalCdf(double z);
double normalQuantile(double p);  ///< p in (0, 1)
/// Regularised incomplete beta I_x(a, b), a, b > 0, x in [0, 1] (continued fraction, Lentz).
double incompleteBeta(double a, double b, double x);
double tCdf(double t, double degrees);
double tQuantile(double p, double degrees);  ///< p in (0, 1); inverted by bisection
double logBinomial(double n, double k);      ///< ln C(n, k)

}  // namespace moescope::stats
