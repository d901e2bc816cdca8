// SPDX-License-Identifier: Apache-2.0
// Sampled counters: curves of bounded size, strips, and the strips of the view "Timeline".
#include <QSettings>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <cmath>
#include <limits>
#include <random>

#include "gui/app/main_window.h"
#include "gui/app/theme.h"
#include "gui/models/sample_strips.h"
#include "gui/widgets/timeline_widget.h"
#include "profiler/runfile/run_writer.h"

using namespace moescope::gui;
using moescope::RunStatus;
using moescope::RunWriter;
using moescope::SampleRow;
using moescope::StepRow;

namespace {

constexpr char kRead[] = "dram__bytes_read.sum.per_second";
constexpr char kShare[] = "sm__cycles_active.avg.pct_of_peak_sustained_elapsed";
constexpr char kClock[] = "sm__cycles_elapsed.avg.per_second";

std::vector<SampleCurve> collect(const std::vector<SampleRow>& rows,
                                 std::size_t most = kMaxSamplePoints) {
    SampleCurveCollector collector(most);
    for (const SampleRow& row : rows) collector.add(row);
    return collector.take();
}

SampleCurve curveOf(const char* metric, const std::vector<double>& values) {
    std::vector<SampleRow> rows;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto start = static_cast<std::int64_t>(i) * 100;
        rows.push_back({start, start + 100, metric, values[i]});
    }
    return collect(rows).at(0);
}

}  // namespace

class TestSamples : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;

    /// Four decode steps of 1 ms; reading is fast in the first half of each and its samples of
    /// the third step are missing.
    QString sampledRun() const {
        const QString path = folder_.filePath(QStringLiteral("sampled.moescope"));
        RunWriter writer(path.toStdString(), RunWriter::Mode::Create, true);
        for (int i = 0; i < 4; ++i)
            writer.add(StepRow{i, 0, "decode", i, 1, i * 1'000'000, (i + 1) * 1'000'000});
        for (int i = 0; i < 40; ++i) {
            const std::int64_t start = i * 100'000, end = start + 100'000;
            const bool fast = i % 10 < 5;
            if (i / 10 != 2) writer.add(SampleRow{start, end, kRead, fast ? 3e12 : 1e12});
            writer.add(SampleRow{start, end, kShare, fast ? 80.0 : 10.0});
            writer.add(SampleRow{start, end, kClock, 1.9e9 + 1e6 * i});
        }
        writer.finish(RunStatus::Done);
        return path;
    }

private slots:
    void initTestCase() {
        QCoreApplication::setOrganizationName(QStringLiteral("moescope-test"));
        QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, folder_.path());
        applyTheme(Theme::Light);
    }

    void samplesWithoutTimeOrValueAreLeftOut() {
        const double nan = std::numeric_limits<double>::quiet_NaN();
        const double infinite = std::numeric_limits<double>::infinity();
        const auto curves = collect({{0, 100, "m", nan},
                                     {0, 0, "m", 1},
                                     {200, 100, "m", 2},
                                     {100, 200, "m", 3},
                                     {200, 300, "m", infinite},
                                     {300, 400, "m", 1e300},  // no number of single precision
                                     {0, 100, "n", nan}});
        QCOMPARE(curves.size(), std::size_t{1});
        QCOMPARE(curves[0].metric, std::string("m"));
        QCOMPARE(curves[0].points.size(), std::size_t{1});
        QCOMPARE(curves[0].points[0].startNs, std::int64_t{100});
        QCOMPARE(curves[0].points[0].mean, 3.0F);
        QVERIFY(collect({}).empty());
    }

    void samplesOutOfOrderAreSortedAndThoseThatOverlapJoined() {
        const SampleCurve curve =
            collect({{300, 400, "m", 4}, {0, 100, "m", 1}, {100, 200, "m", 2}, {150, 250, "m", 8}})
                .at(0);
        QCOMPARE(curve.points.size(), std::size_t{3});
        QCOMPARE(curve.points[0].endNs, std::int64_t{100});
        QCOMPARE(curve.points[1].endNs, std::int64_t{250});
        QCOMPARE(curve.points[1].low, 2.0F);
        QCOMPARE(curve.points[1].high, 8.0F);
        QCOMPARE(curve.points[1].mean, 5.0F);
        QCOMPARE(curve.points[2].startNs, std::int64_t{300});
    }

    void memoryIsBoundedAndExtremesAreKept() {
        constexpr std::size_t kMost = 100;
        std::vector<SampleRow> rows;
        for (int i = 0; i < 10'000; ++i)
            rows.push_back({i * 10, i * 10 + 10, "m", i == 7777 ? 99.0 : i == 1234 ? -5.0 : 1.0});
        const SampleCurve curve = collect(rows, kMost).at(0);
        QVERIFY(curve.points.size() <= kMost && curve.points.size() >= kMost / 4);
        QCOMPARE(curve.points.front().startNs, std::int64_t{0});
        QCOMPARE(curve.points.back().endNs, std::int64_t{100'000});
        const SampleSpread all = sampleSpread(curve, {0, 100'000});
        QCOMPARE(all.low, -5.0F);
        QCOMPARE(all.high, 99.0F);
        QVERIFY(std::abs(all.mean - (9998 + 99 - 5) / 10'000.0F) < 1e-4F);
        QCOMPARE(sampleSpread(curve, {77'770, 77'780}).high, 99.0F);  // where it was
        QCOMPARE(sampleSpread(curve, {50'000, 50'010}).high, 1.0F);
        for (const SamplePoint& point : curve.points) QVERIFY(point.length() <= 2560);  // evenly

        // Even when every sample is far from the others; a pause among many stays one.
        for (SampleRow& row : rows) row.endNs = row.startNs + 1;
        QVERIFY(collect(rows, kMost).at(0).points.size() <= kMost);
        rows.clear();
        for (int i = 0; i < 10'000; ++i)
            rows.push_back(
                {(i < 5000 ? 0 : 70'000) + i * 10, (i < 5000 ? 0 : 70'000) + i * 10 + 10, "m", 1});
        QVERIFY(!sampleSpread(collect(rows, kMost).at(0), {51'000, 119'000}).sampled);

        rows.clear();
        for (int i = 0; i < 100; ++i) rows.push_back({0, 1, "m" + std::to_string(i), 1});
        QCOMPARE(collect(rows).size(), kMaxSampleCurves);
    }

    void columnsEqualBruteForce() {
        std::mt19937 random(3);
        std::vector<SampleRow> rows;
        std::int64_t now = 500;
        for (int i = 0; i < 2000; ++i) {
            now += static_cast<std::int64_t>(random() % 3) * 200;  // gaps
            const auto length = 1 + static_cast<std::int64_t>(random() % 400);
            rows.push_back({now, now + length, "m", static_cast<double>(random() % 1000)});
            now += length;
        }
        const SampleCurve curve = collect(rows).at(0);
        for (const double zoom : {1.0, 50.0, 5000.0}) {
            TimelineMapping m;
            m.endNs = static_cast<double>(now);
            m.width = 321;
            m.fit();
            m.zoom(100, zoom);
            const auto columns = sampleColumns(curve, m, 321);
            QCOMPARE(columns.size(), std::size_t{321});
            for (int i = 0; i < 321; ++i) {
                const TimeRange range = columnRange(m, i, 321);
                QVERIFY(range.beginNs < range.endNs);
                double low = 1e9, high = -1, sum = 0, time = 0;
                for (const SampleRow& row : rows) {
                    const auto overlap = static_cast<double>(std::min(row.endNs, range.endNs) -
                                                             std::max(row.startNs, range.beginNs));
                    if (overlap <= 0) continue;
                    low = std::min(low, row.value);
                    high = std::max(high, row.value);
                    sum += overlap * row.value;
                    time += overlap;
                }
                const SampleSpread& got = columns[static_cast<std::size_t>(i)];
                QCOMPARE(got.sampled, time > 0);
                if (!got.sampled) continue;
                QCOMPARE(static_cast<double>(got.low), low);
                QCOMPARE(static_cast<double>(got.high), high);
                QVERIFY(std::abs(static_cast<double>(got.mean) - sum / time) < 1e-3);
            }
        }
    }

    void aTimeWithoutSamplesHasNoValueAndNoDescription() {
        const SampleCurve curve = collect({{0, 100, "m", 1}, {500, 600, "m", 2}}).at(0);
        QVERIFY(!sampleSpread(curve, {100, 500}).sampled);
        QVERIFY(!sampleSpread(curve, {-50, 0}).sampled);
        QVERIFY(!sampleSpread(curve, {600, 900}).sampled);
        QCOMPARE(sampleSpread(curve, {99, 501}).mean, 1.5F);
        QVERIFY(describeSamples(sampleStrips({curve})[0], curve, {100, 500}).isEmpty());
    }

    void stripsHaveTheScaleOfTheirQuantity() {
        const std::vector<SampleCurve> curves = {
            curveOf(kRead, {1e11, 3.09e12}), curveOf(kShare, {3, 40}),
            curveOf(kClock, {1.79e9, 2.02e9}), curveOf("own__counter.sum", {0, 0}),
            curveOf("own__counter.avg", {-3, 8})};
        const std::vector<SampleStrip> strips = sampleStrips(curves);
        QCOMPARE(strips.size(), curves.size());
        QCOMPARE(strips[0].title, QStringLiteral("DRAM read, bytes/s"));
        QCOMPARE(strips[0].scale, QStringLiteral("0 to 3.50 TB/s"));
        QCOMPARE(strips[1].scale, QStringLiteral("0 to 100 %"));
        QCOMPARE(strips[2].scale, QStringLiteral("1.75 to 2.05 GHz"));
        QCOMPARE(strips[3].title, QStringLiteral("own__counter.sum"));
        for (std::size_t i = 0; i < strips.size(); ++i) {
            QVERIFY(strips[i].low < strips[i].high);
            for (const SamplePoint& point : curves[i].points)
                QVERIFY(strips[i].low <= static_cast<double>(point.low) &&
                        strips[i].high >= static_cast<double>(point.high));
        }
        QCOMPARE(strips[3].low, 0.0);
        QVERIFY(sampleStrips({}).empty());
    }

    void valuesAreDescribedWithTheirUnitAndMetric() {
        const SampleCurve curve = curveOf(kRead, {1e12, 3e12});
        const SampleStrip strip = sampleStrips({curve})[0];
        QCOMPARE(
            describeSamples(strip, curve, {10, 20}),
            (QStringList{QStringLiteral("DRAM read, bytes/s: 1.00 TB/s"), QLatin1String(kRead)}));
        QCOMPARE(
            describeSamples(strip, curve, {0, 200}),
            (QStringList{QStringLiteral("DRAM read, bytes/s: 2.00 TB/s"),
                         QStringLiteral("samples from 1.00 to 3.00 TB/s"), QLatin1String(kRead)}));
    }

    void theViewDrawsAStripForEachCounterOnTheAxisOfTheLanes() {
        MainWindow window;
        window.resize(1280, 800);
        window.show();
        window.openRun(sampledRun());
        window.showView(QStringLiteral("timeline"));
        QTRY_VERIFY_WITH_TIMEOUT(window.run() != nullptr && !window.isBusy(), 20000);
        QCOMPARE(window.run()->samples.size(), std::size_t{3});
        auto* timeline = window.view(QStringLiteral("timeline"))->findChild<TimelineWidget*>();
        QVERIFY(timeline != nullptr && timeline->isVisible());
        const QRect read = timeline->stripRect(0), clock = timeline->stripRect(2);
        QVERIFY(read.top() > timeline->laneRect(0).bottom());
        QVERIFY(timeline->stripRect(1).top() > read.bottom());
        QVERIFY(clock.bottom() < timeline->height());
        // Bytes and shares of the same traffic are told apart by names that are shown whole.
        const std::vector<SampleStrip> dram = sampleStrips(
            {curveOf("dram__bytes_write.sum.per_second", {1, 2}),
             curveOf("dram__write_throughput.avg.pct_of_peak_sustained_elapsed", {1, 2})});
        QVERIFY(dram[0].title != dram[1].title);
        for (const SampleStrip& strip : dram)
            QVERIFY(timeline->fontMetrics().horizontalAdvance(strip.title) <= read.left() - 16);
        const auto xOf = [&](double ns) { return static_cast<int>(timeline->mapping().xOf(ns)); };

        // The curve lies high where the reading is fast, low where it is slow, nowhere in the gap.
        const QColor line = timeline->palette().color(QPalette::Link);
        const auto heightAt = [&](double ns) {
            const QImage image = timeline->grab().toImage();
            for (int y = read.top(); y <= read.bottom(); ++y)
                if (QColor(image.pixel(xOf(ns), y)) == line) return read.bottom() - y;
            return -1;
        };
        const int fast = heightAt(250'000), slow = heightAt(750'000);
        QVERIFY(slow > 0 && fast >= 3 * slow - 3 && fast < read.height());
        QCOMPARE(heightAt(2'500'000), -1);

        QSignalSpy hovered(timeline, &TimelineWidget::hovered);
        QTest::mouseMove(timeline, {xOf(250'000), read.center().y()});
        QVERIFY(!hovered.isEmpty());
        QCOMPARE(hovered.last()[0].toString(),
                 QStringLiteral("DRAM read, bytes/s: 3.00 TB/s, ") + QLatin1String(kRead));
        QTest::mouseMove(timeline, {xOf(2'500'000), read.center().y()});
        QVERIFY(hovered.last()[0].toString().isEmpty());

        window.selection().edit([](SelectionState& s) { s.range = TimeRange{0, 1'000'000}; });
        const DataTable* counters = nullptr;
        for (const DataTable* table :
             window.view(QStringLiteral("timeline"))->findChildren<DataTable*>())
            if (table->accessibleName() == QStringLiteral("Sampled counters")) counters = table;
        QVERIFY(counters != nullptr && counters->isVisible());
        QVERIFY(counters->toTsv().contains(
            QStringLiteral("DRAM read, bytes/s\t2.00 TB/s\t1.00 TB/s\t3.00 TB/s")));
        window.selection().edit([](SelectionState& s) { s.range.reset(); });

        timeline->showRange({500'000, 1'000'000});  // zooms the strips with the lanes
        QCOMPARE(heightAt(600'000), slow);
        QCOMPARE(heightAt(900'000), slow);
    }

    void aRunWithoutSamplesHasNoStripsAndNeedsNoMoreRoom() {
        TimelineWidget widget;
        const QSize least = widget.minimumSizeHint();
        auto run = std::make_shared<RunData>();
        run->steps.push_back({0, 0, "decode", 0, 1, 0, 1000});
        widget.setTimeline(std::make_shared<const Timeline>(buildTimeline(run)));
        QCOMPARE(widget.minimumSizeHint(), least);
        run->samples = {curveOf(kRead, {1, 2})};
        widget.setTimeline(std::make_shared<const Timeline>(buildTimeline(run)));
        QVERIFY(widget.sizeHint().height() > widget.laneRect(1).top());
    }
};

QTEST_MAIN(TestSamples)
#include "test_samples.moc"
