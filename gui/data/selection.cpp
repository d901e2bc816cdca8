// SPDX-License-Identifier: Apache-2.0
#include "gui/data/selection.h"

#include <utility>

namespace moescope::gui {

void Selection::set(SelectionState next) {
    if (next == state_) return;
    constexpr std::size_t kDepth = 256;
    if (past_.size() == kDepth) past_.erase(past_.begin());
    past_.push_back(std::exchange(state_, std::move(next)));
    future_.clear();
    emit changed();
}

void Selection::reset() {
    past_.clear();
    future_.clear();
    state_ = {};
    emit changed();
}

void Selection::undo() {
    if (past_.empty()) return;
    future_.push_back(std::exchange(state_, std::move(past_.back())));
    past_.pop_back();
    emit changed();
}

void Selection::redo() {
    if (future_.empty()) return;
    past_.push_back(std::exchange(state_, std::move(future_.back())));
    future_.pop_back();
    emit changed();
}

}  // namespace moescope::gui
