// SPDX-License-Identifier: Apache-2.0
#include "reports/suite_comparison.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <unordered_map>

#include "engine/core/file.h"
#include "evals/stats/intervals.h"
#include "evals/stats/repeats.h"
#include "evals/stats/tests.h"
#include "reports/headline.h"
#include "reports/metric_lines.h"
#include "reports/numbers.h"
#include "reports/ranking.h"

namespace moescope {
namespace {

using nlohmann::json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double numberAt(const json& detail, const char* key) {
    const auto found = detail.find(key);
    if (found == detail.end()) return kNone;
    if (found->is_boolean()) return found->get<bool>() ? 1 : 0;
    return found->is_number() ? found->get<double>() : kNone;
}

/// A metric that is a mean over items, by what it takes of each (evals/metrics).
struct ItemMean {
    const char* name;
    double (*value)(const ItemRow& item, const json& detail);
    bool ofClusters = false;  ///< the mean over clusters of their means
};
constexpr std::array kItemMeans = {
    ItemMean{"accuracy", [](const ItemRow&, const json& d) { return numberAt(d, "right"); }},
    ItemMean{"prompt_level_strict_acc",
             [](const ItemRow&, const json& d) { return numberAt(d, "followed_strict"); }},
    ItemMean{"prompt_level_loose_acc",
             [](const ItemRow&, const json& d) { return numberAt(d, "followed_loose"); }},
    ItemMean{"accuracy_norm",
             [](const ItemRow&, const json& d) { return numberAt(d, "right_norm"); }},
    ItemMean{"pct_stereotype", [](const ItemRow& item, const json&) { return item.score; }},
    ItemMean{"pct_stereotype_per_token",
             [](const ItemRow&, const json& d) { return numberAt(d, "more_per_token"); }},
    ItemMean{"likelihood_difference",
             [](const ItemRow&, const json& d) { return std::abs(numberAt(d, "difference")); }},
    ItemMean{"ss",
             [](const ItemRow&, const json& d) { return 100 * numberAt(d, "first_over_second"); },
             true},
    ItemMean{"lms",
             [](const ItemRow&, const json& d) {
                 return 50 * (numberAt(d, "first_over_third") + numberAt(d, "second_over_third"));
             },
             true},
    ItemMean{"accuracy_answered",
             [](const ItemRow& item, const json& d) {
                 return numberAt(d, "answered") > 0 ? item.score : kNone;
             }},
    ItemMean{"selection_rate_answered",
             [](const ItemRow& item, const json& d) {
                 return numberAt(d, "answered") > 0 ? item.score : kNone;
             }},
    ItemMean{"answered", [](const ItemRow&, const json& d) { return numberAt(d, "answered"); }},
    ItemMean{"reply_tokens",
             [](const ItemRow&, const json& d) { return numberAt(d, "reply_tokens"); }},
    ItemMean{"mean_logit", [](const ItemRow&, const json& d) { return numberAt(d, "logit"); }},
    ItemMean{"answer_mass",
             [](const ItemRow&, const json& d) { return std::exp(numberAt(d, "log_mass")); }},
    ItemMean{"selection_rate", [](const ItemRow& item, const json&) { return item.score; }},
};

/// What of an item is compared, read once for all metrics: of several replies to it the means, and
/// what they say together.
struct Scored {
    std::string id, cluster;
    json groups;
    std::array<double, kItemMeans.size()> values{};  ///< NaN: of no reply
    std::int64_t replies = 0, right = 0;
    double consensus = kNone;
    double unstable = kNone;  ///< 1 where answers differ; of two replies with an answer, at least
};

/// Means and counts of the replies that have a score; `replies` is 0 where none has.
Scored scoredItem(Replies replies) {
    Scored item;
    item.id = replies.front().id;
    item.cluster = item.id;
    std::array<double, kItemMeans.size()> counts{};
    std::vector<stats::Vote> votes;
    for (const ItemRow& reply : replies) {
        if (std::isnan(reply.score)) continue;  // it did not fit
        json detail = looseJson(reply.detail);
        if (!detail.is_object()) detail = json::object();
        const auto cluster = detail.find("cluster");
        if (cluster != detail.end() && cluster->is_string())
            item.cluster = cluster->get<std::string>();
        if (item.replies++ == 0) item.groups = looseJson(reply.groups);
        if (numberAt(detail, "right") > 0) ++item.right;
        if (numberAt(detail, "answered") > 0) votes.push_back({reply.answer, reply.score});
        for (std::size_t m = 0; m < kItemMeans.size(); ++m) {
            const double value = kItemMeans[m].value(reply, detail);
            if (std::isnan(value)) continue;
            item.values[m] += value;
            ++counts[m];
        }
    }
    for (std::size_t m = 0; m < kItemMeans.size(); ++m) item.values[m] /= counts[m];  // 0 / 0: NaN
    item.consensus = stats::consensus(votes);
    if (votes.size() > 1) item.unstable = stats::unanimous(votes) ? 0 : 1;
    return item;
}

std::vector<Scored> scoredItems(std::span<const ItemRow> rows) {
    std::vector<Scored> out;
    for (const Replies replies : byItem(rows)) {
        Scored item = scoredItem(replies);
        if (item.replies > 0) out.push_back(std::move(item));
    }
    return out;
}

/// What a metric takes of each item.
struct Measure {
    std::function<double(const Scored&)> value;
    bool ofClusters = false;
};

/// None of a metric that is no mean over items.
std::optional<Measure> measureOf(const std::string& metric) {
    for (std::size_t m = 0; m < kItemMeans.size(); ++m)
        if (metric == kItemMeans[m].name)
            return Measure{[m](const Scored& item) { return item.values[m]; },
                           kItemMeans[m].ofClusters};
    const std::size_t at = metric.find('@');
    if (at == std::string::npos) return std::nullopt;
    std::int64_t k = 0;
    const char* const end = metric.data() + metric.size();
    if (std::from_chars(metric.data() + at + 1, end, k).ptr != end || k < 1) return std::nullopt;
    const std::string kind = metric.substr(0, at);
    if (kind == "pass" && k == 1) return std::nullopt;  // the accuracy, which is tested as that
    if (kind == "pass")
        return Measure{[k](const Scored& item) {
            return item.replies < k ? kNone : stats::passAt(item.replies, item.right, k);
        }};
    // Of so many replies and no others.
    if (kind == "cons")
        return Measure{
            [k](const Scored& item) { return item.replies == k ? item.consensus : kNone; }};
    if (kind == "instability")
        return Measure{
            [k](const Scored& item) { return item.replies == k ? item.unstable : kNone; }};
    return std::nullopt;
}

bool inGroup(const Scored& item, const std::string& group) {
    if (group.empty()) return true;
    const std::size_t equals = group.find('=');
    if (equals == std::string::npos || !item.groups.is_object()) return false;
    const auto found = item.groups.find(group.substr(0, equals));
    return found != item.groups.end() && found->is_string() &&
           found->get_ref<const std::string&>() == group.substr(equals + 1);
}

/// Items of one suite in the first run and in another, those that both scored.
class CommonItems {
public:
    CommonItems(std::span<const ItemRow> before, std::span<const ItemRow> after)
        : before_(scoredItems(before)), after_(scoredItems(after)) {
        std::unordered_map<std::string_view, const Scored*> byId;
        for (const Scored& item : before_) byId.emplace(item.id, &item);
        for (const Scored& item : after_) {
            const auto found = byId.find(item.id);
            if (found != byId.end()) pairs_.emplace_back(found->second, &item);
        }
    }
    CommonItems(const CommonItems&) = delete;
    CommonItems& operator=(const CommonItems&) = delete;

    /// Adds the difference of a mean over items and its test; false where no item has both values.
    bool test(MetricChange& change, const Measure& measure) const {
        std::map<std::string_view, std::size_t> ids;
        std::vector<double> differences, sums;
        std::vector<std::size_t> clusters, sizes;
        for (const auto& [base, item] : pairs_) {
            const double difference = measure.value(*item) - measure.value(*base);
            if (std::isnan(difference) || !inGroup(*item, change.group)) continue;
            const std::size_t cluster = ids.try_emplace(item->cluster, ids.size()).first->second;
            sums.resize(ids.size());
            sizes.resize(ids.size());
            sums[cluster] += difference;
            ++sizes[cluster];
            differences.push_back(difference);
            clusters.push_back(cluster);
        }
        if (differences.empty()) return false;
        change.items = static_cast<std::int64_t>(differences.size());
        change.clusters = static_cast<std::int64_t>(sums.size());
        double error = 0;
        if (measure.ofClusters) {
            for (std::size_t c = 0; c < sums.size(); ++c) sums[c] /= static_cast<double>(sizes[c]);
            change.difference = stats::mean(sums);
            error = stats::standardError(sums);
        } else {
            change.difference = stats::mean(differences);
            error = stats::clusteredError(differences, clusters);
        }
        if (!std::isnan(error)) change.standardError = error;
        std::erase(sums, 0.0);  // these change no sum
        setInterval(change, sums.size());
        change.p = stats::signFlipTest(sums);
        return true;
    }

private:
    /// Student's t knows nothing of a difference that few clusters make: it would exclude 0 where
    /// the exact test does not.
    static void setInterval(MetricChange& change, std::size_t differing) {
        if (differing < stats::kFewestClusters) {
            change.note = "no interval: fewer than " + std::to_string(stats::kFewestClusters) +
                          " clusters differ";
            return;
        }
        if (!(change.standardError.value_or(0) > 0)) return;  // the same in every cluster
        const stats::Interval interval = stats::tInterval(change.difference, *change.standardError,
                                                          static_cast<double>(change.clusters) - 1);
        change.low = interval.low;
        change.high = interval.high;
    }

    std::vector<Scored> before_, after_;
    std::vector<std::pair<const Scored*, const Scored*>> pairs_;
};

const SuiteRow* findSuite(const RunSummary& run, const std::string& name) {
    for (const SuiteRow& suite : run.suites)
        if (suite.name == name) return &suite;
    return nullptr;
}

const MetricRow* findMetric(const RunSummary& run, std::int64_t suite, const MetricRow& wanted) {
    for (const MetricRow& m : run.metrics)
        if (m.suite == suite && m.name == wanted.name && m.group == wanted.group) return &m;
    return nullptr;
}

void addNote(std::string& note, const std::string& text) {
    note += (note.empty() ? "" : "; ") + text;
}

MetricChange changeOf(const MetricRow& before, const MetricRow* after, const CommonItems& items) {
    MetricChange change;
    change.name = before.name;
    change.group = before.group;
    change.before = before;
    if (after == nullptr) {
        change.note = "the other run has no such value";
        return change;
    }
    change.after = *after;
    const std::optional<Measure> measure = measureOf(before.name);
    if (!measure) {
        change.difference = after->value - before.value;
        change.note = "not tested: no mean over items";
        return change;
    }
    if (!items.test(change, *measure)) {
        change.difference = after->value - before.value;
        change.note = "not tested: no item that both runs scored";
        return change;
    }
    if (change.items < std::max(before.n, after->n))
        addNote(change.note,
                "of the " + formatCounted(change.items, "item") + " that both runs scored");
    return change;
}

/// Tests that are adjusted for one another: the many of groups, and those that repeats add, must
/// not hide what the first shows.
enum class Family : std::uint8_t { Suites, Repeats, Groups };

Family familyOf(const MetricChange& change) {
    if (!change.group.empty()) return Family::Groups;
    return change.name.find('@') != std::string::npos ? Family::Repeats : Family::Suites;
}

void adjust(std::vector<MetricChange>& changes, Family family) {
    std::vector<MetricChange*> tested;
    std::vector<double> p;
    for (MetricChange& change : changes) {
        if (!change.p || familyOf(change) != family) continue;
        tested.push_back(&change);
        p.push_back(*change.p);
    }
    const std::vector<double> adjusted = stats::holm(p);
    for (std::size_t i = 0; i < tested.size(); ++i) tested[i]->holm = adjusted[i];
}

/// Items that did not fit the context.
double excludedItems(const RunSummary& run, const SuiteRow& suite) {
    for (const MetricRow& m : run.metrics)
        if (m.suite == suite.id && m.name == kItemsTooLong) return m.value;
    return 0;
}

json settingsOf(const SuiteRow& suite) {
    json settings = looseJson(suite.settings);
    return settings.is_object() ? settings : json::object();
}

std::string numbered(std::size_t run) {
    return "run " + std::to_string(run + 1);
}

/// The settings that two runs of one suite must share. Which model it is, is what is compared; how
/// it was asked is not.
json comparable(const json& settings) {
    json all = settings;
    if (!all.is_object()) return json::object();
    all.erase("warnings");
    all.emplace("answers", "by likelihood");  // of runs before there were others
    if (all["answers"] != "by likelihood") all.emplace(kRepeats, 1);
    const json model = all.value("model", json());
    all.erase("model");
    for (const char* key : {"max_context", "reasoning", "reply_tokens", "temperature", "top_p"})
        if (model.is_object() && model.contains(key)) all[key] = model[key];
    return all;
}

void addSettingWarnings(std::vector<std::string>& out, const SuiteRow& suite, const SuiteRow& other,
                        std::size_t run) {
    const json base = comparable(settingsOf(suite)), settings = comparable(settingsOf(other));
    json keys = base;
    keys.update(settings);
    for (const auto& [key, ignored] : keys.items()) {
        const auto before = base.find(key), now = settings.find(key);
        if (before != base.end() && now != settings.end() && *before == *now) continue;
        const auto told = [](const json& all, const auto& found) {
            return found == all.end() ? std::string("absent") : dumpJson(*found);
        };
        const std::string first = told(base, before), later = told(settings, now);
        constexpr std::size_t kLongest = 60;  // prompts are for the run file to tell
        out.push_back(
            suite.name + ": " + key +
            (std::max(first.size(), later.size()) > kLongest
                 ? " of the first is another in " + numbered(run)
                 : " is " + first + " in the first and " + later + " in " + numbered(run)));
    }
}

std::vector<MetricChange> changesOf(std::span<const EvaluatedRun> runs) {
    std::vector<MetricChange> out;
    const RunSummary& base = *runs.front().summary;
    for (const SuiteRow& suite : base.suites) {
        if (suite.kind == kNumericsKind) continue;  // of two models in one run
        for (std::size_t r = 1; r < runs.size(); ++r) {
            const SuiteRow* other = findSuite(*runs[r].summary, suite.name);
            if (other == nullptr) continue;
            const CommonItems items(runs.front().items(suite.id), runs[r].items(other->id));
            for (const MetricRow& metric : base.metrics) {
                if (metric.suite != suite.id || !isScore(metric.name)) continue;
                MetricChange change =
                    changeOf(metric, findMetric(*runs[r].summary, other->id, metric), items);
                change.suite = suite.name;
                change.run = r;
                out.push_back(std::move(change));
            }
        }
    }
    for (const Family family : {Family::Suites, Family::Repeats, Family::Groups})
        adjust(out, family);
    return out;
}

void addSuiteWarnings(std::vector<std::string>& out, const RunSummary& base, const RunSummary& run,
                      std::size_t index) {
    for (const SuiteRow& suite : base.suites) {
        const SuiteRow* other = findSuite(run, suite.name);
        if (other == nullptr) {
            out.push_back(suite.name + ": " + numbered(index) + " did not evaluate it");
            continue;
        }
        const double left = excludedItems(base, suite);
        const double leftHere = excludedItems(run, *other);
        if (left != leftHere)
            out.push_back(suite.name + ": " + formatCount(std::llround(left)) +
                          " items did not fit the context in the first and " +
                          formatCount(std::llround(leftHere)) + " in " + numbered(index) +
                          ": their figures are of different items");
        addSettingWarnings(out, suite, *other, index);
    }
    for (const SuiteRow& suite : run.suites)
        if (findSuite(base, suite.name) == nullptr)
            out.push_back(suite.name + ": only " + numbered(index) + " evaluated it");
}

std::vector<std::string> warningsOf(std::span<const EvaluatedRun> runs) {
    std::vector<std::string> out;
    if (std::none_of(runs.begin(), runs.end(),
                     [](const EvaluatedRun& run) { return !run.summary->suites.empty(); }))
        return out;
    for (std::size_t r = 1; r < runs.size(); ++r)
        addSuiteWarnings(out, *runs.front().summary, *runs[r].summary, r);
    for (std::size_t r = 0; r < runs.size(); ++r) {
        const RunSummary& run = *runs[r].summary;
        const auto synthetic = run.meta.find("synthetic");
        if (synthetic != run.meta.end() && synthetic->second == "true")
            out.push_back(numbered(r) + ": the model is synthetic, its scores mean nothing");
        if (run.status != RunStatus::Done)
            out.push_back(numbered(r) + ": status is " + std::string(runStatusName(run.status)));
        for (const std::string& warning : scoreWarnings(run))
            out.push_back(numbered(r) + ": " + warning);
    }
    return out;
}

}  // namespace

SuiteComparison compareSuites(std::span<const EvaluatedRun> runs) {
    if (runs.empty()) return {};
    return {changesOf(runs), warningsOf(runs)};
}

SuiteComparison compareSuites(std::span<const ReportRun> runs) {
    std::vector<EvaluatedRun> evaluated;
    for (const ReportRun& run : runs)
        evaluated.push_back({&run.summary, [&run](std::int64_t suite) -> std::span<const ItemRow> {
                                 const auto found = run.items.find(suite);
                                 return found == run.items.end() ? std::span<const ItemRow>()
                                                                 : found->second;
                             }});
    return compareSuites(std::span<const EvaluatedRun>(evaluated));
}

std::string scoreCell(const MetricRow* metric) {
    if (metric == nullptr) return "-";
    std::string cell = formatSignificant(metric->value);
    if (metric->low && metric->high)
        cell +=
            " [" + formatSignificant(*metric->low) + ", " + formatSignificant(*metric->high) + "]";
    return cell;
}

std::string differenceCell(const MetricChange& change) {
    if (!std::isfinite(change.difference)) return {};
    std::string cell = (change.difference > 0 ? "+" : "") + formatSignificant(change.difference);
    if (change.low && change.high)
        cell +=
            " [" + formatSignificant(*change.low) + ", " + formatSignificant(*change.high) + "]";
    return cell;
}

std::string probabilityCell(const std::optional<double>& p) {
    return p ? formatSignificant(*p, 2) : std::string();
}

}  // namespace moescope
