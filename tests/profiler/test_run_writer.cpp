// SPDX-License-Identifier: Apache-2.0
// What a run file promises: everything committed survives a kill, a full disk and a second writer.
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/runfile/run_reader.h"
#include "profiler/runfile/run_writer.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;
using test::thrownBy;

namespace {

TokenRow token(std::int64_t position, std::string text = "a") {
    return {0, position, 7, std::move(text), position < 2, std::nullopt};
}

/// Runs `body` in a child process; returns its wait status. The child never returns to Catch2.
template <typename Body>
pid_t spawn(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            ::_exit(body());
        } catch (...) {
            ::_exit(99);
        }
    }
    return child;
}

int exitCode(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Runs body(ready) in a process that is killed some time after it called ready().
template <typename Body>
void killWhenReady(Body body) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = spawn([&] {
        body([&] {
            if (::write(ready[1], "x", 1) != 1) ::_exit(98);
        });
        return 0;
    });
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ::kill(child, SIGKILL);
    CHECK(exitCode(child) == -1);
}

}  // namespace

TEST_CASE("every kind of row comes back as it was written") {
    const TempDir dir;
    const auto path = dir / "all #1?.moescope";  // characters that a SQLite URI must escape
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.setMeta("kind", "profile");
    writer.setMeta("model", nlohmann::json{{"name", "demo"}});
    writer.add(SequenceRow{3, "prompt 3", "law", 5, 2});
    writer.add(TokenRow{3, 0, 11, std::string("\xE2\x00x", 3), true, std::nullopt});
    writer.add(TokenRow{3, 1, 12, "b", false, -0.25});
    writer.add(StepRow{1, 3, "prefill", 0, 5, 10, 90});
    writer.add(OperationRow{1, 1, -1, "embed", "copy", 10, 20, 100, 200, 2});
    writer.add(OperationRow{2, 1, 0, "router", "", 20, 80, 300, 400, 1});
    writer.add(RoutingCountRow{3, "prefill", 0, 31, 20});
    writer.add(RoutingTokensRow{3, 0, 0, 2, 2, {4, 1, 300, 2}, {0.75F, 0.25F, 0.5F, 0.5F}});
    writer.add(RoutingTokensRow{3, 1, 0, 1, 2, {1, 0}, {}});
    writer.add(
        QualityRow{"dropped_records", std::numeric_limits<double>::quiet_NaN(), "", false, "n"});
    writer.add(MemoryRow{"weights", 1LL << 40});
    writer.add(SuiteRow{1, "s", "1", "S", "fairness", "f.json", 2, "{}"});
    writer.add(ItemRow{1, "x", 1, "{}", "p", "[]", "[-1]", "a", "b", 0.5, 9, 8, 3, "{}"});
    writer.add(MetricRow{1, "accuracy", "", 0.5, 0.25, 0.75, std::nullopt, 0.5, "Wilson", 2});
    writer.finish(RunStatus::Done);

    const RunReader run(path);
    CHECK(run.status() == RunStatus::Done);
    CHECK(run.meta("kind") == "profile");
    CHECK(run.metaJson("model")["name"] == "demo");
    CHECK(run.metaJson("absent").is_null());
    REQUIRE(run.sequences().size() == 1);
    CHECK(run.sequences()[0].group == "law");
    const auto tokens = run.tokens(3);
    REQUIRE(tokens.size() == 2);
    CHECK(tokens[0].text == std::string("\xE2\x00x", 3));
    CHECK_FALSE(tokens[0].logProbability.has_value());
    CHECK(tokens[1].logProbability == -0.25);
    CHECK(run.steps().at(0).endNs == 90);
    std::vector<OperationRow> operations;
    run.operations([&](const OperationRow& row) {
        operations.push_back(row);
        return true;
    });
    REQUIRE(operations.size() == 2);
    CHECK(run.operationCount() == 2);
    CHECK(operations[0].op == "embed");
    CHECK(operations[0].kernel == "copy");
    CHECK(operations[1].kernel.empty());
    CHECK(operations[1].flops == 400);
    CHECK(run.routingCounts().at(0).count == 20);
    const auto routing = run.routingTokens(3);
    REQUIRE(routing.size() == 2);
    CHECK(routing[0].experts == std::vector<std::int16_t>{4, 1, 300, 2});
    CHECK(routing[0].weights == std::vector<float>{0.75F, 0.25F, 0.5F, 0.5F});
    CHECK(routing[1].weights.empty());
    CHECK(std::isnan(run.quality().at(0).value));
    CHECK(run.memory().at(0).bytes == 1LL << 40);
    CHECK(run.suites().at(0).items == 2);
    CHECK(run.items(1).at(0).score == 0.5);
    CHECK(run.items(2).empty());
    CHECK(run.metrics().at(0).low == 0.25);
    CHECK_FALSE(run.metrics().at(0).standardError.has_value());
}

TEST_CASE("a finished run is one file that opens without its folder being writable") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(token(0));
    writer.finish(RunStatus::Failed, "the model vanished");
    CHECK_FALSE(std::filesystem::exists(path.string() + "-wal"));
    CHECK_FALSE(std::filesystem::exists(path.string() + "-shm"));
    const RunReader run(path);
    CHECK(run.status() == RunStatus::Failed);
    CHECK(run.meta("error") == "the model vanished");
    CHECK(thrownBy<Error>([&] { writer.add(token(1)); }).find("finished") != std::string::npos);
}

TEST_CASE("rows with the same key replace each other") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    ItemRow item;
    item.suite = 1;
    item.id = "x";
    item.score = 0;
    writer.add(item);
    item.score = 1;
    writer.add(item);
    writer.setMeta("degradation", "none");
    writer.setMeta("degradation", "cpu spans");
    writer.finish(RunStatus::Done);
    const RunReader run(path);
    REQUIRE(run.items(1).size() == 1);
    CHECK(run.items(1)[0].score == 1);
    CHECK(run.meta("degradation") == "cpu spans");
}

TEST_CASE("a live run can be read while it is written") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    const RunReader run(path);
    CHECK(run.status() == RunStatus::Running);
    writer.add(token(0));
    writer.flush();
    CHECK(run.tokens(0).size() == 1);
    writer.add(token(1));
    writer.flush();
    CHECK(run.tokens(0).size() == 2);
    writer.finish(RunStatus::Done);
    CHECK(run.status() == RunStatus::Done);
}

TEST_CASE("a run is running only while the very process that wrote it lives") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    const std::string stamp = RunReader(path).meta("writer_stamp");
    REQUIRE_FALSE(stamp.empty());
    const auto statusOf = [&](const std::string& pid, const std::string& recorded) {
        writer.setMeta("writer_pid", pid);
        writer.setMeta("writer_stamp", recorded);
        writer.flush();
        return RunReader(path).status();
    };
    const std::string own = std::to_string(::getpid());
    CHECK(statusOf(own, stamp) == RunStatus::Running);
    CHECK(statusOf(own, "") == RunStatus::Running);  // of a revision that recorded none
    CHECK(statusOf(own, stamp + "1") == RunStatus::Interrupted);  // the number was given again
    CHECK(statusOf(own, "x" + stamp) == RunStatus::Interrupted);  // another boot or machine
    CHECK(statusOf("0", "") == RunStatus::Interrupted);
    CHECK(statusOf("no number", "") == RunStatus::Interrupted);
}

TEST_CASE("rows reach the file by themselves within the flush interval") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(token(0));
    const RunReader run(path);
    for (int i = 0; i < 40 && run.tokens(0).empty(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    CHECK(run.tokens(0).size() == 1);
}

TEST_CASE("a writer killed in the middle leaves every committed group whole and readable") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    killWhenReady([&](const auto& ready) {
        RunWriter writer(path, RunWriter::Mode::Create);
        for (std::int64_t i = 0;; i += 2) {
            writer.add(std::vector<AnyRow>{token(i), token(i + 1)});
            if (i == 2000) {
                writer.flush();
                ready();
            }
        }
    });

    {
        const RunReader run(path);
        CHECK(run.meta("status") == "running");
        CHECK(run.status() == RunStatus::Interrupted);  // its writer is dead
        const auto tokens = run.tokens(0);
        CHECK(tokens.size() >= 2002);
        CHECK(tokens.size() % 2 == 0);
        CHECK(tokens.back().position == std::int64_t(tokens.size()) - 1);
    }
    RunWriter resumed(path, RunWriter::Mode::Resume);
    resumed.finish(RunStatus::Interrupted);
    CHECK(RunReader(path).status() == RunStatus::Interrupted);
    CHECK(RunReader(path).tokens(0).size() >= 2002);
}

TEST_CASE("a full disk is one error and what was committed stays") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    const pid_t child = spawn([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        RunWriter writer(path, RunWriter::Mode::Create);
        writer.add(token(0, "kept"));
        writer.flush();
        const rlimit limit{1U << 20U, 1U << 20U};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        try {
            for (std::int64_t i = 1; i < 10000; ++i) writer.add(token(i, std::string(4096, 'x')));
            writer.flush();
        } catch (const Error& error) {
            const std::string what = error.what();
            const bool cause = what.find("File too large") != std::string::npos ||
                               what.find("1048576 bytes a file (ulimit") != std::string::npos;
            return cause && what.find(path.string() + ": ") == 0 ? 42 : 2;
        }
        return 3;
    });
    CHECK(exitCode(child) == 42);
    const RunReader run(path);
    REQUIRE_FALSE(run.tokens(0).empty());
    CHECK(run.tokens(0)[0].text == "kept");
}

TEST_CASE("an existing file is refused unless overwriting is asked for") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    { RunWriter(path, RunWriter::Mode::Create).add(token(0)); }
    const auto create = [&] { RunWriter(path, RunWriter::Mode::Create); };
    CHECK(thrownBy<Error>(create) == path.string() + ": exists already");
    { RunWriter(path, RunWriter::Mode::Create, true).add(token(5)); }
    REQUIRE(RunReader(path).tokens(0).size() == 1);
    CHECK(RunReader(path).tokens(0)[0].position == 5);
}

TEST_CASE("a run that was killed at its beginning can be overwritten") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    killWhenReady([&](const auto& ready) {
        RunWriter writer(path, RunWriter::Mode::Create);
        writer.add(token(0));
        writer.flush();
        ready();
        ::pause();
    });
    RunWriter again(path, RunWriter::Mode::Create, true);
    again.finish(RunStatus::Done);
    CHECK(RunReader(path).tokens(0).empty());
}

TEST_CASE("overwriting spares files that are not run files") {
    const TempDir dir;
    const auto path = dir / "thesis.txt";
    writeFile(path, "years of work");
    const auto create = [&] { RunWriter(path, RunWriter::Mode::Create, true); };
    CHECK(thrownBy<Error>(create) == path.string() + ": not a run file, so it is not overwritten");
    CHECK(readFile(path) == "years of work");
}

TEST_CASE("a second writer is told which process holds the run") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter first(path, RunWriter::Mode::Create);
    const std::string expected =
        path.string() + ": is being written by process " + std::to_string(::getpid());
    const auto second = [&](RunWriter::Mode mode) {
        return thrownBy<Error>([&] { RunWriter(path, mode, true); });
    };
    CHECK(second(RunWriter::Mode::Resume) == expected);
    CHECK(second(RunWriter::Mode::Create) == expected);
    first.add(token(0));
    first.finish(RunStatus::Done);
    CHECK(RunReader(path).tokens(0).size() == 1);
}

TEST_CASE("resuming needs a run file that exists") {
    const TempDir dir;
    const auto resume = [](const std::filesystem::path& path) {
        return thrownBy<Error>([&] { RunWriter(path, RunWriter::Mode::Resume); });
    };
    CHECK(resume(dir / "absent").find("No such file") != std::string::npos);
    writeFile(dir / "text", std::string(4000, 'x'));
    CHECK(resume(dir / "text").find("not a SQLite database") != std::string::npos);
    CHECK(readFile(dir / "text") == std::string(4000, 'x'));
}

TEST_CASE("a folder that cannot hold the file is one clear error") {
    const TempDir dir;
    writeFile(dir / "file", "x");
    const auto create = [&] { RunWriter(dir / "file/r.moescope", RunWriter::Mode::Create); };
    CHECK(thrownBy<Error>(create).find((dir / "file/r.moescope").string()) == 0);
    CHECK_FALSE(
        thrownBy<Error>([&] { RunWriter("/proc/r.moescope", RunWriter::Mode::Create); }).empty());
}

TEST_CASE("the bounded queue makes writers wait and drops nothing") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    std::vector<std::thread> threads;
    for (std::int64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&writer, t] {
            for (std::int64_t i = 0; i < 20000; ++i) {
                writer.add(OperationRow{t * 20000 + i, 0, 0, "router", "k", i, i + 1, 0, 0, 1});
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    writer.finish(RunStatus::Done);
    CHECK(RunReader(path).operationCount() == 80000);
}

TEST_CASE("rows that contradict themselves are refused by add") {
    const TempDir dir;
    RunWriter writer(dir / "r.moescope", RunWriter::Mode::Create);
    CHECK_THROWS_AS(writer.add(RoutingTokensRow{0, 0, 0, 2, 2, {1, 2, 3}, {}}), Error);
    CHECK_THROWS_AS(writer.add(RoutingTokensRow{0, 0, 0, 1, 2, {1, 2}, {1.0F}}), Error);
    CHECK_THROWS_AS(writer.add(RoutingCountRow{0, "decode", 0, 0, -1}), Error);
    CHECK_NOTHROW(writer.finish(RunStatus::Done));
}

TEST_CASE("resuming forgets the error that ended the earlier attempt") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    {
        RunWriter writer(path, RunWriter::Mode::Create);
        writer.setMeta("ended_utc", "2026-01-01T00:00:00Z");
        writer.finish(RunStatus::Failed, "the disk is full");
    }
    REQUIRE(RunReader(path).meta("error") == "the disk is full");
    RunWriter writer(path, RunWriter::Mode::Resume);
    CHECK(RunReader(path).meta("error").empty());
    writer.finish(RunStatus::Done);
    CHECK(RunReader(path).meta("error").empty());
    CHECK(RunReader(path).meta("ended_utc").empty());
}

TEST_CASE("a run of any older schema is read as it is and gets what is new when it goes on") {
    const std::string items =
        "CREATE TABLE older (suite INTEGER NOT NULL, id TEXT NOT NULL, ordinal INTEGER NOT NULL, "
        "groups TEXT NOT NULL, prompt TEXT NOT NULL, choices TEXT NOT NULL, log_likelihoods TEXT "
        "NOT NULL, answer TEXT NOT NULL, target TEXT NOT NULL, score REAL, tokens INTEGER NOT "
        "NULL, duration_ns INTEGER NOT NULL, sequence INTEGER NOT NULL, detail TEXT NOT NULL, "
        "PRIMARY KEY (suite, id)); INSERT INTO older SELECT suite, id, ordinal, groups, prompt, "
        "choices, log_likelihoods, answer, target, score, tokens, duration_ns, sequence, detail "
        "FROM item; DROP TABLE item; ALTER TABLE older RENAME TO item; "
        "CREATE INDEX item_by_ordinal ON item (suite, ordinal, id); ";
    const std::string metrics =
        items + "ALTER TABLE metric DROP COLUMN clusters; ALTER TABLE metric DROP COLUMN ordinal; ";
    const std::string downgrades[] = {
        items + "PRAGMA user_version=4", metrics + "PRAGMA user_version=3",
        metrics + "DROP VIEW sample; DROP TABLE sample_value; PRAGMA user_version=2",
        metrics +
            "DROP VIEW sample; DROP TABLE sample_value; DROP VIEW counter; DROP VIEW device; "
            "DROP TABLE counter_value; DROP TABLE device_event; DROP TABLE launch_shape; "
            "PRAGMA user_version=1"};
    for (const std::string& downgrade : downgrades) {
        INFO(downgrade);
        const TempDir dir;
        const auto path = dir / "r.moescope";
        {
            RunWriter writer(path, RunWriter::Mode::Create);
            writer.add(StepRow{0, 0, "decode", 0, 1, 10, 20});
            writer.add(MetricRow{1, "accuracy", "", 0.5, {}, {}, {}, {}, "Wilson", 8, 4, 0});
            writer.add(ItemRow{1, "x", 1, "{}", "p", "[]", "[]", "a", "b", 0.5, 9, 8, 3, "{}"});
            writer.finish(RunStatus::Done);
        }
        sqlite3* db = nullptr;
        REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
        REQUIRE(sqlite3_exec(db, downgrade.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
        REQUIRE(sqlite3_close(db) == SQLITE_OK);
        CHECK(RunReader(path).steps().size() == 1);
        CHECK(RunReader(path).sampleCount() == 0);
        const bool clusters = downgrade == downgrades[0];
        CHECK(RunReader(path).metrics().at(0).clusters == (clusters ? 4 : 0));
        CHECK(RunReader(path).metrics().at(0).ordinal == (clusters ? 0 : -1));
        REQUIRE(RunReader(path).items(1).size() == 1);
        CHECK(RunReader(path).items(1)[0].repeat == 0);
        {
            RunWriter writer(path, RunWriter::Mode::Resume);
            writer.add(CounterRow{0, "dram__bytes.sum", 4});
            writer.add(SampleRow{11, 12, "dram__bytes.sum", 5});
            writer.add(MetricRow{1, "accuracy", "", 0.5, {}, {}, {}, {}, "Wilson", 8, 4, 0});
            writer.add(ItemRow{1, "x", 1, "{}", "p", "[]", "[]", "b", "b", 1, 9, 8, 4, "{}", 1});
            writer.finish(RunStatus::Done);
        }
        const RunReader run(path);
        REQUIRE(run.items(1).size() == 2);  // beside the first, not in its place
        CHECK(run.items(1)[0].answer == "a");
        CHECK(run.items(1)[1].repeat == 1);
        CHECK(run.steps().size() == 1);
        CHECK(run.counters().size() == 1);
        CHECK(run.sampleCount() == 1);
        CHECK(run.metrics().at(0).clusters == 4);
    }
}

TEST_CASE("metrics are read in the suite's order, those without a place last") {
    const TempDir dir;
    const auto path = dir / "r.moescope";
    {
        RunWriter writer(path, RunWriter::Mode::Create);
        writer.add(MetricRow{1, "items_too_long", "", 0, {}, {}, {}, {}, "count", 8});
        writer.add(MetricRow{1, "accuracy", "", 0.5, {}, {}, {}, {}, "Wilson", 8, 8, 1});
        writer.add(MetricRow{1, "slope", "", 0.5, {}, {}, {}, {}, "least squares", 8, 8, 0});
        writer.add(MetricRow{1, "accuracy_norm", "", 0.5, {}, {}, {}, {}, "Wilson", 8, 8, 2});
        writer.finish(RunStatus::Done);
    }
    std::string order;
    for (const MetricRow& metric : RunReader(path).metrics()) order += metric.name + ' ';
    CHECK(order == "slope accuracy accuracy_norm items_too_long ");
}
