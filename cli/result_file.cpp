// SPDX-License-Identifier: Apache-2.0
#include "cli/result_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "cli/output.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::cli {
namespace {

using Header = nlohmann::ordered_json;

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

/// What is written as it comes: a device, a pipe. /dev/stdout may be a regular file, but its name
/// must not be renamed over.
bool isStream(const std::filesystem::path& path) {
    std::error_code absent;
    const auto status = std::filesystem::status(path, absent);
    if (std::filesystem::is_directory(status)) throw Error(path.string() + ": is a folder");
    const std::string name = path.string();
    return name.starts_with("/dev/") || name.starts_with("/proc/") ||
           (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status));
}

std::filesystem::path partOf(const std::filesystem::path& path) {
    return path.string() + ".part";
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
    if (resume) return Mode::Resume;
    if (!isStream(path)) {
        requireFreshOutput(path, overwrite, "--output");
        if (!overwrite) refuseUnfinished(partOf(path));
    }
    return overwrite ? Mode::Overwrite : Mode::Fresh;
}

ResultFile::ResultFile(std::filesystem::path path, const Header& header, Mode mode)
    : path_(std::move(path)), direct_(isStream(path_)) {
    if (direct_) {
        file_.reset(std::tmpfile());
        out_.reset(std::fopen(path_.c_str(), "ab"));  // a long run must not end in its refusal
        if (!file_ || !out_) fail(path_);
        return;
    }
    part_ = partOf(path_);
    sorted_ = path_.string() + ".sorted";
    std::error_code code;
    if (mode == Mode::Resume && !std::filesystem::exists(part_, code) &&
        std::filesystem::exists(path_, code)) {
        loadWhole();
        return;
    }
    if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), code);
    open(header, mode);
}

ResultFile::~ResultFile() {
    std::error_code ignored;
    if (!finished_ && !direct_ && places_.empty()) std::filesystem::remove(part_, ignored);
    if (!finished_ && !direct_) std::filesystem::remove(sorted_, ignored);
}

void ResultFile::open(const Header& header, Mode mode) {
    if (mode == Mode::Fresh) refuseUnfinished(part_);
    const bool resume = mode == Mode::Resume && std::filesystem::exists(part_);
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
void ResultFile::load(const Header& header) {
    const std::string text = readFile(part_, 1ULL << 36);
    std::size_t at = text.find('\n');
    if (at == std::string::npos) {
        if (::ftruncate(::fileno(file_.get()), 0) != 0) fail(part_);
        return append(dumpJson(header) + "\n");
    }
    const auto theirs = Header::parse(text.substr(0, at), nullptr, false);
    if (nlohmann::json(theirs) != nlohmann::json(header))  // whatever the order of the keys
        throw Error(part_.string() + ": was begun with " +
                        (theirs.is_object() ? differences(header, theirs) : "another program"),
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

/// Its lines are the results in order: what `finish` of an earlier process wrote.
void ResultFile::loadWhole() {
    const std::string text = readFile(path_, 1ULL << 36);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        if (!nlohmann::json::accept(text.begin() + static_cast<std::ptrdiff_t>(at),
                                    text.begin() + static_cast<std::ptrdiff_t>(end)))
            throw Error(path_.string() + ": line " + std::to_string(count() + 1) +
                            " is no result: this is no output of the command",
                        "--overwrite replaces it; or choose another --output");
        places_[count()] = {static_cast<long>(at), end - at};
        at = end + 1;
    }
    file_.reset(std::fopen(path_.c_str(), "rb"));
    if (!file_) throw Error(path_.string() + ": cannot be read back");
    whole_ = finished_ = true;
}

void ResultFile::requireFits(std::size_t count,
                             const std::function<bool(std::size_t, const nlohmann::json&)>& fits) {
    const std::string other = "--overwrite replaces it; or choose another --output";
    if (places_.size() != count)
        throw Error(path_.string() + ": is finished with " + std::to_string(places_.size()) +
                        " results, and the input has " + std::to_string(count) + " lines",
                    other);
    for (const auto& [index, place] : places_)
        if (!fits(index, nlohmann::json::parse(read(place))))
            throw Error(path_.string() + ": is finished, but line " + std::to_string(index + 1) +
                            " is no result of this input",
                        other);
}

std::string ResultFile::kept(bool resumable) const {
    if (direct_) return "nothing is kept: the output is no regular file";
    if (places_.empty()) return "nothing was complete yet";
    return std::to_string(count()) + " items are kept in " + part_.string() +
           (resumable ? "; the same command with --resume continues" : "");
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
        if (::fsync(::fileno(out_.get())) != 0 || ::rename(sorted_.c_str(), path_.c_str()) != 0)
            fail(path_);
        std::error_code ignored;
        std::filesystem::remove(part_, ignored);
    }
    finished_ = true;
}

}  // namespace moescope::cli
