// SPDX-License-Identifier: Apache-2.0
#include "cli/result_file.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::cli {
namespace {

/// The first key whose values differ.
std::string difference(const nlohmann::json& a, const nlohmann::json& b) {
    for (const auto& [key, value] : a.items())
        if (!b.contains(key) || b.at(key) != value) return key;
    return "its form";
}

}  // namespace

ResultFile::ResultFile(std::filesystem::path path, const nlohmann::json& header, Mode mode)
    : path_(std::move(path)) {
    std::error_code code;
    const auto status = std::filesystem::status(path_, code);
    const std::string name = path_.string();
    // /dev/stdout may be a regular file, but its name must not be renamed over.
    direct_ = name.starts_with("/dev/") || name.starts_with("/proc/") ||
              (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status));
    if (std::filesystem::is_directory(status)) throw Error(path_.string() + ": is a folder");
    if (direct_) {
        file_.reset(std::tmpfile());
        if (!file_) fail(path_);
        return;
    }
    part_ = path_.string() + ".part";
    sorted_ = path_.string() + ".sorted";
    if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), code);
    open(header, mode);
}

ResultFile::~ResultFile() {
    std::error_code ignored;
    if (!finished_ && !direct_ && places_.empty()) std::filesystem::remove(part_, ignored);
    if (!finished_ && !direct_) std::filesystem::remove(sorted_, ignored);
}

void ResultFile::open(const nlohmann::json& header, Mode mode) {
    const bool exists = std::filesystem::exists(part_);
    if (exists && mode == Mode::Fresh)
        throw Error(part_.string() + ": unfinished results are here",
                    "--resume continues it, --overwrite throws it away");
    const bool resume = exists && mode == Mode::Resume;
    file_.reset(std::fopen(part_.c_str(), resume ? "r+b" : "w+b"));
    if (!file_) fail(part_);
    if (resume)
        load(header);
    else
        append(dumpJson(header) + "\n");
}

void ResultFile::fail(const std::filesystem::path& path) const {
    throw Error(path.string() + ": cannot write: " + std::strerror(errno));
}

/// Takes over what is whole; a line that was being written at the kill is cut off.
void ResultFile::load(const nlohmann::json& header) {
    const std::string text = readFile(part_, 1ULL << 36);
    std::size_t at = text.find('\n');
    if (at == std::string::npos) {
        if (::ftruncate(::fileno(file_.get()), 0) != 0) fail(part_);
        return append(dumpJson(header) + "\n");
    }
    const auto theirs = nlohmann::json::parse(text.substr(0, at), nullptr, false);
    if (theirs != header)
        throw Error(part_.string() + ": was begun with another " +
                        (theirs.is_object() ? difference(header, theirs) : "program"),
                    "--overwrite throws it away");
    for (++at; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string::npos) break;
        std::size_t index = 0;
        const auto [next, error] = std::from_chars(text.data() + at, text.data() + end, index);
        const auto start = static_cast<std::size_t>(next - text.data()) + 1;
        if (error != std::errc() || start >= end ||
            nlohmann::json::accept(text.begin() + static_cast<std::ptrdiff_t>(start),
                                   text.begin() + static_cast<std::ptrdiff_t>(end)) == false)
            break;
        places_[index] = {static_cast<long>(start), end - start};
        at = end + 1;
    }
    if (::ftruncate(::fileno(file_.get()), static_cast<off_t>(at)) != 0) fail(part_);
    if (std::fseek(file_.get(), 0, SEEK_END) != 0) fail(part_);
}

void ResultFile::append(const std::string& text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size() &&
                         std::fflush(file_.get()) == 0;
    if (!written)
        throw Error((direct_ ? path_ : part_).string() + ": cannot write: " + std::strerror(errno) +
                    "; " + std::to_string(count()) + " items are complete");
}

void ResultFile::add(std::size_t index, const nlohmann::json& result) {
    const std::string label = std::to_string(index) + " ", body = dumpJson(result);
    if (std::fseek(file_.get(), 0, SEEK_END) != 0) fail(part_);
    const long start = std::ftell(file_.get()) + static_cast<long>(label.size());
    append(label + body + "\n");
    places_[index] = {start, body.size()};
}

std::string ResultFile::read(const Place& place) {
    std::string line(place.length, '\0');
    if (std::fseek(file_.get(), place.offset, SEEK_SET) != 0 ||
        std::fread(line.data(), 1, line.size(), file_.get()) != line.size())
        throw Error(part_.string() + ": cannot be read back");
    return line;
}

void ResultFile::begin() {
    out_.reset(std::fopen((direct_ ? path_ : sorted_).c_str(), direct_ ? "ab" : "wb"));
    if (!out_) fail(path_);
}

void ResultFile::put(const std::string& line) {
    if (std::fwrite(line.data(), 1, line.size(), out_.get()) != line.size() ||
        std::fputc('\n', out_.get()) == EOF)
        fail(path_);
}

void ResultFile::end() {
    if (std::fflush(out_.get()) != 0) fail(path_);
    if (!direct_) {
        if (::fsync(::fileno(out_.get())) != 0 || ::rename(sorted_.c_str(), path_.c_str()) != 0)
            fail(path_);
        std::error_code ignored;
        std::filesystem::remove(part_, ignored);
    }
    finished_ = true;
}

}  // namespace moescope::cli
