// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/scope_table.h"

namespace moescope::cupti {

void ScopeTable::beginStep(std::int64_t step) {
    const std::lock_guard guard(mutex_);
    Step& entry = slot(step);
    entry.id = step;
    entry.entries.clear();
    entry.entries.reserve(256);  // here, so that an operation seldom allocates
}

void ScopeTable::add(const Scope& scope) {
    const std::lock_guard guard(mutex_);
    Step& step = slot(scope.step);
    if (step.id == scope.step)
        step.entries.push_back({scope.index, std::int16_t(scope.layer), scope.op});
}

std::int32_t ScopeTable::find(std::int64_t step, std::int32_t layer, Op op) const {
    if (step < 0) return -1;
    const std::lock_guard guard(mutex_);
    const Step& entry = slot(step);
    if (entry.id != step) return -1;
    for (auto at = entry.entries.rbegin(); at != entry.entries.rend(); ++at)
        if (at->layer == layer && at->op == op) return at->index;
    return -1;
}

std::vector<ScopeTable::Entry> ScopeTable::entries(std::int64_t step) const {
    const std::lock_guard guard(mutex_);
    const Step& entry = slot(step);
    return entry.id == step ? entry.entries : std::vector<Entry>{};
}

}  // namespace moescope::cupti
