// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/quality_block.h"

#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

namespace moescope {
namespace {

/// A question, and the rows that answer it: device kernels first, then CPU spans.
struct Question {
    const char* label;
    std::array<std::string_view, 4> rows;
};
constexpr std::array kQuestions{
    Question{"records against launches", {"missing_device_records", "unbalanced_scopes"}},
    Question{"dropped", {"dropped_device_records", "dropped_records"}},
    Question{"zero or negative stamps", {"bad_device_stamps"}},
    Question{"unattributed", {"unattributed_kernels", "unattributed_operations"}},
    Question{"clock steps", {"clock_step"}},
    Question{"overhead", {"cupti_overhead", "timer_overhead"}},
    Question{"throttling", {"throttled_samples"}},
    Question{"time covered by operations", {"op_time_share"}},
};

std::string numberText(double value) {
    if (!std::isfinite(value)) return "n/a";
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6);
    return {text, end.ptr};
}

QualityLine lineOf(std::string label, const QualityRow& row) {
    return {std::move(label), numberText(row.value) + (row.unit.empty() ? "" : " " + row.unit),
            true, row.ok, row.note};
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
    const nlohmann::json build = nlohmann::json::parse(metaOr(meta, "build", ""), nullptr, false);
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
    const nlohmann::json device = nlohmann::json::parse(metaOr(meta, "device", ""), nullptr, false);
    add(device, "device", "");
    add(device, "driver_version", "driver ");
    add(device, "cupti_version", "CUPTI ");
    return {"versions", text.empty() ? "not recorded" : text, !text.empty(), true, {}};
}

}  // namespace

std::vector<QualityLine> qualityBlock(const std::map<std::string, std::string>& meta,
                                      RunStatus status, const std::vector<QualityRow>& rows) {
    std::vector<QualityLine> out{modeLine(meta, status)};
    std::set<std::string_view> answered;
    for (const Question& question : kQuestions) {
        bool found = false;
        for (const std::string_view name : question.rows) {
            for (const QualityRow& row : rows) {
                if (name.empty() || row.name != name) continue;
                out.push_back(lineOf(question.label, row));
                answered.insert(name);
                found = true;
            }
        }
        if (!found) out.push_back({question.label, "not recorded", false, true, {}});
    }
    for (const QualityRow& row : rows)
        if (answered.count(row.name) == 0) out.push_back(lineOf(row.name, row));
    out.push_back(versionLine(meta));
    return out;
}

}  // namespace moescope
