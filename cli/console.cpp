// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "reports/numbers.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

using namespace std::chrono_literals;

}  // namespace

bool isTerminal(std::FILE* stream) {
    return ::isatty(::fileno(stream)) == 1;
}

bool colorAllowed(std::FILE* stream) {
    const char* off = std::getenv("NO_COLOR");
    return (off == nullptr || *off == '\0') && isTerminal(stream);
}

std::string shownOn(std::FILE* stream, std::string_view text) {
    return isTerminal(stream) ? visibleText(text) : std::string(text);
}

void printError(std::string_view what, std::string_view hint) {
    const bool color = colorAllowed(stderr);
    const std::string text = visibleText(what);
    std::fprintf(stderr, "%serror:%s %s\n", color ? "\033[1;31m" : "", color ? "\033[0m" : "",
                 text.c_str());
    if (!hint.empty()) {
        std::fprintf(stderr, "%shint:%s %s\n", color ? "\033[1m" : "", color ? "\033[0m" : "",
                     visibleText(hint).c_str());
    }
}

void note(const std::string& line) {
    std::fprintf(stderr, "%s\n", visibleText(line).c_str());
}

void noteFreshStart(const std::string& what) {
    note("note: " + what + " is not there: nothing to resume, it starts afresh");
}

ProgressStyle parseProgressStyle(const std::string& name) {
    if (name == "auto") return ProgressStyle::Auto;
    if (name == "json") return ProgressStyle::Json;
    if (name == "off") return ProgressStyle::Off;
    throw UsageError("--progress takes auto, json or off, not '" + name + "'");
}

Progress::Progress(ProgressStyle style, std::string phase, std::string unit)
    : style_(style),
      terminal_(isTerminal(stderr)),
      phase_(std::move(phase)),
      unit_(std::move(unit)) {}

Progress::~Progress() {
    finish();
}

void Progress::update(std::uint64_t done, std::uint64_t total, std::string_view message) {
    done_ = done;
    total_ = total;
    if (style_ == ProgressStyle::Off) return;
    const auto now = Clock::now();
    const std::uint64_t tenth = total > 0 ? done * 10 / total : 0;
    const bool plain = style_ == ProgressStyle::Auto && !terminal_;
    const Clock::time_point since = plain ? std::max(lastPrint_, start_) : lastPrint_;
    const bool early = done != total && now - since < (plain ? 1000ms : 100ms);
    if (early || (plain && tenth == lastTenth_)) return;
    lastPrint_ = now;
    lastTenth_ = tenth;
    print(done, total, message);
}

void Progress::print(std::uint64_t done, std::uint64_t total, std::string_view message) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const std::uint64_t own = done - std::min(done, resumed_);
    const double rate = seconds > 0 ? static_cast<double>(own) / seconds : 0;
    const double left = rate > 0 && total >= done ? static_cast<double>(total - done) / rate : -1;
    if (style_ == ProgressStyle::Json) {
        nlohmann::json line{
            {"phase", phase_}, {"done", done}, {"total", total}, {"rate", rate}, {"unit", unit_}};
        line["eta_s"] = left >= 0 ? nlohmann::json(left) : nlohmann::json(nullptr);
        line["message"] = std::string(message);
        std::fprintf(stderr, "%s\n", dumpJson(line).c_str());
        return;
    }
    std::string text = phase_ + ' ' + formatCount(static_cast<std::int64_t>(done));
    if (total > 0) text += '/' + formatCount(static_cast<std::int64_t>(total));
    text += ' ' + unit_;
    if (own > 0) text += ", " + formatFixed(rate, rate < 10 ? 2 : 0) + ' ' + unit_ + "/s";
    if (left >= 0 && done < total) text += ", " + formatFixed(left, 0) + " s left";
    if (!message.empty()) text += "  " + std::string(message);
    if (terminal_) {
        std::fprintf(stderr, "\r\033[K%s", visibleLine(text).c_str());
        open_ = true;
    } else {
        std::fprintf(stderr, "%s\n", visibleLine(text).c_str());
    }
}

void Progress::finish() {
    if (open_) {
        print(done_, total_, {});
        std::fputc('\n', stderr);
        open_ = false;
    }
}

}  // namespace moescope::cli
