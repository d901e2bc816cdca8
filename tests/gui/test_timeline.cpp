// SPDX-License-Identifier: Apache-2.0
// Mapping, level of detail and range statistics of the timeline, without a window.
#include <QTest>
#include <cmath>
#include <random>

#include "gui/models/timeline_lanes.h"
#include "gui/models/timeline_mapping.h"

using namespace moescope::gui;

class TestTimeline : public QObject {
    Q_OBJECT

    static TimelineLane randomLane(int n) {
        std::mt19937 random(3);
        std::vector<TimelineLane::Event> events;
        std::int64_t now = 500;
        for (int i = 0; i < n; ++i) {
            now += static_cast<std::int64_t>(random() % 300);
            const auto length = static_cast<std::int64_t>(random() % 900);
            events.push_back({now, now + length, static_cast<std::uint32_t>(i),
                              static_cast<std::uint8_t>(random() % 10)});
            now += length;
        }
        return {QStringLiteral("lane"), TimelineLane::Kind::Operations, std::move(events)};
    }

    static RangeStatistics bruteForce(const TimelineLane& lane, TimeRange range) {
        RangeStatistics sum;
        for (const auto& event : lane.events()) {
            if (event.endNs <= range.beginNs || event.startNs >= range.endNs) continue;
            ++sum.events;
            const auto overlap =
                std::min(event.endNs, range.endNs) - std::max(event.startNs, range.beginNs);
            sum.byCategory[event.category] += overlap;
            sum.busyNs += overlap;
        }
        return sum;
    }

private slots:
    void timesOfUnknownOperationsAreToldApartByName() {
        moescope::OperationColumns ops;
        ops.opNames = {"experts", "foo", "bar"};
        ops.op = {0, 1, 2, 1};
        const std::uint8_t other = categoryOf("foo");
        TimelineData data;
        data.lanes.emplace_back(QStringLiteral("lane"), TimelineLane::Kind::Operations,
                                std::vector<TimelineLane::Event>{{0, 10, 0, categoryOf("experts")},
                                                                 {10, 30, 1, other},
                                                                 {30, 35, 2, other},
                                                                 {40, 60, 3, other}});
        QCOMPARE(busyByName(data, ops, other, {0, 100}), (std::vector<std::int64_t>{0, 40, 5}));
        QCOMPARE(busyByName(data, ops, other, {20, 50}), (std::vector<std::int64_t>{0, 20, 5}));
    }

    void mapsTimeToPixelsAndBack() {
        TimelineMapping m{0, 1000, 0, 1000, 100, 500};
        QCOMPARE(m.xOf(0), 100.0);
        QCOMPARE(m.xOf(1000), 600.0);
        QCOMPARE(m.timeAt(350), 500.0);
    }

    void zoomKeepsTheTimeUnderThePointer() {
        TimelineMapping m{0, 1e9, 0, 1e9, 100, 1000};
        const double x = 430, before = m.timeAt(x);
        for (int i = 0; i < 20; ++i) m.zoom(x, 1.25);
        QVERIFY(std::abs(m.timeAt(x) - before) < 1);
        QVERIFY(m.spanNs < 2e7);
    }

    void staysWithinTheTrace() {
        TimelineMapping m{1000, 101000, 1000, 100000, 0, 1000};
        m.zoom(0, 4);
        m.pan(1e9);
        QCOMPARE(m.startNs + m.spanNs, 101000.0);
        m.pan(-1e9);
        QCOMPARE(m.startNs, 1000.0);
        m.zoom(500, 1e-9);
        QCOMPARE(m.spanNs, 100000.0);
        m.zoom(500, 1e12);
        QCOMPARE(m.spanNs, TimelineMapping::kMinSpanNs);
    }

    void ticksFarIntoATraceCountFromABase() {
        TimelineMapping m{0, 4e9, 1.70950e9, 400e3, 0, 1300};
        const TimelineMapping::Axis axis = m.axis(90);
        QCOMPARE(axis.base, QStringLiteral("1.70950 s"));
        QVERIFY(axis.ticks.size() >= 4);
        QCOMPARE(axis.ticks[1].label, QStringLiteral("+50 µs"));
        m.fit();
        QVERIFY(m.axis(90).base.isEmpty());
        QCOMPARE(m.axis(90).ticks[1].label, QStringLiteral("500 ms"));
    }

    void rangeStatisticsEqualBruteForce() {
        const TimelineLane lane = randomLane(1000);
        std::mt19937 random(5);
        const std::int64_t end = lane.events().back().endNs;
        for (int i = 0; i < 300; ++i) {
            const auto a = static_cast<std::int64_t>(random() % static_cast<unsigned>(end + 1000));
            const TimeRange range{a, a + 1 + static_cast<std::int64_t>(random() % 50000)};
            const RangeStatistics got = lane.statistics(range), want = bruteForce(lane, range);
            QCOMPARE(got.busyNs, want.busyNs);
            QCOMPARE(got.byCategory, want.byCategory);
            // An event without length inside the range has no overlap to count either way.
            QVERIFY(std::abs(got.events - want.events) <= 2);
        }
    }

    void columnsEqualBruteForce() {
        const TimelineLane lane = randomLane(700);
        TimelineMapping m;
        m.beginNs = 0;
        m.endNs = static_cast<double>(lane.events().back().endNs);
        m.width = 321;
        m.fit();
        m.zoom(100, 1.7);
        const auto columns = lane.columns(m, 321);
        QCOMPARE(columns.size(), std::size_t{321});
        for (int i = 0; i < 321; ++i) {
            const auto edge = [&](int k) {
                return static_cast<std::int64_t>(std::llround(m.startNs + m.spanNs / 321 * k));
            };
            const RangeStatistics want = bruteForce(lane, {edge(i), edge(i + 1)});
            float sum = 0;
            for (std::size_t c = 0; c < kMaxCategories; ++c) {
                const float share = static_cast<float>(want.byCategory[c]) /
                                    static_cast<float>(edge(i + 1) - edge(i));
                QVERIFY(std::abs(columns[static_cast<std::size_t>(i)][c] - share) < 1e-5F);
                sum += share;
            }
            QVERIFY(sum <= 1.0001F);
        }
    }

    void overlappingEventsGoToFurtherLanes() {
        RunData run;
        for (int i = 0; i < 3; ++i) {
            moescope::StepRow step;
            step.id = i;
            step.kind = "decode";
            step.startNs = i * 10;
            step.endNs = i * 10 + 15;
            run.steps.push_back(step);
        }
        const TimelineData data = makeTimeline(run);
        QCOMPARE(data.lanes.size(), std::size_t{2});
        QCOMPARE(data.lanes[0].events().size(), std::size_t{2});
        QCOMPARE(data.hidden, std::int64_t{0});
        QCOMPARE(data.endNs, std::int64_t{35});
    }

    void aMillionEventsAreFast() {
        const TimelineLane lane = randomLane(1'000'000);
        TimelineMapping m;
        m.endNs = static_cast<double>(lane.events().back().endNs);
        m.width = 1600;
        m.fit();
        QElapsedTimer timer;
        timer.start();
        constexpr int kFrames = 10;
        for (int i = 0; i < kFrames; ++i) lane.columns(m, 1600);
        const double perFrame = static_cast<double>(timer.nsecsElapsed()) / 1e6 / kFrames;
        qInfo("1 M events, 1600 columns: %.2f ms a frame", perFrame);
        QVERIFY(perFrame < 100);  // interactive even on a busy machine; typically 1 ms
    }
};

QTEST_GUILESS_MAIN(TestTimeline)
#include "test_timeline.moc"
