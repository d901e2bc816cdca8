// SPDX-License-Identifier: Apache-2.0
// Joins headline figures of runs by their stable ids.
#include "reports/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "profiler/analysis/roofline.h"
#include "profiler/analysis/run_identity.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

/// The machine's neighbours move what it can do by a few percent from run to run.
bool ceilingsApart(double base, double run) {
    constexpr double kMost = 1.1;
    return std::isfinite(base) && std::isfinite(run) &&
           std::max(base, run) > kMost * std::min(base, run);
}

std::string ceilingPhrase(const Ceilings& base, const Ceilings& run) {
    std::string out;
    const auto add = [&](const std::string& name, double a, double b, const char* unit) {
        if (ceilingsApart(a, b))
            out += (out.empty() ? "" : ", ") + name + " " + formatPerSecond(b, unit) +
                   " instead of " + formatPerSecond(a, unit);
    };
    add("memory", base.bytesPerSecond, run.bytesPerSecond, "B");
    for (const auto& [name, peak] : base.peaks)
        for (const auto& [other, peakOfRun] : run.peaks)
            if (name == other) add(name, peak, peakOfRun, "OP");
    return out.empty()
               ? out
               : "ceilings measured more than 10 % apart (" + out +
                     "): shares of bandwidth and of roofs cannot be compared, and a difference in "
                     "speed is also one of the machine";
}

}  // namespace

bool ComparisonRow::shared() const noexcept {
    return std::count_if(figures.begin(), figures.end(),
                         [](const auto& figure) { return figure.has_value(); }) > 1;
}

std::vector<ComparisonRow> compareHeadlines(std::span<const ReportRun> runs) {
    std::vector<ComparisonRow> rows;
    std::vector<const RunSummary*> earlier;
    for (std::size_t run = 0; run < runs.size(); ++run) {
        std::vector<HeadlineFigure> figures = headline(runs[run].summary, earlier);
        earlier.push_back(&runs[run].summary);
        for (HeadlineFigure& figure : figures) {
            auto row = std::find_if(rows.begin(), rows.end(), [&](const ComparisonRow& known) {
                return known.id == figure.id;
            });
            if (row == rows.end()) {
                rows.push_back({figure.id,
                                figure.label + (figure.group.empty() ? "" : ", " + figure.group),
                                {}});
                row = rows.end() - 1;
                row->figures.resize(runs.size());
            }
            row->figures[run] = std::move(figure);
        }
    }
    return rows;
}

double relativeChange(const ComparisonRow& row, std::size_t index) {
    const auto& base = row.figures.front();
    const auto& other = row.figures[index];
    if (!base || !other || base->value == 0 || base->score ||
        (base->raw && base->tokens != other->tokens))
        return std::numeric_limits<double>::quiet_NaN();
    return other->value / base->value - 1;
}

double difference(const ComparisonRow& row, std::size_t index) {
    const auto& base = row.figures.front();
    const auto& other = row.figures[index];
    return base && other ? other->value - base->value : std::numeric_limits<double>::quiet_NaN();
}

bool tokensApart(std::int64_t base, std::int64_t run) noexcept {
    return base > 0 && run > 0 && (base > 2 * run || run > 2 * base);
}

bool ofOtherLength(const ComparisonRow& row, std::size_t index) {
    const auto& base = row.figures.front();
    const auto& other = row.figures[index];
    return base && other && tokensApart(base->tokens, other->tokens);
}

std::vector<std::string> comparisonCautions(const RunSummary& base, const RunSummary& run) {
    std::vector<std::string> out;
    for (const auto& [name, a, b] : {std::tuple{"prefill", &base.prefill, &run.prefill},
                                     std::tuple{"decode", &base.decode, &run.decode}}) {
        if (tokensApart(a->tokens, b->tokens))
            out.push_back(std::string(name) + " of " + formatCounted(b->tokens, "token") +
                          " instead of " + formatCount(a->tokens) +
                          ": a difference in speed is also one of length");
    }
    const std::string ceilings = ceilingPhrase(ceilingsOf(base.meta), ceilingsOf(run.meta));
    if (!ceilings.empty()) out.push_back(ceilings);
    return out;
}

std::string rawBalanceCaution(const RunSummary& base, const RunSummary& run) {
    const BalanceHeadline a = balanceHeadline(base.routing), b = balanceHeadline(run.routing);
    if (a.layers == 0 || b.layers == 0 || a.tokens == b.tokens) return {};
    const std::string before = formatSignificant(a.nullMaxOverMean);
    const std::string chance = formatSignificant(b.nullMaxOverMean);
    return "max/mean over " + formatCounted(b.tokens, "token") + " instead of " +
           formatCount(a.tokens) + ": " +
           // Of many tokens both are near 1, and "1.02 x instead of 1.02 x" says nothing.
           (chance == before
                ? std::string()
                : "by chance alone it would be " + chance + " x instead of " + before + " x; ") +
           "compare the excess over chance";
}

std::vector<std::string> allCautions(const RunSummary& base, const RunSummary& run) {
    std::vector<std::string> out = identityDifferences(base.meta, run.meta);
    for (std::string& caution : comparisonCautions(base, run)) out.push_back(std::move(caution));
    if (std::string raw = rawBalanceCaution(base, run); !raw.empty()) out.push_back(std::move(raw));
    return out;
}

}  // namespace moescope
