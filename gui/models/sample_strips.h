// SPDX-License-Identifier: Apache-2.0
// What a strip of the timeline shows of a sampled counter: name, scale, and the range of values
// in each pixel column. Plain arithmetic, tested without a window.
#pragma once

#include <QString>
#include <QStringList>
#include <vector>

#include "gui/data/sample_curves.h"
#include "gui/data/selection.h"
#include "gui/models/timeline_mapping.h"

namespace moescope::gui {

/// Values of the samples that overlap a time.
struct SampleSpread {
    float low = 0, high = 0, mean = 0;  ///< mean by the overlaps
    bool sampled = false;               ///< false: no sample overlaps it
};

/// A strip of the timeline, of the sampled metric with the same index in RunData::samples.
struct SampleStrip {
    QString title;             ///< "DRAM read, bytes/s": counterName
    QString scale;             ///< "0 to 3.50 TB/s"
    double low = 0, high = 1;  ///< values at its bottom and top; low < high
};

/// Shares of a peak go from 0 to 100 %, clocks over what they varied, others from 0.
std::vector<SampleStrip> sampleStrips(const std::vector<SampleCurve>& curves);

SampleSpread sampleSpread(const SampleCurve& curve, TimeRange range);
/// Of each of `columns` equal parts of the visible time.
std::vector<SampleSpread> sampleColumns(const SampleCurve& curve, const TimelineMapping& mapping,
                                        int columns);
/// The time of pixel column `column` of `columns`: at least a nanosecond.
TimeRange columnRange(const TimelineMapping& mapping, int column, int columns);

/// Value or values, title and metric, for people; empty when nothing was sampled.
QStringList describeSamples(const SampleStrip& strip, const SampleCurve& curve, TimeRange range);

}  // namespace moescope::gui
