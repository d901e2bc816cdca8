// SPDX-License-Identifier: Apache-2.0
// Where the wall time went and what tokens waited for: tables and the values of their pictures.
#pragma once

#include <QCoreApplication>
#include <vector>

#include "gui/models/row_model.h"
#include "gui/models/stacked_bars.h"
#include "profiler/analysis/time_breakdown.h"
#include "profiler/analysis/token_latency.h"

namespace moescope::gui {

/// One row a phase, the whole run first; shares are of the row's wall time.
class BreakdownModel : public RowModel<PhaseTime> {
    Q_DECLARE_TR_FUNCTIONS(BreakdownModel)
public:
    explicit BreakdownModel(QObject* parent = nullptr);
    /// The rows to come are of a time range: the first is then not called the whole run.
    void setOfRange(bool ofRange) { ofRange_ = ofRange; }

private:
    bool ofRange_ = false;
};
/// The same as bars: computing, copying and the causes of idle time.
StackedBars breakdownBars(const std::vector<PhaseTime>& time, bool ofRange = false);

struct LatencyRow {
    bool first = false;  ///< time to first token, else time per output token
    Distribution time;   ///< ns
    double p90 = Distribution::kUnknown;
};
/// Rows without tokens are left out.
std::vector<LatencyRow> latencyRows(const TokenLatency& latency);

class LatencyModel : public RowModel<LatencyRow> {
    Q_DECLARE_TR_FUNCTIONS(LatencyModel)
public:
    explicit LatencyModel(QObject* parent = nullptr);
};

/// Mean time of a token by what it went to: a row a part, a time and a share for each set.
struct TokenPartRow {
    StackPart part;
    std::vector<double> ns, share;  ///< (n_stacks)
};

class TokenPartsModel : public RowModel<TokenPartRow> {
    Q_DECLARE_TR_FUNCTIONS(TokenPartsModel)
public:
    using RowModel::RowModel;
    void setLatency(const TokenLatency& latency);
};

/// The table twin of the chart of tokens.
struct TokenTimeRow {
    std::int64_t sequence = 0, position = 0;
    bool first = false;
    std::int64_t ns = 0;
    StackPart most;  ///< what took the most of it
    double mostNs = 0;
};
std::vector<TokenTimeRow> tokenTimes(const TokenLatency& latency);

class TokenTimesModel : public RowModel<TokenTimeRow> {
    Q_DECLARE_TR_FUNCTIONS(TokenTimesModel)
public:
    explicit TokenTimesModel(QObject* parent = nullptr);
};

/// In the order of TokenLatency::parts.
std::vector<StackPart> tokenParts(const TokenLatency& latency);
/// One bar a set of tokens, its mean.
StackedBars latencyBars(const TokenLatency& latency);

}  // namespace moescope::gui
