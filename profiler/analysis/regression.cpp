// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/regression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_map>

#include "profiler/analysis/statistics.h"

namespace moescope {
namespace {

using Column = std::vector<double>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kCollinear = 1e-9;

std::size_t subtractGroupMeans(Column& values, std::span<const int> group) {
    std::unordered_map<int, std::pair<double, double>> sums;  // group -> sum, count
    for (std::size_t i = 0; i < values.size(); ++i) {
        auto& [sum, count] = sums[group[i]];
        sum += values[i];
        count += 1;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto& [sum, count] = sums[group[i]];
        values[i] -= sum / count;
    }
    return sums.size();
}

double dot(const Column& a, const Column& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

/// Inverse of a small symmetric positive definite matrix, by Gauss-Jordan with pivots.
std::vector<Column> inverse(std::vector<Column> a) {
    const std::size_t n = a.size();
    std::vector<Column> out(n, Column(n, 0));
    for (std::size_t i = 0; i < n; ++i) out[i][i] = 1;
    for (std::size_t c = 0; c < n; ++c) {
        std::size_t pivot = c;
        for (std::size_t r = c + 1; r < n; ++r)
            if (std::abs(a[r][c]) > std::abs(a[pivot][c])) pivot = r;
        std::swap(a[c], a[pivot]);
        std::swap(out[c], out[pivot]);
        const double scale = 1 / a[c][c];
        for (std::size_t k = 0; k < n; ++k) {
            a[c][k] *= scale;
            out[c][k] *= scale;
        }
        for (std::size_t r = 0; r < n; ++r) {
            if (r == c) continue;
            const double factor = a[r][c];
            for (std::size_t k = 0; k < n; ++k) {
                a[r][k] -= factor * a[c][k];
                out[r][k] -= factor * out[c][k];
            }
        }
    }
    return out;
}

/// Columns that vary and that those before them do not determine, by Gram-Schmidt.
std::vector<std::size_t> independentColumns(const std::vector<Column>& within,
                                            const std::vector<double>& scale) {
    std::vector<std::size_t> chosen;
    std::vector<Column> basis;
    for (std::size_t c = 0; c < within.size(); ++c) {
        const double variance = dot(within[c], within[c]);
        if (!(variance > kCollinear * scale[c])) continue;
        Column rest = within[c];
        for (const Column& direction : basis) {
            const double along = dot(rest, direction) / dot(direction, direction);
            for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= along * direction[i];
        }
        if (!(dot(rest, rest) > kCollinear * variance)) continue;
        basis.push_back(std::move(rest));
        chosen.push_back(c);
    }
    return chosen;
}

}  // namespace

bool Regression::estimated() const noexcept {
    return std::any_of(coefficients.begin(), coefficients.end(),
                       [](const Coefficient& c) { return c.estimated; });
}

Regression regress(std::span<const double> y, const std::vector<std::vector<double>>& x,
                   const std::vector<std::string>& names, std::span<const int> group,
                   std::span<const int> cluster) {
    Regression out;
    out.observations = y.size();
    out.r2 = kNaN;
    for (const std::string& name : names)
        out.coefficients.push_back({name, 0, kNaN, kNaN, kNaN, false});
    Column target(y.begin(), y.end());
    std::vector<Column> within = x;
    std::vector<double> scale;
    for (const Column& column : x) scale.push_back(dot(column, column));
    out.groups = subtractGroupMeans(target, group);
    for (Column& column : within) subtractGroupMeans(column, group);
    std::map<int, std::size_t> clusters;
    for (const int id : cluster) clusters.emplace(id, clusters.size());
    out.clusters = clusters.size();

    const std::vector<std::size_t> chosen = independentColumns(within, scale);
    const std::size_t k = chosen.size(), n = y.size();
    if (k == 0 || n <= k + out.groups) return out;
    std::vector<Column> cross(k, Column(k));
    Column moments(k);
    for (std::size_t a = 0; a < k; ++a) {
        moments[a] = dot(within[chosen[a]], target);
        for (std::size_t b = 0; b < k; ++b) cross[a][b] = dot(within[chosen[a]], within[chosen[b]]);
    }
    const std::vector<Column> inv = inverse(cross);
    Column beta(k, 0);
    for (std::size_t a = 0; a < k; ++a)
        for (std::size_t b = 0; b < k; ++b) beta[a] += inv[a][b] * moments[b];

    Column residual = target;
    for (std::size_t a = 0; a < k; ++a)
        for (std::size_t i = 0; i < n; ++i) residual[i] -= beta[a] * within[chosen[a]][i];
    const double total = dot(target, target);
    if (total > 0) out.r2 = 1 - dot(residual, residual) / total;

    std::vector<Column> scores(clusters.size(), Column(k, 0));  // X' u of each cluster
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t a = 0; a < k; ++a)
            scores[clusters[cluster[i]]][a] += within[chosen[a]][i] * residual[i];
    std::vector<Column> meat(k, Column(k, 0));
    for (const Column& score : scores)
        for (std::size_t a = 0; a < k; ++a)
            for (std::size_t b = 0; b < k; ++b) meat[a][b] += score[a] * score[b];
    const auto g = double(clusters.size());
    const double factor = g / (g - 1) * double(n - 1) / double(n - k - out.groups);
    const double t = studentT975(g - 1);
    for (std::size_t a = 0; a < k; ++a) {
        double variance = 0;
        for (std::size_t p = 0; p < k; ++p)
            for (std::size_t q = 0; q < k; ++q) variance += inv[a][p] * meat[p][q] * inv[q][a];
        Coefficient& c = out.coefficients[chosen[a]];
        c.estimated = true;
        c.value = beta[a];
        c.standardError = clusters.size() > 1 ? std::sqrt(factor * variance) : kNaN;
        c.low = c.value - t * c.standardError;
        c.high = c.value + t * c.standardError;
    }
    return out;
}

}  // namespace moescope
