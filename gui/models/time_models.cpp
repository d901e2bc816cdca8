// SPDX-License-Identifier: Apache-2.0
#include "gui/models/time_models.h"

#include <algorithm>
#include <array>

#include "gui/data/colors.h"
#include "gui/data/format.h"
#include "reports/terms.h"

namespace moescope::gui {
namespace {

struct TimeModels {
    Q_DECLARE_TR_FUNCTIONS(TimeModels)
};
QString tr(const char* source) {
    return TimeModels::tr(source);
}

/// What the machine did, in the order of the bars. Idle time is grey to red: the redder, the more
/// can be done about it.
struct Cause {
    const char* title;
    const char* tip;
    QRgb color;
    std::int64_t TimeParts::*ns;
};
constexpr std::array<Cause, 5> kCauses = {{
    {QT_TRANSLATE_NOOP("TimeModels", "Compute"),
     QT_TRANSLATE_NOOP("TimeModels", "At least one operation that is no copy was under way"),
     0xFF0072B2, &TimeParts::computeNs},
    {QT_TRANSLATE_NOOP("TimeModels", "Copy"),
     QT_TRANSLATE_NOOP("TimeModels", "Copies and fills that no computation hides"), 0xFF56B4E9,
     &TimeParts::copyNs},
    {QT_TRANSLATE_NOOP("TimeModels", "Launch gap"),
     QT_TRANSLATE_NOOP("TimeModels", "Idle from one operation to the next"), 0xFFE69F00,
     &TimeParts::launchGapNs},
    {QT_TRANSLATE_NOOP("TimeModels", "Host wait"),
     QT_TRANSLATE_NOOP("TimeModels", "Idle because the host had not asked for work yet"),
     0xFFD55E00, &TimeParts::hostWaitNs},
    {QT_TRANSLATE_NOOP("TimeModels", "Other"),
     QT_TRANSLATE_NOOP("TimeModels", "Idle between sequences, and long gaps"), 0xFF999999,
     &TimeParts::otherNs},
}};

QString stackName(const LatencyStack& stack) {
    if (stack.name == "first tokens") return tr("First tokens");
    if (stack.name == "output tokens") return tr("Output tokens");
    return tr("Slowest 1 %");
}

QString phaseName(const PhaseTime& time, bool ofRange) {
    return ofRange && time.phase.empty() ? tr("selected range") : text(phaseTitle(time.phase));
}

}  // namespace

BreakdownModel::BreakdownModel(QObject* parent) : RowModel(parent) {
    std::vector<TableColumn<PhaseTime>> columns{
        {tr("Phase"),
         tr("A phase has its steps and the waits before them within a sequence"),
         [this](const PhaseTime& r) -> QVariant { return phaseName(r, ofRange_); },
         {},
         false},
        {heading(kWallTime),
         {},
         [](const PhaseTime& r) -> QVariant { return formatDuration(double(r.parts.wallNs)); },
         [](const PhaseTime& r) -> QVariant { return qlonglong(r.parts.wallNs); },
         true,
         {},
         QStringLiteral("ns")}};
    const auto add = [&](const QString& title, const QString& tip, auto ns) {
        const auto share = [ns](const PhaseTime& r) {
            return double(ns(r.parts)) / double(std::max<std::int64_t>(1, r.parts.wallNs));
        };
        columns.push_back(
            {title, tip,
             [share](const PhaseTime& r) -> QVariant { return formatPercent(share(r)); },
             [share](const PhaseTime& r) -> QVariant { return share(r); }, true,
             [ns](const PhaseTime& r, int role) -> QVariant {
                 return role == Qt::ToolTipRole ? QVariant(formatDuration(double(ns(r.parts))))
                                                : QVariant();
             }});
    };
    for (const Cause& cause : kCauses) {
        if (cause.ns == &TimeParts::launchGapNs)  // before what it consists of
            add(heading(kIdle), tr("Launch gap, host wait and other together"),
                [](const TimeParts& p) { return p.idleNs(); });
        add(tr(cause.title), tr(cause.tip), [ns = cause.ns](const TimeParts& p) { return p.*ns; });
    }
    setColumns(std::move(columns));
}

StackedBars breakdownBars(const std::vector<PhaseTime>& time, bool ofRange) {
    StackedBars out;
    for (const Cause& cause : kCauses)
        out.parts.push_back({tr(cause.title), QColor::fromRgb(cause.color), {}});
    for (const PhaseTime& phase : time) {
        StackBar bar{phaseName(phase, ofRange), {}};
        for (const Cause& cause : kCauses) bar.ns.push_back(double(phase.parts.*cause.ns));
        out.bars.push_back(std::move(bar));
    }
    return out;
}

std::vector<LatencyRow> latencyRows(const TokenLatency& latency) {
    std::vector<LatencyRow> rows;
    if (latency.ttft.count > 0) rows.push_back({true, latency.ttft, latency.ttftP90});
    if (latency.tpot.count > 0) rows.push_back({false, latency.tpot, latency.tpotP90});
    return rows;
}

LatencyModel::LatencyModel(QObject* parent) : RowModel(parent) {
    using Row = LatencyRow;
    const auto time = [](const QString& title, const QString& tip, auto of) {
        return TableColumn<Row>{title,
                                tip,
                                [of](const Row& r) -> QVariant { return formatDuration(of(r)); },
                                [of](const Row& r) -> QVariant { return of(r); },
                                true,
                                {},
                                QStringLiteral("ns")};
    };
    setColumns({
        {tr("Time"),
         {},
         [](const Row& r) -> QVariant {
             return text(r.first ? kTimeToFirstToken : kTimePerOutputToken);
         },
         {},
         false,
         [](const Row& r, int role) -> QVariant {
             if (role != Qt::ToolTipRole) return {};
             return r.first ? tr("From the begin of prefill to the choice of the first token")
                            : tr("From the choice of one token to the choice of the next");
         }},
        {tr("Tokens"),
         {},
         [](const Row& r) -> QVariant { return formatCount(r.time.count); },
         [](const Row& r) -> QVariant { return qlonglong(r.time.count); }},
        time(tr("Mean"), {}, [](const Row& r) { return r.time.mean; }),
        time(tr("Median"), tr("Half of the tokens took no longer"),
             [](const Row& r) { return r.time.median; }),
        time(tr("p90"), tr("90 % of the tokens took no longer"),
             [](const Row& r) { return r.p90; }),
        time(tr("p95"), tr("95 % of the tokens took no longer"),
             [](const Row& r) { return r.time.p95; }),
        time(tr("p99"), tr("99 % of the tokens took no longer"),
             [](const Row& r) { return r.time.p99; }),
        time(heading(kMax), {}, [](const Row& r) { return double(r.time.max); }),
        time(heading(kStdDev), tr("Standard deviation of the tokens"),
             [](const Row& r) { return r.time.standardDeviation; }),
    });
}

std::vector<StackPart> tokenParts(const TokenLatency& latency) {
    std::vector<StackPart> out;
    for (const std::string& part : latency.parts) {
        if (part == kBetweenOperations)
            out.push_back({tr("Between operations"), QColor(0xBB, 0xBB, 0xBB), {}});
        else if (part == kBetweenSteps)
            out.push_back({tr("Between steps"), QColor(0x66, 0x66, 0x66), {}});
        else
            out.push_back({operationTitle(part), categoryColor(categoryOf(part)), text(part)});
    }
    return out;
}

std::vector<TokenTimeRow> tokenTimes(const TokenLatency& latency) {
    const std::vector<StackPart> parts = tokenParts(latency);
    std::vector<TokenTimeRow> rows;
    for (const TokenTime& token : latency.tokens) {
        const auto most = std::max_element(token.partsNs.begin(), token.partsNs.end());
        rows.push_back({token.sequence, token.position, token.first, token.ns(),
                        parts[static_cast<std::size_t>(most - token.partsNs.begin())],
                        double(*most)});
    }
    return rows;
}

TokenTimesModel::TokenTimesModel(QObject* parent) : RowModel(parent) {
    using Row = TokenTimeRow;
    setColumns({
        {tr("Sequence"),
         {},
         [](const Row& r) -> QVariant { return QString::number(r.sequence); },
         [](const Row& r) -> QVariant { return qlonglong(r.sequence); }},
        {tr("Position"),
         tr("Of the token that was evaluated; of a first token the last of its prompt"),
         [](const Row& r) -> QVariant { return formatCount(r.position); },
         [](const Row& r) -> QVariant { return qlonglong(r.position); }},
        {tr("Time"),
         {},
         [](const Row& r) -> QVariant { return formatDuration(double(r.ns)); },
         [](const Row& r) -> QVariant { return qlonglong(r.ns); },
         true,
         {},
         QStringLiteral("ns")},
        {tr("Token"),
         {},
         [](const Row& r) -> QVariant { return r.first ? tr("first") : tr("output"); },
         {},
         false},
        {tr("Most of it"),
         {},
         [](const Row& r) -> QVariant {
             return tr("%1, %2").arg(r.most.name, formatPercent(r.mostNs / double(r.ns)));
         },
         [](const Row& r) -> QVariant { return r.most.name; },
         false,
         [](const Row& r, int role) -> QVariant {
             return role == kColorRole ? QVariant(r.most.color) : QVariant();
         }},
    });
}

StackedBars latencyBars(const TokenLatency& latency) {
    StackedBars out;
    out.parts = tokenParts(latency);
    for (const LatencyStack& stack : latency.stacks)
        out.bars.push_back({stackName(stack), stack.partsNs});
    return out;
}

void TokenPartsModel::setLatency(const TokenLatency& latency) {
    using Row = TokenPartRow;
    std::vector<TableColumn<Row>> columns{{tr("Part"),
                                           {},
                                           [](const Row& r) -> QVariant { return r.part.name; },
                                           {},
                                           false,
                                           [](const Row& r, int role) -> QVariant {
                                               return role == kColorRole ? QVariant(r.part.color)
                                                                         : QVariant();
                                           }}};
    for (std::size_t s = 0; s < latency.stacks.size(); ++s) {
        const LatencyStack& stack = latency.stacks[s];
        columns.push_back({stackName(stack),
                           tr("Mean of %1").arg(formatCounted(stack.tokens, "token")),
                           [s](const Row& r) -> QVariant { return formatDuration(r.ns[s]); },
                           [s](const Row& r) -> QVariant { return r.ns[s]; },
                           true,
                           {},
                           QStringLiteral("ns")});
        columns.push_back({tr("Share"), tr("Of the mean time of these tokens"),
                           [s](const Row& r) -> QVariant { return formatPercent(r.share[s]); },
                           [s](const Row& r) -> QVariant { return r.share[s]; }, true,
                           [s](const Row& r, int role) -> QVariant {
                               if (role == kBarRole) return r.share[s];
                               return role == kColorRole ? QVariant(r.part.color) : QVariant();
                           }});
    }
    beginResetModel();
    setColumns(std::move(columns));
    endResetModel();
    std::vector<Row> rows;
    const std::vector<StackPart> parts = tokenParts(latency);
    for (std::size_t p = 0; p < parts.size(); ++p) {
        Row row{parts[p], {}, {}};
        for (const LatencyStack& stack : latency.stacks) {
            row.ns.push_back(stack.partsNs[p]);
            row.share.push_back(stack.partsNs[p] / std::max(1.0, stack.meanNs));
        }
        rows.push_back(std::move(row));
    }
    setRows(std::move(rows));
}

}  // namespace moescope::gui
