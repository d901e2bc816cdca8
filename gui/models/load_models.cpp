// SPDX-License-Identifier: Apache-2.0
#include "gui/models/load_models.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gui/data/format.h"
#include "profiler/analysis/statistics.h"

namespace moescope::gui {

std::vector<ExpertLaunch> chosenLaunches(const ExpertLoad& load, std::span<const StepRow> steps,
                                         std::string_view phase,
                                         std::optional<std::int64_t> sequence,
                                         std::optional<TimeRange> range) {
    std::vector<ExpertLaunch> out;
    for (const ExpertLaunch& launch : load.launches) {
        const StepRow& step = steps[static_cast<std::size_t>(launch.step)];
        if (step.kind != phase || (sequence && step.sequence != *sequence)) continue;
        if (range && (step.startNs < range->beginNs || step.startNs >= range->endNs)) continue;
        out.push_back(launch);
    }
    return out;
}

LoadScatter loadScatter(std::span<const ExpertLaunch> launches, const ExpertLoadPhase& phase,
                        bool adjusted) {
    LoadScatter out;
    for (const ExpertLaunch& launch : launches) {
        out.load.push_back(double(launch.hottestLoad));
        out.ns.push_back(double(launch.ns));
    }
    if (!adjusted || launches.empty() || !phase.fit.estimated() ||
        !phase.fit.coefficients.back().estimated || phase.fit.residuals.size() != launches.size())
        return out;
    const auto meanOf = [](const std::vector<double>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
    };
    const Coefficient& hottest = phase.fit.coefficients.back();
    out.line = LoadLine{meanOf(out.load), meanOf(out.ns) - meanOf(phase.fit.residuals),
                        hottest.value, hottest.low, hottest.high};
    for (std::size_t i = 0; i < launches.size(); ++i)
        out.ns[i] = out.line->at(out.load[i], hottest.value) + phase.fit.residuals[i];
    return out;
}

ScatterLayout ScatterLayout::of(const LoadScatter& points, QRect area) {
    ScatterLayout out{area};
    if (points.load.empty()) return out;
    const auto [least, most] = std::minmax_element(points.load.begin(), points.load.end());
    const double margin = std::max(0.5, (*most - *least) * 0.04);
    out.lowX = *least - margin;
    out.highX = *most + margin;
    std::vector<std::int64_t> times;
    for (const double ns : points.ns) times.push_back(std::llround(ns));
    const Distribution of = distributionOf(times);
    const bool far = of.p95 > 0 && double(of.max) > 4 * of.p95;
    out.highY = 1.04 * std::max(1.0, far ? 2 * of.p95 : double(of.max));
    // Adjusted times may lie below zero; as far as the scale goes above it.
    out.lowY = std::max(std::min(0.0, double(of.min)), -out.highY);
    return out;
}

QPointF ScatterLayout::at(double x, double y) const noexcept {
    return {area.left() + (x - lowX) / (highX - lowX) * area.width(),
            area.top() + (highY - y) / (highY - lowY) * area.height()};
}

QPointF ScatterLayout::shown(double x, double y) const noexcept {
    return at(x, std::clamp(y, lowY, highY));
}

std::optional<std::size_t> ScatterLayout::nearest(const LoadScatter& points, QPointF to,
                                                  double radius) const noexcept {
    std::optional<std::size_t> found;
    double best = radius * radius;
    for (std::size_t i = 0; i < points.load.size(); ++i) {
        const QPointF away = shown(points.load[i], points.ns[i]) - to;
        const double distance = QPointF::dotProduct(away, away);
        if (distance <= best) {
            best = distance;
            found = i;
        }
    }
    return found;
}

LoadFitModel::LoadFitModel(QObject* parent) : RowModel(parent) {
    using Row = Coefficient;
    const auto time = [](const QString& title, const QString& tip, double Row::*of) {
        return TableColumn<Row>{
            title,
            tip,
            [of](const Row& r) -> QVariant {
                return r.estimated && std::isfinite(r.*of) ? formatDuration(r.*of) : QString();
            },
            [of](const Row& r) -> QVariant { return r.estimated ? QVariant(r.*of) : QVariant(); },
            true,
            {},
            QStringLiteral("ns")};
    };
    setColumns({
        {tr("One more …"),
         tr("Least squares with a level for each layer; errors clustered by step"),
         [](const Row& r) -> QVariant {
             if (r.name == "tokens") return tr("token");
             if (r.name == "active experts") return tr("active expert");
             return tr("token in the hottest expert");
         },
         {},
         false},
        time(tr("Adds"), tr("To the time of a launch, the others being equal"), &Row::value),
        time(tr("95 % low"), {}, &Row::low),
        time(tr("95 % high"), {}, &Row::high),
        {tr("Remark"),
         {},
         [](const Row& r) -> QVariant {
             if (!r.estimated) return tr("does not vary by itself");
             if (!std::isfinite(r.low)) return tr("too few steps for an interval");
             return r.low > 0 || r.high < 0 ? tr("beyond noise") : tr("may be zero");
         },
         {},
         false},
    });
}

LoadQuartersModel::LoadQuartersModel(QObject* parent) : RowModel(parent) {
    using Row = LoadQuarter;
    const auto number = [](const QString& title, const QString& tip, double Row::*of) {
        return TableColumn<Row>{title, tip,
                                [of](const Row& r) -> QVariant { return formatNumber(r.*of); },
                                [of](const Row& r) -> QVariant { return r.*of; }};
    };
    setColumns({
        {tr("Launches, coolest quarter first"),
         tr("Ranked by max/mean among launches of about as many tokens"),
         [](const Row& r) -> QVariant { return formatCount(r.launches); },
         [](const Row& r) -> QVariant { return qlonglong(r.launches); }, false},
        number(tr("Max/mean"), tr("Load of the busiest expert over the mean of all"),
               &Row::meanMaxOverMean),
        number(tr("Hottest load"), tr("Tokens of the busiest expert"), &Row::meanHottestLoad),
        number(tr("Active experts"), tr("Chosen by at least one token"), &Row::meanActiveExperts),
        {tr("Time per token"),
         tr("Sum of times / sum of tokens"),
         [](const Row& r) -> QVariant { return formatDuration(r.nsPerToken); },
         [](const Row& r) -> QVariant { return r.nsPerToken; },
         true,
         {},
         QStringLiteral("ns")},
    });
}

LaunchesModel::LaunchesModel(QObject* parent) : RowModel(parent) {
    using Row = ExpertLaunch;
    const auto count = [](const QString& title, const QString& tip, auto of) {
        return TableColumn<Row>{title, tip,
                                [of](const Row& r) -> QVariant { return formatCount(r.*of); },
                                [of](const Row& r) -> QVariant { return qlonglong(r.*of); }};
    };
    setColumns({
        count(tr("Step"), tr("In order of time"), &Row::step),
        count(tr("Layer"), {}, &Row::layer),
        count(tr("Tokens"), {}, &Row::tokens),
        count(tr("Active experts"), tr("Chosen by at least one token"), &Row::activeExperts),
        count(tr("Hottest load"), tr("Tokens of the busiest expert"), &Row::hottestLoad),
        count(tr("Hottest expert"), {}, &Row::hottestExpert),
        {tr("Time"),
         {},
         [](const Row& r) -> QVariant { return formatDuration(double(r.ns)); },
         [](const Row& r) -> QVariant { return qlonglong(r.ns); },
         true,
         {},
         QStringLiteral("ns")},
    });
}

}  // namespace moescope::gui
