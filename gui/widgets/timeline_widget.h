// SPDX-License-Identifier: Apache-2.0
// Timeline with level of detail: boxes where events are wide enough, else stacked columns with the
// busy share of each category; below, a strip for each sampled counter. Lanes are cached as a
// picture; pointer and selection lie over it.
#pragma once

#include <QPixmap>
#include <QWidget>
#include <memory>
#include <optional>
#include <vector>

#include "gui/data/selection.h"
#include "gui/models/sample_strips.h"
#include "gui/models/timeline_lanes.h"

namespace moescope::gui {

struct Timeline {
    RunPtr run;
    TimelineData data;
    std::vector<SampleStrip> strips;  ///< of run->samples
};
/// Lanes and strips of a run, in time proportional to its operations and samples.
Timeline buildTimeline(RunPtr run);
using TimelinePtr = std::shared_ptr<const Timeline>;

class TimelineWidget : public QWidget {
    Q_OBJECT
public:
    explicit TimelineWidget(QWidget* parent = nullptr);

    void setTimeline(TimelinePtr timeline);
    void setSelectedRange(std::optional<TimeRange> range);  ///< no signal
    void setHighlight(const QString& operation);            ///< others fade; empty: none
    struct Hits {
        std::int64_t names = 0, calls = 0;
    };
    /// Operations whose name or title contains `needle` stay, others fade.
    Hits setSearch(const QString& needle);
    const TimelineMapping& mapping() const noexcept { return mapping_; }
    QRect laneRect(int lane) const;  ///< of its boxes
    void fit();
    void showRange(TimeRange range);

    QRect stripRect(int strip) const;  ///< of its curve

    /// Everything at its least height, but no more than a small window has room for.
    QSize minimumSizeHint() const override;
    QSize sizeHint() const override;  ///< everything, strips at an easily readable height

signals:
    void rangeSelected(std::optional<moescope::gui::TimeRange> range);
    void operationActivated(const QString& operation, int layer);
    void viewChanged();
    void hovered(const QString& text);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void changeEvent(QEvent* event) override;

private:
    struct Hit {
        const TimelineLane* lane = nullptr;
        const TimelineLane::Event* event = nullptr;
    };
    void invalidate();
    void renderLanes();
    void paintAxis(QPainter& painter) const;
    QColor fillOf(const TimelineLane& lane, std::uint8_t category) const;
    /// By index into the run's opNames; empty: no operation is looked for, and none fades.
    const std::vector<bool>& wanted() const { return searching_ ? found_ : selected_; }
    bool isWanted(const TimelineLane::Event& event) const;
    void keepWanted();
    QString nameOf(const TimelineLane& lane, const TimelineLane::Event& event) const;
    void paintBoxes(QPainter& painter, const TimelineLane& lane, const QRect& rect) const;
    void paintColumns(QPainter& painter, const TimelineLane& lane, const QRect& rect) const;
    void paintSelection(QPainter& painter) const;
    void paintCard(QPainter& painter) const;
    void paintLane(QPainter& painter, const TimelineLane& lane, const QRect& rect) const;
    int lanesBottom() const;
    int heightOf(int strip) const;  ///< of everything when strips have this height
    Hit hitAt(QPoint point) const;
    std::optional<std::size_t> stripAt(QPoint point) const;
    QStringList describeAt(QPoint point) const;  ///< empty where nothing is
    QStringList describe(const Hit& hit) const;
    void stepEvent(int direction);
    std::int64_t clampedTime(double x) const;

    TimelinePtr timeline_;
    TimelineMapping mapping_;
    std::optional<TimeRange> range_;
    std::vector<bool> selected_, found_;
    /// Of each lane of operations what is wanted; empty while nothing fades.
    std::vector<TimelineLane> kept_;
    bool searching_ = false;
    QPixmap lanes_;
    bool dirty_ = true;
    std::optional<QPoint> pointer_;
    std::optional<int> dragFrom_;  ///< x where a range drag began
    std::optional<int> panFrom_;
    bool dragged_ = false;
};

}  // namespace moescope::gui
