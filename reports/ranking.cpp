// SPDX-License-Identifier: Apache-2.0
// Ranking of items and cautions about metrics.
#include "reports/ranking.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/core/file.h"
#include "reports/headline.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

/// Below, a 95 % interval of a proportion is wider than about 0.36: no ranking of models holds. Of
/// clusters where items share them: these are what is independent.
constexpr std::int64_t kSmallSample = 30;

/// The mean probability of the answers that count.
constexpr std::string_view kAnswerMass = "answer_mass";

/// Of metrics whose name alone would mislead, whatever their value.
constexpr std::array<std::pair<std::string_view, const char*>, 2> kReadings{{
    {"flip_rate",
     "changes count in either direction: whom they favour is told by flip_p and selection_rate"},
    {kAnswerMass,
     "no score but the share of probability on the answers that count: where it is low, the "
     "suite's other metrics rest on answers that the model would hardly give"},
}};

}  // namespace

double likelihoodMargin(const ItemRow& item) {
    double best = -std::numeric_limits<double>::infinity();
    double second = best;
    const nlohmann::json values = looseJson(item.logLikelihoods);
    if (!values.is_array()) return std::numeric_limits<double>::quiet_NaN();
    for (const nlohmann::json& element : values) {
        if (!element.is_number()) continue;
        const double value = element.get<double>();
        if (value > best)
            second = std::exchange(best, value);
        else
            second = std::max(second, value);
    }
    return std::isfinite(second) ? best - second : std::numeric_limits<double>::quiet_NaN();
}

std::string answerPerCharacter(const ItemRow& item) {
    const nlohmann::json detail = looseJson(item.detail);
    if (!detail.is_object()) return {};
    const auto index = detail.find("answer_norm");
    if (index == detail.end() || !index->is_number_unsigned()) return {};
    const nlohmann::json choices = looseJson(item.choices);
    const auto at = index->get<std::size_t>();
    if (!choices.is_array() || at >= choices.size() || !choices[at].is_string()) return {};
    const std::string text = choices[at].get<std::string>();  // with the suite's delimiter
    return text.substr(std::min(text.find_first_not_of(' '), text.size()));
}

bool countsPerCharacter(const std::vector<MetricRow>& metrics) {
    return std::any_of(metrics.begin(), metrics.end(),
                       [](const MetricRow& metric) { return metric.name == "accuracy_norm"; });
}

std::optional<std::string> writtenReply(const ItemRow& item) {
    const nlohmann::json detail = looseJson(item.detail);
    if (!detail.is_object()) return std::nullopt;
    const auto reply = detail.find("reply");
    if (reply == detail.end() || !reply->is_string()) return std::nullopt;
    return reply->get<std::string>();
}

std::vector<Replies> byItem(std::span<const ItemRow> rows) {
    std::vector<Replies> items;
    std::size_t begin = 0;
    for (std::size_t at = 1; at <= rows.size(); ++at) {
        if (at < rows.size() && rows[at].id == rows[at - 1].id &&
            rows[at].repeat > rows[at - 1].repeat)
            continue;
        items.push_back(rows.subspan(begin, at - begin));
        begin = at;
    }
    return items;
}

double meanScore(Replies replies) {
    double sum = 0;
    int scored = 0;
    for (const ItemRow& reply : replies) {
        if (std::isnan(reply.score)) continue;
        sum += reply.score;
        ++scored;
    }
    return scored > 0 ? sum / scored : std::numeric_limits<double>::quiet_NaN();
}

std::string answersText(Replies replies) {
    if (replies.size() == 1) return replies.front().answer;
    std::map<std::string_view, std::size_t> counts;
    for (const ItemRow& reply : replies)
        ++counts[reply.answer.empty() ? std::string_view("none") : reply.answer];
    std::vector<std::pair<std::string_view, std::size_t>> order(counts.begin(), counts.end());
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    std::string text;
    for (const auto& [answer, count] : order)
        text += (text.empty() ? "" : ", ") + std::string(answer) + " (" + std::to_string(count) +
                " of " + std::to_string(replies.size()) + ")";
    return text;
}

std::vector<Replies> tellingItems(std::span<const ItemRow> rows, std::size_t limit) {
    struct Ranked {
        Replies item;
        double score, margin;  // never NaN, so that the order below is one
    };
    std::vector<Ranked> ranked;
    for (const Replies item : byItem(rows)) {
        const double score = meanScore(item);
        if (std::isnan(score)) continue;
        const double margin = likelihoodMargin(item.front());
        ranked.push_back({item, score, std::isnan(margin) ? -1 : margin});
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
        return a.score != b.score ? a.score < b.score : a.margin > b.margin;
    });
    std::vector<Replies> chosen;
    for (std::size_t i = 0; i < std::min(limit, ranked.size()); ++i)
        chosen.push_back(ranked[i].item);
    return chosen;
}

std::optional<double> littleMass(std::span<const MetricRow> metrics, std::int64_t suite) {
    constexpr double kEnough = 0.5;
    for (const MetricRow& metric : metrics)
        if (metric.suite == suite && metric.name == kAnswerMass && metric.group.empty() &&
            metric.value < kEnough)
            return metric.value;
    return std::nullopt;
}

std::string massCaution(double mass) {
    return std::string(kAnswerMass) + " is only " + formatSignificant(mass) +
           ": rates and logits are of answers that the model would hardly give";
}

std::string cutOffCaution(std::span<const MetricRow> metrics, std::int64_t suite) {
    constexpr double kMany = 0.1;
    for (const MetricRow& metric : metrics)
        if (metric.suite == suite && metric.name == "replies_cut_off" && metric.n > 0 &&
            metric.value >= kMany * static_cast<double>(metric.n))
            return formatCount(std::llround(metric.value)) + " of " +
                   formatCounted(metric.n, "reply") +
                   " were cut off: scores are of answers that many had no room to give";
    return {};
}

std::string metricCaution(const MetricRow& metric, std::span<const MetricRow> all) {
    if (!isScore(metric.name)) return {};
    std::string caution;
    const auto add = [&](const std::string& text) {
        caution += (caution.empty() ? "" : "; ") + text;
    };
    if (metric.n < kSmallSample)
        add("n is small: too few items to conclude");
    else if (metric.clusters > 0 && metric.clusters < kSmallSample)
        add("few clusters: too few independent items to conclude");
    if (metric.chance && metric.low && metric.high && *metric.low <= *metric.chance &&
        *metric.chance <= *metric.high)
        add("the interval includes chance");
    if (!metric.low || !metric.high) add("no interval");
    // Below it what is counted is silence as much as answers.
    constexpr double kEnoughAnswers = 0.9;
    if (metric.name == "answered" && metric.value < kEnoughAnswers)
        add("many replies hold no answer and count as wrong, or as no favourable decision");
    if (const auto mass = littleMass(all, metric.suite); mass && metric.name != kAnswerMass)
        add(massCaution(*mass));
    for (const auto& [name, reading] : kReadings)
        if (metric.name == name) add(reading);
    return caution;
}

}  // namespace moescope
