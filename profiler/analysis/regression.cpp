// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/regression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "profiler/analysis/cluster_errors.h"
#include "profiler/analysis/statistics.h"

namespace moescope {
namespace {

using Column = std::vector<double>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kCollinear = 1e-9;

/// Indices 0.. in place of labels, in order of appearance.
std::vector<std::size_t> numbered(std::span<const int> labels, std::size_t& count) {
    std::unordered_map<int, std::size_t> numbers;
    std::vector<std::size_t> out;
    out.reserve(labels.size());
    for (const int label : labels)
        out.push_back(numbers.emplace(label, numbers.size()).first->second);
    count = numbers.size();
    return out;
}

/// Differences from the weighted mean of their group; 0 where a group has no weight.
Column withinGroups(const Column& values, const Column& weights,
                    const std::vector<std::size_t>& group, std::size_t groups) {
    Column sums(groups, 0), totals(groups, 0);
    for (std::size_t i = 0; i < values.size(); ++i) {
        sums[group[i]] += weights[i] * values[i];
        totals[group[i]] += weights[i];
    }
    Column out(values.size(), 0);
    for (std::size_t i = 0; i < values.size(); ++i)
        if (totals[group[i]] > 0) out[i] = values[i] - sums[group[i]] / totals[group[i]];
    return out;
}

double dot(const Column& a, const Column& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

double dot(const Column& a, const Column& weights, const Column& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * weights[i] * b[i];
    return sum;
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

/// A' diag(weights) A of the columns, inverted.
std::vector<Column> inverseCross(const std::vector<Column>& columns, const Column& weights) {
    const std::size_t k = columns.size();
    std::vector<Column> cross(k, Column(k));
    for (std::size_t a = 0; a < k; ++a)
        for (std::size_t b = 0; b < k; ++b) cross[a][b] = dot(columns[a], weights, columns[b]);
    return inverseOf(std::move(cross));
}

/// The problem with its groups numbered, and one weighted fit of it.
class GroupedFit {
public:
    GroupedFit(Column y, std::vector<Column> x, std::vector<std::size_t> group, std::size_t groups)
        : y_(std::move(y)), x_(std::move(x)), group_(std::move(group)), groups_(groups) {}

    std::vector<Column> columns(const Column& weights) const {
        std::vector<Column> out;
        for (const Column& column : x_)
            out.push_back(withinGroups(column, weights, group_, groups_));
        return out;
    }

    void solve(const Column& weights) {
        const std::vector<Column> within = columns(weights);
        residual = withinGroups(y_, weights, group_, groups_);
        total = dot(residual, weights, residual);
        const std::vector<Column> inv = inverseCross(within, weights);
        slopes.assign(x_.size(), 0);
        for (std::size_t b = 0; b < x_.size(); ++b) {
            const double moment = dot(within[b], weights, residual);
            for (std::size_t a = 0; a < x_.size(); ++a) slopes[a] += inv[a][b] * moment;
        }
        for (std::size_t a = 0; a < x_.size(); ++a)
            for (std::size_t i = 0; i < residual.size(); ++i)
                residual[i] -= slopes[a] * within[a][i];
    }

    Column slopes, residual;
    double total = 0;  ///< weighted sum of squares within groups

private:
    Column y_;
    std::vector<Column> x_;
    std::vector<std::size_t> group_;
    std::size_t groups_;
};

/// Of normal errors the standard deviation, whatever up to half of the residuals are.
double robustScale(Column residuals) {
    for (double& r : residuals) r = std::abs(r);
    const auto middle = residuals.begin() + static_cast<std::ptrdiff_t>(residuals.size() / 2);
    std::nth_element(residuals.begin(), middle, residuals.end());
    return *middle / 0.6745;
}

/// Reweights until the slopes stand still. Returns the residual beyond which an observation is
/// clipped: infinity for least squares.
double fitRobustly(GroupedFit& fit, Column& weights, double clip) {
    constexpr int kMostRounds = 100;
    constexpr double kStill = 1e-8;
    const double none = std::numeric_limits<double>::infinity();
    fit.solve(weights);
    double bound = none;
    for (int round = 0; round < kMostRounds && std::isfinite(clip); ++round) {
        const double scale = robustScale(fit.residual);
        if (!(scale > 0)) break;
        bound = clip * scale;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const double distance = std::abs(fit.residual[i]);
            weights[i] = distance > bound ? bound / distance : 1;
        }
        const Column before = fit.slopes;
        fit.solve(weights);
        bool still = true;
        for (std::size_t a = 0; a < before.size(); ++a)
            still = still && std::abs(fit.slopes[a] - before[a]) <= kStill * std::abs(before[a]);
        if (still) break;
    }
    return bound;
}

}  // namespace

bool Regression::estimated() const noexcept {
    return std::any_of(coefficients.begin(), coefficients.end(),
                       [](const Coefficient& c) { return c.estimated; });
}

Regression regress(std::span<const double> y, const std::vector<std::vector<double>>& x,
                   const std::vector<std::string>& names, std::span<const int> group,
                   std::span<const int> cluster, double clip) {
    Regression out;
    out.observations = y.size();
    out.r2 = kNaN;
    for (const std::string& name : names)
        out.coefficients.push_back({name, 0, kNaN, kNaN, kNaN, false, kNaN});
    const std::vector<std::size_t> groupOf = numbered(group, out.groups);
    const std::vector<std::size_t> clusterOf = numbered(cluster, out.clusters);
    const std::size_t n = y.size();
    Column weights(n, 1);
    std::vector<double> scale;
    std::vector<Column> within;
    for (const Column& column : x) {
        scale.push_back(dot(column, column));
        within.push_back(withinGroups(column, weights, groupOf, out.groups));
    }
    const std::vector<std::size_t> chosen = independentColumns(within, scale);
    const std::size_t k = chosen.size();
    if (k == 0 || n <= k + out.groups) return out;

    std::vector<Column> columns;
    for (const std::size_t c : chosen) columns.push_back(x[c]);
    GroupedFit fit({y.begin(), y.end()}, std::move(columns), groupOf, out.groups);
    const double bound = fitRobustly(fit, weights, clip);
    if (fit.total > 0) out.r2 = 1 - dot(fit.residual, weights, fit.residual) / fit.total;

    Column inside(n, 1);  // derivative of the score by the residual
    for (std::size_t i = 0; i < n; ++i) {
        if (std::abs(fit.residual[i]) <= bound) continue;
        inside[i] = 0;
        ++(fit.residual[i] > 0 ? out.clippedAbove : out.clippedBelow);
    }
    within = fit.columns(inside);
    const std::vector<Column> inv = inverseCross(within, inside);
    const auto singular = [&](std::size_t a) {
        return !(inv[a][a] > 0 && std::isfinite(inv[a][a]));
    };
    for (std::size_t a = 0; a < k; ++a) {
        if (!singular(a)) continue;
        // All that varies is clipped: the weights stand in for the derivative.
        inside = weights;
        within = fit.columns(inside);
        break;
    }
    for (std::size_t i = 0; i < n; ++i) weights[i] *= fit.residual[i];  // the scores
    const ClusterErrors errors =
        clusterErrors({within, inside, weights, groupOf, clusterOf, out.groups, out.clusters});
    for (std::size_t a = 0; a < k; ++a) {
        Coefficient& c = out.coefficients[chosen[a]];
        c.estimated = true;
        c.value = fit.slopes[a];
        c.standardError = errors.standardError[a];
        c.degrees = errors.degrees[a];
        const double t = studentT975(c.degrees);
        c.low = c.value - t * c.standardError;
        c.high = c.value + t * c.standardError;
    }
    out.residuals = std::move(fit.residual);
    return out;
}

}  // namespace moescope
