// SPDX-License-Identifier: Apache-2.0
#include "cli/result_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "cli/console.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/locked_file.h"
#include "engine/core/sha256.h"

namespace moescope::cli {
namespace {

using Header = nlohmann::ordered_json;

constexpr std::uint64_t kMaxBytes = 1ULL << 36;
/// In the header of PATH.part: the user agreed that PATH is replaced.
constexpr const char* kReplaces = "--overwrite";

/// Of a SHA-256 its beginning, which is enough to see that two differ.
std::string shown(const Header& value) {
    if (!value.is_string()) return value.dump();
    const std::string text = value.get<std::string>();
    const bool hash =
        text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
    return hash ? text.substr(0, 12) : text;
}

/// "another -n (16 there, 32 here) and --seed (1 there, 2 here)"
std::string differences(const Header& here, const Header& there) {
    std::string text;
    for (const auto& [key, value] : here.items()) {
        const auto other = there.find(key);
        if (other == there.end()) return "another version of this program";
        if (*other == value) continue;
        text += (text.empty() ? "another " : " and ") + key + " (" + shown(*other) + " there, " +
                shown(value) + " here)";
    }
    return text.empty() ? "another version of this program" : text;
}

bool sameHeader(const Header& a, const Header& b) {
    return nlohmann::json(a) == nlohmann::json(b);  // whatever the order of the keys
}

/// What is written as it comes: a device, a pipe. /dev/stdout may be a regular file, but its name
/// must not be renamed over. Files in /dev/shm are files.
bool isStream(const std::filesystem::path& path) {
    std::error_code absent;
    const auto status = std::filesystem::status(path, absent);
    if (std::filesystem::is_directory(status)) throw Error(path.string() + ": is a folder");
    const std::string name = path.lexically_normal().string();
    return name == "/dev/stdout" || name == "/dev/stderr" || name.starts_with("/dev/fd/") ||
           name.starts_with("/proc/self/fd/") ||
           (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status));
}

std::filesystem::path partOf(const std::filesystem::path& path) {
    return path.string() + ".part";
}

std::filesystem::path metaOf(const std::filesystem::path& path) {
    return path.string() + ".meta";
}

/// {"header", "sha256" of PATH} of a finished PATH, or null when there is none. Error when the file
/// of that name is another, which must not be lost.
Header metaBeside(const std::filesystem::path& path) {
    const std::filesystem::path meta = metaOf(path);
    std::error_code absent;
    if (!std::filesystem::exists(meta, absent)) return nullptr;
    Header out = looseOrderedJson(readFile(meta, kMaxBytes));
    const auto member = [&](const char* key) { return out.is_object() ? out[key] : Header(); };
    if (!member("header").is_object() || !member("sha256").is_string())
        throw Error(meta.string() + ": is no file of this command, which would write one there",
                    "move it away; or choose another --output");
    return out;
}

/// A PATH that was not there when PATH.part was begun is of somebody else.
void refuseToReplace(const std::filesystem::path& path) {
    const std::filesystem::path part = partOf(path);
    std::error_code absent;
    if (!std::filesystem::exists(part, absent) || !std::filesystem::exists(path, absent)) return;
    std::string line;
    std::getline(std::ifstream(part), line);
    const Header header = looseOrderedJson(line);
    if (!header.is_object() || !header.contains(kReplaces))
        throw Error(path.string() + ": exists beside " + part.string() +
                        ", which was not begun to replace it",
                    "move " + path.string() +
                        " away and --resume continues; --overwrite starts "
                        "again and replaces both");
}

void refuseUnfinished(const std::filesystem::path& part) {
    std::error_code absent;
    if (std::filesystem::exists(part, absent))
        throw Error(part.string() + ": unfinished results are here",
                    "--resume continues it, --overwrite throws it away");
}

}  // namespace

ResultFile::Mode ResultFile::modeOf(const Options& options) {
    const std::filesystem::path path = options.get<std::string>("output");
    const bool resume = options.isSet("resume"), overwrite = options.isSet("overwrite");
    if (resume && overwrite) throw UsageError("--resume and --overwrite exclude each other");
    if (resume) {
        if (!isStream(path)) refuseToReplace(path);
        return Mode::Resume;
    }
    if (!isStream(path)) {
        requireFreshOutput(path, overwrite, "--output");
        if (!overwrite) refuseUnfinished(partOf(path));
    }
    return overwrite ? Mode::Overwrite : Mode::Fresh;
}

ResultFile::ResultFile(std::filesystem::path path, const Header& header, Mode mode)
    : path_(std::move(path)), header_(header), direct_(isStream(path_)) {
    if (direct_) {
        file_.reset(std::tmpfile());
        out_.reset(std::fopen(path_.c_str(), "ab"));  // a long run must not end in its refusal
        if (!file_ || !out_) fail(path_);
        return;
    }
    part_ = partOf(path_);
    sorted_ = path_.string() + ".sorted";
    const Header meta = metaBeside(path_);
    std::error_code code;
    if (mode == Mode::Resume && !std::filesystem::exists(part_, code) &&
        std::filesystem::exists(path_, code)) {
        loadWhole(meta);
        return;
    }
    if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), code);
    open(mode);
}

ResultFile::~ResultFile() {
    std::error_code ignored;
    if (!finished_ && !direct_ && places_.empty()) std::filesystem::remove(part_, ignored);
    if (!finished_ && !direct_) std::filesystem::remove(sorted_, ignored);
}

void ResultFile::open(Mode mode) {
    if (mode == Mode::Fresh) refuseUnfinished(part_);
    const bool resume = mode == Mode::Resume && std::filesystem::exists(part_);
    if (mode == Mode::Resume && !resume) noteFreshStart(part_.string());
    file_.reset(::fdopen(openLocked(part_), "r+b"));
    if (!file_) fail(part_);
    // Since the options were read another process may have finished it. From here on nobody can.
    if (mode == Mode::Fresh && std::filesystem::exists(path_)) refuseFinished();
    if (resume) return load();
    if (::ftruncate(::fileno(file_.get()), 0) != 0) fail(part_);
    Header begun = header_;
    if (mode == Mode::Overwrite) begun[kReplaces] = true;
    append(dumpJson(begun) + "\n");
}

void ResultFile::refuseFinished() const {
    std::error_code ignored;
    std::filesystem::remove(part_, ignored);  // begun just now
    throw Error(path_.string() + ": another process has finished it meanwhile",
                "choose another name, or --overwrite");
}

void ResultFile::fail(const std::filesystem::path& path) const {
    throw Error(path.string() + ": cannot write: " + std::strerror(errno));
}

/// Takes over what is whole; a line that was being written at the kill is cut off.
void ResultFile::load() {
    const std::string text = readFile(part_, kMaxBytes);
    std::size_t at = text.find('\n');
    if (at == std::string::npos) {
        if (::ftruncate(::fileno(file_.get()), 0) != 0) fail(part_);
        return append(dumpJson(header_) + "\n");
    }
    Header theirs = looseOrderedJson(text.substr(0, at));
    if (theirs.is_object()) theirs.erase(kReplaces);
    if (!sameHeader(theirs, header_))
        throw Error(part_.string() + ": was begun with " +
                        (theirs.is_object() ? differences(header_, theirs) : "another program"),
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

/// PATH.meta is believed only for the very bytes that it was written for.
void ResultFile::loadWhole(const Header& meta) {
    const std::string restart = "--overwrite starts again; or choose another --output";
    if (meta.is_null())
        throw Error(path_.string() + ": it cannot be told which model and settings it is of: " +
                        metaOf(path_).string() + " is not there",
                    restart);
    if (!sameHeader(meta["header"], header_))
        throw Error(path_.string() + ": is finished and of " + differences(header_, meta["header"]),
                    restart);
    const std::string text = readFile(path_, kMaxBytes);
    if (meta["sha256"] != sha256Hex(text))
        throw Error(path_.string() + ": was changed after it was finished", restart);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        places_[count()] = {static_cast<long>(at), end - at};
        at = end + 1;
    }
    file_.reset(std::fopen(path_.c_str(), "rb"));
    if (!file_) throw Error(path_.string() + ": cannot be read back");
    whole_ = finished_ = true;
    note(path_.string() + ": all " + std::to_string(count()) +
         " results are there already; nothing is evaluated");
}

std::string ResultFile::kept(const std::string& advice) const {
    if (direct_) return "nothing is kept: the output is no regular file";
    if (places_.empty()) return "nothing is kept: no item was complete yet";
    return countText(count(), "item") + (count() == 1 ? " is" : " are") + " kept in " +
           part_.string() + "; " + advice;
}

void ResultFile::append(const std::string& text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size() &&
                         std::fflush(file_.get()) == 0;
    if (!written)
        throw Error((direct_ ? path_ : part_).string() + ": cannot write: " + std::strerror(errno) +
                    "; " + countText(count(), "item") + (count() == 1 ? " is" : " are") +
                    " complete");
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
    if (!direct_) out_.reset(std::fopen(sorted_.c_str(), "wb"));
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
        const Header meta{{"header", header_}, {"sha256", sha256Hex(readFile(sorted_, kMaxBytes))}};
        writeFile(metaOf(path_), dumpJson(meta) + "\n");
        if (::fsync(::fileno(out_.get())) != 0 || ::rename(sorted_.c_str(), path_.c_str()) != 0)
            fail(path_);
        std::error_code ignored;
        std::filesystem::remove(part_, ignored);
    }
    finished_ = true;
}

}  // namespace moescope::cli
