// SPDX-License-Identifier: Apache-2.0
#include "reports/metric_lines.h"

#include <algorithm>
#include <cmath>

#include "reports/numbers.h"
#include "reports/terms.h"

namespace moescope {
namespace {

/// flip_rate's test is older than the rule that a test is named after its metric.
std::string testNameOf(const std::string& metric) {
    return metric == "flip_rate" ? "flip_p" : metric + "_p";
}

}  // namespace

bool isTest(std::string_view metric) noexcept {
    return metric.ends_with("_p");
}

bool isItemCount(std::string_view metric) noexcept {
    return metric.starts_with("items_") || metric.starts_with("replies_");
}

bool isPercentage(std::string_view metric) noexcept {
    return metric == "ss" || metric == "lms" || metric == "icat";  // StereoSet's
}

std::vector<MetricLine> metricLines(std::span<const MetricRow> metrics) {
    std::vector<MetricLine> lines;
    for (const MetricRow& metric : metrics) {
        if (!isScore(metric.name)) continue;
        const std::string test = testNameOf(metric.name);
        const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const MetricRow& row) {
            return row.suite == metric.suite && row.group == metric.group && row.name == test;
        });
        lines.push_back({&metric, found == metrics.end() ? nullptr : &*found});
    }
    return lines;
}

std::vector<std::string> itemCountNotes(std::span<const MetricRow> metrics) {
    std::vector<std::string> notes;
    std::vector<std::string_view> seen;
    for (const MetricRow& first : metrics) {
        if (!isItemCount(first.name) ||
            std::find(seen.begin(), seen.end(), first.name) != seen.end())
            continue;
        seen.push_back(first.name);
        const char* unit = first.name.starts_with("replies_") ? "reply" : "item";
        std::string counts;
        for (const MetricRow& row : metrics) {
            if (row.name != first.name || !(row.value > 0)) continue;
            counts += (counts.empty() ? "" : ", ") + (row.group.empty() ? "" : row.group + " ") +
                      formatCount(std::llround(row.value)) + " of " +
                      (row.group.empty() ? formatCounted(row.n, unit) : formatCount(row.n));
        }
        if (!counts.empty())
            notes.push_back(first.name + ": " + counts + " (" + first.method + ")");
    }
    return notes;
}

std::string groupTitle(std::string_view metric, std::string_view group) {
    if (group.empty()) return kAllGroups;
    const std::size_t equals = group.find('=');
    if (metric.find("_level_") == std::string_view::npos || equals == std::string_view::npos)
        return std::string(group);
    const std::string_view kind = group.substr(0, equals);
    const std::string family(group.substr(equals + 1));
    if (kind == "instructions") return family + " in any prompt";
    if (kind != "family") return std::string(group);
    return family == "several" ? "prompts of several families" : "prompts of " + family + " alone";
}

std::string testText(const MetricRow* test) {
    return test == nullptr ? std::string() : formatSignificant(test->value, 2);
}

std::string basisText(const MetricRow& metric) {
    return formatCount(metric.n) + (metric.clusters > 0 && metric.clusters < metric.n
                                        ? " in " + formatCounted(metric.clusters, "cluster")
                                        : "");
}

}  // namespace moescope
