// SPDX-License-Identifier: Apache-2.0
#include "profiler/runfile/sqlite.h"

#include <sqlite3.h>
#include <sys/resource.h>

#include <cstring>
#include <limits>
#include <utility>

#include "engine/core/error.h"

namespace moescope::sqlite {
namespace {

bool isWrite(int code) {
    return code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_TRUNCATE ||
           code == SQLITE_IOERR_SHMSIZE || code == SQLITE_IOERR_FSYNC;
}

/// "the limit of N bytes a file (ulimit -f)"; "" where there is none.
std::string fileLimit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
    return "the limit of " + std::to_string(limit.rlim_cur) + " bytes a file (ulimit -f)";
}

/// SQLite forgets the system's error of a write in a transaction: the likeliest is named.
std::string writeFailure(int code) {
    const std::string limit = fileLimit();
    return "cannot be written" +
           (limit.empty() ? std::string(": ") + sqlite3_errstr(code) : ", probably for " + limit);
}

/// After a write that was cut short SQLite takes the disk to be full, whatever cut it.
std::string noSpace() {
    const std::string limit = fileLimit();
    return "no space left on the device" + (limit.empty() ? "" : ", or " + limit + " is reached");
}

/// What a person should read for a result code; SQLite's own words where they are good enough.
std::string describe(sqlite3* db, int code) {
    const int system = db != nullptr ? sqlite3_system_errno(db) : 0;
    switch (code & 0xFF) {
        case SQLITE_FULL:
            return noSpace();
        case SQLITE_NOTADB:
            return "not a SQLite database";
        case SQLITE_CORRUPT:
            return "damaged (" + std::string(sqlite3_errmsg(db)) + ")";
        case SQLITE_BUSY:
            return "locked by another process";
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
            if (system != 0) return std::strerror(system);
            return isWrite(code) ? writeFailure(code) : sqlite3_errstr(code);
        default:
            return db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    }
}

}  // namespace

Database::Database(const std::string& uri, int flags, std::filesystem::path path, const char* noun)
    : path_(std::move(path)), noun_(noun) {
    const int code = sqlite3_open_v2(uri.c_str(), &db_, flags | SQLITE_OPEN_URI, nullptr);
    if (code != SQLITE_OK) {
        const std::string cause = describe(db_, code);
        sqlite3_close(db_);
        throw Error(path_.string() + ": " + cause);
    }
    sqlite3_extended_result_codes(db_, 1);
    // A run file may come from anywhere: nothing in its schema may call functions with effects.
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_busy_timeout(db_, 5000);
}

Database::~Database() {
    sqlite3_close(db_);
}

void Database::stopOn(const StopFlag* stop) {
    constexpr int kInstructions = 10'000;  // of SQLite's machine: well below a millisecond
    const auto stopped = [](void* flag) {
        return static_cast<const StopFlag*>(flag)->load(std::memory_order_relaxed) ? 1 : 0;
    };
    sqlite3_progress_handler(db_, stop != nullptr ? kInstructions : 0,
                             stop != nullptr ? +stopped : nullptr, const_cast<StopFlag*>(stop));
}

void Database::fail(int code) const {
    if ((code & 0xFF) == SQLITE_INTERRUPT)
        throw Interrupted(path_.string() + ": reading was stopped");
    throw Error(path_.string() + ": " + describe(db_, code));
}

void Database::damaged(const std::string& cause) const {
    throw Error(path_.string() + ": damaged " + noun_ + ": " + cause);
}

void Database::exec(std::string_view sql) {
    const int code = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(code);
}

std::int64_t Database::integer(std::string_view sql) {
    Statement statement(*this, sql);
    return statement.step() ? statement.integer(0) : 0;
}

Statement::Statement(Database& db, std::string_view sql) : db_(db) {
    const int code = sqlite3_prepare_v2(db.handle(), sql.data(), static_cast<int>(sql.size()),
                                        &statement_, nullptr);
    if (code == SQLITE_ERROR)
        db.damaged(sqlite3_errmsg(db.handle()));  // a table or column is absent
    if (code != SQLITE_OK) db.fail(code);
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

Statement& Statement::bind(std::int64_t value) {
    sqlite3_bind_int64(statement_, next_++, value);
    return *this;
}

Statement& Statement::bind(double value) {
    sqlite3_bind_double(statement_, next_++, value);
    return *this;
}

Statement& Statement::bind(const std::optional<double>& value) {
    if (value) return bind(*value);
    sqlite3_bind_null(statement_, next_++);
    return *this;
}

Statement& Statement::bind(const std::optional<std::int64_t>& value) {
    if (value) return bind(*value);
    sqlite3_bind_null(statement_, next_++);
    return *this;
}

Statement& Statement::bind(std::string_view text) {
    const int code = sqlite3_bind_text64(statement_, next_++, text.data() ? text.data() : "",
                                         text.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) db_.fail(code);
    return *this;
}

Statement& Statement::bindBlob(const void* data, std::size_t bytes) {
    // A null pointer would bind NULL instead of the empty blob.
    const int code =
        sqlite3_bind_blob64(statement_, next_++, bytes > 0 ? data : "", bytes, SQLITE_STATIC);
    if (code != SQLITE_OK) db_.fail(code);
    return *this;
}

bool Statement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) {
        const int extended = sqlite3_extended_errcode(db_.handle());
        db_.fail(extended != SQLITE_OK ? extended : code);
    }
    return false;
}

void Statement::run() {
    step();
    reset();
}

void Statement::reset() noexcept {
    sqlite3_reset(statement_);
    next_ = 1;
}

void Statement::wrongType(int column, std::string_view expected) const {
    db_.damaged("column " + std::string(sqlite3_column_name(statement_, column)) + " holds no " +
                std::string(expected));
}

std::int64_t Statement::integer(int column) const {
    if (sqlite3_column_type(statement_, column) != SQLITE_INTEGER) wrongType(column, "integer");
    return sqlite3_column_int64(statement_, column);
}

std::int64_t Statement::count(int column) const {
    const std::int64_t value = integer(column);
    if (value < 0) {
        db_.damaged("column " + std::string(sqlite3_column_name(statement_, column)) +
                    " is negative (" + std::to_string(value) + ")");
    }
    // Thousands of rows can be added before 64 bits overflow, and doubles hold it exactly.
    constexpr std::int64_t kMost = std::int64_t{1} << 53U;
    if (value > kMost) {
        db_.damaged("column " + std::string(sqlite3_column_name(statement_, column)) +
                    " is too large (" + std::to_string(value) + ")");
    }
    return value;
}

std::int32_t Statement::int32(int column) const {
    const std::int64_t value = integer(column);
    if (value < std::numeric_limits<std::int32_t>::min() ||
        value > std::numeric_limits<std::int32_t>::max()) {
        wrongType(column, "32-bit integer");
    }
    return static_cast<std::int32_t>(value);
}

double Statement::real(int column) const {
    return optionalReal(column).value_or(std::numeric_limits<double>::quiet_NaN());
}

std::optional<double> Statement::optionalReal(int column) const {
    const int type = sqlite3_column_type(statement_, column);
    if (type == SQLITE_NULL) return std::nullopt;
    if (type != SQLITE_FLOAT && type != SQLITE_INTEGER) wrongType(column, "number");
    return sqlite3_column_double(statement_, column);
}

bool Statement::isNull(int column) const {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string Statement::text(int column) const {
    if (sqlite3_column_type(statement_, column) != SQLITE_TEXT) wrongType(column, "text");
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view Statement::blob(int column) const {
    if (sqlite3_column_type(statement_, column) != SQLITE_BLOB) wrongType(column, "blob");
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string fileUri(const std::filesystem::path& path, std::string_view query) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string uri = "file:";
    for (const char c : std::filesystem::absolute(path).lexically_normal().string()) {
        if (c == '%' || c == '?' || c == '#') {
            const auto byte = static_cast<unsigned char>(c);
            uri += '%';
            uri += kHex[byte >> 4U];
            uri += kHex[byte & 15U];
        } else {
            uri += c;
        }
    }
    if (!query.empty()) uri.append("?").append(query);
    return uri;
}

}  // namespace moescope::sqlite
