// SPDX-License-Identifier: Apache-2.0
// SQLite exports of Nsight Systems (nsys export --type sqlite): kernels, copies and memsets as
// operations, named by the NVTX ranges they were launched in.
//
// A kernel belongs to the ranges that were open on the host when it was launched: the start of the
// RUNTIME row of its process and correlationId, or its own start where the export has no such row.
// Ranges are those of the thread that launched it (start/end ranges: of its process), as far as the
// export says which these are. The innermost range is its operation, a range "step N decode
// sequence=S position=P tokens=T" (as MoEScope writes it) its step, and the innermost that names a
// layer ("layer 5", "layers.5", "layer=5") its layer. Without steps the whole capture is one step
// of kind "capture". Columns differ between versions of nsys, so they are probed.
#include <sqlite3.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/import/routed_facts.h"
#include "profiler/runfile/sqlite.h"

namespace moescope {
namespace {

using sqlite::Database;
using sqlite::Statement;

constexpr const char* kKernels = "CUPTI_ACTIVITY_KIND_KERNEL";
constexpr const char* kCopies = "CUPTI_ACTIVITY_KIND_MEMCPY";
constexpr const char* kSets = "CUPTI_ACTIVITY_KIND_MEMSET";
constexpr const char* kGraphs = "CUPTI_ACTIVITY_KIND_GRAPH_TRACE";  // graphs as a whole
constexpr const char* kRuntime = "CUPTI_ACTIVITY_KIND_RUNTIME";
constexpr std::int64_t kStartEndRange = 60;  ///< NVTX event type: may end on another thread
constexpr std::int64_t kMaxRanges = 50'000'000;

/// None of a view or a virtual table: that could run any query, for ever.
std::set<std::string> columnsOf(Database& db, const char* table) {
    std::set<std::string> names;
    Statement info(db,
                   "SELECT c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c "
                   "WHERE t.type='table' AND t.rootpage>0 AND t.name=?");
    info.bind(std::string_view(table));
    while (info.step()) names.insert(info.text(0));
    return names;
}

/// A range of the host, or the step that one of ours stands for.
struct Range {
    std::int64_t startNs = 0, endNs = 0;
    std::string text;
    int step = -1;  ///< index into the steps when the text is one of ours
    int layer = -1;
    std::int64_t thread = -1;  ///< globalTid; -1: the export does not say
    bool anyThread = false;    ///< of the process
};

/// globalTid and globalPid hold the process above these bits.
constexpr std::int64_t processOf(std::int64_t global) {
    return global >= 0 ? global >> 24 : -1;
}

/// The number after "layer" and at most one of " =._" (or "layers"); -1 without one.
int layerIn(const std::string& text) {
    std::string lower = text;
    for (char& c : lower) c = char(std::tolower(static_cast<unsigned char>(c)));
    for (std::size_t at = lower.find("layer"); at != std::string::npos;
         at = lower.find("layer", at + 1)) {
        std::size_t i = at + 5;
        if (i < lower.size() && lower[i] == 's') ++i;
        if (i < lower.size() && std::string_view(" =._:[").find(lower[i]) != std::string_view::npos)
            ++i;
        int value = 0;
        if (i < lower.size() && std::sscanf(lower.c_str() + i, "%5d", &value) == 1 && value >= 0)
            return value;
    }
    return -1;
}

std::optional<StepRow> stepIn(const Range& range) {
    long long id = 0, sequence = 0, position = 0, tokens = 0;
    char kind[16] = {};
    if (std::sscanf(range.text.c_str(), "step %lld %15s sequence=%lld position=%lld tokens=%lld",
                    &id, kind, &sequence, &position, &tokens) != 5)
        return std::nullopt;
    // Anybody's text: no step of ours is longer, and the sums over all steps must not overflow.
    constexpr long long kMost = std::numeric_limits<std::int32_t>::max();
    if (position < 0 || position > kMost || tokens < 0 || tokens > kMost) return std::nullopt;
    return StepRow{id, sequence, kind, position, tokens, range.startNs, range.endNs};
}

/// A name for the table: what the range says, without the layer that has a column of its own.
std::string operationName(const Range& range) {
    const std::size_t layer = range.text.find(" layer=");
    return range.layer >= 0 && layer != std::string::npos ? range.text.substr(0, layer)
                                                          : range.text;
}

struct DeviceWork {
    std::int64_t startNs = 0, endNs = 0, hostNs = 0, bytes = 0, stream = 0;
    std::string op, kernel;  ///< op of copies and sets; of a kernel that no range names it
    int step = -1, layer = -1;
    std::int64_t thread = -1, process = -1;  ///< that launched it; -1: not known
};

/// Whether work that was launched while the range was open was launched in it.
bool holds(const Range& range, const DeviceWork& item) {
    if (range.thread < 0) return true;
    if (item.thread >= 0 && !range.anyThread) return range.thread == item.thread;
    return item.process < 0 || processOf(range.thread) == item.process;
}

class Capture {
public:
    Capture(const std::filesystem::path& path, const StopFlag* stop)
        : stop_(stop),
          db_(sqlite::fileUri(path, "mode=ro"), SQLITE_OPEN_READONLY, path,
              "Nsight Systems export") {
        kernels_ = columnsOf(db_, kKernels);
        copies_ = columnsOf(db_, kCopies);
        sets_ = columnsOf(db_, kSets);
        graphs_ = columnsOf(db_, kGraphs);
        if (kernels_.empty() && copies_.empty() && sets_.empty() && graphs_.empty())
            throw Error(path.string() + ": holds no kernels of an Nsight Systems export",
                        "make it with: nsys export --type sqlite FILE.nsys-rep");
        const std::set<std::string> runtime = columnsOf(db_, kRuntime);
        runtime_ = runtime.count("correlationId") > 0;
        threads_ = runtime.count("globalTid") > 0;
        names_ = columnsOf(db_, "StringIds").count("value") > 0;
        readRanges();
        readWork();
        attribute();
    }

    std::vector<Range> ranges;
    std::vector<StepRow> steps;
    std::vector<DeviceWork> work;  ///< by start
    std::int64_t badStamps = 0, unattributed = 0;
    std::set<std::int64_t> streams;

    std::string device() {
        if (columnsOf(db_, "TARGET_INFO_GPU").count("name") == 0) return {};
        Statement gpu(db_, "SELECT name FROM TARGET_INFO_GPU WHERE typeof(name)='text' LIMIT 1");
        return gpu.step() ? gpu.text(0) : std::string();
    }

private:
    void readRanges() {
        const std::set<std::string> columns = columnsOf(db_, "NVTX_EVENTS");
        if (columns.count("start") == 0 || columns.count("end") == 0) return;
        const bool ids = names_ && columns.count("textId") > 0;
        const std::string text = ids ? "coalesce(n.text, s.value)" : "n.text";
        // 59 and 60: push/pop and start/end ranges.
        const std::string thread = columns.count("globalTid") > 0 ? number("n.globalTid") : "-1";
        Statement rows(db_, "SELECT n.start, n.end, " + text + ", " + thread +
                                ", n.eventType FROM NVTX_EVENTS AS n" +
                                (ids ? " LEFT JOIN StringIds AS s ON s.id=n.textId" : "") +
                                " WHERE n.eventType IN (59, 60) AND n.end >= n.start AND " + text +
                                " IS NOT NULL ORDER BY n.start, n.end DESC");
        while (rows.step()) {
            throwIfStopped(stop_);
            if (std::int64_t(ranges.size()) >= kMaxRanges) db_.damaged("too many NVTX ranges");
            Range range{rows.count(0), rows.count(1), rows.text(2)};
            range.layer = layerIn(range.text);
            range.thread = rows.integer(3);
            range.anyThread = rows.integer(4) == kStartEndRange;
            if (std::optional<StepRow> step = stepIn(range)) {
                range.step = int(steps.size());
                steps.push_back(*std::move(step));
            }
            ranges.push_back(std::move(range));
        }
    }

    /// -1 for what is no number.
    static std::string number(const std::string& column) {
        return "CASE typeof(" + column + ") WHEN 'integer' THEN " + column + " ELSE -1 END";
    }

    std::string select(const char* table, const std::set<std::string>& columns,
                       const std::string& op, const std::string& name) const {
        const auto has = [&](const char* column) { return columns.count(column) > 0; };
        const bool host = runtime_ && has("correlationId");
        const std::string process = has("globalPid") ? number("k.globalPid") + " >> 24" : "-1";
        // Correlation ids are unique in one process only.
        const std::string launch =
            " FROM temp.launch AS r WHERE r.correlationId=k.correlationId" +
            (threads_ && has("globalPid") ? " AND r.process=" + process : std::string());
        return "SELECT k.start, k.end, " + std::string(has("bytes") ? "k.bytes" : "0") + ", " +
               (has("streamId") ? "k.streamId" : "0") + ", " + op + ", " + name + ", " +
               (host ? "coalesce((SELECT r.start" + launch + "), k.start)" : "k.start") + ", " +
               (host ? "coalesce((SELECT r.thread" + launch + "), -1)" : "-1") + ", " + process +
               " FROM " + table + " AS k";
    }

    /// An index makes the look-up bearable, and the export has none.
    void indexLaunches() {
        if (!runtime_) return;
        const std::string thread = threads_ ? number("globalTid") : "-1";
        db_.exec(
            "CREATE TEMP TABLE launch (correlationId INTEGER, process INTEGER, start INTEGER, "
            "thread INTEGER, PRIMARY KEY (correlationId, process)) WITHOUT ROWID;"
            "INSERT OR IGNORE INTO temp.launch SELECT correlationId, " +
            thread + " >> 24, start, " + thread + " FROM " + kRuntime +
            " WHERE correlationId > 0 ORDER BY start");
    }

    void readWork() {
        indexLaunches();
        const std::string string = "coalesce((SELECT value FROM StringIds WHERE id=k.%), '')";
        const auto named = [&](const char* column) {
            std::string text = string;
            return text.replace(text.find('%'), 1, column);
        };
        if (!kernels_.empty()) {
            const char* column = kernels_.count("shortName") > 0 ? "shortName" : "demangledName";
            read(select(kKernels, kernels_, "'kernel'", names_ ? named(column) : "''"));
        }
        if (!copies_.empty())
            read(select(kCopies, copies_,
                        copies_.count("copyKind") > 0
                            ? "CASE k.copyKind WHEN 1 THEN 'memcpy_htod' WHEN 2 THEN "
                              "'memcpy_dtoh' WHEN 8 THEN 'memcpy_dtod' WHEN 9 THEN "
                              "'memcpy_htoh' WHEN 10 THEN 'memcpy_ptop' ELSE 'memcpy' END"
                            : "'memcpy'",
                        "''"));
        if (!sets_.empty()) read(select(kSets, sets_, "'memset'", "''"));
        if (!graphs_.empty()) read(select(kGraphs, graphs_, "'graph'", "''"));
        std::stable_sort(work.begin(), work.end(), [](const DeviceWork& a, const DeviceWork& b) {
            return a.startNs < b.startNs;
        });
    }

    void read(const std::string& sql) {
        Statement rows(db_, sql);
        while (rows.step()) {
            throwIfStopped(stop_);
            DeviceWork item{rows.integer(0), rows.integer(1), rows.integer(6), rows.integer(2),
                            rows.integer(3), rows.text(4),    rows.text(5)};
            if (item.startNs <= 0 || item.endNs < item.startNs) {
                ++badStamps;
                continue;
            }
            item.bytes = std::max<std::int64_t>(0, item.bytes);
            item.thread = rows.integer(7);
            item.process = item.thread >= 0 ? processOf(item.thread) : rows.integer(8);
            streams.insert(item.stream);
            work.push_back(std::move(item));
        }
    }

    /// One sweep over the host's times with the ranges that are open.
    void attribute() {
        std::vector<std::size_t> order(work.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            return work[a].hostNs < work[b].hostNs;
        });
        std::vector<const Range*> open;  // by start
        std::size_t next = 0;
        for (const std::size_t i : order) {
            throwIfStopped(stop_);
            DeviceWork& item = work[i];
            for (; next < ranges.size() && ranges[next].startNs <= item.hostNs; ++next)
                open.push_back(&ranges[next]);
            // Half open: a kernel that starts as a range ends belongs to the next one.
            std::erase_if(open, [&](const Range* r) { return r->endNs <= item.hostNs; });
            const Range* innermost = nullptr;
            for (auto range = open.rbegin(); range != open.rend(); ++range) {
                if (!holds(**range, item)) continue;
                if (innermost == nullptr) innermost = *range;
                if (item.step < 0) item.step = (*range)->step;
                if (item.layer < 0) item.layer = (*range)->layer;
            }
            if (innermost == nullptr) {
                ++unattributed;
            } else if (item.op == "kernel" && innermost->step < 0) {
                item.op = operationName(*innermost);
            }
        }
    }

    const StopFlag* stop_;
    Database db_;
    std::set<std::string> kernels_, copies_, sets_, graphs_;
    bool runtime_ = false, threads_ = false, names_ = false;
};

/// Steps as they are, or one that holds everything. Work between two steps belongs to the one
/// before, as sampling does in a profile of our own.
void completeSteps(Capture& capture) {
    if (capture.steps.empty()) {
        StepRow all{0, 0, "capture"};
        all.startNs = capture.work.empty() ? 0 : capture.work.front().startNs;
        for (const DeviceWork& item : capture.work) all.endNs = std::max(all.endNs, item.endNs);
        capture.steps.push_back(all);
    }
    int latest = 0;
    for (DeviceWork& item : capture.work) {
        if (item.step < 0) item.step = latest;
        latest = item.step;
    }
}

void addQuality(RunWriter& writer, const Capture& capture) {
    writer.add(QualityRow{"bad_device_stamps", double(capture.badStamps), "records",
                          capture.badStamps == 0,
                          "Records without a usable begin and end; they are left out."});
    writer.add(QualityRow{"unattributed_kernels", double(capture.unattributed), "records",
                          capture.unattributed == 0,
                          "Launched outside every NVTX range: they have no operation and no "
                          "layer."});
    writer.add(QualityRow{"streams", double(capture.streams.size()), "streams", true,
                          "Work of different streams may overlap: shares are of summed times."});
}

}  // namespace

void importNsys(const ImportRequest& request, RunWriter& writer) {
    if (request.files.size() != 1)
        throw UsageError("'import nsys' takes one file: each capture is a run of its own");
    const std::filesystem::path& path = request.files.front();
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error))
        throw Error(path.string() + ": no such file");
    Capture capture(path, request.stop);
    completeSteps(capture);
    writer.setMeta("sources", nlohmann::json::array({sourceOf(path, request.stop)}));
    writer.setMeta("model", nlohmann::json{{"name", path.stem().string()}});
    if (const std::string gpu = toValidUtf8(capture.device()); !gpu.empty())
        writer.setMeta("machine", nlohmann::json{{"gpu", gpu}});
    std::map<std::int64_t, SequenceRow> sequences;
    for (const StepRow& step : capture.steps) {
        SequenceRow& row = sequences[step.sequence];
        row.id = step.sequence;
        row.label = path.stem().string();
        (step.kind == "decode" ? row.generatedTokens : row.promptTokens) += step.tokens;
        writer.add(step);
    }
    for (auto& [id, row] : sequences) writer.add(row);
    std::int64_t id = 0;
    for (const DeviceWork& item : capture.work) {
        throwIfStopped(request.stop);
        OperationRow row;
        row.id = id++;
        row.step = capture.steps[std::size_t(item.step)].id;
        row.layer = item.layer;
        row.op = toValidUtf8(item.op);
        row.kernel = toValidUtf8(item.kernel);
        row.startNs = item.startNs;
        row.endNs = item.endNs;
        row.bytes = item.bytes;
        row.threads = 0;
        writer.add(row);
    }
    addQuality(writer, capture);
}

}  // namespace moescope
