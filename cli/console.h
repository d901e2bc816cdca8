// SPDX-License-Identifier: Apache-2.0
// Talk on stderr: colour where a terminal allows it, progress for people and for the window.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace moescope::cli {

bool isTerminal(std::FILE* stream);
/// True when `stream` is a terminal and NO_COLOR is unset.
bool colorAllowed(std::FILE* stream);

// What is printed here holds names of strangers: control characters are made visible, so that no
// terminal obeys them (visibleText).

/// For `stream`: where it is a terminal visibleText, else, in a file or a pipe, what it is.
std::string shownOn(std::FILE* stream, std::string_view text);

/// "error: <what>" and "hint: <hint>" on stderr.
void printError(std::string_view what, std::string_view hint);
/// One line on stderr, for a person.
void note(const std::string& line);

/// Of --resume where nothing was begun: "<what> is not there: nothing to resume, it starts afresh".
void noteFreshStart(const std::string& what);

enum class ProgressStyle : std::uint8_t { Auto, Json, Off };
/// "auto", "json", "off"; UsageError otherwise.
ProgressStyle parseProgressStyle(const std::string& name);

/// Progress of one phase: redrawn on a terminal ten times a second, otherwise a plain line every
/// tenth, at most one a second and one at the end, or one JSON object a line ({"phase", "done",
/// "total", "rate", "eta_s", "message"}).
class Progress {
public:
    Progress(ProgressStyle style, std::string phase, std::string unit);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Of `done`, what an earlier process did: it took none of this one's time, so the rate and the
    /// time that is left leave it out. May grow from update to update.
    void setResumed(std::uint64_t done) { resumed_ = done; }
    /// total 0: unknown. Cheap to call often.
    void update(std::uint64_t done, std::uint64_t total, std::string_view message = {});
    /// Ends the line; called by the destructor too.
    void finish();

private:
    using Clock = std::chrono::steady_clock;
    void print(std::uint64_t done, std::uint64_t total, std::string_view message);

    ProgressStyle style_;
    bool terminal_;
    std::string phase_, unit_;
    Clock::time_point start_ = Clock::now();
    Clock::time_point lastPrint_{};
    std::uint64_t lastTenth_ = 0;
    std::uint64_t done_ = 0, total_ = 0, resumed_ = 0;
    bool open_ = false;
};

}  // namespace moescope::cli
