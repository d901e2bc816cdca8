// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/quality_block.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/core/file.h"

namespace moescope {
namespace {

/// A row that answers a question, under a label of its own where it counts something else.
struct Answer {
    std::string_view row;
    const char* label = nullptr;  ///< null: the question's
};

/// A question, and the rows that answer it: device kernels first, then CPU spans.
struct Question {
    const char* label;
    std::array<Answer, 2> answers;
};
constexpr std::array kQuestions{
    // The host has no launches to count: its spans must nest.
    Question{"records against launches",
             {{{"missing_device_records"}, {"unbalanced_scopes", "spans out of order"}}}},
    Question{"dropped", {{{"dropped_device_records"}, {"dropped_records"}}}},
    Question{"zero or negative stamps", {{{"bad_device_stamps"}}}},
    Question{"unattributed", {{{"unattributed_kernels"}, {"unattributed_operations"}}}},
    Question{"clock steps", {{{"clock_step"}}}},
    // Each is a part of what tracing costs.
    Question{
        "overhead",
        {{{"cupti_overhead", "CUPTI overhead"}, {"timer_overhead", "clock reading overhead"}}}},
    Question{"throttling", {{{"throttled_samples"}}}},
    Question{"time covered by operations", {{{"op_time_share"}}}},
};

std::string numberText(double value, int digits) {
    char text[32];
    const auto end =
        std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits);
    return {text, end.ptr};
}

/// "routing_sum" in words.
std::string words(std::string name) {
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

QualityLine lineOf(std::string label, const QualityRow& row) {
    return {std::move(label), qualityValue(row), true, row.ok, row.note};
}

std::string metaOr(const std::map<std::string, std::string>& meta, const char* key,
                   const char* absent) {
    const auto found = meta.find(key);
    return found == meta.end() || found->second.empty() ? absent : found->second;
}

QualityLine modeLine(const std::map<std::string, std::string>& meta, RunStatus status) {
    QualityLine line{
        "mode", metaOr(meta, "degradation", "not recorded"), true, status == RunStatus::Done, {}};
    line.known = meta.count("degradation") > 0;
    if (status != RunStatus::Done)
        line.note = "status " + std::string(runStatusName(status)) + ": only what was saved.";
    const std::string reason = metaOr(meta, "degradation_reason", "");
    if (!reason.empty()) line.note += (line.note.empty() ? "" : " ") + reason;
    const bool counted = meta.count("counters") > 0 || meta.count("sampling") > 0;
    if (counted)
        line.note += std::string(line.note.empty() ? "" : " ") +
                     "Operations were waited for one by one: take times from a run without "
                     "counters.";
    if (metaOr(meta, "synthetic", "") == "true")
        line.note += std::string(line.note.empty() ? "" : " ") +
                     "Random weights: " + (counted ? "" : "times count, ") +
                     "texts and routing mean nothing.";
    return line;
}

QualityLine versionLine(const std::map<std::string, std::string>& meta) {
    const nlohmann::json build = looseJson(metaOr(meta, "build", ""));
    std::string text;
    const auto add = [&](const nlohmann::json& from, const char* key, const char* prefix) {
        if (!from.is_object() || !from.contains(key) || from[key].is_null()) return;
        const nlohmann::json& value = from[key];
        text += (text.empty() ? "" : ", ") +
                (prefix + (value.is_string() ? value.get<std::string>() : value.dump()));
    };
    add(build, "version", "moescope ");
    add(build, "git_revision", "revision ");
    add(build, "compiler", "");
    const nlohmann::json device = looseJson(metaOr(meta, "device", ""));
    add(device, "device", "");
    add(device, "driver_version", "driver ");
    add(device, "cupti_version", "CUPTI ");
    return {"versions", text.empty() ? "not recorded" : text, !text.empty(), true, {}};
}

}  // namespace

std::string qualityUnit(const QualityRow& row) {
    if (row.unit == "ratio") return "%";
    constexpr std::size_t kSymbol = 2;  // "ns" is no plural
    const bool one = row.value == 1 && row.unit.ends_with('s') && row.unit.size() > kSymbol;
    return one ? row.unit.substr(0, row.unit.size() - 1) : row.unit;
}

std::string qualityValue(const QualityRow& row) {
    if (!std::isfinite(row.value)) return "n/a";
    const std::string unit = qualityUnit(row);
    const std::string number =
        row.unit == "ratio" ? numberText(row.value * 100, 3) : numberText(row.value, 6);
    return number + (unit.empty() ? "" : " " + unit);
}

std::string qualityWarning(const QualityRow& row) {
    return qualityLabel(row.name) + " = " + qualityValue(row) +
           (row.note.empty() ? "" : ": " + row.note);
}

std::string qualityLabel(std::string_view row) {
    for (const Question& question : kQuestions)
        for (const Answer& answer : question.answers)
            if (!answer.row.empty() && answer.row == row)
                return answer.label != nullptr ? answer.label : question.label;
    return words(std::string(row));
}

std::vector<QualityLine> qualityBlock(const std::map<std::string, std::string>& meta,
                                      RunStatus status, const std::vector<QualityRow>& rows) {
    std::vector<QualityLine> out{modeLine(meta, status)};
    std::set<std::string_view> answered;
    for (const Question& question : kQuestions) {
        bool found = false;
        for (const Answer& answer : question.answers) {
            for (const QualityRow& row : rows) {
                if (answer.row.empty() || row.name != answer.row) continue;
                out.push_back(lineOf(qualityLabel(row.name), row));
                answered.insert(answer.row);
                found = true;
            }
        }
        if (!found) out.push_back({question.label, "not recorded", false, true, {}});
    }
    for (const QualityRow& row : rows)
        if (answered.count(row.name) == 0) out.push_back(lineOf(qualityLabel(row.name), row));
    out.push_back(versionLine(meta));
    return out;
}

}  // namespace moescope
