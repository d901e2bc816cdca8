// SPDX-License-Identifier: Apache-2.0
// Which operations the host announced in each of the latest steps. Needed where a replayed graph
// runs the kernels of operations that are announced elsewhere in the step: the node says which
// layer and operation, this table which row of the run file.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "profiler/cupti/scope.h"

namespace moescope::cupti {

/// Bounded: keeps the latest `steps` steps. Written by the engine's thread, read by the decoder's.
class ScopeTable {
public:
    struct Entry {
        std::int32_t index;  ///< of the operation within the step
        std::int16_t layer;
        Op op;
    };

    explicit ScopeTable(std::size_t steps = 4096) : ring_(steps) {}

    void beginStep(std::int64_t step);
    void add(const Scope& scope);
    /// Index of that operation in that step; -1 when it was not announced or is too long ago. When
    /// it was announced several times, the last.
    std::int32_t find(std::int64_t step, std::int32_t layer, Op op) const;
    /// All of a step, for captures.
    std::vector<Entry> entries(std::int64_t step) const;

private:
    struct Step {
        std::int64_t id = -1;
        std::vector<Entry> entries;
    };
    Step& slot(std::int64_t step) { return ring_[std::size_t(step) % ring_.size()]; }
    const Step& slot(std::int64_t step) const { return ring_[std::size_t(step) % ring_.size()]; }

    mutable std::mutex mutex_;
    std::vector<Step> ring_;
};

}  // namespace moescope::cupti
