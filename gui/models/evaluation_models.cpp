// SPDX-License-Identifier: Apache-2.0
#include "gui/models/evaluation_models.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/core/file.h"
#include "gui/data/format.h"
#include "reports/headline.h"
#include "reports/metric_lines.h"
#include "reports/ranking.h"

namespace moescope::gui {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

QString jsonText(const nlohmann::json& value) {
    return value.is_string() ? text(value.get<std::string>()) : text(value.dump());
}

/// A list cell: one line, not the whole prompt.
QString firstLine(const std::string& bytes) {
    constexpr int kLongest = 160;
    QString line = text(bytes).simplified();
    if (line.size() > kLongest) line = line.left(kLongest - 1) + QChar(0x2026);
    return line;
}

bool sameText(const QString& a, const std::string& b) {
    return !b.empty() && a.trimmed() == text(b).trimmed();
}

struct Items {
    Q_DECLARE_TR_FUNCTIONS(Items)
};

/// The choice behind each letter that a model was shown; empty where the file tells no order of
/// that many.
std::vector<std::size_t> shownOrder(const ItemRow& item, std::size_t choices) {
    const nlohmann::json detail = looseJson(item.detail);
    std::vector<std::size_t> order;
    const auto found = detail.is_object() ? detail.find("order") : detail.end();
    if (found == detail.end() || !found->is_array() || found->size() != choices) return order;
    for (const nlohmann::json& one : *found) {
        if (!one.is_number_unsigned() || one.get<std::size_t>() >= choices) return {};
        order.push_back(one.get<std::size_t>());
    }
    return order;
}

}  // namespace

QString groupsText(const std::string& json) {
    const nlohmann::json groups = looseJson(json);
    if (!groups.is_object()) return text(json);
    QStringList parts;
    for (const auto& [key, value] : groups.items())
        parts << text(key) + QChar('=') + jsonText(value);
    return parts.join(QStringLiteral(", "));
}

QString itemCaption(const ItemRow& item) {
    QStringList facts;
    if (!item.answer.empty())
        facts << Items::tr("answered “%1”").arg(text(item.answer).simplified());
    const nlohmann::json detail = looseJson(item.detail);
    if (detail.is_object() && detail.contains("reply") && item.answer.empty())
        facts << Items::tr("no answer in the reply");
    if (detail.is_object() && detail.contains("finish") && detail["finish"] != "stop")
        facts << Items::tr("the reply was cut off");
    if (!item.target.empty())
        facts << Items::tr("expected “%1”").arg(text(item.target).simplified());
    facts << (std::isnan(item.score) ? Items::tr("no score")
                                     : Items::tr("score %1").arg(formatNumber(item.score)));
    return text(item.id) + ": " + facts.join(", ");
}

QString itemText(const ItemRow& item) {
    const nlohmann::json detail = looseJson(item.detail);
    QString all = text(item.prompt);
    for (const auto& [key, title] :
         {std::pair("reasoning", Items::tr("Reasoning")), std::pair("reply", Items::tr("Reply"))}) {
        if (!detail.is_object() || !detail.contains(key)) continue;
        const QString said = jsonText(detail[key]);
        all += QStringLiteral("\n\n--- %1 ---\n").arg(title) +
               (said.isEmpty() ? Items::tr("(nothing)") : said);
    }
    return all;
}

std::vector<ChoiceRow> choicesOf(const ItemRow& item, bool perCharacter) {
    const nlohmann::json choices = looseJson(item.choices);
    const nlohmann::json likelihoods = looseJson(item.logLikelihoods);
    std::vector<ChoiceRow> rows;
    if (!choices.is_array()) return rows;
    const std::vector<std::size_t> order = shownOrder(item, choices.size());
    for (std::size_t letter = 0; letter < choices.size(); ++letter) {
        const std::size_t i = order.empty() ? letter : order[letter];
        ChoiceRow row{jsonText(choices[i]), kNone, false, false, false};
        if (likelihoods.is_array() && i < likelihoods.size() && likelihoods[i].is_number()) {
            row.logLikelihood = likelihoods[i].get<double>();
        }
        row.chosen = sameText(row.choice, item.answer);
        row.target = sameText(row.choice, item.target);
        row.perCharacter =
            perCharacter && !row.chosen && sameText(row.choice, answerPerCharacter(item));
        if (!order.empty()) row.choice.prepend(QChar(ushort('A' + letter)) + QStringLiteral(". "));
        rows.push_back(std::move(row));
    }
    return rows;
}

SuitesModel::SuitesModel(QObject* parent) : RowModel(parent) {
    using Row = SuiteTableRow;
    setColumns({
        {tr("Suite"),
         {},
         [](const Row& r) -> QVariant {
             return r.suite.title.empty() ? text(r.suite.name) : text(r.suite.title);
         },
         {},
         false,
         [](const Row& r, int role) -> QVariant {
             return role == Qt::ToolTipRole ? QVariant(text(r.suite.source)) : QVariant();
         }},
        {tr("Items"), tr("Finished of planned; replies, where each item is asked several times"),
         [](const Row& r) -> QVariant {
             const QString counts =
                 (repeatsOf(r.suite) > 1 ? tr("%1 of %2 replies") : tr("%1 of %2"))
                     .arg(formatCount(r.counts.done), formatCount(plannedRows(r.suite)));
             return isUnfinished(r.suite, r.counts) ? tr("%1, NOT FINISHED").arg(counts) : counts;
         },
         [](const Row& r) -> QVariant { return qlonglong(r.counts.done); }, true,
         [](const Row& r, int role) -> QVariant {
             return role == Qt::ToolTipRole ? QVariant(text(evaluatedItems(r.suite, r.counts)))
                                            : QVariant();
         }},
        {tr("Kind"), {}, [](const Row& r) -> QVariant { return text(r.suite.kind); }, {}, false},
        {tr("Version"),
         {},
         [](const Row& r) -> QVariant { return text(r.suite.version); },
         {},
         false},
    });
}

MetricsModel::MetricsModel(QObject* parent) : RowModel(parent) {
    using Row = MetricTableRow;
    const auto interval = [](const Row& row) -> QVariant {
        const MetricRow& r = row.metric;
        if (!r.low || !r.high) return tr("none");
        return tr("%1 to %2").arg(formatNumber(*r.low), formatNumber(*r.high));
    };
    const auto bar = [this](const Row& row, int role) -> QVariant {
        const MetricRow& r = row.metric;
        if (role == Qt::ToolTipRole) return tr("95 % interval, %1").arg(text(r.method));
        if (role != kIntervalRole) return {};
        const auto axis = std::find_if(axes_.begin(), axes_.end(),
                                       [&](const auto& a) { return a.first == r.name; });
        if (axis == axes_.end()) return {};
        return QVariantList{r.low.value_or(kNone),  r.value,
                            r.high.value_or(kNone), r.chance.value_or(kNone),
                            axis->second.first,     axis->second.second};
    };
    setColumns({
        {tr("Metric"), {}, [](const Row& r) -> QVariant { return text(r.metric.name); }, {}, false},
        {tr("Group"),
         {},
         [](const Row& r) -> QVariant { return text(groupTitle(r.metric.name, r.metric.group)); },
         {},
         false},
        {tr("Value"),
         {},
         [](const Row& r) -> QVariant { return formatNumber(r.metric.value); },
         [](const Row& r) -> QVariant { return r.metric.value; }},
        {tr("Interval"),
         tr("Dot: value; line: 95 % interval; dashed: what a model that knows nothing would score"),
         [](const Row&) -> QVariant { return QString(); },
         [](const Row& r) -> QVariant { return r.metric.value; }, false, bar},
        {tr("95 % interval"),
         {},
         interval,
         [](const Row& r) -> QVariant { return r.metric.low.value_or(kNone); },
         true,
         {},
         {},
         [](const Row& r) -> QVariant {
             if (!r.metric.low || !r.metric.high) return {};
             return QStringLiteral("%1 to %2")
                 .arg(*r.metric.low, 0, 'g', 17)
                 .arg(*r.metric.high, 0, 'g', 17);
         }},
        {tr("Chance"), tr("What a model that knows nothing would score"),
         [](const Row& r) -> QVariant { return formatNumber(r.metric.chance.value_or(kNone)); },
         [](const Row& r) -> QVariant { return r.metric.chance.value_or(kNone); }},
        {QStringLiteral("p"), tr("Of the test of the value, adjusted for the levels of its group"),
         [](const Row& r) -> QVariant { return text(testText(r.test ? &*r.test : nullptr)); },
         [](const Row& r) -> QVariant { return r.test ? r.test->value : kNone; }, true,
         [](const Row& r, int role) -> QVariant {
             return role == Qt::ToolTipRole && r.test ? QVariant(text(r.test->method)) : QVariant();
         }},
        {tr("n"), tr("Items, and the clusters of these that are independent"),
         [](const Row& r) -> QVariant { return text(basisText(r.metric)); },
         [](const Row& r) -> QVariant { return qlonglong(r.metric.n); }},
        {tr("Caution"), {}, [](const Row& r) -> QVariant { return text(r.caution); }, {}, false},
        {tr("Method"),
         tr("Of the interval"),
         [](const Row& r) -> QVariant { return text(r.metric.method); },
         {},
         false},
    });
}

void MetricsModel::setMetrics(const std::vector<MetricRow>& metrics) {
    axes_.clear();
    std::vector<MetricTableRow> rows;
    for (const auto& [metric, test] : metricLines(metrics)) {
        const MetricRow& m = *metric;
        rows.push_back(
            {m, test == nullptr ? std::nullopt : std::optional(*test), metricCaution(m, metrics)});
        auto axis = std::find_if(axes_.begin(), axes_.end(),
                                 [&](const auto& a) { return a.first == m.name; });
        if (axis == axes_.end()) {
            axes_.push_back({m.name, {m.value, m.value}});
            axis = axes_.end() - 1;
        }
        for (const double v : {m.value, m.low.value_or(m.value), m.high.value_or(m.value),
                               m.chance.value_or(m.value)}) {
            if (!std::isfinite(v)) continue;
            axis->second.first = std::min(axis->second.first, v);
            axis->second.second = std::max(axis->second.second, v);
        }
    }
    // Shares and percentages are read against their whole range, not against their own spread.
    for (auto& [name, axis] : axes_) {
        auto& [low, high] = axis;
        if (low >= 0 && high <= 1) {
            axis = {0, 1};
        } else if (isPercentage(name)) {
            axis = {0, 100};
        } else {
            const double margin = std::max((high - low) * 0.05, 1e-9);
            axis = {low >= 0 ? 0 : low - margin, high + margin};  // lengths begin at 0
        }
    }
    setRows(std::move(rows));
}

ItemsModel::ItemsModel(QObject* parent) : RowModel(parent) {
    using Row = ItemRow;
    setColumns({
        {tr("#"),
         {},
         [](const Row& r) -> QVariant { return qlonglong(r.ordinal + 1); },
         [](const Row& r) -> QVariant { return qlonglong(r.ordinal + 1); }},
        {tr("Item"), {}, [](const Row& r) -> QVariant { return text(r.id); }, {}, false},
        {tr("Reply"), tr("Which of the replies to the item"),
         [](const Row& r) -> QVariant { return qlonglong(r.repeat + 1); },
         [](const Row& r) -> QVariant { return qlonglong(r.repeat + 1); }},
        {tr("Score"), tr("Of the suite's scoring rule; 1 is right"),
         [](const Row& r) -> QVariant { return formatNumber(r.score); },
         [](const Row& r) -> QVariant { return r.score; }},
        {tr("Answer"), {}, [](const Row& r) -> QVariant { return firstLine(r.answer); }, {}, false},
        {tr("Per character"),
         tr("The answer that is likeliest per character, which accuracy_norm counts"),
         [](const Row& r) -> QVariant { return firstLine(answerPerCharacter(r)); },
         {},
         false},
        {tr("Expected"),
         tr("–: this item has no right answer"),
         [](const Row& r) -> QVariant { return r.target.empty() ? tr("–") : firstLine(r.target); },
         {},
         false},
        {tr("Groups"),
         {},
         [](const Row& r) -> QVariant { return groupsText(r.groups); },
         {},
         false},
        {tr("Prompt"), {}, [](const Row& r) -> QVariant { return firstLine(r.prompt); }, {}, false},
        {tr("Tokens"), tr("Evaluated for this item"),
         [](const Row& r) -> QVariant { return formatCount(r.tokens); },
         [](const Row& r) -> QVariant { return qlonglong(r.tokens); }},
        {tr("Time"),
         {},
         [](const Row& r) -> QVariant { return formatDuration(static_cast<double>(r.durationNs)); },
         [](const Row& r) -> QVariant { return qlonglong(r.durationNs); },
         true,
         {},
         QStringLiteral("ns")},
    });
}

ItemsFilter::ItemsFilter(QObject* parent) : SortProxy(parent) {
    setSortRole(kValueRole);
    setDynamicSortFilter(true);
}

void ItemsFilter::setText(const QString& text) {
    text_ = text.trimmed();
    invalidateFilter();
}

void ItemsFilter::setWrongOnly(bool wrongOnly) {
    wrongOnly_ = wrongOnly;
    invalidateFilter();
}

bool ItemsFilter::filterAcceptsRow(int row, const QModelIndex&) const {
    const auto* items = qobject_cast<const QAbstractTableModel*>(sourceModel());
    const auto* model = dynamic_cast<const ItemsModel*>(items);
    if (model == nullptr) return true;
    const ItemRow& item = model->row(row);
    if (wrongOnly_ && !(item.score < 1)) return false;
    if (text_.isEmpty()) return true;
    for (const std::string* field :
         {&item.id, &item.prompt, &item.answer, &item.target, &item.groups}) {
        if (text(*field).contains(text_, Qt::CaseInsensitive)) return true;
    }
    return false;
}

ChoicesModel::ChoicesModel(QObject* parent) : RowModel(parent) {
    using Row = ChoiceRow;
    setColumns({
        {tr("Choice"), {}, [](const Row& r) -> QVariant { return r.choice; }, {}, false},
        {tr("Log-likelihood"), tr("Nats"),
         [](const Row& r) -> QVariant { return formatNumber(r.logLikelihood, 4); },
         [](const Row& r) -> QVariant { return r.logLikelihood; }},
        {tr("Marks"),
         {},
         [](const Row& r) -> QVariant {
             QStringList marks;
             if (r.chosen) marks << tr("chosen");
             if (r.perCharacter) marks << tr("chosen per character");
             if (r.target) marks << tr("expected");
             return marks.join(QStringLiteral(", "));
         },
         {},
         false},
    });
}

}  // namespace moescope::gui
