// SPDX-License-Identifier: Apache-2.0
#include "reports/depth_curves.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "reports/json_number.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

constexpr std::array<DepthFigure, 4> kFigures{{
    {"excess", "excess over chance",
     "max/mean over what a router without favourites shows by chance for as many tokens", 1,
     "chance", [](const DepthLayer& l) { return l.excess; },
     [](double value) { return formatFixed(value, 2); }},
    {"normalized_entropy", "normalised entropy", "entropy of the load / log2 of the experts", 1,
     "even load", [](const DepthLayer& l) { return l.normalizedEntropy; },
     [](double value) { return formatFixed(value, 4); }},
    {"effective_share", "effective experts / experts", "2^entropy / experts of the layer", 1,
     "even load", [](const DepthLayer& l) { return l.effectiveShare; },
     [](double value) { return formatFixed(value, 4); }},
    {"ns_per_token", "time per token", "of the layer's operations, prompt and reply together",
     DepthLayer::kUnknown, "", [](const DepthLayer& l) { return l.nsPerToken; }, formatDuration},
}};

/// Room around the values, from 0 where they are times.
void setRange(CurveSet& set, bool fromZero) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const Curve& curve : set.curves) {
        for (const double value : curve.values) {
            if (!std::isfinite(value)) continue;
            low = std::min(low, value);
            high = std::max(high, value);
        }
    }
    const double margin = std::max((high - low) * 0.06, std::abs(high) * 1e-3);
    set.low = fromZero ? 0 : low - margin;
    set.high = high + margin;
    if (!(set.low < set.high)) set.high = set.low + 1;
}

}  // namespace

std::span<const DepthFigure> depthFigures() {
    return kFigures;
}

CurveSet depthCurves(std::span<const DepthRun> runs, const DepthFigure& figure) {
    CurveSet set;
    set.horizontal = "relative depth";
    set.vertical = figure.title;
    set.format = figure.text;
    set.whole = false;
    for (const DepthRun& run : runs)
        for (const DepthLayer& layer : run.profile.of)
            if (std::isfinite(figure.value(layer))) set.x.push_back(layer.depth);
    if (set.x.empty()) return set;
    for (const double end : {0.0, 1.0}) set.x.push_back(end);  // the axis is the whole model
    std::sort(set.x.begin(), set.x.end());
    set.x.erase(std::unique(set.x.begin(), set.x.end()), set.x.end());
    for (const DepthRun& run : runs) {
        Curve curve{run.title, std::vector<double>(set.x.size(), DepthLayer::kUnknown)};
        curve.label = run.label;
        bool any = false;
        for (const DepthLayer& layer : run.profile.of) {
            const double value = figure.value(layer);
            if (!std::isfinite(value)) continue;
            const auto at = std::lower_bound(set.x.begin(), set.x.end(), layer.depth);
            curve.values[static_cast<std::size_t>(at - set.x.begin())] = value;
            any = true;
        }
        if (any) set.curves.push_back(std::move(curve));
    }
    if (std::isfinite(figure.even)) {
        Curve even{figure.evenTitle, std::vector<double>(set.x.size(), DepthLayer::kUnknown)};
        even.values.front() = even.values.back() = figure.even;
        even.chance = true;
        even.label = figure.evenTitle;
        set.curves.push_back(std::move(even));
    }
    setRange(set, !std::isfinite(figure.even));
    return set;
}

std::vector<std::string> depthSentences(std::span<const DepthRun> runs) {
    std::vector<std::string> out;
    for (const DepthRun& run : runs)
        if (run.profile.empty()) out.push_back(run.title + " has no line. " + run.profile.reason);
    return out;
}

nlohmann::json depthJson(const DepthProfile& profile) {
    nlohmann::json rows = nlohmann::json::array();
    for (const DepthLayer& layer : profile.of) {
        nlohmann::json row = {{"layer", layer.layer}, {"depth", layer.depth}};
        for (const DepthFigure& figure : kFigures)
            row[figure.key] = jsonNumber(figure.value(layer));
        row["chance_normalized_entropy"] = jsonNumber(layer.chanceEntropy);
        rows.push_back(std::move(row));
    }
    return {{"layers", profile.layers},
            {"reason", profile.empty() ? nlohmann::json(profile.reason) : nlohmann::json()},
            {"rows", std::move(rows)}};
}

}  // namespace moescope
