// SPDX-License-Identifier: Apache-2.0
#include "engine/core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr int kMaxJsonDepth = 256;

/// Owns a file descriptor for the length of a scope.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

std::string cause() {
    return std::strerror(errno);
}

/// Length of the valid UTF-8 sequence at the start of `s`, 0 when there is none (Unicode 15, table
/// 3-7).
std::size_t sequenceLength(std::string_view s) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const auto continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
        return i < s.size() && byte(i) >= low && byte(i) <= high;
    };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
        const unsigned high = lead == 0xED ? 0x9F : 0xBF;
        return continues(1, low, high) && continues(2) ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
        const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
        return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

/// The library's text without its "[json.exception.parse_error.101] parse error at ...: " prefix.
std::string reasonOf(const nlohmann::json::exception& e) {
    const std::string_view what = e.what();
    const std::size_t at = what.find(": ");
    return toValidUtf8(at == std::string_view::npos ? what : what.substr(at + 2));
}

}  // namespace

std::string readFile(const std::filesystem::path& path, std::uint64_t maxBytes) {
    if (path.empty()) throw Error("a file is asked for, and its name is empty");
    // Non-blocking, so that opening a pipe without a writer does not hang here.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.get() < 0) throw Error(path.string() + ": cannot open: " + cause());
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) throw Error(path.string() + ": cannot stat: " + cause());
    const bool pipe = S_ISFIFO(info.st_mode);
    if (S_ISDIR(info.st_mode)) throw Error(path.string() + ": is a folder, not a file");
    if (!S_ISREG(info.st_mode) && !pipe) throw Error(path.string() + ": not a file or a pipe");
    const auto tooLarge = [&](std::uint64_t size) {
        throw Error(path.string() + ": " + std::to_string(size) +
                    " bytes, more than the limit of " + std::to_string(maxBytes));
    };
    const auto expected = static_cast<std::uint64_t>(info.st_size);
    if (expected > maxBytes) tooLarge(expected);
    if (pipe) ::fcntl(file.get(), F_SETFL, 0);
    std::string content;
    content.reserve(expected);
    std::array<char, 1 << 16> buffer;
    while (true) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error(path.string() + ": cannot read: " + cause());
        if (got == 0) return content;
        content.append(buffer.data(), static_cast<std::size_t>(got));
        if (content.size() > maxBytes) tooLarge(content.size());
    }
}

void writeFile(const std::filesystem::path& path, std::string_view content) {
    const std::filesystem::path folder = path.parent_path();
    if (!folder.empty()) {
        std::error_code code;
        std::filesystem::create_directories(folder, code);
        if (code) throw Error(folder.string() + ": cannot create folder: " + code.message());
    }
    // The rename would replace a device or a pipe by a regular file.
    std::error_code absent;
    const std::filesystem::file_status status = std::filesystem::status(path, absent);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
        throw Error(path.string() + ": cannot write: not a regular file");
    }
    std::string temporary = path.string() + ".XXXXXX";
    Descriptor file(::mkstemp(temporary.data()));
    if (file.get() < 0) throw Error(path.string() + ": cannot write: " + cause());
    const auto fail = [&](const std::string& why) {
        ::unlink(temporary.c_str());
        throw Error(path.string() + ": cannot write: " + why);
    };
    std::size_t done = 0;
    while (done < content.size()) {
        const ssize_t put = ::write(file.get(), content.data() + done, content.size() - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail(cause());
        done += static_cast<std::size_t>(put);
    }
    const mode_t mask = ::umask(0);
    ::umask(mask);
    if (::fchmod(file.get(), 0666 & ~mask) != 0) fail(cause());
    if (::fsync(file.get()) != 0 && errno != EINVAL) fail(cause());
    if (::close(file.release()) != 0) fail(cause());
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(cause());
}

namespace {

template <typename Json>
Json parseChecked(std::string_view text, const std::string& origin,
                  const typename Json::parser_callback_t& filter = nullptr) {
    // The depth is checked before parsing: nlohmann's parser is iterative, but code that walks the
    // result (and its destructor in older releases) is not.
    int depth = 0;
    bool inString = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (inString) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                inString = false;
            continue;
        }
        if (c == '"')
            inString = true;
        else if (c == '{' || c == '[') {
            if (++depth > kMaxJsonDepth) {
                throw Error(origin + ": invalid JSON at byte " + std::to_string(i) +
                            ": nested deeper than " + std::to_string(kMaxJsonDepth));
            }
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    try {
        return Json::parse(text, filter);
    } catch (const nlohmann::json::parse_error& e) {
        throw Error(origin + ": invalid JSON at byte " + std::to_string(e.byte) + ": " +
                    reasonOf(e));
    } catch (const nlohmann::json::exception& e) {  // a number that no double can hold
        throw Error(origin + ": invalid JSON: " + reasonOf(e));
    }
}

template <typename Json>
Json parseLoosely(std::string_view text) {
    try {
        return parseChecked<Json>(text, {});
    } catch (const Error&) {
        return Json(nlohmann::json::value_t::discarded);
    }
}

}  // namespace

bool sameFile(const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code absent;
    return std::filesystem::equivalent(a, b, absent) ||
           std::filesystem::weakly_canonical(a, absent) ==
               std::filesystem::weakly_canonical(b, absent);
}

nlohmann::json parseJson(std::string_view text, const std::string& origin) {
    return parseChecked<nlohmann::json>(text, origin);
}

nlohmann::json parseJson(std::string_view text, const std::string& origin,
                         const nlohmann::json::parser_callback_t& filter) {
    return parseChecked<nlohmann::json>(text, origin, filter);
}

nlohmann::ordered_json parseOrderedJson(std::string_view text, const std::string& origin) {
    return parseChecked<nlohmann::ordered_json>(text, origin);
}

nlohmann::json looseJson(std::string_view text) {
    return parseLoosely<nlohmann::json>(text);
}

nlohmann::ordered_json looseOrderedJson(std::string_view text) {
    return parseLoosely<nlohmann::ordered_json>(text);
}

std::string dumpJson(const nlohmann::json& value, int indent) {
    return escapeControls(value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string escapeControls(std::string json) {
    const auto controlAt = [&](std::size_t at) {
        if (json[at] == '\x7F') return 0x7F;
        const bool two = json[at] == '\xC2' && at + 1 < json.size();
        const int second = two ? static_cast<unsigned char>(json[at + 1]) : 0;
        return second >= 0x80 && second < 0xA0 ? second : 0;
    };
    std::string out;
    std::size_t copied = 0;
    for (std::size_t at = 0; at < json.size(); ++at) {
        const int control = controlAt(at);
        if (control == 0) continue;
        constexpr std::string_view kDigits = "0123456789abcdef";
        out.append(json, copied, at - copied).append("\\u00");
        out += kDigits[static_cast<std::size_t>(control >> 4)];
        out += kDigits[static_cast<std::size_t>(control & 15)];
        copied = at + (control == 0x7F ? 1 : 2);
        at = copied - 1;
    }
    if (copied == 0) return json;
    return out.append(json, copied);
}

std::string toValidUtf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const std::size_t length = sequenceLength(bytes);
        if (length > 0)
            out.append(bytes.substr(0, length));
        else
            out.append("\xEF\xBF\xBD");
        bytes.remove_prefix(length > 0 ? length : 1);
    }
    return out;
}

}  // namespace moescope
