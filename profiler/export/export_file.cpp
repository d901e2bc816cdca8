// SPDX-License-Identifier: Apache-2.0
#include "profiler/export/export_file.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include "engine/core/error.h"

namespace moescope {
namespace {

std::FILE* openPart(const std::filesystem::path& path, const std::string& part) {
    std::error_code absent;
    const std::filesystem::file_status status = std::filesystem::status(path, absent);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
        throw Error(path.string() + ": cannot write: not a regular file");
    return std::fopen(part.c_str(), "wb");
}

}  // namespace

ExportFile::ExportFile(const std::filesystem::path& path)
    : path_(path), part_(path.string() + ".part"), file_(openPart(path, part_), &std::fclose) {
    if (!file_) fail();
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
    if (std::fclose(file_.release()) != 0) fail();
    std::error_code error;
    std::filesystem::rename(part_, path_, error);
    if (error) throw Error(path_.string() + ": " + error.message());
    done_ = true;
}

}  // namespace moescope
