// SPDX-License-Identifier: Apache-2.0
#include "profiler/runfile/run_writer.h"

#include <sqlite3.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/runfile/process_stamp.h"
#include "profiler/runfile/row_insert.h"
#include "profiler/runfile/run_lock.h"
#include "profiler/runfile/schema.h"
#include "profiler/runfile/sqlite.h"

namespace moescope {
namespace {

constexpr std::chrono::milliseconds kFlushInterval{200};
constexpr std::size_t kBatchRows = 4096;   ///< wake the writer thread before the interval ends
constexpr std::size_t kQueueRows = 32768;  ///< bound of the queue: add waits beyond it

struct MetaEntry {
    std::string key, value;
};

/// What is committed together: one call of add or setMeta.
using Entry = std::variant<AnyRow, std::vector<AnyRow>, MetaEntry>;

std::size_t rowsOf(const Entry& entry) {
    const auto* rows = std::get_if<std::vector<AnyRow>>(&entry);
    return rows != nullptr ? rows->size() : 1;
}

void rollback(sqlite::Database& db) noexcept {
    // SQLite may have rolled back by itself (full disk): then this fails, which is as good.
    sqlite3_exec(db.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void createSchema(sqlite::Database& db) {
    db.exec("BEGIN IMMEDIATE");
    db.exec("PRAGMA application_id=" + std::to_string(kRunApplicationId));
    db.exec("PRAGMA user_version=" + std::to_string(kRunSchemaVersion));
    for (int version = 1; version <= kRunSchemaVersion; ++version) db.exec(runSchemaSql(version));
    db.exec("COMMIT");
}

void makeResumable(sqlite::Database& db) {
    if (db.integer("PRAGMA application_id") != kRunApplicationId) {
        throw Error(db.path().string() + ": not a run file, so it cannot be resumed");
    }
    const std::int64_t version = db.integer("PRAGMA user_version");
    if (version < 1 || version > kRunSchemaVersion) {
        throw Error(db.path().string() + ": run file schema version " + std::to_string(version) +
                    ", this program writes version " + std::to_string(kRunSchemaVersion));
    }
    if (version == kRunSchemaVersion) return;
    db.exec("BEGIN IMMEDIATE");
    db.exec("PRAGMA user_version=" + std::to_string(kRunSchemaVersion));
    for (int next = static_cast<int>(version) + 1; next <= kRunSchemaVersion; ++next)
        db.exec(runSchemaSql(next));
    db.exec("COMMIT");
}

}  // namespace

struct RunWriter::Impl {
    Impl(std::filesystem::path file, Mode mode, bool overwrite)
        : path(std::move(file)), lock(path, mode == Mode::Create, overwrite) {
        try {
            open(mode);
        } catch (...) {
            inserter.reset();
            db.reset();
            lock.discardIfCreated();
            throw;
        }
        thread = std::thread([this] { loop(); });
    }

    ~Impl() {
        stopThread();
        inserter.reset();
        db.reset();
    }

    void open(Mode mode) {
        db.emplace(sqlite::fileUri(path, {}), SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, path);
        if (mode == Mode::Resume) makeResumable(*db);
        // Before the journal: what is in the log alone does not say whose file this is
        // (mayOverwrite).
        if (mode == Mode::Create) createSchema(*db);
        db->exec("PRAGMA journal_mode=WAL");
        // WAL with NORMAL: a killed process loses nothing that was committed; a power failure may
        // lose the last commits but never damages the file.
        db->exec("PRAGMA synchronous=NORMAL");
        inserter.emplace(*db);
        db->exec("BEGIN IMMEDIATE");
        // How an earlier process ended says nothing of a run that goes on.
        if (mode == Mode::Resume) db->exec("DELETE FROM meta WHERE key IN ('error','ended_utc')");
        inserter->setMeta("status", runStatusName(RunStatus::Running));
        inserter->setMeta("writer_pid", std::to_string(lock.processId()));
        inserter->setMeta("writer_stamp", processStamp(lock.processId()));
        db->exec("COMMIT");
    }

    void push(Entry entry) {
        std::unique_lock guard(mutex);
        space.wait(guard, [this] { return queuedRows < kQueueRows || failure || stopping; });
        rethrow();
        if (stopping) throw Error(path.string() + ": the run is already finished");
        queuedRows += rowsOf(entry);
        queue.push_back(std::move(entry));
        ++pushed;
        if (queuedRows >= kBatchRows) work.notify_one();
    }

    void flush() {
        std::unique_lock guard(mutex);
        const std::uint64_t target = pushed;
        flushWanted = true;
        work.notify_one();
        space.wait(guard, [&] { return committed >= target || failure; });
        rethrow();
    }

    void rethrow() const {
        if (failure) std::rethrow_exception(failure);
    }

    void loop() {
        std::unique_lock guard(mutex);
        while (true) {
            work.wait_for(guard, kFlushInterval,
                          [this] { return stopping || flushWanted || queuedRows >= kBatchRows; });
            flushWanted = false;
            const bool last = stopping;
            std::deque<Entry> batch = std::exchange(queue, {});
            const std::uint64_t upTo = pushed;
            queuedRows = 0;
            space.notify_all();
            if (!batch.empty() && !failure) {
                guard.unlock();
                std::exception_ptr error = commit(batch);
                guard.lock();
                if (error) failure = error;
            }
            committed = upTo;
            space.notify_all();
            if (last) return;
        }
    }

    /// One transaction, so that each add is either whole in the file or not at all.
    std::exception_ptr commit(const std::deque<Entry>& batch) noexcept {
        try {
            db->exec("BEGIN IMMEDIATE");
            for (const Entry& entry : batch) write(entry);
            db->exec("COMMIT");
            return nullptr;
        } catch (...) {
            std::exception_ptr error = std::current_exception();
            rollback(*db);
            return error;
        }
    }

    void write(const Entry& entry) {
        if (const auto* meta = std::get_if<MetaEntry>(&entry)) {
            inserter->setMeta(meta->key, meta->value);
        } else if (const auto* rows = std::get_if<std::vector<AnyRow>>(&entry)) {
            for (const AnyRow& row : *rows) inserter->insert(row);
        } else {
            inserter->insert(std::get<AnyRow>(entry));
        }
    }

    void stopThread() {
        {
            const std::lock_guard guard(mutex);
            stopping = true;
            work.notify_one();
            space.notify_all();
        }
        if (thread.joinable()) thread.join();
    }

    /// Leaves one plain file: DELETE mode checkpoints the WAL and removes -wal and -shm, so that
    /// the file opens from a read-only folder. While a reader is attached SQLite refuses to
    /// leave WAL mode; then the WAL is emptied and the last reader to close removes it.
    void close() {
        inserter.reset();
        const int code = sqlite3_exec(db->handle(), "PRAGMA wal_checkpoint(TRUNCATE)", nullptr,
                                      nullptr, nullptr);
        if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY && (code & 0xFF) != SQLITE_LOCKED) {
            db->fail(sqlite3_extended_errcode(db->handle()));
        }
        sqlite3_busy_timeout(db->handle(), 0);
        sqlite3_exec(db->handle(), "PRAGMA journal_mode=DELETE", nullptr, nullptr, nullptr);
        db.reset();
    }

    std::filesystem::path path;
    // Declared before the database and so released after it: closing any descriptor of a file drops
    // this process's POSIX locks on it, which SQLite relies on while it is open.
    RunLock lock;
    std::optional<sqlite::Database> db;
    std::optional<RowInserter> inserter;

    std::mutex mutex;
    std::condition_variable work, space;
    std::deque<Entry> queue;
    std::size_t queuedRows = 0;
    std::uint64_t pushed = 0, committed = 0;
    bool flushWanted = false, stopping = false;
    bool finished = false;
    std::exception_ptr failure;
    std::thread thread;
};

RunWriter::RunWriter(std::filesystem::path path, Mode mode, bool overwrite)
    : impl_(std::make_unique<Impl>(std::move(path), mode, overwrite)) {}

RunWriter::~RunWriter() = default;

void RunWriter::setMeta(const std::string& key, const std::string& value) {
    impl_->push(MetaEntry{key, value});
}

void RunWriter::setMeta(const std::string& key, const nlohmann::json& value) {
    impl_->push(MetaEntry{key, value.is_string() ? value.get<std::string>() : dumpJson(value)});
}

void RunWriter::add(AnyRow row) {
    checkRow(row, impl_->path.string());
    impl_->push(std::move(row));
}

void RunWriter::add(std::vector<AnyRow> rows) {
    if (rows.empty()) return;
    for (const AnyRow& row : rows) checkRow(row, impl_->path.string());
    impl_->push(std::move(rows));
}

void RunWriter::flush() {
    impl_->flush();
}

void RunWriter::finish(RunStatus status, const std::string& error) {
    if (impl_->finished) return;
    if (!error.empty()) setMeta("error", error);
    setMeta("status", std::string(runStatusName(status)));
    impl_->flush();
    impl_->stopThread();
    impl_->finished = true;
    impl_->close();
}

const std::filesystem::path& RunWriter::path() const noexcept {
    return impl_->path;
}

}  // namespace moescope
