// SPDX-License-Identifier: Apache-2.0
#include "cli/compare_suites.h"

#include <cmath>
#include <map>

#include "engine/core/file.h"
#include "evals/stats/tests.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

const SuiteRow* findSuite(const RunSummary& run, const std::string& name) {
    for (const SuiteRow& suite : run.suites) {
        if (suite.name == name) return &suite;
    }
    return nullptr;
}

const MetricRow* findMetric(const RunSummary& run, const std::string& suite,
                            const MetricRow& wanted) {
    const SuiteRow* row = findSuite(run, suite);
    if (row == nullptr) return nullptr;
    for (const MetricRow& m : run.metrics) {
        if (m.suite == row->id && m.name == wanted.name && m.group == wanted.group) return &m;
    }
    return nullptr;
}

/// Items that did not fit the context.
double excludedItems(const RunSummary& run, const SuiteRow& suite) {
    for (const MetricRow& m : run.metrics)
        if (m.suite == suite.id && m.name == kItemsTooLong) return m.value;
    return 0;
}

std::string clusterOf(const ItemRow& item) {
    if (item.detail.empty()) return item.id;
    const nlohmann::json detail = parseJson(item.detail, "detail of item '" + item.id + "'");
    const auto found = detail.find("cluster");
    return found != detail.end() && found->is_string() ? found->get<std::string>() : item.id;
}

struct Mean {
    double sum = 0;
    std::int64_t n = 0;
};

PairedDifference paired(const std::vector<ItemRow>& base, const std::vector<ItemRow>& other) {
    std::map<std::string, double> baseline;
    for (const ItemRow& item : base) baseline.emplace(item.id, item.score);
    std::map<std::string, Mean> clusters;
    PairedDifference out;
    for (const ItemRow& item : other) {
        const auto found = baseline.find(item.id);
        if (found == baseline.end()) continue;
        const double difference = item.score - found->second;
        if (std::isnan(difference)) continue;  // an item that did not fit has no score
        Mean& cluster = clusters[clusterOf(item)];
        cluster.sum += difference;
        ++cluster.n;
        ++out.items;
    }
    std::vector<double> differences;
    for (const auto& [name, mean] : clusters) {
        differences.push_back(mean.sum / static_cast<double>(mean.n));
        out.mean += differences.back();
    }
    out.clusters = static_cast<std::int64_t>(differences.size());
    out.standardError = std::nan("");
    if (differences.empty()) return out;
    const auto n = static_cast<double>(differences.size());
    out.mean /= n;
    if (differences.size() > 1) {
        double squares = 0;
        for (const double d : differences) squares += (d - out.mean) * (d - out.mean);
        out.standardError = std::sqrt(squares / (n - 1) / n);
    }
    out.p = stats::signFlipTest(differences);
    return out;
}

}  // namespace

std::vector<MetricComparison> compareMetrics(const std::vector<RunSummary>& runs) {
    std::vector<MetricComparison> out;
    for (const SuiteRow& suite : runs.front().suites) {
        for (const MetricRow& metric : runs.front().metrics) {
            if (metric.suite != suite.id) continue;
            MetricComparison row{suite.name, metric.name, metric.group, {}};
            for (const RunSummary& run : runs)
                row.rows.push_back(findMetric(run, suite.name, metric));
            out.push_back(std::move(row));
        }
    }
    return out;
}

std::vector<PairedDifference> comparePaired(const std::vector<std::string>& paths,
                                            const std::vector<RunSummary>& runs) {
    std::vector<PairedDifference> out;
    const RunReader base(paths.front());
    for (const SuiteRow& suite : runs.front().suites) {
        const std::vector<ItemRow> items = base.items(suite.id);
        for (std::size_t r = 1; r < runs.size(); ++r) {
            const SuiteRow* other = findSuite(runs[r], suite.name);
            if (other == nullptr) continue;
            PairedDifference row = paired(items, RunReader(paths[r]).items(other->id));
            row.suite = suite.name;
            row.run = r;
            out.push_back(std::move(row));
        }
    }
    std::vector<double> p;
    for (const PairedDifference& row : out) p.push_back(row.p);
    const std::vector<double> adjusted = stats::holm(p);
    for (std::size_t i = 0; i < out.size(); ++i) out[i].holm = adjusted[i];
    return out;
}

std::vector<std::string> comparisonWarnings(const std::vector<RunSummary>& runs) {
    std::vector<std::string> out;
    for (const SuiteRow& suite : runs.front().suites) {
        const nlohmann::json base = parseJson(suite.settings, "settings of " + suite.name);
        for (std::size_t r = 1; r < runs.size(); ++r) {
            const SuiteRow* other = findSuite(runs[r], suite.name);
            if (other == nullptr) continue;
            const double left = excludedItems(runs.front(), suite);
            const double leftHere = excludedItems(runs[r], *other);
            if (left != leftHere)
                out.push_back(suite.name + ": " + formatCount(std::llround(left)) +
                              " items did not fit the context in the first and " +
                              formatCount(std::llround(leftHere)) + " in run " +
                              std::to_string(r + 1) + ": their figures are of different items");
            const nlohmann::json settings = parseJson(other->settings, "settings of " + suite.name);
            for (const auto& [key, value] : base.items()) {
                if (key == "model" || key == "warnings") continue;  // what is compared
                const auto found = settings.find(key);
                if (found != settings.end() && *found == value) continue;
                out.push_back(suite.name + ": " + key + " is " + dumpJson(value) +
                              " in the first and " +
                              (found == settings.end() ? "absent" : dumpJson(*found)) + " in run " +
                              std::to_string(r + 1));
            }
        }
    }
    const auto meta = [](const RunSummary& run, const char* key) {
        const auto found = run.meta.find(key);
        return found == run.meta.end() ? std::string() : found->second;
    };
    for (std::size_t r = 0; r < runs.size(); ++r) {
        if (meta(runs[r], "synthetic") == "true")
            out.push_back("run " + std::to_string(r + 1) +
                          ": the model is synthetic, its scores mean nothing");
        if (runs[r].status != RunStatus::Done)
            out.push_back("run " + std::to_string(r + 1) + ": status is " +
                          std::string(runStatusName(runs[r].status)));
    }
    return out;
}

}  // namespace moescope::cli
