// SPDX-License-Identifier: Apache-2.0
// Exports of Nsight Systems that other programs, or enemies, made.
#include <sqlite3.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "engine/core/error.h"
#include "profiler/import/importers.h"
#include "profiler/runfile/run_reader.h"
#include "profiler/runfile/sqlite.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

namespace {

constexpr const char* kTables = R"sql(
CREATE TABLE StringIds (id INTEGER, value TEXT);
INSERT INTO StringIds VALUES (1, 'kernA'), (2, 'kernB');
CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end, streamId, correlationId, globalPid, shortName);
CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, end, globalTid, correlationId);
CREATE TABLE NVTX_EVENTS (start, end, eventType, text, globalTid);
)sql";

/// Times and ids as they come from `sql`, in which P1 and P2 are two processes.
std::filesystem::path exportOf(const TempDir& dir, std::string sql) {
    for (const auto& [name, number] :
         std::map<std::string, std::string>{{"P1", std::to_string(std::int64_t{1} << 24U)},
                                            {"P2", std::to_string(std::int64_t{2} << 24U)}})
        for (std::size_t at = sql.find(name); at != std::string::npos; at = sql.find(name))
            sql.replace(at, name.size(), number);
    const auto path = dir / "x.sqlite";
    sqlite::Database db(sqlite::fileUri(path, {}), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        path);
    db.exec(sql);
    return path;
}

ImportRequest requestFor(const TempDir& dir, const std::string& sql) {
    ImportRequest request;
    request.kind = "nsys";
    request.files = {exportOf(dir, sql)};
    request.out = dir / "out.moescope";
    return request;
}

/// Operation and layer of each kernel.
std::map<std::string, std::string> imported(const TempDir& dir, const std::string& sql) {
    const ImportRequest request = requestFor(dir, sql);
    importFiles(request);
    std::map<std::string, std::string> out;
    RunReader(request.out).operations([&](const OperationRow& row) {
        out[row.kernel.empty() ? row.op : row.kernel] = row.op + " " + std::to_string(row.layer);
        return true;
    });
    return out;
}

using Found = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("processes that use the same correlation ids keep their launches apart") {
    const TempDir dir;
    CHECK(imported(dir, std::string(kTables) + R"sql(
INSERT INTO NVTX_EVENTS VALUES (100, 200, 59, 'attention layer=1', P1+1);
INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (110, 112, P1+1, 5);
INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (120, 130, 7, 5, P1, 1);
INSERT INTO NVTX_EVENTS VALUES (1000, 1100, 59, 'experts layer=9', P2+1);
INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (1010, 1012, P2+1, 5);
INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1020, 1030, 7, 5, P2, 2);
)sql") == Found{{"kernA", "attention 1"}, {"kernB", "experts 9"}});
}

TEST_CASE("ranges of other threads do not name a kernel, ranges of the process do") {
    const TempDir dir;
    CHECK(imported(dir, std::string(kTables) + R"sql(
INSERT INTO NVTX_EVENTS VALUES (100, 2000, 59, 'experts layer=3', P1+1);
INSERT INTO NVTX_EVENTS VALUES (500, 900, 59, 'decode jpeg', P1+2);
INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (600, 602, P1+1, 5);
INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (610, 650, 7, 5, P1, 1);
INSERT INTO NVTX_EVENTS VALUES (700, 900, 60, 'request', P1+2);
INSERT INTO NVTX_EVENTS VALUES (700, 900, 60, 'of another process', P2+1);
INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (800, 802, P1+1, 6);
INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (810, 850, 7, 6, P1, 2);
)sql") == Found{{"kernA", "experts 3"}, {"kernB", "request 3"}});
}

TEST_CASE("an export without threads and processes is read as one thread's") {
    const TempDir dir;
    CHECK(imported(dir, R"sql(
CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end, correlationId);
CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, end, correlationId);
CREATE TABLE NVTX_EVENTS (start, end, eventType, text);
INSERT INTO NVTX_EVENTS VALUES (100, 200, 59, 'mlp layer=4');
INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (110, 112, 5);
INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (300, 310, 5);
)sql") == Found{{"mlp", "mlp 4"}});
}

TEST_CASE("graphs that were traced as a whole are work of the device") {
    const TempDir dir;
    CHECK(imported(dir, R"sql(
CREATE TABLE CUPTI_ACTIVITY_KIND_GRAPH_TRACE (start, end, streamId, correlationId, globalPid);
INSERT INTO CUPTI_ACTIVITY_KIND_GRAPH_TRACE VALUES (100, 200, 7, 5, P1);
)sql") == Found{{"graph", "graph -1"}});
}

TEST_CASE("a view in place of a table is not run") {
    const TempDir dir;
    const auto what = test::thrownBy<Error>([&] {
        importFiles(requestFor(dir, R"sql(
CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS WITH RECURSIVE c(x) AS
(SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x AS start, x AS end FROM c;
)sql"));
    });
    CHECK(what.find("holds no kernels") != std::string::npos);
}

TEST_CASE("an import that is stopped ends while it reads") {
    const TempDir dir;
    ImportRequest request = requestFor(
        dir, std::string(kTables) +
                 "INSERT INTO NVTX_EVENTS VALUES (100, 200, 59, 'before any kernel', P1+1);");
    const std::atomic<bool> stop{true};
    request.stop = &stop;
    CHECK_THROWS_AS(importFiles(request), Interrupted);
    CHECK_FALSE(std::filesystem::exists(request.out));
}
