// SPDX-License-Identifier: Apache-2.0
// Time to pixels and back, zoom, pan and axis ticks. Plain arithmetic, tested without a window.
#pragma once

#include <QString>
#include <cstdint>
#include <vector>

namespace moescope::gui {

/// The visible part of [beginNs, endNs] drawn into pixels [left, left + width).
struct TimelineMapping {
    double beginNs = 0, endNs = 1;   ///< extent of the whole trace
    double startNs = 0, spanNs = 1;  ///< visible part
    double left = 0, width = 1;      ///< pixels

    static constexpr double kMinSpanNs = 100;

    double xOf(double ns) const noexcept { return left + (ns - startNs) / spanNs * width; }
    double timeAt(double x) const noexcept { return startNs + (x - left) / width * spanNs; }

    void fit() noexcept;                             ///< all of the trace
    void show(double fromNs, double toNs) noexcept;  ///< exactly this, clamped to the trace
    void zoom(double x, double factor) noexcept;     ///< factor > 1 shows less; time under x stays
    void pan(double pixels) noexcept;                ///< positive shows later times

    struct Tick {
        double x;
        QString label;
    };
    struct Axis {
        QString base;  ///< time that the tick labels count from; empty when that is zero
        std::vector<Tick> ticks;
    };
    /// Ticks at 1, 2 or 5 x 10^n at least `minPixels` apart. Far into a trace the base is said once
    /// and ticks read "+100 µs".
    Axis axis(double minPixels) const;

private:
    void clamp() noexcept;
};

}  // namespace moescope::gui
