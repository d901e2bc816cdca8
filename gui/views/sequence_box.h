// SPDX-License-Identifier: Apache-2.0
// Choice of a sequence of the run, optionally with "all of them" first.
#pragma once

#include <QComboBox>
#include <QCoreApplication>
#include <optional>
#include <vector>

#include "gui/data/run_data.h"
#include "gui/data/selection.h"

namespace moescope::gui {

class SequenceBox : public QComboBox {
    Q_DECLARE_TR_FUNCTIONS(SequenceBox)
public:
    explicit SequenceBox(QWidget* parent);
    void setSequences(const std::vector<SequenceRow>& sequences, bool withAll);
    std::optional<std::int64_t> chosen() const;  ///< empty: all
    /// From now on what the user chooses is the selected sequence.
    void selectIn(Selection& selection);
    void choose(std::optional<std::int64_t> sequence);
};

}  // namespace moescope::gui
