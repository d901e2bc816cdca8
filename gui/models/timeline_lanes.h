// SPDX-License-Identifier: Apache-2.0
// Events of a lane with per-category prefix sums, so that the busy share of any time range, hence
// of any pixel column, costs one binary search and at most 64 events whatever the size of the
// trace.
#pragma once

#include <QString>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "gui/data/colors.h"
#include "gui/data/run_data.h"
#include "gui/data/selection.h"
#include "gui/models/timeline_mapping.h"

namespace moescope::gui {

using CategoryTimes = std::array<std::int64_t, kMaxCategories>;  ///< ns busy, by category

struct RangeStatistics {
    std::int64_t events = 0;  ///< that overlap the range
    std::int64_t busyNs = 0;  ///< sum of the overlaps
    CategoryTimes byCategory{};
};

/// Events sorted by start that do not overlap one another (makeLanes sees to that).
class TimelineLane {
public:
    struct Event {
        std::int64_t startNs, endNs;
        std::uint32_t
            id;  ///< index into the steps or operations (of a layer: its first) of the run
        std::uint8_t category;  ///< of a layer: its place among the layers, 0 to kMaxCategories - 1
    };

    enum class Kind : std::uint8_t { Steps, Layers, Operations };

    TimelineLane(QString title, Kind kind, std::vector<Event> events);

    const QString& title() const noexcept { return title_; }
    Kind kind() const noexcept { return kind_; }
    bool showsOperations() const noexcept { return kind_ == Kind::Operations; }
    std::span<const Event> events() const noexcept { return events_; }

    /// First event that ends after `ns`; events().size() when there is none.
    std::size_t firstEndingAfter(std::int64_t ns) const noexcept;
    /// Event that covers `ns`, or nullptr in a gap.
    const Event* eventAt(std::int64_t ns) const noexcept;
    RangeStatistics statistics(TimeRange range) const noexcept;
    /// Busy share (0..1) of each category in each of `columns` equal parts of the visible time.
    std::vector<std::array<float, kMaxCategories>> columns(const TimelineMapping& mapping,
                                                           int columns) const;

private:
    /// Time of each category in all events before `ns`, with the part of the event under way.
    CategoryTimes busyBefore(std::int64_t ns) const noexcept;

    static constexpr std::size_t kBlock = 64;
    QString title_;
    Kind kind_;
    std::vector<Event> events_;
    std::vector<CategoryTimes> before_;  ///< (n_events / kBlock + 1): sums before each block
};

struct TimelineData {
    std::vector<TimelineLane> lanes;
    std::int64_t beginNs = 0, endNs = 0;
    std::int64_t hidden = 0;  ///< events beyond the greatest number of overlapping lanes
};

/// Steps, layers, operations (the operations of a layer that follow one another in a step are one
/// event of the layer); events that overlap go to further lanes, eight at most of each.
TimelineData makeTimeline(const RunData& run);

/// Nanoseconds in `range` of each operation of a category, by index into opNames. Category "other"
/// holds all names that are not the engine's, which are told apart only so. In time proportional to
/// the events in the range.
std::vector<std::int64_t> busyByName(const TimelineData& timeline, const OperationColumns& ops,
                                     std::uint8_t category, TimeRange range);

}  // namespace moescope::gui
