// SPDX-License-Identifier: Apache-2.0
// What a shape costs by its tensors alone, whatever machine runs it: memory, and the work of a
// decode step as the back ends count it (engine/backend/work.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/formats/checkpoint.h"
#include "engine/model/spec.h"

namespace moescope {

/// One step that decodes a token of each of `sequences`.
struct DecodeStep {
    int sequences = 1;
    /// Experts of a layer that at least one of them chooses, expected of a router that draws k of E
    /// uniformly and independently for each token: E (1 - (1 - k/E)^B). 0 without experts.
    double distinctExperts = 0;
    double bytes =
        0;  ///< weights once, each distinct expert once, keys and values of each sequence
    double flops = 0;  ///< a multiply-add is two
};

struct ShapeFigures {
    ParameterCount parameters;
    std::uint64_t weightBytes = 0;   ///< of all tensors, as stored
    std::uint64_t tokenKvBytes = 0;  ///< of one more token of context beyond the windows
    std::uint64_t kvBytes = 0;       ///< of one sequence of `context` tokens
    /// Operations of the forward pass for one decoded token, each of which waits for the one
    /// before: what a deep model pays and a wide one does not.
    int dependentOperations = 0;
    std::vector<DecodeStep> steps;
};

struct ShapeSetting {
    int context = 4096;      ///< tokens of each sequence, the decoded one included
    int kvElementBytes = 2;  ///< of one key or value element: 2 on cuda, 4 on cpu
    std::vector<int> sequences{1};
};

/// E (1 - (1 - k/E)^B) for B = `sequences`.
double distinctExperts(int experts, int topK, int sequences) noexcept;

/// Embedding, the operations of each layer, head and the choice of the next token, as ForwardPass
/// has them.
int operationsPerToken(const ModelSpec& spec) noexcept;

/// `model` is bound from `checkpoint`; weights are not read. setting.context in [1,
/// spec.contextLength].
ShapeFigures shapeFigures(const Checkpoint& checkpoint, const BoundModel& model,
                          const ShapeSetting& setting);

}  // namespace moescope
