// SPDX-License-Identifier: Apache-2.0
// The operations a back end offers. Coarse on purpose: a back end fuses what it likes inside each.
// The forward pass (engine/run/session.cpp) is the only caller and fixes the order:
//   embed, then per layer attentionInput, attention, attentionOutput, [route,] feedForward; head.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/core/types.h"
#include "engine/model/spec.h"
#include "engine/trace.h"

namespace moescope {

/// What one session owns on the device: activations of the current step and the KV cache.
/// Created by Backend::newState, passed back to that back end only. Not thread-safe.
class BackendState {
public:
    virtual ~BackendState() = default;
};

/// A position to come back to. Holds a copy of the ring caches of sliding-window layers (their old
/// rows are overwritten as decoding goes on); full layers are only truncated.
class KvMark {
public:
    virtual ~KvMark() = default;
};

/// The choice the router made for the tokens of the current step; valid until the next route().
struct RoutingView {
    std::span<const std::int32_t> experts;  ///< (n_tokens, top_k), largest weight first
    std::span<const float> weights;         ///< (n_tokens, top_k)
};

struct DeviceMemory {
    std::uint64_t used = 0;  ///< by all processes
    std::uint64_t total = 0;
};

/// Const and shareable after construction; all mutable data is in BackendState. Sessions on several
/// threads are allowed and take turns at the one thread pool.
class Backend {
public:
    virtual ~Backend() = default;

    virtual std::string_view name() const noexcept = 0;  ///< "reference", "cpu", "cuda"
    virtual std::string description() const = 0;         ///< "cpu avx512_bf16, 2 threads, exact"
    virtual int threads() const noexcept = 0;
    virtual const ModelSpec& spec() const noexcept = 0;

    /// Tokens per prefill step that serve it well when there is no reason for another number.
    virtual int preferredBatch() const noexcept { return 512; }

    /// Bytes of host memory that newState will allocate; checked against the machine by the caller
    /// first.
    virtual std::uint64_t stateBytes(int maxContext, int maxBatch) const = 0;
    /// maxContext: tokens the cache can hold; maxBatch: tokens per step.
    virtual std::unique_ptr<BackendState> newState(int maxContext, int maxBatch) const = 0;

    /// Begins a step of tokens.size() <= maxBatch tokens at positions [position, position + n).
    virtual OpWork embed(BackendState& s, std::span<const TokenId> tokens, int position) const = 0;
    virtual OpWork attentionInput(BackendState& s, int layer) const = 0;
    virtual OpWork attention(BackendState& s, int layer) const = 0;
    virtual OpWork attentionOutput(BackendState& s, int layer) const = 0;
    /// Norm, router logits, top-k, gate weights. MoE layers only.
    virtual OpWork route(BackendState& s, int layer) const = 0;
    virtual RoutingView routing(const BackendState& s) const = 0;
    /// Experts (after route), or the dense MLP including its norm; adds the residual.
    virtual OpWork feedForward(BackendState& s, int layer) const = 0;
    /// Final norm and unembedding of the step's tokens [first, first + count).
    /// logits: (count, vocab) float32.
    virtual OpWork head(BackendState& s, int first, int count, std::span<float> logits) const = 0;

    /// Hidden state of the step's tokens after the latest operation: (n_tokens, d_model) float32.
    /// For tests and per-layer comparisons; not on the hot path.
    virtual std::span<const float> hidden(const BackendState& s) const = 0;

    // ---- Back ends that run elsewhere than the calling thread
    // --------------------------------------

    /// True: whoever calls takes time stamps around operations, so each returns only when its work
    /// is done. False (at first): operations may return early, and head, routing and hidden wait.
    virtual void setTimed(BackendState&, bool) const {}
    /// The whole step of one token as one submission, with its logits: what embed, the layers and
    /// head do, faster. false: not offered, and nothing was done.
    virtual bool decodeStep(BackendState&, TokenId, int /*position*/, std::span<float>) const {
        return false;
    }
    /// After decodeStep: what the router of each layer chose; valid until the next step.
    virtual RoutingView stepRouting(const BackendState&, int /*layer*/) const { return {}; }
    /// Evaluates `first` at `position` and then, out.size() times in all, the token of the largest
    /// logit, without a round trip to the caller. out: the tokens chosen. false: not offered.
    virtual bool decodeGreedy(BackendState&, TokenId /*first*/, int /*position*/,
                              std::span<TokenId>) const {
        return false;
    }
    /// Bytes of device memory in use and in all; zeros for a back end on the host.
    virtual DeviceMemory deviceMemory() const { return {}; }
    /// Bytes per second of a kernel that does nothing but read device memory, measured now; 0 for a
    /// back end on the host.
    virtual double readBandwidth() const { return 0; }

    virtual std::unique_ptr<KvMark> mark(const BackendState& s, int position) const = 0;
    /// Restores the cache as it was at `mark`; a mark may be used any number of times.
    virtual void rewind(BackendState& s, const KvMark& mark) const = 0;
};

/// Targets: "portable", "avx2" and "avx512" multiply in float32; "avx512_vnni" multiplies quantised
/// weights with 16-bit integer activations; "avx512_bf16" does the same, and BF16 weights as pairs.
/// Fast numerics multiply quantised weights with 8-bit activations, all else as exact ones do;
/// "portable" has none.
struct CpuOptions {
    int threads = 0;  ///< 0: all available cores
    Numerics numerics = Numerics::Exact;
    std::string target;  ///< forced by name; "": the best this machine runs
};

struct CudaOptions {
    int device = 0;
    Numerics numerics =
        Numerics::Exact;    ///< Fast: prefill with bf16 activations, not pairs of them
    int expertsOnHost = 0;  ///< layers whose experts stay in host memory and are read over the bus
};

/// Memory the cpu back end takes for a model, bytes: the arena of packed weights (file types of no
/// packed format grow: Q4_K becomes F16), the float32 vectors beside it, and the embedding, whose
/// rows stay in the mapped file. Not counted: `model.weights.owned`, which the caller holds.
std::uint64_t cpuWeightBytes(const BoundModel& model);
/// What newState(maxContext, maxBatch) of that back end will allocate. threads 0: all available.
std::uint64_t cpuStateBytes(const ModelSpec& spec, int maxContext, int maxBatch, int threads);

/// Scalar, float32 with double accumulation, obvious: the oracle. Keeps pointing into the
/// checkpoint. Throws Error for weights that are not finite, which it reads all of first.
std::unique_ptr<Backend> makeReferenceBackend(const BoundModel& model);
/// Repacks the weights and copies them to the device. `exact` numerics keep 16 bits of mantissa in
/// activations, keys and values are half precision. Throws Error when this build has no CUDA, when
/// there is no device or no driver, when the device has not the memory (with what needs how much),
/// and for weights that are not finite.
std::unique_ptr<Backend> makeCudaBackend(const BoundModel& model, const Checkpoint& checkpoint,
                                         const CudaOptions& options);
/// Repacks the weights once into a huge-page arena, releasing the file's pages behind it.
/// Throws Error for weights that are not finite or that half precision cannot hold.
std::unique_ptr<Backend> makeCpuBackend(const BoundModel& model, const Checkpoint& checkpoint,
                                        const CpuOptions& options);

}  // namespace moescope
