// SPDX-License-Identifier: Apache-2.0
// Inline SVG figures. Each has a title and a description for screen readers, takes its ink from the
// page's style so that it follows light, dark and print, and never tells anything by colour alone.
// Callers put a table of the same numbers beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/analysis/roofline.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/analysis/specialization.h"
#include "reports/curve_set.h"

namespace moescope {

/// `id` must be unique in the page; it names the title element.
struct FigureText {
    std::string id;
    std::string title;
    std::string description;
};

/// One bar per value, labelled below; `format` writes axis labels and hover texts.
struct ColumnChart {
    std::vector<std::string> labels;  ///< (n) as long as values
    std::vector<double> values;       ///< (n)
    std::string horizontal;           ///< name of the horizontal axis
    std::string (*format)(double);
};
std::string columnChart(const FigureText& text, const ColumnChart& chart);

/// Layers down, experts across; colour is load over fair share. The busiest expert of each layer
/// has a dot, an expert without a token a cross.
std::string expertHeatmap(const FigureText& text, std::span<const LayerRouting> routing);

/// Layers down, experts across; colour is the greatest lift of the groups. Where it is
/// reliable (Specialization::reliable) and cells are wide enough, the group's mark stands in the
/// cell.
std::string liftHeatmap(const FigureText& text, const Specialization& of);
/// "A", "B", ..., "Z", "27", ...
std::string groupMark(std::size_t group);

/// Per layer: observed max/mean (dot) against what chance shows (bar from mean to 95th percentile).
std::string balanceChart(const FigureText& text, std::span<const LayerRouting> routing);

/// Kernels under the roofs of memory and arithmetic, on logarithmic axes. Filled points are
/// measured by counters, hollow ones modelled. Needs a point and a finite bandwidth.
std::string rooflineChart(const FigureText& text, const Roofline& of);

/// Lines that differ by colour and dashes, with a dot at each of `marked` (indices into x). Needs a
/// curve.
std::string curveChart(const FigureText& text, const CurveSet& set,
                       std::span<const std::size_t> marked);

struct Interval {
    std::string label;
    double value = 0;
    std::optional<double> low, high, chance;
};
/// One line per interval, with its value as a dot and chance as a tick.
std::string intervalPlot(const FigureText& text, std::span<const Interval> intervals,
                         const char* legend = "value and 95 % interval");

}  // namespace moescope
