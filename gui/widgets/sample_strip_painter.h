// SPDX-License-Identifier: Apache-2.0
// Draws a strip of a sampled counter: in each pixel column the range of the samples and their mean.
#pragma once

#include <QPalette>
#include <QRect>

#include "gui/models/sample_strips.h"

class QPainter;

namespace moescope::gui {

/// Least height of a strip, in pixels: its label has two lines.
int leastStripHeight(const QFontMetrics& metrics);

/// Name and scale into `label`, the curve into `area`, whose columns are those of `mapping`.
void paintSampleStrip(QPainter& painter, const SampleStrip& strip, const SampleCurve& curve,
                      const TimelineMapping& mapping, const QRect& label, const QRect& area,
                      const QPalette& palette);

}  // namespace moescope::gui
