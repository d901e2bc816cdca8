// SPDX-License-Identifier: Apache-2.0
// Continuous batching: many generations at a time, each step with the next token of every one. A
// sequence that ends makes room for the next request at once, and prompts are evaluated in steps
// that the others go on in, so lengths may differ as they like.
//
// On the CPU a token's logits have the same bits in every batch (docs/cpu.md): each generation is,
// to the bit, the one that generate() gives. On a GPU steps of few and of many tokens go through
// different kernels: draws are the same, and logits equal but for rounding.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "engine/core/interrupt.h"
#include "engine/run/forward_pass.h"
#include "engine/run/generate.h"

namespace moescope {

struct GenerateRequest {
    std::vector<TokenId> prompt;
    GenerateOptions options;
    std::int64_t label = 0;  ///< under which the routing sink is told of it
};

class BatchGenerator {
public:
    struct Options {
        int maxContext = 0;  ///< of the longest sequence, its prompt included
        int parallel = 8;    ///< sequences at a time
        int maxBatch = 0;    ///< tokens a step; 0: as many as the back end prefers
    };
    /// The next request; none: there are no more.
    using Source = std::function<std::optional<GenerateRequest>()>;
    /// `index`: how many requests came before it. tokenNs of a Generation are the times of the
    /// steps it was part of, firstTokenNs counts from when its prompt was begun.
    using Done = std::function<void(std::size_t index, Generation&&)>;

    /// The back end must outlive it. Throws Error as ForwardPass does, and when there is no memory
    /// for the caches of all sequences at a time, on the host or on a device.
    BatchGenerator(const Backend& backend, const Options& options);
    ~BatchGenerator();

    void setStop(const StopFlag* stop) noexcept { stop_ = stop; }
    /// A step is shown as one of its first sequence: decode when all of its tokens are, else
    /// prefill.
    void setTrace(TraceSink* sink) { pass_.setTrace(sink); }
    /// Is told of each sequence under its label.
    void setRouting(RoutingSink* sink) noexcept { routing_ = sink; }

    /// Generates for all that `next` gives. Calls `done` for each as it ends; when stopped, with
    /// FinishReason::Interrupted for those under way, and then throws Interrupted. Throws
    /// SequenceError, with that index, for an empty prompt, one that does not fit the context, ids
    /// out of range and logits that are not finite; UsageError for options out of range, and what
    /// the callbacks throw.
    void run(const Source& next, const Done& done);

private:
    class Call;

    ForwardPass pass_;
    Options options_;
    const StopFlag* stop_ = nullptr;
    RoutingSink* routing_ = nullptr;
};

}  // namespace moescope
