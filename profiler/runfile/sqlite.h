// SPDX-License-Identifier: Apache-2.0
// A thin owner of SQLite's handles that turns its result codes into Errors naming the file.
// Private to profiler: the run file, and the SQLite files of other tools.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "engine/core/interrupt.h"

struct sqlite3;
struct sqlite3_stmt;

namespace moescope::sqlite {

/// One connection. Not thread-safe: used by one thread at a time.
class Database {
public:
    /// `uri` is handed to SQLite, `path` names the file in errors and `noun` says what it should
    /// be.
    Database(const std::string& uri, int flags, std::filesystem::path path,
             const char* noun = "run file");
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    void exec(std::string_view sql);
    /// First column of the first row as an integer; 0 when there is no row.
    std::int64_t integer(std::string_view sql);
    /// Statements throw Interrupted soon after `stop` is set; it outlives this. Null: never.
    void stopOn(const StopFlag* stop);
    /// Throws the Error that describes result code `code`.
    [[noreturn]] void fail(int code) const;
    [[noreturn]] void damaged(const std::string& cause) const;

    sqlite3* handle() const noexcept { return db_; }
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    sqlite3* db_ = nullptr;
    std::filesystem::path path_;
    const char* noun_;
};

/// A prepared statement. Bound texts and blobs must outlive the next step().
class Statement {
public:
    Statement(Database& db, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(std::int64_t value);
    Statement& bind(double value);
    Statement& bind(const std::optional<double>& value);
    Statement& bind(const std::optional<std::int64_t>& value);
    Statement& bind(std::string_view text);
    Statement& bindBlob(const void* data, std::size_t bytes);
    /// True when a row is ready.
    bool step();
    /// Executes a statement without rows and makes it ready for the next binding.
    void run();
    void reset() noexcept;

    /// Columns of the current row, counted from 0. A value of another type is a damaged file.
    std::int64_t integer(int column) const;
    std::int64_t count(int column) const;  ///< an integer that must not be negative
    std::int32_t int32(int column) const;
    double real(int column) const;  ///< NULL is NaN
    std::optional<double> optionalReal(int column) const;
    bool isNull(int column) const;
    std::string text(int column) const;
    std::string_view blob(int column) const;  ///< valid until the next step

private:
    [[noreturn]] void wrongType(int column, std::string_view expected) const;

    Database& db_;
    sqlite3_stmt* statement_ = nullptr;
    int next_ = 1;
};

/// Turns a path into a "file:" URI with the reserved characters escaped.
std::string fileUri(const std::filesystem::path& path, std::string_view query);

}  // namespace moescope::sqlite
