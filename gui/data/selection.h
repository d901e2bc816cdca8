// SPDX-License-Identifier: Apache-2.0
// What is selected, once for the whole window: every view shows it and any view may change it.
#pragma once

#include <QObject>
#include <QString>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "profiler/analysis/operation_table.h"

namespace moescope::gui {

using moescope::TimeRange;

struct SelectionState {
    std::optional<TimeRange> range;
    std::optional<int> layer, expert;
    QString operation;  ///< operation name; empty: all
    std::optional<std::int64_t> sequence;
    std::optional<std::int64_t> position;  ///< token position within `sequence`
    bool operator==(const SelectionState&) const = default;
};

struct RunData;
/// Takes out of `state` what `run` does not have.
void keepWhatIsIn(const RunData& run, SelectionState& state);

/// The state with its history. Setting an equal state does nothing, so views may echo freely.
class Selection : public QObject {
    Q_OBJECT
public:
    using QObject::QObject;

    const SelectionState& state() const noexcept { return state_; }
    void set(SelectionState next);
    /// Changes a copy of the state and sets it: `selection.edit([&](auto& s) { s.layer = 3; })`.
    template <class Change>
    void edit(Change change) {
        SelectionState next = state_;
        change(next);
        set(std::move(next));
    }
    void clear() { set({}); }
    /// Another run: what was selected in the last one means nothing, nor does its history.
    void reset();
    /// The same run, read again: `keep` takes out of each state what there is no more.
    void restrict(const std::function<void(SelectionState&)>& keep);

    bool canUndo() const noexcept { return !past_.empty(); }
    bool canRedo() const noexcept { return !future_.empty(); }
    void undo();
    void redo();

signals:
    void changed();

private:
    SelectionState state_;
    std::vector<SelectionState> past_, future_;
};

}  // namespace moescope::gui
