// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/id_lines.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope {
namespace {

using nlohmann::json;
using Event = json::parse_event_t;

constexpr std::size_t kDepth = 3;  ///< token, layer, choice
constexpr std::size_t kMaxObjects = 10'000;

bool among(const std::vector<std::string_view>& keys, std::string_view key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// A nested array on its way into ExpertIds: every level must be as long as its sisters.
class NestedIds {
public:
    explicit NestedIds(const std::string& origin) : origin_(origin) {}

    void open() {
        if (++depth_ > kDepth) ragged();
        length_[depth_ - 1] = 0;
    }
    void value(const json& value) {
        if (depth_ != kDepth) ragged();
        // A number above int64 is no expert either.
        if (!value.is_number_integer() ||
            (value.is_number_unsigned() &&
             value.get<std::uint64_t>() >
                 static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())))
            throw Error(origin_ + ": an expert id is " + dumpJson(value) + ", no integer");
        ids_.ids.push_back(expertId(value.get<std::int64_t>(), origin_));
        ++length_[kDepth - 1];
    }
    /// True at the end of the outermost.
    bool close() {
        const std::size_t level = --depth_;
        const std::int64_t length = length_[level];
        std::int64_t& extent = level == 0 ? ids_.tokens : level == 1 ? ids_.layers : ids_.topK;
        if (seen_[level] && extent != length) ragged();
        seen_[level] = true;
        extent = length;
        if (level > 0) ++length_[level - 1];
        return level == 0;
    }
    ExpertIds take() { return std::move(ids_); }

private:
    [[noreturn]] void ragged() const {
        throw Error(origin_ + ": the expert ids are no array of tokens x layers x top-k");
    }

    const std::string& origin_;
    ExpertIds ids_;
    std::size_t depth_ = 0;
    std::array<std::int64_t, kDepth> length_{};
    std::array<bool, kDepth> seen_{};
};

/// What the JSON parser asks about each value. `depth`: how many objects and arrays are open.
class LineFilter {
public:
    LineFilter(const LineKeys& keys, IdLine& line, const StopFlag* stop)
        : keys_(keys), line_(line), stop_(stop) {}

    bool keep(int depth, Event event, json& value) {
        constexpr std::size_t kEvery = 1 << 16;
        if (++events_ % kEvery == 0) throwIfStopped(stop_);
        if (ids_) return inArray(event, value);
        // All that lies under a key that nobody asked for, up to the next key beside it.
        const bool under = depth > dropped_ || (depth == dropped_ && event != Event::key);
        if (dropped_ >= 0 && under) return false;
        dropped_ = -1;
        const bool array = std::exchange(idsFollow_, false);
        if (event == Event::key) {
            const auto& key = value.get_ref<const std::string&>();
            idsFollow_ = among(keys_.arrays, key);
            const bool wanted = idsFollow_ || among(keys_.others, key);
            if (!wanted) dropped_ = depth;
            return wanted;
        }
        if (event == Event::array_start && array) {
            ids_.emplace(line_.origin).open();
            return true;
        }
        count(values_, kMaxLineValues, event != Event::array_end && event != Event::object_end,
              "values beside expert ids");
        count(objects_, kMaxObjects, event == Event::object_start, "JSON objects");
        countSisters(static_cast<std::size_t>(depth), event);
        return true;
    }

private:
    bool inArray(Event event, json& value) {
        switch (event) {
            case Event::array_start:
                ids_->open();
                return true;  // or its values would not be shown
            case Event::value:
                ids_->value(value);
                return false;
            case Event::array_end:
                if (!ids_->close()) return false;
                value = json::array({line_.arrays.size()});
                line_.arrays.push_back(ids_->take());
                ids_.reset();
                return true;
            case Event::object_start:
            case Event::object_end:
            case Event::key:
                break;
        }
        throw Error(line_.origin + ": an object stands among the expert ids");
    }

    /// The parser looks at all values of an array at the end of each object in it.
    void countSisters(std::size_t depth, Event event) {
        if (event == Event::array_end || event == Event::object_end) return;
        if (sisters_.size() < depth + 2) sisters_.resize(depth + 2);
        const std::size_t before = sisters_[depth]++;
        if (event == Event::value) return;
        sisters_[depth + 1] = 0;
        if (event == Event::object_start && before > kMaxObjects)
            throw Error(line_.origin + ": an object stands behind " + std::to_string(before) +
                        " values of an array");
    }

    void count(std::size_t& seen, std::size_t most, bool one, const char* what) const {
        if (one && ++seen > most)
            throw Error(line_.origin + ": holds more than " + std::to_string(most) + " " + what);
    }

    const LineKeys& keys_;
    IdLine& line_;
    const StopFlag* stop_;
    std::optional<NestedIds> ids_;  ///< while inside an array of them
    bool idsFollow_ = false;
    int dropped_ = -1;
    std::size_t events_ = 0, values_ = 0, objects_ = 0;
    std::vector<std::size_t> sisters_;  ///< by depth: values seen in the innermost container
};

}  // namespace

IdLine parseIdLine(std::string_view text, const LineKeys& keys, std::string origin,
                   const StopFlag* stop) {
    IdLine line;
    line.origin = std::move(origin);
    constexpr const char* kHint =
        "each line must be one; 'jq -c .' makes a line of a document, 'jq -c .[]' lines of an "
        "array";
    const std::size_t begin = std::min(text.find_first_not_of(" \t\r"), text.size());
    const std::string_view trimmed = text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
    if (trimmed == "{" || trimmed == "[")
        throw Error(line.origin + ": no JSON object but the beginning of one of several lines",
                    kHint);
    LineFilter filter(keys, line, stop);
    line.object = parseJson(text, line.origin, [&](int depth, Event event, json& value) {
        return filter.keep(depth, event, value);
    });
    if (!line.object.is_object()) throw Error(line.origin + ": no JSON object", kHint);
    return line;
}

void readIdLines(const MappedFile& file, const LineKeys& keys, const StopFlag* stop,
                 const std::function<void(IdLine&)>& visit) {
    const std::string name = file.path().string();
    const std::string_view content(reinterpret_cast<const char*>(file.data()),
                                   static_cast<std::size_t>(file.size()));
    std::size_t number = 0, released = 0;
    bool any = false;
    for (std::size_t start = 0; start < content.size();) {
        throwIfStopped(stop);
        const std::size_t end = std::min(content.find('\n', start), content.size());
        const std::string_view text = content.substr(start, end - start);
        start = end + 1;
        const std::string origin = name + ": line " + std::to_string(++number);
        if (text.size() > kMaxLineBytes)
            throw Error(origin + " has " + std::to_string(text.size() >> 20U) + " MB, more than " +
                        std::to_string(kMaxLineBytes >> 20U));
        if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        any = true;
        IdLine line = parseIdLine(text, keys, origin, stop);
        line.number = number;
        visit(line);
        // What was read need not stay in memory while the rest is.
        constexpr std::size_t kStretch = std::size_t{16} << 20U;
        if (end - released < kStretch) continue;
        file.release(released, end - released);
        released = end;
    }
    if (!any) throw Error(name + ": holds no lines");
}

}  // namespace moescope
