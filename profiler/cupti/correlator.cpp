// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/correlator.h"

#include <algorithm>
#include <cassert>

#include "profiler/cupti/cupti_abi.h"

namespace moescope::cupti {
namespace {

/// Buffers after which an API call without an external record is taken to have had no scope. The
/// external record comes first in the same buffer, but nothing promises that.
constexpr int kScopePatience = 8;

}  // namespace

Correlator::Correlator(DeviceEventSink& sink, const ScopeTable& scopes, const GraphNodeMap& nodes,
                       CorrelatorOptions options)
    : sink_(sink), scopes_(scopes), nodes_(nodes), options_(options), launches_(options.launches) {
    assert((options.launches & (options.launches - 1)) == 0);
}

/// The slot, cleared for this launch if an older one held it; null when a newer one holds it.
Correlator::Launch* Correlator::slotFor(std::uint32_t correlation) {
    Launch& slot = launches_[correlation & (launches_.size() - 1)];
    if (slot.used && slot.correlation == correlation) return &slot;
    // Signed difference, so that "newer" survives the wrap at 2^32.
    if (slot.used && std::int32_t(correlation - slot.correlation) < 0) {
        ++statistics_.lateLaunches;
        return nullptr;
    }
    slot = {};
    slot.used = true;
    slot.correlation = correlation;
    return &slot;
}

const Correlator::Launch* Correlator::find(std::uint32_t correlation) const {
    const Launch& slot = launches_[correlation & (launches_.size() - 1)];
    return slot.used && slot.correlation == correlation ? &slot : nullptr;
}

void Correlator::onRecord(const Record& record) {
    switch (record.kind) {
        case RecordKind::External:
            if (record.detail != kExternalKindCustom0) return;
            if (Launch* launch = slotFor(record.correlation)) launch->scope = record.value;
            return;
        case RecordKind::Api:
            if (Launch* launch = slotFor(record.correlation)) {
                launch->hasApi = true;
                launch->startNs = record.startNs;
                launch->endNs = record.endNs;
            }
            return;
        case RecordKind::Kernel:
        case RecordKind::Memcpy:
        case RecordKind::Memset:
        case RecordKind::GraphLaunch: {
            const Launch* launch = find(record.correlation);
            if (launch != nullptr && launch->hasApi && launch->scope != 0) {
                emit(record, launch);
            } else {
                waiting_.push_back({record, 0});
            }
            return;
        }
        default:
            sink_.onOther(record);
    }
}

void Correlator::bufferEnds() {
    statistics_.waitedMost = std::max(statistics_.waitedMost, std::int64_t(waiting_.size()));
    // The oldest are in front.
    const std::size_t over =
        waiting_.size() > options_.waiting ? waiting_.size() - options_.waiting : 0;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
        Waiting& entry = waiting_[i];
        const Launch* launch = find(entry.record.correlation);
        ++entry.buffers;
        const bool complete = launch != nullptr && launch->hasApi && launch->scope != 0;
        const bool unscoped = launch != nullptr && launch->hasApi && entry.buffers > kScopePatience;
        if (complete || unscoped) {
            emit(entry.record, launch);
        } else if (i < over || entry.buffers > options_.patience) {
            emit(entry.record, launch);
            if (launch == nullptr || launch->scope == 0) ++statistics_.givenUp;
        } else {
            if (kept != i) waiting_[kept] = entry;
            ++kept;
        }
    }
    waiting_.resize(kept);
}

void Correlator::finish() {
    for (const Waiting& entry : waiting_) {
        const Launch* launch = find(entry.record.correlation);
        emit(entry.record, launch);
        if (launch == nullptr) ++statistics_.givenUp;
    }
    waiting_.clear();
}

void Correlator::emit(const Record& record, const Launch* launch) {
    DeviceEvent event;
    event.record = record;
    event.fault = stampFault(record.startNs, record.endNs);
    if (launch != nullptr) {
        event.scope = unpackScope(launch->scope);
        event.launchKnown = launch->hasApi;
        event.launchStartNs = launch->startNs;
        event.launchEndNs = launch->endNs;
    }
    if (record.kind == RecordKind::GraphLaunch) {
        event.attributed = event.scope.hasStep();
    } else if (record.node != 0) {
        attributeNode(event);
    } else {
        event.attributed = event.scope.hasOperation();
    }
    sink_.onEvent(event);
}

/// Inside a graph the scope of the launch says which step, and the node which operation. A node
/// that is not known must not inherit the operation that happened to launch the whole graph.
void Correlator::attributeNode(DeviceEvent& event) const {
    const auto node = nodes_.find(event.record.node);
    Scope& scope = event.scope;
    if (!node) {
        scope.index = -1;
        scope.layer = -1;
        return;
    }
    event.graph = node->graph;
    const bool same = scope.hasOperation() && scope.layer == node->layer && scope.op == node->op;
    if (!same) {
        const std::int32_t announced = scopes_.find(scope.step, node->layer, node->op);
        scope.index = announced >= 0 ? announced
                                     : kFirstGraphOperation + node->ordinal % kFirstGraphOperation;
        scope.layer = node->layer;
        scope.op = node->op;
    }
    event.attributed = scope.hasStep();
}

}  // namespace moescope::cupti
