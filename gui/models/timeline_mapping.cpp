// SPDX-License-Identifier: Apache-2.0
#include "gui/models/timeline_mapping.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "gui/data/format.h"

namespace moescope::gui {
namespace {

struct Unit {
    double ns;
    const char* name;
};
constexpr std::array<Unit, 4> kUnits = {{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}}};

double niceStep(double least) {
    const double power = std::pow(10.0, std::floor(std::log10(least)));
    for (const double multiple : {1.0, 2.0, 5.0}) {
        if (multiple * power >= least * (1 - 1e-9)) return multiple * power;
    }
    return 10 * power;
}

/// Units in which the step is a whole number, so that labels need no decimals.
Unit unitFor(double step) {
    for (const Unit& unit : kUnits) {
        if (step >= unit.ns * (1 - 1e-9)) return unit;
    }
    return kUnits.back();
}

}  // namespace

void TimelineMapping::clamp() noexcept {
    const double whole = std::max(endNs - beginNs, kMinSpanNs);
    spanNs = std::clamp(spanNs, kMinSpanNs, whole);
    startNs = std::clamp(startNs, beginNs, beginNs + whole - spanNs);
}

void TimelineMapping::fit() noexcept {
    startNs = beginNs;
    spanNs = endNs - beginNs;
    clamp();
}

void TimelineMapping::show(double fromNs, double toNs) noexcept {
    startNs = std::min(fromNs, toNs);
    spanNs = std::abs(toNs - fromNs);
    clamp();
}

void TimelineMapping::zoom(double x, double factor) noexcept {
    const double anchor = timeAt(x);
    const double whole = std::max(endNs - beginNs, kMinSpanNs);
    spanNs = std::clamp(spanNs / factor, kMinSpanNs, whole);
    startNs = anchor - (x - left) / width * spanNs;
    clamp();
}

void TimelineMapping::pan(double pixels) noexcept {
    startNs += pixels / width * spanNs;
    clamp();
}

TimelineMapping::Axis TimelineMapping::axis(double minPixels) const {
    const double step = std::max(1.0, niceStep(spanNs * minPixels / width));
    const Unit unit = unitFor(step);
    const double first = std::ceil(startNs / step);
    Axis axis;
    // Below four digits a label is short enough without a base.
    double base = 0;
    if ((startNs + spanNs) / unit.ns > 9999) {
        base = std::floor(startNs / step) * step;
        const Unit baseUnit = unitFor(base);
        const int decimals =
            std::clamp(static_cast<int>(std::ceil(std::log10(baseUnit.ns / step) - 1e-9)), 0, 9);
        axis.base = formatFixed(base / baseUnit.ns, decimals) + QChar(' ') +
                    QString::fromUtf8(baseUnit.name);
    }
    const auto count = static_cast<int>(spanNs / step) + 2;
    for (int i = 0; i < count; ++i) {
        const double ns = (first + i) * step;
        if (ns > startNs + spanNs) break;
        const double shown = std::round((ns - base) / unit.ns);
        axis.ticks.push_back({xOf(ns), (base > 0 ? QStringLiteral("+") : QString()) +
                                           formatFixed(shown, 0) + QChar(' ') +
                                           QString::fromUtf8(unit.name)});
    }
    return axis;
}

}  // namespace moescope::gui
