// SPDX-License-Identifier: Apache-2.0
// Series and continued fractions as in Abramowitz & Stegun 6.5, 26.4, 26.5, 26.7.
#include "evals/stats/distributions.h"

#include <cmath>
#include <limits>

namespace moescope::stats {

namespace {

constexpr double kTiny = 1e-300;  // keeps Lentz's algorithm away from division by zero
constexpr double kEpsilon = 1e-15;
constexpr int kMaxTerms = 100'000;

double avoidZero(double x) {
    return std::abs(x) < kTiny ? kTiny : x;
}

/// Continued fraction of the incomplete beta function (A&S 26.5.8), modified Lentz.
double betaFraction(double a, double b, double x) {
    double c = 1.0;
    double d = 1.0 / avoidZero(1.0 - (a + b) * x / (a + 1.0));
    double value = d;
    for (int m = 1; m < kMaxTerms; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1.0 / avoidZero(1.0 + even * d);
        c = avoidZero(1.0 + even / c);
        value *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1.0 / avoidZero(1.0 + odd * d);
        c = avoidZero(1.0 + odd / c);
        value *= d * c;
        if (std::abs(d * c - 1.0) < kEpsilon) break;
    }
    return value;
}

/// Solves cdf(x) = p for an increasing cdf by bisection in [low, high].
template <typename Cdf>
double bisect(Cdf cdf, double p, double low, double high) {
    for (int i = 0; i < 200; ++i) {
        const double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high) break;
        (cdf(middle) < p ? low : high) = middle;
    }
    return 0.5 * (low + high);
}

}  // namespace

double normalCdf(double z) {
    return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

double normalQuantile(double p) {
    if (p > 0.5) return -normalQuantile(1.0 - p);  // erfc is accurate in the lower tail
    return bisect(normalCdf, p, -40.0, 40.0);
}

double incompleteBeta(double a, double b, double x) {
    if (x <= 0.0) return 0.0;
    if (x >= 1.0) return 1.0;
    const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                  a * std::log(x) + b * std::log1p(-x));
    if (x < (a + 1.0) / (a + b + 2.0)) return front * betaFraction(a, b, x) / a;
    return 1.0 - front * betaFraction(b, a, 1.0 - x) / b;
}

double tCdf(double t, double degrees) {
    const double tail = 0.5 * incompleteBeta(degrees / 2.0, 0.5, degrees / (degrees + t * t));
    return t > 0 ? 1.0 - tail : tail;
}

double tQuantile(double p, double degrees) {
    if (p > 0.5) return -tQuantile(1.0 - p, degrees);
    double low = -2.0;
    while (tCdf(low, degrees) > p && low > -1e150) low *= 2.0;
    return bisect([&](double t) { return tCdf(t, degrees); }, p, low, 0.0);
}

double logBinomial(double n, double k) {
    return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
}

}  // namespace moescope::stats
