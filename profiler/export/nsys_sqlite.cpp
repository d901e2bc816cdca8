// SPDX-License-Identifier: Apache-2.0
// Tables and columns as Nsight Systems 2025 exports them; readers probe for columns, since they
// differ by version, so those that a run has nothing for are left out of the optional ones.
#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

#include "profiler/analysis/quality_block.h"
#include "profiler/analysis/time_breakdown.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"
#include "profiler/export/utc_time.h"
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
CREATE TABLE NVTX_EVENTS (
    start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER,
    category INTEGER, color INTEGER, text TEXT, globalTid INTEGER, endGlobalTid INTEGER,
    textId INTEGER, domainId INTEGER, uint64Value INTEGER, int64Value INTEGER, doubleValue REAL,
    uint32Value INTEGER, int32Value INTEGER, floatValue REAL, jsonTextId INTEGER, jsonText TEXT);
)sql";

constexpr std::int64_t kProcess = std::int64_t{1} << 24U;  ///< globalPid of process 1
constexpr std::int64_t kThread = kProcess + 1;             ///< globalTid of its thread 1
constexpr std::int64_t kPushPopRange = 59;                 ///< NVTX event type
/// ENUM_CUDA_MEMCPY_OPER by the letters that kernels and operations of copies carry.
constexpr std::pair<std::string_view, std::int64_t> kCopyKinds[]{
    {"htod", 1}, {"dtoh", 2}, {"dtod", 8}};

std::int64_t copyKind(std::string text) {
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
    const nlohmann::json machine = run.metaJson("machine");
    std::string device;
    if (machine.is_object() && machine.contains("gpu") && machine["gpu"].is_string())
        device = machine["gpu"];
    else if (machine.is_object() && machine.contains("cpu_model") &&
             machine["cpu_model"].is_string())
        device = "no GPU: CPU operations on " + machine["cpu_model"].get<std::string>();
    else
        device = "unknown device";
    Statement gpu(db, "INSERT INTO TARGET_INFO_GPU VALUES (0, ?, '')");
    gpu.bind(std::string_view(device)).run();
}

/// The inserts of device work; correlationId is the operation's place in the run.
class Device {
public:
    Device(Database& db, Strings& strings)
        : strings_(strings),
          kernel_(db,
                  "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL (start, end, deviceId, contextId, "
                  "streamId, correlationId, globalPid, demangledName, shortName, "
                  "registersPerThread, gridX, gridY, gridZ, blockX, blockY, blockZ, "
                  "staticSharedMemory, dynamicSharedMemory, localMemoryPerThread, "
                  "localMemoryTotal, gridId) VALUES (?, ?, 0, 1, ?, ?, ?, ?, ?, 0, 1, 1, 1, 1, 1, "
                  "1, 0, 0, 0, 0, 0)"),
          copy_(db,
                "INSERT INTO CUPTI_ACTIVITY_KIND_MEMCPY (start, end, deviceId, contextId, "
                "streamId, correlationId, globalPid, bytes, copyKind) "
                "VALUES (?, ?, 0, 1, ?, ?, ?, ?, ?)"),
          set_(db,
               "INSERT INTO CUPTI_ACTIVITY_KIND_MEMSET (start, end, deviceId, contextId, "
               "streamId, correlationId, globalPid, value, bytes) "
               "VALUES (?, ?, 0, 1, ?, ?, ?, 0, ?)") {}

    void add(const OperationRow& row, std::int64_t correlation) {
        if (!isCopy(row.op)) {
            const std::int64_t name = strings_.of(row.kernel.empty() ? row.op : row.kernel);
            place(kernel_, row, correlation).bind(name).bind(name).run();
        } else if (row.op.starts_with("memset")) {
            place(set_, row, correlation).bind(row.bytes).run();
        } else {
            place(copy_, row, correlation)
                .bind(row.bytes)
                .bind(copyKind(row.op + " " + row.kernel))
                .run();
        }
    }

private:
    static Statement& place(Statement& statement, const OperationRow& row,
                            std::int64_t correlation) {
        return statement.bind(row.startNs)
            .bind(row.endNs)
            .bind(std::int64_t{1})
            .bind(correlation)
            .bind(kProcess);
    }

    Strings& strings_;
    Statement kernel_, copy_, set_;
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

}  // namespace

void writeNsysSqlite(const RunReader& run, const std::filesystem::path& path) {
    ExportFile out(path);
    {
        Database db(sqlite::fileUri(out.partPath(), "mode=rw"), SQLITE_OPEN_READWRITE, path,
                    "Nsight Systems export");
        // Nobody reads the file before it is whole, and a crash leaves nothing behind anyway.
        db.exec("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;");
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
        std::int64_t correlation = 0;
        run.operations([&](const OperationRow& row) {
            device.add(row, ++correlation);
            ranges.add(row.startNs, row.endNs,
                       row.op + (row.layer >= 0 ? " layer=" + std::to_string(row.layer) : ""));
            return true;
        });
        // As nsys: a table without rows does not exist.
        for (const char* table : {"CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY",
                                  "CUPTI_ACTIVITY_KIND_MEMSET", "NVTX_EVENTS"})
            if (db.integer("SELECT count(*) FROM " + std::string(table)) == 0)
                db.exec("DROP TABLE " + std::string(table));
        db.exec("COMMIT");
    }
    out.close();
}

}  // namespace moescope
