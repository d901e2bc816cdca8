// SPDX-License-Identifier: Apache-2.0
// The one forward pass: the order of operations, the chunking of prompts, and who is told.
#include "engine/run/session.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cmath>
#include <exception>
#include <utility>

#include "engine/core/error.h"
#include "engine/run/memory.h"

namespace moescope {
namespace {

/// Logits of a long chunk are computed this many bytes at a time: 201,088 logits x 512 tokens would
/// be 412 MB.
constexpr std::size_t kMaxLogitBytes = std::size_t{32} << 20;

/// Ends the step also when something inside it throws, so that the sink's scopes stay nested.
class StepScope {
public:
    StepScope(TraceSink* sink, const StepInfo& info) : sink_(sink) {
        if (sink_ != nullptr) sink_->stepBegin(info);
    }
    ~StepScope() {
        try {
            end();
        } catch (const std::exception&) {
            // Another exception is on its way already and says more than this one would.
        }
    }
    StepScope(const StepScope&) = delete;
    StepScope& operator=(const StepScope&) = delete;

    /// The normal end: a sink that cannot write what it measured may throw here.
    void end() {
        if (TraceSink* sink = std::exchange(sink_, nullptr)) sink->stepEnd();
    }

private:
    TraceSink* sink_;
};

/// One operation; its work is known only when it is done.
class OpScope {
public:
    OpScope(TraceSink* sink, Op op, int layer) : sink_(sink) {
        if (sink_ != nullptr) sink_->opBegin(op, layer);
    }
    ~OpScope() {
        if (sink_ != nullptr) sink_->opEnd(work);
    }
    OpScope(const OpScope&) = delete;
    OpScope& operator=(const OpScope&) = delete;

    OpWork work;

private:
    TraceSink* sink_;
};

}  // namespace

Session::Session(const Backend& backend, int maxContext, int maxBatch) : backend_(backend) {
    const ModelSpec& spec = backend.spec();
    if (maxContext < 1 || maxContext > spec.contextLength) {
        throw Error("a context of " + std::to_string(maxContext) +
                    " tokens is outside the model's 1 to " + std::to_string(spec.contextLength));
    }
    if (maxBatch < 0) throw Error("the batch must be at least one token");
    if (maxBatch == 0) maxBatch = backend.preferredBatch();
    maxContext_ = maxContext;
    maxBatch_ = std::min(maxBatch, maxContext);
    requireMemory(backend.stateBytes(maxContext_, maxBatch_),
                  "the key-value cache of " + std::to_string(maxContext_) + " tokens");
    state_ = backend.newState(maxContext_, maxBatch_);
}

Session::Session(const Model& model, int maxContext, int maxBatch)
    : Session(model.backend(), maxContext, maxBatch) {}

Session::~Session() = default;

void Session::setTrace(TraceSink* sink) {
    trace_ = sink;
    backend_.setTimed(*state_, sink != nullptr);
}

void Session::beginSequence(std::int64_t id) {
    sequence_ = id;
    position_ = 0;
    liveMarks_.clear();
}

void Session::beginSequence(std::int64_t id, const SessionMark& mark) {
    const int kept = mark.position();
    if (routing_ != nullptr && kept > routedPositions_ && backend_.spec().nExpert > 0)
        throw Error("cannot go on from position " + std::to_string(kept) +
                    ": its routing was not observed");
    rewind(mark);
    sequence_ = id;
    if (routing_ == nullptr || kept == 0) return;
    const StepInfo info{id, StepKind::Prefill, 0, kept};
    const int topK = backend_.spec().topK;
    const std::size_t choices = static_cast<std::size_t>(kept) * static_cast<std::size_t>(topK);
    for (std::size_t i = 0; i < routed_.size(); ++i) {
        if (routed_[i].experts.empty()) continue;
        routing_->onRouting(info, static_cast<int>(i), topK,
                            std::span(routed_[i].experts).first(choices),
                            std::span(routed_[i].weights).first(choices));
    }
}

void Session::keepRouting(int layer, const StepInfo& info, const RoutingView& chosen) {
    routed_.resize(static_cast<std::size_t>(backend_.spec().nLayer));
    LayerRouting& kept = routed_[static_cast<std::size_t>(layer)];
    // Where the positions before went unobserved there is nothing to tell again.
    const std::size_t before = static_cast<std::size_t>(info.firstPosition) *
                               static_cast<std::size_t>(backend_.spec().topK);
    kept.experts.resize(before);
    kept.weights.resize(before);
    kept.experts.insert(kept.experts.end(), chosen.experts.begin(), chosen.experts.end());
    kept.weights.insert(kept.weights.end(), chosen.weights.begin(), chosen.weights.end());
}

std::span<const float> Session::append(std::span<const TokenId> tokens,
                                       std::optional<StepKind> kind) {
    run(tokens, nullptr, kind.value_or(tokens.size() == 1 ? StepKind::Decode : StepKind::Prefill));
    return logits_;
}

void Session::append(std::span<const TokenId> tokens, const Visit& visit, StepKind kind) {
    run(tokens, &visit, kind);
}

void Session::checkTokens(std::span<const TokenId> tokens) const {
    if (tokens.empty()) throw Error("there are no tokens to evaluate");
    const auto room = static_cast<std::size_t>(maxContext_ - position_);
    if (tokens.size() > room) {
        throw Error("the context of " + std::to_string(maxContext_) +
                        " tokens is full: " + std::to_string(tokens.size()) +
                        " more do not fit after " + std::to_string(position_),
                    "use a larger --context");
    }
    const std::int32_t vocab = backend_.spec().vocab;
    for (const TokenId id : tokens) {
        if (id < 0 || id >= vocab) {
            throw Error("token id " + std::to_string(id) + " is outside the vocabulary of " +
                        std::to_string(vocab));
        }
    }
}

void Session::run(std::span<const TokenId> tokens, const Visit* visit, StepKind kind) {
    checkTokens(tokens);
    const auto batch = static_cast<std::size_t>(maxBatch_);
    for (std::size_t offset = 0; offset < tokens.size(); offset += batch) {
        throwIfStopped(stop_);
        const auto chunk = tokens.subspan(offset, std::min(batch, tokens.size() - offset));
        const int count = static_cast<int>(chunk.size());
        StepInfo info;
        info.sequence = sequence_;
        info.kind = kind;
        info.firstPosition = position_;
        info.tokens = count;
        StepScope scope(trace_, info);
        const bool last = offset + chunk.size() == tokens.size();
        const bool whole = visit == nullptr && last && wholeStep(chunk, info);
        if (!whole) layers(chunk, info);
        const bool observed = routing_ != nullptr && routedPositions_ >= position_;
        routedPositions_ = observed ? position_ + count : std::min(routedPositions_, position_);
        position_ += count;
        if (visit != nullptr) {
            visitRows(count, static_cast<int>(offset), *visit);
        } else if (last && !whole) {
            head(count - 1, 1);
        }
        scope.end();
    }
}

template <typename Operation>
void Session::traced(Op op, int layer, const Operation& operation) {
    OpScope scope(trace_, op, layer);
    scope.work = operation();
}

bool Session::wholeStep(std::span<const TokenId> tokens, const StepInfo& info) {
    if (trace_ != nullptr || tokens.size() != 1) return false;
    logits_.resize(static_cast<std::size_t>(backend_.spec().vocab));
    if (!backend_.decodeStep(*state_, tokens.front(), info.firstPosition, logits_)) return false;
    if (routing_ == nullptr) return true;
    const ModelSpec& spec = backend_.spec();
    for (int i = 0; i < spec.nLayer; ++i) {
        if (spec.layers[static_cast<std::size_t>(i)].mlp != MlpKind::Experts) continue;
        const RoutingView chosen = backend_.stepRouting(*state_, i);
        routing_->onRouting(info, i, spec.topK, chosen.experts, chosen.weights);
        keepRouting(i, info, chosen);
    }
    return true;
}

std::vector<TokenId> Session::appendGreedy(TokenId first, int count) {
    if (count < 1) throw Error("the number of tokens to decode must be at least 1");
    // The ids to come are valid by themselves; room for them is not.
    checkTokens(std::vector<TokenId>(static_cast<std::size_t>(count), first));
    std::vector<TokenId> chosen(static_cast<std::size_t>(count));
    if (trace_ == nullptr && routing_ == nullptr &&
        backend_.decodeGreedy(*state_, first, position_, chosen)) {
        routedPositions_ = std::min(routedPositions_, position_);
        position_ += count;
        return chosen;
    }
    for (TokenId& next : chosen) {
        const std::span<const float> logits = append(std::span(&first, 1), StepKind::Decode);
        next =
            static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        first = next;
    }
    return chosen;
}

void Session::layers(std::span<const TokenId> tokens, const StepInfo& info) {
    traced(Op::Embed, -1, [&] { return backend_.embed(*state_, tokens, info.firstPosition); });
    for (int i = 0; i < backend_.spec().nLayer; ++i) layer(i, info);
}

void Session::layer(int i, const StepInfo& info) {
    BackendState& s = *state_;
    traced(Op::AttentionInput, i, [&] { return backend_.attentionInput(s, i); });
    traced(Op::Attention, i, [&] { return backend_.attention(s, i); });
    traced(Op::AttentionOutput, i, [&] { return backend_.attentionOutput(s, i); });
    const ModelSpec& spec = backend_.spec();
    if (spec.layers[static_cast<std::size_t>(i)].mlp != MlpKind::Experts) {
        traced(Op::Mlp, i, [&] { return backend_.feedForward(s, i); });
        return;
    }
    traced(Op::Router, i, [&] { return backend_.route(s, i); });
    if (routing_ != nullptr) {
        const RoutingView chosen = backend_.routing(s);
        routing_->onRouting(info, i, spec.topK, chosen.experts, chosen.weights);
        keepRouting(i, info, chosen);
    }
    traced(Op::Experts, i, [&] { return backend_.feedForward(s, i); });
}

void Session::head(int first, int count) {
    logits_.resize(static_cast<std::size_t>(count) *
                   static_cast<std::size_t>(backend_.spec().vocab));
    traced(Op::Head, -1, [&] { return backend_.head(*state_, first, count, logits_); });
}

void Session::visitRows(int tokens, int offset, const Visit& visit) {
    const auto vocab = static_cast<std::size_t>(backend_.spec().vocab);
    const int rows =
        static_cast<int>(std::max<std::size_t>(1, kMaxLogitBytes / sizeof(float) / vocab));
    for (int first = 0; first < tokens; first += rows) {
        const int count = std::min(rows, tokens - first);
        head(first, count);
        // What the caller does with the logits is part of the step's time and is shown as such.
        traced(Op::Sample, -1, [&] {
            for (int r = 0; r < count; ++r) {
                visit(offset + first + r, std::span<const float>(logits_).subspan(
                                              static_cast<std::size_t>(r) * vocab, vocab));
            }
            return OpWork{};
        });
    }
}

SessionMark Session::mark() {
    static std::atomic<std::uint64_t> serials{0};
    SessionMark mark;
    mark.cache_ = backend_.mark(*state_, position_);
    mark.position_ = position_;
    mark.serial_ = ++serials;
    liveMarks_.push_back({mark.position_, mark.serial_});
    return mark;
}

void Session::rewind(const SessionMark& mark) {
    const bool live = std::any_of(liveMarks_.begin(), liveMarks_.end(),
                                  [&](const LiveMark& m) { return m.serial == mark.serial_; });
    if (!live) {
        throw Error("cannot rewind to position " + std::to_string(mark.position_) +
                    ": it was marked in another sequence, or the session has been rewound since");
    }
    backend_.rewind(*state_, *mark.cache_);
    position_ = mark.position_;
    // What comes next overwrites the rows that later marks stand for.
    std::erase_if(liveMarks_, [&](const LiveMark& m) { return m.position > position_; });
}

}  // namespace moescope
