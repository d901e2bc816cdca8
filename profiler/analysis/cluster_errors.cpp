// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/cluster_errors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace moescope {
namespace {

using Column = std::vector<double>;
using Matrix = std::vector<Column>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
/// Of what a column tells, the share that must be left without a cluster; of a group's weight too.
constexpr double kNothingLeft = 1e-9;

/// Inverse over the columns of `cross` that still vary and that those before them do not
/// determine; the others, whose rows and columns stay 0, are marked in `lost`.
Matrix inverseOfRest(const Matrix& cross, const Column& before, std::vector<bool>& lost) {
    const std::size_t k = cross.size();
    Matrix rest = cross;  // what the columns taken so far leave of the later ones
    std::vector<std::size_t> taken;
    for (std::size_t c = 0; c < k; ++c) {
        if (!(rest[c][c] > kNothingLeft * before[c])) {
            lost[c] = true;
            continue;
        }
        taken.push_back(c);
        for (std::size_t a = c + 1; a < k; ++a)
            for (std::size_t b = c + 1; b < k; ++b)
                rest[a][b] -= rest[a][c] * rest[c][b] / rest[c][c];
    }
    Matrix part(taken.size(), Column(taken.size()));
    for (std::size_t a = 0; a < taken.size(); ++a)
        for (std::size_t b = 0; b < taken.size(); ++b) part[a][b] = cross[taken[a]][taken[b]];
    part = inverseOf(std::move(part));
    Matrix out(k, Column(k, 0));
    for (std::size_t a = 0; a < taken.size(); ++a)
        for (std::size_t b = 0; b < taken.size(); ++b) out[taken[a]][taken[b]] = part[a][b];
    return out;
}

/// Row of a coefficient in the covariance B, as factors: B = diag(own) - rows M rows'.
struct ClusterRow {
    double own = 0;
    Column moments;  ///< (k + 1) sums of bread x column x pull, the last of bread x pull
};

/// tr(B)^2 / tr(B^2), M the inverse of the columns' cross product beside 1 / total weight.
double degreesOf(const std::vector<ClusterRow>& rows, const Matrix& m) {
    const std::size_t size = m.size();
    double trace = 0, squares = 0;
    Matrix q(size, Column(size, 0));
    for (const ClusterRow& row : rows) {
        double taken = 0;
        for (std::size_t a = 0; a < size; ++a) {
            for (std::size_t b = 0; b < size; ++b) {
                taken += row.moments[a] * m[a][b] * row.moments[b];
                q[a][b] += row.moments[a] * row.moments[b];
            }
        }
        trace += row.own - taken;
        squares += row.own * row.own - 2 * row.own * taken;
    }
    Matrix mq(size, Column(size, 0));
    for (std::size_t a = 0; a < size; ++a)
        for (std::size_t b = 0; b < size; ++b)
            for (std::size_t c = 0; c < size; ++c) mq[a][b] += m[a][c] * q[c][b];
    for (std::size_t a = 0; a < size; ++a)
        for (std::size_t b = 0; b < size; ++b) squares += mq[a][b] * mq[b][a];
    return trace * trace / squares;
}

/// Sums over the observations of one cluster in one group.
struct Cell {
    double weight = 0, pull = 0;
    double share = 0;  ///< of the group's mean that moves with it: 1 / weight of the others
    Column sum;        ///< (k)
    std::size_t first = 0, last = 0;  ///< in the order by cluster and group
};

class Jackknife {
public:
    explicit Jackknife(const FittedClusters& fit)
        : fit_(fit),
          k_(fit.within.size()),
          order_(fit.bread.size()),
          weights_(fit.groups, 0),
          cross_(k_, Column(k_, 0)),
          squares_(k_, 0),
          rows_(k_),
          lost_(k_, false) {
        std::iota(order_.begin(), order_.end(), std::size_t{0});
        std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
            return std::pair(fit.cluster[a], fit.group[a]) <
                   std::pair(fit.cluster[b], fit.group[b]);
        });
        for (const std::size_t i : order_) {
            weights_[fit_.group[i]] += fit_.bread[i];
            addProducts(cross_, i, fit_.bread[i]);
        }
        for (std::size_t a = 0; a < k_; ++a) before_.push_back(cross_[a][a]);
    }

    ClusterErrors errors() {
        for (std::size_t first = 0, last = 0; first < order_.size(); first = last) {
            while (last < order_.size() &&
                   fit_.cluster[order_[last]] == fit_.cluster[order_[first]])
                ++last;
            leave(cellsOf(first, last));
        }
        Matrix m = inverseOf(cross_);
        for (Column& row : m) row.push_back(0);
        m.emplace_back(k_ + 1, 0);
        m[k_][k_] = 1 / std::accumulate(weights_.begin(), weights_.end(), 0.0);
        const auto g = double(fit_.clusters);
        ClusterErrors out{Column(k_, kNaN), Column(k_, kNaN)};
        for (std::size_t a = 0; a < k_; ++a) {
            if (lost_[a] || fit_.clusters < 2) continue;
            out.standardError[a] = std::sqrt((g - 1) / g * squares_[a]);
            out.degrees[a] = std::min(degreesOf(rows_[a], m), g - 1);
        }
        return out;
    }

private:
    void addProducts(Matrix& cross, std::size_t i, double factor) const {
        for (std::size_t a = 0; a < k_; ++a)
            for (std::size_t b = 0; b < k_; ++b)
                cross[a][b] += factor * fit_.within[a][i] * fit_.within[b][i];
    }

    std::vector<Cell> cellsOf(std::size_t first, std::size_t last) const {
        std::vector<Cell> cells;
        for (std::size_t at = first; at < last; ++at) {
            const std::size_t i = order_[at];
            if (at == first || fit_.group[i] != fit_.group[order_[at - 1]]) {
                cells.emplace_back();
                cells.back().sum.assign(k_, 0);
                cells.back().first = at;
            }
            Cell& cell = cells.back();
            cell.last = at + 1;
            cell.weight += fit_.bread[i];
            cell.pull += fit_.scores[i];
            for (std::size_t a = 0; a < k_; ++a) cell.sum[a] += fit_.bread[i] * fit_.within[a][i];
        }
        for (Cell& cell : cells) {
            const double all = weights_[fit_.group[order_[cell.first]]];
            if (all - cell.weight > kNothingLeft * all) cell.share = 1 / (all - cell.weight);
        }
        return cells;
    }

    /// The group's mean moves when the cluster leaves: what an observation's column is then.
    double moved(const Cell& cell, std::size_t a, std::size_t i) const {
        return fit_.within[a][i] + cell.share * cell.sum[a];
    }

    void leave(const std::vector<Cell>& cells) {
        Matrix rest = cross_;
        Column pull(k_, 0);
        for (const Cell& cell : cells) {
            for (std::size_t at = cell.first; at < cell.last; ++at) {
                const std::size_t i = order_[at];
                addProducts(rest, i, -fit_.bread[i]);
                for (std::size_t a = 0; a < k_; ++a) pull[a] += moved(cell, a, i) * fit_.scores[i];
            }
            for (std::size_t a = 0; a < k_; ++a)
                for (std::size_t b = 0; b < k_; ++b)
                    rest[a][b] -= cell.share * cell.sum[a] * cell.sum[b];
        }
        const Matrix inverse = inverseOfRest(rest, before_, lost_);
        for (std::size_t a = 0; a < k_; ++a) {
            double change = 0;
            for (std::size_t b = 0; b < k_; ++b) change += inverse[a][b] * pull[b];
            squares_[a] += change * change;
            rows_[a].push_back(rowOf(cells, inverse[a]));
        }
    }

    ClusterRow rowOf(const std::vector<Cell>& cells, const Column& inverse) const {
        ClusterRow row{0, Column(k_ + 1, 0)};
        for (const Cell& cell : cells) {
            for (std::size_t at = cell.first; at < cell.last; ++at) {
                const std::size_t i = order_[at];
                double v = 0;  // by how much an error here changes the coefficient
                for (std::size_t a = 0; a < k_; ++a) v += inverse[a] * moved(cell, a, i);
                const double weighted = fit_.bread[i] * v;
                row.own += weighted * v;
                for (std::size_t a = 0; a < k_; ++a) row.moments[a] += weighted * fit_.within[a][i];
                row.moments[k_] += weighted;
            }
        }
        return row;
    }

    const FittedClusters& fit_;
    std::size_t k_;
    std::vector<std::size_t> order_;             ///< of the observations, by cluster and group
    Column weights_;                             ///< (groups)
    Matrix cross_;                               ///< (k, k)
    Column before_, squares_;                    ///< (k)
    std::vector<std::vector<ClusterRow>> rows_;  ///< (k, clusters)
    std::vector<bool> lost_;                     ///< (k)
};

}  // namespace

ClusterErrors clusterErrors(const FittedClusters& fit) {
    return Jackknife(fit).errors();
}

std::vector<std::vector<double>> inverseOf(std::vector<std::vector<double>> a) {
    const std::size_t n = a.size();
    Matrix out(n, Column(n, 0));
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

}  // namespace moescope
