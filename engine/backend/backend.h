// SPDX-License-Identifier: Apache-2.0
// The operations a back end offers. Coarse on purpose: a back end fuses what it likes inside each.
// The forward pass (engine/run/forward_pass.cpp) is the only caller and fixes the order:
//   embed, then per layer attentionInput, attention, attentionOutput, [route,] feedForward; head.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/backend/kept_logits.h"
#include "engine/core/interrupt.h"
#include "engine/core/types.h"
#include "engine/formats/dtypes.h"
#include "engine/launch_sink.h"
#include "engine/model/spec.h"
#include "engine/trace.h"

namespace moescope {

/// Activations of the current step. Created by Backend::newState, passed back to that back end
/// only. Not thread-safe.
class BackendState {
public:
    virtual ~BackendState() = default;
};

/// Keys and values of one sequence. Created by Backend::newCache, passed back to that back end
/// only; written by the steps that its sequence is part of. Not thread-safe.
class KvCache {
public:
    virtual ~KvCache() = default;
};

/// What a cache must hold.
struct CacheShape {
    int maxContext = 0;  ///< tokens of the sequence, those of the prefix included
    int maxRun = 0;      ///< tokens that it gets in one step
    /// Its first `prefixTokens` tokens are those of another sequence and are not evaluated again.
    /// That one is not written from then on, and has the window of its
    /// sliding-window layers before that place: because it ends there, or because its maxRun was
    /// its maxContext, so that nothing in it was ever overwritten.
    std::shared_ptr<const KvCache> prefix{};
    int prefixTokens = 0;
};

/// Tokens of one step that belong to one sequence and follow each other. They see what the cache
/// holds before `position`, and each other.
struct StepRun {
    KvCache* cache = nullptr;
    int position = 0;  ///< of the first
    int tokens = 0;
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
    /// MXFP4 blocks of the loaded weights that other programs may read differently.
    virtual Mxfp4Edges mxfp4Edges() const noexcept { return {}; }

    /// Whom a device back end tells of its launches from now on; null: nobody. Others never launch.
    virtual void setLaunches(BackendState&, LaunchSink*) const noexcept {}

    /// Tokens per prefill step that serve it well when there is no reason for another number.
    virtual int preferredBatch() const noexcept { return 512; }

    /// Sequences that one step can serve.
    virtual int maxRuns() const noexcept { return 1; }
    /// Caches that may each begin with the one before. Bounded also where beginnings are copied:
    /// each copy takes the memory of its whole length.
    virtual int maxLineage() const noexcept { return 8; }

    /// Bytes of host memory that newState and newCache will allocate; checked against the machine
    /// by the caller first.
    virtual std::uint64_t stateBytes(int maxContext, int maxBatch) const = 0;
    virtual std::uint64_t cacheBytes(const CacheShape& shape) const = 0;
    /// Bytes of device memory that newCache will allocate; 0 for a back end on the host.
    virtual std::uint64_t deviceCacheBytes(const CacheShape&) const { return 0; }
    /// maxContext: tokens of the longest sequence; maxBatch: tokens per step.
    virtual std::unique_ptr<BackendState> newState(int maxContext, int maxBatch) const = 0;
    virtual std::shared_ptr<KvCache> newCache(const CacheShape& shape) const = 0;

    /// Begins a step. tokens: those of all runs, one run behind the other, at most maxBatch; runs:
    /// at most maxRuns(), each of another cache, or of one cache in the order of positions. A cache
    /// that another one begins with may be in the same step, before it. What a later step of these
    /// caches overwrites is not asked for again.
    virtual OpWork embed(BackendState& s, std::span<const TokenId> tokens,
                         std::span<const StepRun> runs) const = 0;
    virtual OpWork attentionInput(BackendState& s, int layer) const = 0;
    virtual OpWork attention(BackendState& s, int layer) const = 0;
    virtual OpWork attentionOutput(BackendState& s, int layer) const = 0;
    /// Norm, router logits, top-k, gate weights. MoE layers only.
    virtual OpWork route(BackendState& s, int layer) const = 0;
    virtual RoutingView routing(const BackendState& s) const = 0;
    /// Experts (after route), or the dense MLP including its norm; adds the residual.
    virtual OpWork feedForward(BackendState& s, int layer) const = 0;
    /// Final norm and unembedding of some of the step's tokens. rows: their indices, ascending;
    /// logits: (rows, vocab) float32.
    virtual OpWork head(BackendState& s, std::span<const std::int32_t> rows,
                        std::span<float> logits) const = 0;

    // ---- The same where the logits stay with the back end
    // ------------------------------------------------------

    /// Rows of logits that it keeps at once; 0: it does not, and head's are to be looked at.
    virtual int keptRows(const BackendState&) const noexcept { return 0; }
    /// head, of at most keptRows() rows, whose logits stay until the next operation.
    virtual OpWork keepLogits(BackendState&, std::span<const std::int32_t> /*rows*/) const {
        return {};
    }
    /// Then: the next token of each of those rows. Waits.
    virtual OpWork choose(BackendState&, std::span<const TokenRule>, std::span<TokenChoice>) const {
        return {};
    }
    /// Or: what they say of given tokens. Waits. out: (questions)
    virtual OpWork examine(BackendState&, std::span<const TokenQuestion>,
                           std::span<TokenAnswer>) const {
        return {};
    }

    /// Hidden state of the step's tokens after the latest operation: (n_tokens, d_model) float32.
    /// For tests and per-layer comparisons; not on the hot path.
    virtual std::span<const float> hidden(const BackendState& s) const = 0;

    // ---- Back ends that run elsewhere than the calling thread
    // --------------------------------------

    /// True: whoever calls takes time stamps around operations, so each returns only when its work
    /// is done. False (at first): operations may return early, and head, routing and hidden wait.
    virtual void setTimed(BackendState&, bool) const {}
    /// Whether all below down to stepRouting are offered: the step of one token as one submission,
    /// which is what embed, the layers and head do, faster.
    virtual bool wholeSteps() const noexcept { return false; }
    /// First: the token to the device, and how the next one is chosen; null: it is not. Returns the
    /// work of embed.
    virtual OpWork sendToken(BackendState&, KvCache&, TokenId, int /*position*/,
                             const TokenRule* /*rule*/) const {
        return {};
    }
    /// Then; returns early.
    virtual void runToken(BackendState&) const {}
    /// Last: waits, and brings the logits or, after a rule, the token chosen. Returns the work of
    /// head.
    virtual OpWork fetchLogits(BackendState&, std::span<float>) const { return {}; }
    virtual OpWork fetchChoice(BackendState&, TokenChoice&) const { return {}; }
    /// What the router of each layer chose; valid until the next step. After either of these two,
    /// or after waitForLayers, which waits for the layers of a step of any number of tokens whose
    /// operations nobody timed.
    virtual void waitForLayers(BackendState&) const {}
    virtual RoutingView stepRouting(const BackendState&, int /*layer*/) const { return {}; }
    /// Evaluates `first` at `position` and then, out.size() times in all, the token of the largest
    /// logit, without a round trip to the caller. out: the tokens chosen; -1 after logits that are
    /// not finite, behind which any tokens are evaluated until that is noticed. Returns how many
    /// tokens the cache has got, out.size() unless it stopped at a -1; 0: not offered.
    virtual int decodeGreedy(BackendState&, KvCache&, TokenId /*first*/, int /*position*/,
                             std::span<TokenId>) const {
        return 0;
    }
    /// Bytes of device memory in use and in all; zeros for a back end on the host.
    virtual DeviceMemory deviceMemory() const { return {}; }
    /// Bytes per second of a kernel that does nothing but read device memory, measured now; 0 for a
    /// back end on the host.
    virtual double readBandwidth() const { return 0; }

    /// f(i) for every i of [0, n) on the threads of the back end, which are idle between two
    /// operations. The first exception is rethrown when all are done.
    virtual void parallelFor(int n, const std::function<void(int)>& f) const {
        for (int i = 0; i < n; ++i) f(i);
    }
};

/// Targets: "portable", "avx2" and "avx512" multiply in float32; "avx512_vnni" multiplies quantised
/// weights with 16-bit integer activations; "avx512_bf16" does the same, and BF16 weights as pairs.
/// Fast numerics multiply quantised weights (but Q6_K) with 8-bit activations, all else in float32
/// or as exact ones do;
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
/// packed format grow: K quants have their scales in float32), the float32 vectors beside it, and
/// the embedding, whose rows stay in the mapped file. Not counted: `model.weights.owned`, which the
/// caller holds.
std::uint64_t cpuWeightBytes(const BoundModel& model);
/// What newState(maxContext, maxBatch) of that back end and one cache of as many will allocate.
/// threads 0: all available.
std::uint64_t cpuStateBytes(const BoundModel& model, int maxContext, int maxBatch, int threads);

// All three read every weight once, the embedding included, and throw Error for what is not finite;
// Interrupted when `stop` (null: never) is set meanwhile.

/// Scalar, float32 with double accumulation, obvious: the oracle. Keeps pointing into the
/// checkpoint.
std::unique_ptr<Backend> makeReferenceBackend(const BoundModel& model,
                                              const StopFlag* stop = nullptr);
/// Repacks the weights and copies them to the device. `exact` numerics keep 16 bits of mantissa in
/// activations, keys and values are half precision. Throws Error when this build has no CUDA, when
/// there is no device or no driver, and when the device has not the memory (with what needs how
/// much).
std::unique_ptr<Backend> makeCudaBackend(const BoundModel& model, const Checkpoint& checkpoint,
                                         const CudaOptions& options,
                                         const StopFlag* stop = nullptr);
/// Repacks the weights once into a huge-page arena, releasing the file's pages behind it. An
/// embedding that is not the head stays where it is: looking at all of it reads it from the disk,
/// 1.2 GB of gpt-oss-20b, of which a run needs only the rows of its tokens.
std::unique_ptr<Backend> makeCpuBackend(const BoundModel& model, const Checkpoint& checkpoint,
                                        const CpuOptions& options, const StopFlag* stop = nullptr);

}  // namespace moescope
