// SPDX-License-Identifier: Apache-2.0
#include "gui/models/routing_models.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <utility>

#include "gui/data/format.h"
#include "reports/numbers.h"
#include "reports/terms.h"

namespace moescope::gui {

LoadMatrix loadMatrix(const RunData& run, std::optional<std::int64_t> sequence) {
    // Rows come from the whole run, so that the picture keeps its shape when a sequence is chosen.
    constexpr int kMaxExperts = 4096;
    LoadMatrix matrix;
    std::set<int> layers;
    matrix.experts = std::clamp(run.summary.experts, 0, kMaxExperts);
    for (const RoutingCell& cell : run.routing) {
        layers.insert(cell.layer);
        if (cell.expert >= 0 && cell.expert < kMaxExperts)
            matrix.experts = std::max(matrix.experts, cell.expert + 1);
    }
    matrix.layers.assign(layers.begin(), layers.end());
    matrix.counts.assign(matrix.layers.size() * static_cast<std::size_t>(matrix.experts), 0);
    matrix.totals.assign(matrix.layers.size(), 0);
    for (const RoutingCell& cell : run.routing) {
        if ((sequence && cell.sequence != *sequence) || cell.expert < 0 ||
            cell.expert >= matrix.experts)
            continue;
        const auto row = static_cast<std::size_t>(
            std::lower_bound(matrix.layers.begin(), matrix.layers.end(), cell.layer) -
            matrix.layers.begin());
        matrix.counts[row * static_cast<std::size_t>(matrix.experts) +
                      static_cast<std::size_t>(cell.expert)] += cell.count;
        matrix.totals[row] += cell.count;
    }
    return matrix;
}

std::vector<LayerRouting> layerBalance(const LoadMatrix& matrix, int topK) {
    std::vector<LayerRouting> rows;
    for (std::size_t row = 0; row < matrix.layers.size(); ++row) {
        LayerRouting layer;
        layer.layer = matrix.layers[row];
        const auto first =
            matrix.counts.begin() + static_cast<std::ptrdiff_t>(row) * matrix.experts;
        layer.counts.assign(first, first + matrix.experts);
        layer.balance = balance(layer.counts, topK);
        if (layer.balance.tokens > 0) {
            layer.null = balanceNull(layer.balance.tokens, matrix.experts, topK);
            layer.excess = layer.balance.maxOverMean / layer.null.maxOverMean;
        } else {
            constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
            layer.null = {kNone, kNone, kNone, kNone};
            layer.excess = kNone;
        }
        rows.push_back(std::move(layer));
    }
    return rows;
}

QString formatLoad(double value, LoadScale scale) {
    if (std::isnan(value)) return text(kNoData);
    switch (scale) {
        case LoadScale::Share:
            return formatPercent(value);
        case LoadScale::Uniform:
            return formatTimes(value);
        case LoadScale::Log:
            break;
    }
    if (std::isinf(value)) return QStringLiteral("dead");
    return (value >= 0 ? QStringLiteral("+") : QString()) + formatFixed(value, 2);
}

HeatmapData loadHeatmap(LoadMatrix matrix, LoadScale scale) {
    const auto tr = [](const char* text) { return QCoreApplication::translate("Load", text); };
    HeatmapData data;
    data.layers = matrix.layers;
    data.experts = matrix.experts;
    data.range = loadRange(matrix, scale);
    data.unit = scale == LoadScale::Share     ? tr("of the layer")
                : scale == LoadScale::Uniform ? tr("uniform")
                                              : tr("log₂ of × uniform");
    data.values.reserve(matrix.counts.size());
    for (int row = 0; row < data.rows(); ++row) {
        for (int expert = 0; expert < data.experts; ++expert)
            data.values.push_back(matrix.value(row, expert, scale));
    }
    data.format = [scale](double value) { return formatLoad(value, scale); };
    data.describe = [matrix = std::move(matrix), tr](HeatmapCell cell) {
        const auto shown = [&](LoadScale as) {
            return formatLoad(matrix.value(cell.row, cell.column, as), as);
        };
        return tr("layer %1, expert %2: %3, %4 of the layer, %5 uniform")
            .arg(matrix.layers[static_cast<std::size_t>(cell.row)])
            .arg(cell.column)
            .arg(formatCounted(matrix.count(cell.row, cell.column), "assignment"),
                 shown(LoadScale::Share), shown(LoadScale::Uniform));
    };
    return data;
}

LayerBalanceModel::LayerBalanceModel(QObject* parent) : RowModel(parent) {
    using Row = LayerRouting;
    const auto number = [](auto get, int decimals) {
        return [get, decimals](const Row& r) -> QVariant { return formatFixed(get(r), decimals); };
    };
    const auto raw = [](auto get) {
        return [get](const Row& r) -> QVariant { return static_cast<double>(get(r)); };
    };
    const auto column = [&](const QString& title, int decimals, const QString& tip, auto get) {
        return TableColumn<Row>{title, tip, number(get, decimals), raw(get)};
    };
    setColumns({
        {tr("Layer"),
         {},
         [](const Row& r) -> QVariant { return r.layer; },
         [](const Row& r) -> QVariant { return r.layer; }},
        {tr("Peak"), tr("The expert that was chosen most"),
         [](const Row& r) -> QVariant {
             const auto most = std::max_element(r.counts.begin(), r.counts.end());
             return most == r.counts.end() || *most == 0
                        ? QVariant(QStringLiteral("–"))
                        : QVariant(QStringLiteral("e%1").arg(most - r.counts.begin()));
         },
         [](const Row& r) -> QVariant {
             return qlonglong(std::max_element(r.counts.begin(), r.counts.end()) -
                              r.counts.begin());
         }},
        column(tr("Max/mean"), 2, tr("Load of the busiest expert over the mean; 1 is ideal"),
               [](const Row& r) { return r.balance.maxOverMean; }),
        column(heading(kByChance), 2,
               tr("Max/mean that a perfectly uniform router shows with as many tokens, by chance "
                  "alone"),
               [](const Row& r) { return r.null.maxOverMean; }),
        {tr("Excess"), tr("Max/mean over its chance value; 1: no more imbalance than chance"),
         [](const Row& r) -> QVariant { return formatTimes(r.excess); },
         raw([](const Row& r) { return r.excess; })},
        column(tr("Entropy"), 3, tr("Normalised entropy: over that of a uniform load; 1 is ideal"),
               [](const Row& r) { return r.balance.normalizedEntropy; }),
        column(heading(kEffectiveExperts), 1,
               tr("As many equally loaded ones have the same entropy"),
               [](const Row& r) { return r.balance.effectiveExperts; }),
        column(tr("Gini"), 3, tr("0 is ideal"), [](const Row& r) { return r.balance.gini; }),
        {heading(kDeadExperts), heading(kDeadExpertsNote),
         [](const Row& r) -> QVariant { return qlonglong(r.balance.deadExperts); },
         raw([](const Row& r) { return r.balance.deadExperts; })},
        {tr("Tokens"),
         {},
         [](const Row& r) -> QVariant { return formatCount(r.balance.tokens); },
         raw([](const Row& r) { return r.balance.tokens; })},
    });
}

}  // namespace moescope::gui
