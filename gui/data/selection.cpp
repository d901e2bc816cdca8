// SPDX-License-Identifier: Apache-2.0
#include "gui/data/selection.h"

#include <algorithm>
#include <utility>

#include "gui/data/run_data.h"

namespace moescope::gui {

void keepWhatIsIn(const RunData& run, SelectionState& state) {
    const auto& routing = run.summary.routing;
    const auto isLayer = [&](int layer) {
        return run.summary.layerNs.count(layer) > 0 ||
               std::any_of(routing.begin(), routing.end(),
                           [&](const LayerRouting& r) { return r.layer == layer; });
    };
    const auto isNamed = [&](const OperationColumns& in) {
        const auto& names = in.opNames;
        return std::find(names.begin(), names.end(), state.operation.toStdString()) != names.end();
    };
    if (state.range && state.range->beginNs >= run.endNs()) state.range.reset();
    if (state.layer && !isLayer(*state.layer)) state.layer.reset();
    if (state.expert && (!state.layer || *state.expert >= run.summary.experts))
        state.expert.reset();
    if (!isNamed(run.operations) && !isNamed(run.device)) state.operation.clear();
    if (state.sequence && run.sequence(*state.sequence) == nullptr) state.sequence.reset();
    if (!state.sequence) state.position.reset();
}

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

void Selection::restrict(const std::function<void(SelectionState&)>& keep) {
    SelectionState next = state_;
    keep(next);
    for (auto* history : {&past_, &future_}) {
        std::vector<SelectionState> kept;  // nearest first
        for (auto state = history->rbegin(); state != history->rend(); ++state) {
            keep(*state);
            // A step that changes nothing any more would be an undo that seems to fail.
            if (!(*state == (kept.empty() ? next : kept.back()))) kept.push_back(*state);
        }
        history->assign(kept.rbegin(), kept.rend());
    }
    const bool same = next == state_;
    state_ = std::move(next);
    if (!same) emit changed();
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
