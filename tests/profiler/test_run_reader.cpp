// SPDX-License-Identifier: Apache-2.0
// Hostile and damaged files: one sentence that names the file and the cause, never a crash.
#include <sqlite3.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/runfile/run_reader.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;
using test::thrownBy;

namespace {

std::filesystem::path smallRun(const TempDir& dir) {
    const auto path = dir / "run.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(SequenceRow{0, "s", "g", 2, 0});
    writer.add(StepRow{0, 0, "prefill", 0, 2, 0, 100});
    writer.add(OperationRow{0, 0, 0, "router", "k", 0, 90, 1, 1, 1});
    writer.add(RoutingCountRow{0, "prefill", 0, 1, 2});
    writer.add(RoutingTokensRow{0, 0, 0, 2, 1, {1, 1}, {1, 1}});
    for (int i = 0; i < 500; ++i) writer.add(TokenRow{0, i, i, "token text", true, -1.5});
    writer.finish(RunStatus::Done);
    return path;
}

/// Changes the file behind the reader's back, as an attacker or a bad disk would.
void tamper(const std::filesystem::path& path, const char* sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    char* message = nullptr;
    const int code = sqlite3_exec(db, sql, nullptr, nullptr, &message);
    INFO(sql << ": " << (message != nullptr ? message : ""));
    CHECK(code == SQLITE_OK);
    sqlite3_free(message);
    sqlite3_close(db);
}

/// Opens the file and reads everything in it; returns the error's text.
std::string readAll(const std::filesystem::path& path) {
    return thrownBy<Error>([&] {
        const RunReader run(path);
        summarize(run);
        for (const SequenceRow& sequence : run.sequences()) {
            run.tokens(sequence.id);
            run.routingTokens(sequence.id);
        }
        for (const SuiteRow& suite : run.suites()) run.items(suite.id);
    });
}

std::string afterTampering(const char* sql) {
    const TempDir dir;
    const auto path = smallRun(dir);
    tamper(path, sql);
    const std::string what = readAll(path);
    INFO(what);
    CHECK(what.find(path.string() + ": ") == 0);
    return what;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("files that are no run files are named and explained") {
    const TempDir dir;
    CHECK(readAll(dir / "absent") == (dir / "absent").string() + ": no such file");
    CHECK(contains(readAll(dir.path()), "is a folder"));
    writeFile(dir / "empty", "");
    CHECK(contains(readAll(dir / "empty"), "empty"));
    writeFile(dir / "text", std::string(10000, 'a'));
    CHECK(contains(readAll(dir / "text"), "not a SQLite database"));
    tamper(dir / "other.db", "CREATE TABLE t (x)");
    CHECK(contains(readAll(dir / "other.db"), "not a MoEScope run file"));
    REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
    CHECK(contains(readAll(dir / "pipe"), "not a regular file"));
}

TEST_CASE("a newer schema is refused with both versions") {
    const std::string what = afterTampering("PRAGMA user_version=99");
    CHECK(contains(what, "99"));
    CHECK(contains(what, "version 5"));
}

TEST_CASE("damaged contents are refused with their cause") {
    CHECK(contains(afterTampering("DROP TABLE step"), "table step"));
    CHECK(contains(afterTampering("DROP TABLE step; CREATE VIEW step AS SELECT 1"), "table step"));
    CHECK(contains(afterTampering("DROP TABLE step; CREATE TABLE step (id)"), "no such column"));
    CHECK(contains(afterTampering("UPDATE step SET tokens='many'"), "tokens holds no integer"));
    CHECK(contains(afterTampering("UPDATE step SET tokens=-4"), "negative"));
    CHECK(contains(afterTampering("UPDATE step SET end_ns=-1"), "is negative"));
    CHECK(contains(afterTampering("UPDATE step SET start_ns=end_ns+1"), "ends before"));
    CHECK(contains(afterTampering("UPDATE operation_event SET op=77"), "no text"));
    CHECK(contains(afterTampering("UPDATE routing_count SET count=-1"), "negative"));
    CHECK(contains(afterTampering("UPDATE routing_count SET expert=2000000000"), "expert"));
    CHECK(contains(afterTampering("UPDATE routing_count SET layer=2000000000"), "layer"));
    CHECK(contains(afterTampering("UPDATE routing_tokens SET top_k=4"), "bytes"));
    CHECK(contains(afterTampering("UPDATE routing_tokens SET tokens=2000000000"), "bytes"));
    CHECK(contains(afterTampering("UPDATE routing_tokens SET experts=x'01'"), "bytes"));
    CHECK(contains(afterTampering("UPDATE routing_tokens SET tokens=2000000000, top_k=0, "
                                  "experts=x'', weights=x''"),
                   "impossible routing_tokens size"));
    CHECK(contains(afterTampering("UPDATE routing_tokens SET weights=x'0102030405'"), "bytes"));
    CHECK(contains(afterTampering("UPDATE token SET token=9999999999"), "32-bit"));
    CHECK(contains(afterTampering("UPDATE meta SET value='odd' WHERE key='status'"), "status"));
}

TEST_CASE("truncation at any page and flipped bytes never crash") {
    const TempDir dir;
    const std::string whole = readFile(smallRun(dir));
    const auto path = dir / "bad.moescope";
    int refused = 0;
    for (std::size_t size = 1; size < whole.size(); size += 1999) {
        writeFile(path, std::string_view(whole).substr(0, size));
        refused += readAll(path).empty() ? 0 : 1;
    }
    CHECK(refused == int((whole.size() - 2) / 1999) + 1);
    std::uint64_t random = 1;
    for (int round = 0; round < 60; ++round) {
        std::string bytes = whole;
        for (int i = 0; i < 8; ++i) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            bytes[(random >> 33U) % bytes.size()] ^= char(1U << ((random >> 29U) & 7U));
        }
        writeFile(path, bytes);
        readAll(path);  // whatever it finds, it is an Error or a row, never undefined behaviour
    }
}

TEST_CASE("reading stops when it is told to") {
    const TempDir dir;
    const auto path = dir / "long.moescope";
    {
        RunWriter writer(path, RunWriter::Mode::Create);
        for (int i = 0; i < 20'000; ++i) writer.add(TokenRow{0, i, i, "t", true, -1.5});
        writer.finish(RunStatus::Done);
    }
    StopFlag stop = false;
    const RunReader run(path, &stop);
    CHECK(run.tokens(0).size() == 20'000);
    stop = true;
    CHECK_THAT(thrownBy<Interrupted>([&] { run.tokens(0); }), Catch::Contains("long.moescope"));
    stop = false;
    CHECK(run.tokens(0).size() == 20'000);
}

TEST_CASE("reading does not change the file") {
    const TempDir dir;
    const auto path = smallRun(dir);
    const std::string before = readFile(path);
    CHECK(readAll(path).empty());
    CHECK(readFile(path) == before);
    CHECK_FALSE(std::filesystem::exists(path.string() + "-wal"));
}
