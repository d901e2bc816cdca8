// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/locked_file.h"

namespace moescope {
namespace {

constexpr std::uint64_t kRecordBytes = 64ULL << 20;
constexpr std::uint64_t kMaxJournalBytes = 256ULL << 20;
constexpr const char* kResumeHint =
    "What is written is kept: the same command continues it once there is room.";

/// 0 or errno.
int writeAll(int file, const char* data, std::size_t bytes) {
    while (bytes > 0) {
        const ssize_t put = ::write(file, data, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        data += put;
        bytes -= static_cast<std::size_t>(put);
    }
    return 0;
}

struct Line {
    std::uint64_t end = 0;
    std::string_view digest;
    std::size_t textEnd = 0;  ///< where the next line of the journal begins
};

/// "<bytes> <digest>"; end 0 when it is not that.
Line parseLine(std::string_view text) {
    Line line;
    const auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), line.end);
    const auto used = static_cast<std::size_t>(next - text.data());
    if (error != std::errc() || used >= text.size() || text[used] != ' ') return {};
    line.digest = text.substr(used + 1);
    return line;
}

}  // namespace

void PartialFile::fail(const std::filesystem::path& path, const std::string& cause) const {
    throw Error(path.string() + ": cannot write: " + cause);
}

PartialFile::PartialFile(std::filesystem::path path, std::string_view description,
                         std::uint64_t totalBytes, bool startOver)
    : path_(std::move(path)), names_(path_) {
    std::error_code code;
    if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), code);
    if (code) fail(path_.parent_path(), code.message());
    file_ = openLocked(names_.part);
    try {
        if (startOver) std::filesystem::remove(names_.journal, code);
        written_ = recorded_ = startOver ? 0 : verified(description);
        if (::ftruncate(file_, static_cast<off_t>(written_)) != 0 ||
            ::lseek(file_, 0, SEEK_END) < 0)
            fail(names_.part, std::strerror(errno));
        checkSpace(totalBytes);
        begin(description);
    } catch (...) {
        if (log_ >= 0) ::close(log_);
        ::close(file_);
        throw;
    }
}

PartialFile::~PartialFile() {
    if (file_ >= 0 && written_ == 0) {  // still locked: nobody else's
        ::unlink(names_.part.c_str());
        ::unlink(names_.journal.c_str());
    }
    if (log_ >= 0) ::close(log_);
    if (file_ >= 0) ::close(file_);
}

/// Bytes that the journal vouches for; 0 when there is nothing to continue.
std::uint64_t PartialFile::verified(std::string_view description) {
    struct stat info {};
    if (::fstat(file_, &info) != 0) fail(names_.part, std::strerror(errno));
    if (info.st_size == 0) return 0;
    if (!std::filesystem::exists(names_.journal))
        throw Error(names_.part.string() + ": is no unfinished file of this program (it has no " +
                        names_.journal.filename().string() + " beside it)",
                    "--overwrite throws it away; or choose another name");
    const std::string text = readFile(names_.journal, kMaxJournalBytes);
    const std::size_t firstEnd = text.find('\n');
    if (firstEnd == std::string::npos) return 0;
    if (std::string_view(text).substr(0, firstEnd) != description) {
        throw Error(
            names_.part.string() + ": an unfinished file of another source or other options",
            "--overwrite starts over; or choose another name, or run the command that began it");
    }
    std::vector<Line> lines;
    for (std::size_t at = firstEnd + 1;;) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string::npos) break;  // a line that was being written at the kill
        lines.push_back(parseLine(std::string_view(text).substr(at, end - at)));
        at = lines.back().textEnd = end + 1;
    }
    while (!lines.empty()) {
        const std::uint64_t begin = lines.size() > 1 ? lines[lines.size() - 2].end : 0;
        const Line& last = lines.back();
        if (last.end > begin && last.end <= static_cast<std::uint64_t>(info.st_size) &&
            intact(begin, last.end, last.digest)) {
            journalBytes_ = last.textEnd;
            return last.end;
        }
        lines.pop_back();
    }
    return 0;
}

bool PartialFile::intact(std::uint64_t begin, std::uint64_t end, std::string_view digest) const {
    std::vector<char> buffer(1 << 20);
    Sha256 hash;
    while (begin < end) {
        const auto want =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - begin));
        const ssize_t got = ::pread(file_, buffer.data(), want, static_cast<off_t>(begin));
        if (got <= 0) return false;
        hash.update({buffer.data(), static_cast<std::size_t>(got)});
        begin += static_cast<std::uint64_t>(got);
    }
    return hash.hex() == digest;
}

void PartialFile::checkSpace(std::uint64_t totalBytes) const {
    std::error_code code;
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    const auto space = std::filesystem::space(folder, code);
    const std::uint64_t needed = totalBytes > written_ ? totalBytes - written_ : 0;
    if (code || space.available >= needed) return;
    if (written_ == 0) ::unlink(names_.part.c_str());
    throw Error(path_.string() + ": needs " + std::to_string(needed) + " more bytes, " +
                folder.string() + " has " + std::to_string(space.available) + " free");
}

void PartialFile::begin(std::string_view description) {
    log_ = ::open(names_.journal.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    // Lines behind the last one that holds are dropped: every line counts from the one before.
    if (log_ < 0 || ::ftruncate(log_, static_cast<off_t>(journalBytes_)) != 0)
        fail(names_.journal, std::strerror(errno));
    const std::string start = journalBytes_ == 0 ? std::string(description) + '\n' : std::string();
    if (const int error = writeAll(log_, start.data(), start.size()))
        throw Error(names_.journal.string() + ": cannot write: " + std::strerror(error),
                    kResumeHint);
}

void PartialFile::write(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const char*>(bytes.data());
    if (const int error = writeAll(file_, data, bytes.size())) {
        salvage();
        throw Error(names_.part.string() + ": cannot write: " + std::strerror(error), kResumeHint);
    }
    hash_.update({data, bytes.size()});
    written_ += bytes.size();
    if (written_ - recorded_ >= kRecordBytes) record();
}

/// Gives the half-written piece's room back, so that the journal has some, and records the rest.
void PartialFile::salvage() noexcept {
    try {
        if (::ftruncate(file_, static_cast<off_t>(written_)) == 0) record();
    } catch (const Error&) {
        // The journal's last line stands: a little more will be written again.
    }
}

void PartialFile::record() {
    if (written_ == recorded_) return;
    if (::fdatasync(file_) != 0 && errno != EINVAL)
        throw Error(names_.part.string() + ": cannot write: " + std::strerror(errno), kResumeHint);
    const std::string line = std::to_string(written_) + ' ' + hash_.hex() + '\n';
    hash_ = Sha256();
    recorded_ = written_;
    if (const int error = writeAll(log_, line.data(), line.size()))
        throw Error(names_.journal.string() + ": cannot write: " + std::strerror(error),
                    kResumeHint);
    ::fdatasync(log_);
}

void PartialFile::finish() {
    record();
    if (::rename(names_.part.c_str(), path_.c_str()) != 0) fail(path_, std::strerror(errno));
    ::close(std::exchange(log_, -1));
    ::close(std::exchange(file_, -1));
    std::error_code ignored;
    std::filesystem::remove(names_.journal, ignored);
}

}  // namespace moescope
