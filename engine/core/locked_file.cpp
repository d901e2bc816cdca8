// SPDX-License-Identifier: Apache-2.0
#include "engine/core/locked_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/core/error.h"

namespace moescope {
namespace {

void lock(int file, const std::filesystem::path& path) {
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
        // Some file systems have no locks: then as if there were nobody else.
        if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) return;
        if (errno != EWOULDBLOCK)
            throw Error(path.string() + ": cannot write: " + std::strerror(errno));
        throw Error(path.string() + ": another process is writing it",
                    "wait for it to end, or choose another name");
    }
    // Who held it before may have renamed the very file that was opened here: then it is a finished
    // result, which must not be written to.
    struct stat opened {
    }, named{};
    if (::fstat(file, &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
        opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
        throw Error(path.string() + ": another process has just finished it, or given it up");
}

}  // namespace

int openLocked(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) throw Error(path.string() + ": cannot write: " + std::strerror(errno));
    try {
        lock(file, path);
    } catch (...) {
        ::close(file);
        throw;
    }
    return file;
}

}  // namespace moescope
