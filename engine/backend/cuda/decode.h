// SPDX-License-Identifier: Apache-2.0
// Kernels of a step of few tokens, up to kDecodeTokens: the weights are read once, at memory speed.
//
// Products go through the tensor cores with the weights as operand A and the tokens as columns of
// operand B: column 2 i holds token i as bf16, column 2 i + 1 what bf16 rounded away. Their sum has
// 16 bits of mantissa in every activation, at no cost, since the columns are there anyway. A
// token's result has the same bits however many others are in the step (experts excepted: their sum
// follows the experts' order).
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/layout.h"
#include "engine/backend/cuda/operand_rows.h"
#include "engine/backend/kept_logits.h"
#include "engine/model/spec.h"

namespace moescope::cuda {

inline constexpr int kDecodeTokens = 8;
inline constexpr int kMaxExperts = 512;
inline constexpr int kMaxTopK = 16;
inline constexpr int kMaxDecodeHeadDim = 256;

/// Row vectors as pairs of bf16, in the order in which a lane's operand B wants them: for each
/// octet of columns its 8 high parts, then its 8 low ones; octets lie as octetSlot has them for the
/// format they are multiplied with. Columns past the last hold zeros up to the stride.
struct PairRows {
    std::uint32_t* words = nullptr;  // (n_rows, stride), one word a column
    std::int32_t stride = 0;
    float* scale = nullptr;  // (n_rows): what a product with a row is still to be multiplied by
    WeightFormat format = WeightFormat::Bf16;
};

/// Where a token of a step stands; in device memory, so that a recorded graph can go on from it.
struct TokenPlace {
    std::int32_t position;
    std::int32_t run;  ///< index of its sequence among those of the step
};

/// Keys and values of one sequence in one layer; position p lies in row p % rows.
struct LayerCache {
    std::int32_t rows = 0;
    std::uint16_t* keys = nullptr;  // (rows, n_kv_head * head_dim) half
    std::uint16_t* values = nullptr;
};

/// Where the tokens of a step keep their keys and values in one layer. A step of one sequence has
/// the addresses in the launch itself: one load less that a single token waits for.
struct StepCaches {
    LayerCache only;
    /// (n_runs), written before the step's first kernel began; or null: there is one run.
    const LayerCache* of = nullptr;

    __host__ __device__ LayerCache at(std::int32_t run) const {
        return of == nullptr ? only : of[run];
    }
};

struct NormWeights {
    NormKind kind = NormKind::Rms;
    bool none = false;  ///< copies: the architecture has no norm there
    float eps = 0;
    const float* weight = nullptr;  // (width)
    const float* bias = nullptr;    // (width), or null
};

/// hidden = embedding row (times scale, plus learned position); angles for every distinct RoPE.
struct EmbedTokens {
    DeviceMatrix embedding, positions;   ///< positions: codes null when there are none
    const std::int32_t* ids = nullptr;   // (n_tokens)
    const TokenPlace* places = nullptr;  // (n_tokens)
    float scale = 1;
    std::int32_t tokens = 0, dModel = 0;
    float* hidden = nullptr;            // (n_tokens, d_model)
    const double* ropes = nullptr;      // (n_ropes, half + 1): inverse frequencies, concentration
    std::int32_t nRopes = 0, half = 0;  ///< half: head_dim / 2
    float2* angles = nullptr;           // (n_ropes, max_tokens, half): cosine, sine
    std::int32_t maxTokens = 0;
};
void embedTokens(const EmbedTokens& e, cudaStream_t stream);

/// Chosen by the router for the tokens of a step; a token's experts are all different.
struct RouterChoice {
    std::int32_t* experts = nullptr;  // (n_tokens, top_k), largest weight first
    float* weights = nullptr;         // (n_tokens, top_k)
};
struct RouterRule {
    RoutingRule rule = RoutingRule::TopKThenSoftmax;
    std::int32_t nExpert = 0, topK = 0;
};

/// out = w norm(hidden) + bias (x null), or w x + bias; or out += the same.
struct DecodeProjection {
    DeviceMatrix weights;           // (rows, cols)
    PairRows x;                     // (n_tokens, cols); words null: the norm of `hidden` is taken
    const float* hidden = nullptr;  // (n_tokens, cols)
    NormWeights norm;
    PairRows keepNormed;          ///< words not null: receives norm(hidden) as well
    const float* bias = nullptr;  // (rows), or null
    std::int32_t tokens = 0;      ///< 1 to kDecodeTokens
    float* out = nullptr;         // (n_tokens, out_stride)
    std::int32_t outStride = 0;
    bool add = false;
};
void decodeProject(const DecodeProjection& p, int multiprocessors, cudaStream_t stream);
/// Tokens of `width` columns that decodeProject takes together: kDecodeTokens but for wide models
/// and GPUs with little shared memory. sharedOfBlock: bytes that a block may have.
int decodeTokensThatFit(int width, std::size_t sharedOfBlock) noexcept;

/// rows: vectors to bf16 pairs, normalised.
struct NormRows {
    const float* in = nullptr;  // (n_rows, width)
    NormWeights norm;
    std::int32_t rows = 0, width = 0;
    PairRows out;
};
void normRows(const NormRows& n, cudaStream_t stream);

/// hidden += norm(branch): architectures with a norm after a block.
struct AddNormed {
    const float* branch = nullptr;  // (n_tokens, width)
    NormWeights norm;
    std::int32_t tokens = 0, width = 0;
    float* hidden = nullptr;  // (n_tokens, width)
};
void addNormed(const AddNormed& a, cudaStream_t stream);

/// Norms of q and k, rotation, and keys and values into each token's cache. Any number of tokens.
struct RotateAndStore {
    float* qkv = nullptr;  // (n_tokens, (n_head + 2 n_kv_head) * head_dim), q in place
    const TokenPlace* places = nullptr;  // (n_tokens)
    std::int32_t tokens = 0;
    std::int32_t nHead = 0, nKvHead = 0, headDim = 0;
    QkNorm qkNorm = QkNorm::None;
    NormWeights qNorm, kNorm;
    bool rotate = true;
    RopePairing pairing = RopePairing::HalfSplit;
    const float2* angles = nullptr;  // (n_tokens, head_dim / 2) of this layer's RoPE
    StepCaches caches;
};
void rotateAndStore(const RotateAndStore& r, cudaStream_t stream);

/// Rows [first, end) of positions that a sequence has in common with another one, from that one's
/// cache; no other copy of the same call writes what it reads.
struct CopiedRows {
    LayerCache from, to;
    std::int32_t first = 0, end = 0;
};
inline constexpr int kCopiesOfLaunch = 48;
struct CopyRows {
    std::int32_t width = 0;  ///< n_kv_head * head_dim
    std::int32_t count = 0;  ///< up to kCopiesOfLaunch
    CopiedRows copies[kCopiesOfLaunch];
};
void copyRows(const CopyRows& c, cudaStream_t stream);

/// Blocks that share out a long context, of each head group and token: as many as fill a GPU. The
/// more tokens there are, the fewer a token has, so that what they exchange is bounded.
inline constexpr int kAttentionSplits = 16;
constexpr int attentionSplits(int tokens) noexcept {
    const int each = kDecodeTokens * kAttentionSplits / tokens;
    return each < 1 ? 1 : each < kAttentionSplits ? each : kAttentionSplits;
}

/// Keys that a block has at least, but for the last one of a context.
inline constexpr int kKeysOfSplit = 128;
/// Blocks that get any of so many keys, whatever the number of tokens.
constexpr int attentionSplitsOfKeys(int keys) noexcept {
    return (keys + kKeysOfSplit - 1) / kKeysOfSplit;
}

/// Attention of tokens whose sequences have few each; a long context is shared out among `splits`
/// blocks of each head group.
struct DecodeAttention {
    const float* qkv = nullptr;  // (n_tokens, qkv_stride), rotated q first
    std::int32_t qkvStride = 0;
    StepCaches caches;
    /// Not null: one token, whose q and k are not yet rotated and whose k and v are not yet in the
    /// cache.
    const float2* angles = nullptr;  // (head_dim / 2)
    RopePairing pairing = RopePairing::HalfSplit;
    /// With angles only: the cache's rows before the token's were written before the step's first
    /// kernel began, so that they are read while the kernel in front still runs. (Nothing that the
    /// step's own kernels write is: each of them may begin before all those in front of it.)
    bool settled = false;
    const float* sinks = nullptr;  // (n_head), or null
    /// (n_tokens), written before the step's first kernel began.
    const TokenPlace* places = nullptr;
    std::int32_t window = 0;
    std::int32_t tokens = 0;
    std::int32_t nHead = 0, nKvHead = 0, headDim = 0;
    float scale = 0;
    /// Where results go, (n_tokens, n_head * head_dim): as the products of few tokens take them, or
    /// (high not null) as those of many do.
    PairRows out;
    OperandRows operand;
    std::int32_t splits = 1;   ///< at most attentionSplits(tokens)
    float* partial = nullptr;  // decodeAttentionScratch() floats when splits > 1
    unsigned* counters =
        nullptr;  // decodeAttentionCounters() when splits > 1, zero before and after
};
void decodeAttention(const DecodeAttention& a, cudaStream_t stream);
/// Floats of `partial` and number of `counters` for any number of tokens.
std::uint64_t decodeAttentionScratch(int nHead, int nKvHead, int headDim) noexcept;
std::uint64_t decodeAttentionCounters(int nHead, int nKvHead) noexcept;

/// First half of the chosen experts, or of a dense MLP (`gated` false: no gate).
struct DecodeExpertsUp {
    DeviceMatrix gateUp;          // stack of (2 ffn, d_model) rows taking turns, or (ffn, d_model)
    const float* bias = nullptr;  // (stack, rows)
    PairRows x;                   // (n_tokens, d_model)
    const float* routerLogits = nullptr;  // (n_tokens, n_expert): experts are chosen first, and
                                          // written to `choice`; null: `choice` says already
    RouterRule rule;
    RouterChoice choice;
    std::int32_t tokens = 0, topK = 0, nExpert = 0;
    bool gated = true;
    Activation activation = Activation::Silu;
    float swigluAlpha = 0, swigluLimit = 0;
    PairRows hidden;  // (n_tokens * top_k, ffn), row token * top_k + place
};
void decodeExpertsUp(const DecodeExpertsUp& e, int multiprocessors, cudaStream_t stream);

/// Second half, weighted, summed over a token's experts, and added to (or stored in) `out`. It
/// reads the router's logits, or `choice`, while the kernel in front still runs: that is
/// decodeExpertsUp, which begins no kernel before it has waited itself, or they are older than all
/// kernels that may still run.
struct DecodeExpertsDown {
    DeviceMatrix down;                    // stack of (d_model, ffn)
    const float* bias = nullptr;          // (stack, d_model)
    PairRows hidden;                      // (n_tokens * top_k, ffn)
    const float* routerLogits = nullptr;  // as DecodeExpertsUp has them
    RouterRule rule;
    RouterChoice choice;  // read when there are no logits
    std::int32_t tokens = 0, topK = 0, nExpert = 0;
    float* out = nullptr;  // (n_tokens, d_model)
    bool add = true;
};
void decodeExpertsDown(const DecodeExpertsDown& e, cudaStream_t stream);

/// Chooses the next token of each row of logits as its rule says; draws by the Gumbel-max trick
/// (Gumbel 1954; exact, no sort, no sum).
struct ChooseTokens {
    const float* logits = nullptr;  // (rows, vocab)
    std::int32_t rows = 0, vocab = 0;
    TokenRule* rules = nullptr;     // (rows)
    TokenChoice* chosen = nullptr;  // (rows); of a sequence that is fed: (fed_choices)
    uint4* parts = nullptr;         // (choiceParts(rows)): of blocks
    unsigned* counters = nullptr;   // (rows): zero before and after
    /// The device goes on with what it chose, so that the step can be run again. One row: ids[0] is
    /// the token, `place` and the rule's draw move on by one, and chosen[draw % fed_choices] is
    /// written. ids null: not so.
    std::int32_t* ids = nullptr;
    TokenPlace* place = nullptr;
    std::int32_t fedChoices = 0;
};
/// Elements of `parts` for any number of rows up to this.
std::uint64_t choiceParts(int rows) noexcept;
void chooseTokens(const ChooseTokens& c, cudaStream_t stream);

/// What rows of logits say of given tokens.
struct ExamineTokens {
    const float* logits = nullptr;  // (n_rows, vocab)
    std::int32_t vocab = 0, count = 0;
    const TokenQuestion* questions = nullptr;  // (count)
    TokenAnswer* answers = nullptr;            // (count)
};
void examineTokens(const ExamineTokens& e, cudaStream_t stream);

}  // namespace moescope::cuda
