// SPDX-License-Identifier: Apache-2.0
// Tables and columns as Nsight Systems 2025 exports them; readers probe for columns, since they
// differ by version, so those that a run has nothing for are left out of the optional ones.
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "profiler/analysis/quality_block.h"
#include "profiler/analysis/time_breakdown.h"
#include "profiler/export/device_work.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"
#include "profiler/export/utc_time.h"
#include "profiler/runfile/copy_directions.h"
#include "profiler/runfile/sqlite.h"

namespace moescope {
namespace {

using sqlite::Database;
using sqlite::Statement;

constexpr const char* kSchema = R"sql(
CREATE TABLE META_DATA_EXPORT (name TEXT, value TEXT);
CREATE TABLE StringIds (id INTEGER NOT NULL PRIMARY KEY, value TEXT);
CREATE TABLE TARGET_INFO_SESSION_START_TIME (utcEpochNs INTEGER);
CREATE TABLE TARGET_INFO_GPU (id INTEGER NOT NULL, name TEXT, busLocation TEXT);
CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (
    start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,
    contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL,
    correlationId INTEGER, globalPid INTEGER, demangledName INTEGER NOT NULL,
    shortName INTEGER NOT NULL, mangledName INTEGER, launchType INTEGER, cacheConfig INTEGER,
    registersPerThread INTEGER NOT NULL, gridX INTEGER NOT NULL, gridY INTEGER NOT NULL,
    gridZ INTEGER NOT NULL, blockX INTEGER NOT NULL, blockY INTEGER NOT NULL,
    blockZ INTEGER NOT NULL, staticSharedMemory INTEGER NOT NULL,
    dynamicSharedMemory INTEGER NOT NULL, localMemoryPerThread INTEGER NOT NULL,
    localMemoryTotal INTEGER NOT NULL, gridId INTEGER NOT NULL, sharedMemoryExecuted INTEGER,
    graphNodeId INTEGER, sharedMemoryLimitConfig INTEGER);
CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (
    start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,
    contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL,
    correlationId INTEGER, globalPid INTEGER, bytes INTEGER NOT NULL, copyKind INTEGER NOT NULL,
    deprecatedSrcId INTEGER, srcKind INTEGER, dstKind INTEGER, srcDeviceId INTEGER,
    srcContextId INTEGER, dstDeviceId INTEGER, dstContextId INTEGER, migrationCause INTEGER,
    graphNodeId INTEGER, virtualAddress INTEGER, copyCount INTEGER);
CREATE TABLE CUPTI_ACTIVITY_KIND_MEMSET (
    start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,
    contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL,
    correlationId INTEGER, globalPid INTEGER, value INTEGER NOT NULL, bytes INTEGER NOT NULL,
    graphNodeId INTEGER, memKind INTEGER);
CREATE TABLE CUPTI_ACTIVITY_KIND_GRAPH_TRACE (
    start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,
    contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL,
    correlationId INTEGER, globalPid INTEGER, graphId INTEGER, graphExecId INTEGER);
CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (
    start INTEGER NOT NULL, end INTEGER NOT NULL, eventClass INTEGER NOT NULL, globalTid INTEGER,
    correlationId INTEGER, nameId INTEGER NOT NULL, returnValue INTEGER NOT NULL,
    callchainId INTEGER);
CREATE TABLE NVTX_EVENTS (
    start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER,
    category INTEGER, color INTEGER, text TEXT, globalTid INTEGER, endGlobalTid INTEGER,
    textId INTEGER, domainId INTEGER, uint64Value INTEGER, int64Value INTEGER, doubleValue REAL,
    uint32Value INTEGER, int32Value INTEGER, floatValue REAL, jsonTextId INTEGER, jsonText TEXT);
)sql";

constexpr std::int64_t kProcess = std::int64_t{1} << 24U;  ///< globalPid of process 1
constexpr std::int64_t kThread = kProcess + 1;             ///< globalTid of its thread 1
constexpr std::int64_t kPushPopRange = 59;                 ///< NVTX event type
/// ENUM_CUDA_MEMCPY_OPER by the letters that operations and kernels of imported copies carry.
constexpr std::pair<std::string_view, std::int64_t> kCopyKinds[]{
    {"htod", 1}, {"dtoh", 2}, {"dtod", 8}};

std::int64_t memcpyOper(const DeviceEventRow& copy) {
    if (const std::int64_t kind = copyKind(copy.name); kind != 0) return kind;
    std::string text = copy.op + " " + copy.name;
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    for (const auto& [letters, kind] : kCopyKinds)
        if (text.find(letters) != std::string::npos) return kind;
    return 0;
}

class Strings {
public:
    explicit Strings(Database& db) : insert_(db, "INSERT INTO StringIds VALUES (?, ?)") {}
    std::int64_t of(const std::string& text) {
        const auto [entry, fresh] = ids_.emplace(text, std::int64_t(ids_.size()));
        if (fresh) insert_.bind(entry->second).bind(std::string_view(entry->first)).run();
        return entry->second;
    }

private:
    Statement insert_;
    std::unordered_map<std::string, std::int64_t> ids_;
};

void writeFacts(Database& db, const RunReader& run) {
    Statement fact(db, "INSERT INTO META_DATA_EXPORT VALUES (?, ?)");
    const auto add = [&](const std::string& name, const std::string& value) {
        fact.bind(std::string_view(name)).bind(std::string_view(value)).run();
    };
    for (const QualityLine& line : qualityBlock(run.meta(), run.status(), run.quality()))
        add("MOESCOPE_QUALITY " + line.label,
            (line.ok ? "" : "! ") + line.value + (line.note.empty() ? "" : ": " + line.note));
    add("MOESCOPE_EXPORTED_FROM", run.path().filename().string());
    add("MOESCOPE_NOTE", "shaped like an Nsight Systems export, not made by Nsight Systems");
    Statement start(db, "INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES (?)");
    start.bind(utcNanoseconds(run.meta("started_utc"))).run();
    const nlohmann::json machine = run.metaJson("machine"), watched = run.metaJson("device");
    std::string device;
    if (watched.is_object() && watched.contains("device") && watched["device"].is_string())
        device = watched["device"];
    else if (machine.is_object() && machine.contains("gpu") && machine["gpu"].is_string())
        device = machine["gpu"];
    else if (machine.is_object() && machine.contains("cpu_model") &&
             machine["cpu_model"].is_string())
        device = "no GPU: CPU operations on " + machine["cpu_model"].get<std::string>();
    else
        device = "unknown device";
    Statement gpu(db, "INSERT INTO TARGET_INFO_GPU VALUES (0, ?, '')");
    gpu.bind(std::string_view(device)).run();
}

/// An operation of the CPU in the form of work on a device: device 0, stream 1.
DeviceEventRow asDeviceWork(const OperationRow& row, std::int64_t correlation) {
    DeviceEventRow event;
    event.op = row.op;
    event.kind = !isCopy(row.op, row.kernel)    ? "kernel"
                 : row.op.starts_with("memset") ? "set"
                                                : "copy";
    event.name = row.kernel.empty() ? row.op : row.kernel;
    event.shape.grid = event.shape.block = {1, 1, 1};
    event.stream = 1;
    event.startNs = row.startNs;
    event.endNs = row.endNs;
    event.correlation = correlation;
    event.bytes = row.bytes;
    return event;
}

/// The inserts of device work and of the calls that launched it.
class Device {
public:
    Device(Database& db, Strings& strings)
        : strings_(strings),
          kernel_(db,
                  "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL (start, end, deviceId, contextId, "
                  "streamId, correlationId, globalPid, graphNodeId, demangledName, shortName, "
                  "registersPerThread, gridX, gridY, gridZ, blockX, blockY, blockZ, "
                  "staticSharedMemory, dynamicSharedMemory, localMemoryPerThread, "
                  "localMemoryTotal, gridId) VALUES (?, ?, ?, 1, ?, ?, ?, nullif(?, 0), ?, ?, ?, "
                  "?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)"),
          copy_(db,
                "INSERT INTO CUPTI_ACTIVITY_KIND_MEMCPY (start, end, deviceId, contextId, "
                "streamId, correlationId, globalPid, graphNodeId, bytes, copyKind) "
                "VALUES (?, ?, ?, 1, ?, ?, ?, nullif(?, 0), ?, ?)"),
          set_(db,
               "INSERT INTO CUPTI_ACTIVITY_KIND_MEMSET (start, end, deviceId, contextId, "
               "streamId, correlationId, globalPid, graphNodeId, value, bytes) "
               "VALUES (?, ?, ?, 1, ?, ?, ?, nullif(?, 0), 0, ?)"),
          graph_(db,
                 "INSERT INTO CUPTI_ACTIVITY_KIND_GRAPH_TRACE (start, end, deviceId, contextId, "
                 "streamId, correlationId, globalPid, graphId) VALUES (?, ?, ?, 1, ?, ?, ?, ?)"),
          launch_(db,
                  "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME (start, end, eventClass, globalTid, "
                  "correlationId, nameId, returnValue) VALUES (?, ?, 0, ?, ?, ?, 0)") {}

    void add(const DeviceEventRow& event) {
        if (event.kind == "set") {
            place(set_, event).bind(event.bytes).run();
        } else if (event.kind == "copy") {
            place(copy_, event).bind(event.bytes).bind(memcpyOper(event)).run();
        } else if (event.kind == "graph") {
            graph_.bind(event.startNs)
                .bind(event.endNs)
                .bind(std::int64_t{event.device})
                .bind(std::int64_t{event.stream})
                .bind(event.correlation)
                .bind(kProcess)
                .bind(event.graph)
                .run();
        } else {
            const std::int64_t name = strings_.of(event.name);
            const LaunchShapeRow& shape = event.shape;
            place(kernel_, event).bind(name).bind(name).bind(std::int64_t{shape.registers});
            for (const auto* dimension : {&shape.grid, &shape.block})
                for (const std::int32_t length : *dimension) kernel_.bind(std::int64_t{length});
            kernel_.bind(std::int64_t{shape.staticShared})
                .bind(std::int64_t{shape.dynamicShared})
                .run();
        }
        // A graph's nodes share one launch.
        if (!event.launchStartNs || !event.launchEndNs ||
            !launched_.insert(event.correlation).second)
            return;
        launch_.bind(*event.launchStartNs)
            .bind(*event.launchEndNs)
            .bind(kThread)
            .bind(event.correlation)
            .bind(strings_.of(launchName(event)))
            .run();
    }

private:
    static const char* launchName(const DeviceEventRow& event) {
        if (launchedByGraph(event)) return "cudaGraphLaunch";
        if (event.kind == "copy") return "cudaMemcpyAsync";
        return event.kind == "set" ? "cudaMemsetAsync" : "cudaLaunchKernel";
    }
    static Statement& place(Statement& statement, const DeviceEventRow& event) {
        return statement.bind(event.startNs)
            .bind(event.endNs)
            .bind(std::int64_t{event.device})
            .bind(std::int64_t{event.stream})
            .bind(event.correlation)
            .bind(kProcess)
            .bind(event.node);
    }

    Strings& strings_;
    Statement kernel_, copy_, set_, graph_, launch_;
    std::unordered_set<std::int64_t> launched_;
};

/// Push/pop ranges of the one thread: steps, and inside and between them operations.
class Ranges {
public:
    explicit Ranges(Database& db)
        : insert_(db,
                  "INSERT INTO NVTX_EVENTS (start, end, eventType, text, globalTid, domainId) "
                  "VALUES (?, ?, ?, ?, ?, 0)") {}
    void add(std::int64_t startNs, std::int64_t endNs, const std::string& text) {
        insert_.bind(startNs)
            .bind(endNs)
            .bind(kPushPopRange)
            .bind(std::string_view(text))
            .bind(kThread)
            .run();
    }

private:
    Statement insert_;
};

std::string rangeText(const std::string& op, std::int32_t layer) {
    return op + (layer >= 0 ? " layer=" + std::to_string(layer) : "");
}

void addOperations(Device& device, Ranges& ranges, const RunReader& run) {
    std::int64_t correlation = 0;
    run.operations([&](const OperationRow& row) {
        device.add(asDeviceWork(row, ++correlation));
        ranges.add(row.startNs, row.endNs, rangeText(row.op, row.layer));
        return true;
    });
}

/// Ranges are the host's: an operation's is from its first launch to the end of its last. Nodes of
/// a replayed graph were launched together, so that no range of the host tells them apart.
void addDeviceWork(Device& device, Ranges& ranges, const RunReader& run) {
    struct Range {
        std::int64_t startNs = 0, endNs = 0;
        std::string text;
    };
    std::map<std::int64_t, Range> operations;
    for (const DeviceEventRow& event : deviceWork(run)) {
        device.add(event);
        if (event.node != 0 || event.operation < 0 || !event.launchStartNs || !event.launchEndNs)
            continue;
        const auto [range, fresh] = operations.try_emplace(
            event.operation,
            Range{*event.launchStartNs, *event.launchEndNs, rangeText(event.op, event.layer)});
        range->second.startNs = std::min(range->second.startNs, *event.launchStartNs);
        range->second.endNs = std::max(range->second.endNs, *event.launchEndNs);
    }
    for (const auto& [id, range] : operations) ranges.add(range.startNs, range.endNs, range.text);
}

}  // namespace

void writeNsysSqlite(const RunReader& run, const std::filesystem::path& path) {
    ExportFile out(path);
    {
        Database db(sqlite::fileUri(out.partPath(), "mode=rw"), SQLITE_OPEN_READWRITE, path,
                    "Nsight Systems export");
        // Nobody reads the file before it is whole, and no journal must be left beside it by a full
        // disk. SQLite refuses OFF in a defensive connection, without an error.
        db.exec("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; BEGIN;");
        db.exec(kSchema);
        writeFacts(db, run);
        Ranges ranges(db);
        for (const StepRow& step : run.steps())
            ranges.add(step.startNs, step.endNs,
                       "step " + std::to_string(step.id) + " " + step.kind +
                           " sequence=" + std::to_string(step.sequence) +
                           " position=" + std::to_string(step.firstPosition) +
                           " tokens=" + std::to_string(step.tokens));
        Strings strings(db);
        Device device(db, strings);
        if (run.deviceEventCount() > 0)
            addDeviceWork(device, ranges, run);
        else
            addOperations(device, ranges, run);
        // As nsys: a table without rows does not exist.
        for (const char* table : {"CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY",
                                  "CUPTI_ACTIVITY_KIND_MEMSET", "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
                                  "CUPTI_ACTIVITY_KIND_RUNTIME", "NVTX_EVENTS"})
            if (db.integer("SELECT count(*) FROM " + std::string(table)) == 0)
                db.exec("DROP TABLE " + std::string(table));
        db.exec("COMMIT");
    }
    out.close();
}

}  // namespace moescope
