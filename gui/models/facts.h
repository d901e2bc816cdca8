// SPDX-License-Identifier: Apache-2.0
// Names with values, under headings: the summary's facts and the inspector's details.
#pragma once

#include <QCoreApplication>
#include <QString>
#include <vector>

#include "gui/data/run_data.h"
#include "gui/data/selection.h"
#include "gui/models/row_model.h"

namespace moescope::gui {

struct FactRow {
    QString name, value, tip;
    bool section = false;
};

class FactsModel : public RowModel<FactRow> {
    Q_DECLARE_TR_FUNCTIONS(FactsModel)
public:
    explicit FactsModel(QObject* parent = nullptr);
};

/// One line about how far the measurement can be trusted. The worst come first.
struct Notice {
    enum class Level : std::uint8_t { Error, Warning, Information } level = Level::Warning;
    QString text;
    bool operator==(const Notice&) const = default;
};
std::vector<Notice> notices(const RunData& run);

std::vector<FactRow> headlineFacts(const RunData& run);  ///< tok/s, TTFT, TPOT, bandwidth, memory
/// Of each suite its figures in the reports' headline (reports/headline.h), which may be of a
/// group, and behind them all other metrics over all items.
std::vector<FactRow> scoreFacts(const RunData& run);
std::vector<FactRow> originFacts(const RunData& run);  ///< model, machine, build, settings, command
/// Details of what is selected; the run itself when nothing is.
std::vector<FactRow> selectionFacts(const RunData& run, const SelectionState& selection);

}  // namespace moescope::gui
