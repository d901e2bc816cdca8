// SPDX-License-Identifier: Apache-2.0
#include "profiler/export/export_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "engine/core/error.h"
#include "engine/core/locked_file.h"

namespace moescope {
namespace {

int openPart(const std::filesystem::path& path, const std::string& part) {
    std::error_code absent;
    const std::filesystem::file_status status = std::filesystem::status(path, absent);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
        throw Error(path.string() + ": cannot write: not a regular file");
    std::error_code code;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), code);
    if (code) throw Error(path.string() + ": cannot create the folder: " + code.message());
    return openLocked(part);
}

/// False with errno. Pipes and the like have nothing to wait for.
bool isOnDisk(int file) {
    return ::fsync(file) == 0 || errno == EINVAL || errno == EROFS;
}

}  // namespace

ExportFile::ExportFile(const std::filesystem::path& path)
    : path_(path),
      part_(path.string() + ".part"),
      file_(::fdopen(openPart(path, part_), "wb"), &std::fclose) {
    if (!file_ || ::ftruncate(::fileno(file_.get()), 0) != 0) fail();
}

ExportFile::~ExportFile() {
    std::error_code ignored;
    if (!done_) std::filesystem::remove(part_, ignored);
}

void ExportFile::fail() const {
    throw Error(path_.string() + ": " + std::strerror(errno));
}

void ExportFile::put(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail();
}

void ExportFile::close() {
    // Renamed while still open: nobody else may begin to write the file before it has its name.
    // On the disk first, since what does not fit there may come to light only then.
    if (std::fflush(file_.get()) != 0 || !isOnDisk(::fileno(file_.get())) ||
        ::rename(part_.c_str(), path_.c_str()) != 0)
        fail();
    done_ = true;
    file_.reset();
}

}  // namespace moescope
