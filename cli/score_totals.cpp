// SPDX-License-Identifier: Apache-2.0
#include "cli/score_totals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "cli/console.h"
#include "cli/output.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

void addTo(ScoreTotal& total, const ScoreTotal& item) {
    total.items += item.items;
    total.tokens += item.tokens;
    total.sum += item.sum;
    if (total.bytes && item.bytes)
        *total.bytes += *item.bytes;
    else
        total.bytes.reset();
}

nlohmann::json figures(const ScoreTotal& total) {
    return {{"items", total.items},
            {"scored_tokens", total.tokens},
            {"sum", total.sum},
            {"nats_per_token", total.natsPerToken()},
            {"bytes", total.bytes ? nlohmann::json(*total.bytes) : nlohmann::json(nullptr)},
            {"bits_per_byte", total.bitsPerByte()}};
}

std::vector<std::string> cells(const std::string& name, const ScoreTotal& total) {
    return {name,
            formatCount(total.items),
            formatCount(total.tokens),
            total.bytes ? formatCount(*total.bytes) : "n/a",
            formatFixed(total.natsPerToken(), 4),
            formatFixed(total.bitsPerByte(), 4)};
}

}  // namespace

double ScoreTotal::natsPerToken() const noexcept {
    return tokens > 0 ? -sum / static_cast<double>(tokens) : kUnknown;
}

double ScoreTotal::bitsPerByte() const noexcept {
    return bytes.value_or(0) > 0 ? -sum / std::numbers::ln2 / static_cast<double>(*bytes)
                                 : kUnknown;
}

void ScoreTotals::add(const std::string& group, const ScoreTotal& item) {
    addTo(overall_, item);
    if (group.empty()) return;
    auto found = std::find_if(groups_.begin(), groups_.end(),
                              [&](const Group& g) { return g.name == group; });
    if (found == groups_.end()) found = groups_.insert(groups_.end(), Group{group, {}});
    addTo(found->total, item);
}

ScoreTotals::Macro ScoreTotals::macro() const noexcept {
    Macro mean;
    for (const Group& group : groups_) {
        mean.natsPerToken += group.total.natsPerToken() / static_cast<double>(groups_.size());
        mean.bitsPerByte += group.total.bitsPerByte() / static_cast<double>(groups_.size());
    }
    return mean;
}

nlohmann::json ScoreTotals::json() const {
    nlohmann::json body = figures(overall_);
    body["mean"] = -overall_.natsPerToken();
    body["perplexity"] = std::exp(overall_.natsPerToken());
    body["groups"] = nlohmann::json::array();
    for (const Group& group : groups_) {
        body["groups"].push_back(figures(group.total));
        body["groups"].back()["group"] = group.name;
    }
    body["macro"] = nullptr;
    if (!groups_.empty()) {
        body["macro"] = {{"groups", groups_.size()},
                         {"nats_per_token", macro().natsPerToken},
                         {"bits_per_byte", macro().bitsPerByte}};
    }
    return body;
}

std::string ScoreTotals::table() const {
    if (groups_.empty()) return {};
    TextTable table({"group", "texts", "tokens", "bytes", "nats/token", "bits/byte"});
    for (const Group& group : groups_) table.row(cells(group.name, group.total));
    table.row(cells("overall", overall_));
    table.row({"macro mean", "", "", "", formatFixed(macro().natsPerToken, 4),
               formatFixed(macro().bitsPerByte, 4)});
    return table.text();
}

}  // namespace moescope::cli
