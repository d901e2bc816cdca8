// SPDX-License-Identifier: Apache-2.0
#include "profiler/runfile/run_lock.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

#include "engine/core/error.h"
#include "profiler/runfile/schema.h"
#include "profiler/runfile/sqlite.h"

namespace moescope {
namespace {

/// Who writes the file, as the writer itself noted; empty when it cannot be read.
std::string writerOf(const std::filesystem::path& path) {
    try {
        sqlite::Database db(sqlite::fileUri(path, "mode=ro"), SQLITE_OPEN_READONLY, path);
        sqlite::Statement statement(db, "SELECT value FROM meta WHERE key='writer_pid'");
        return statement.step() ? std::string(" ").append(statement.text(0)) : std::string{};
    } catch (const Error&) {
        return {};
    }
}

void lockOrThrow(int fd, const std::filesystem::path& path) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return;
    if (errno != EWOULDBLOCK) throw Error(path.string() + ": " + std::strerror(errno));
    throw Error(path.string() + ": is being written by process" + writerOf(path),
                "wait for it to end, or choose another --out");
}

/// An empty file, or one with SQLite's and our magic: what --overwrite may destroy.
bool mayOverwrite(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if (info.st_size == 0) return true;
    std::array<unsigned char, 72> header{};
    if (::pread(fd, header.data(), header.size(), 0) != ssize_t(header.size())) return false;
    constexpr std::string_view kMagic{"SQLite format 3\0", 16};
    const std::array<unsigned char, 4> id{kRunApplicationId >> 24, (kRunApplicationId >> 16) & 0xFF,
                                          (kRunApplicationId >> 8) & 0xFF,
                                          kRunApplicationId & 0xFF};
    return std::memcmp(header.data(), kMagic.data(), kMagic.size()) == 0 &&
           std::memcmp(header.data() + 68, id.data(), id.size()) == 0;
}

void removeRun(const std::filesystem::path& path) noexcept {
    std::error_code ignored;
    for (const char* suffix : {"-wal", "-shm", "-journal", ""}) {
        std::filesystem::remove(path.string() + suffix, ignored);
    }
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& path, bool create, bool overwrite) : path_(path) {
    try {
        std::error_code ignored;
        const bool exists = std::filesystem::symlink_status(path, ignored).type() !=
                            std::filesystem::file_type::not_found;
        if (!create) {
            openExisting(path);
            return;
        }
        if (exists) {
            if (!overwrite) {
                throw Error(path.string() + ": exists already",
                            "choose another name, or overwrite it");
            }
            openExisting(path);
            if (!mayOverwrite(fd_)) {
                throw Error(path.string() + ": not a run file, so it is not overwritten");
            }
            removeRun(path);
            ::close(fd_);
            fd_ = -1;
        }
        createNew(path);
    } catch (...) {
        if (fd_ >= 0) ::close(fd_);
        throw;
    }
}

RunLock::~RunLock() {
    if (fd_ >= 0) ::close(fd_);
}

void RunLock::openExisting(const std::filesystem::path& path) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0) throw Error(path.string() + ": " + std::strerror(errno));
    lockOrThrow(fd_, path);
}

void RunLock::createNew(const std::filesystem::path& path) {
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    if (error) throw Error(path.string() + ": cannot create the folder: " + error.message());
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) throw Error(path.string() + ": cannot be created: " + std::strerror(errno));
    created_ = true;
    lockOrThrow(fd_, path);
}

void RunLock::discardIfCreated() noexcept {
    if (created_) removeRun(path_);
}

int RunLock::processId() noexcept {
    return ::getpid();
}

}  // namespace moescope
