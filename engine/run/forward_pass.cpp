// SPDX-License-Identifier: Apache-2.0
#include "engine/run/forward_pass.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "engine/core/error.h"
#include "engine/run/memory.h"
#include "engine/run/trace_scopes.h"

namespace moescope {
namespace {

/// Logits of a long chunk are computed this many bytes at a time: 201,088 logits x 512 tokens would
/// be 412 MB.
constexpr std::size_t kMaxLogitBytes = std::size_t{32} << 20;

}  // namespace

ForwardPass::ForwardPass(const Backend& backend, int maxContext, int maxBatch, bool wholeCaches)
    : backend_(backend) {
    if (maxContext < 1 || maxContext > spec().contextLength) {
        throw Error("a context of " + std::to_string(maxContext) +
                    " tokens is outside the model's 1 to " + std::to_string(spec().contextLength));
    }
    if (maxBatch < 0) throw Error("the batch must be at least one token");
    if (maxBatch == 0) maxBatch = backend.preferredBatch();
    maxContext_ = maxContext;
    maxBatch_ = maxBatch;
    const int run = wholeCaches ? maxContext_ : std::min(maxBatch_, maxContext_);
    requireMemory(
        backend.stateBytes(maxContext_, maxBatch_) + backend.cacheBytes({maxContext_, run}),
        "the key-value cache of " + std::to_string(maxContext_) + " tokens");
    state_ = backend.newState(maxContext_, maxBatch_);
}

void ForwardPass::checkTokens(std::span<const TokenId> tokens) const {
    requireTokens(spec(), tokens);
}

void ForwardPass::setTrace(TraceSink* sink) {
    trace_ = sink;
    backend_.setTimed(*state_, sink != nullptr);
}

template <typename Operation>
void ForwardPass::traced(Op op, int layer, const Operation& operation) {
    OpScope scope(trace_, op, layer);
    scope.work = operation();
}

void ForwardPass::step(const StepInfo& info, std::span<const TokenId> tokens,
                       std::span<const StepRun> runs, const std::function<void()>& then) {
    StepScope scope(trace_, info);
    traced(Op::Embed, -1, [&] { return backend_.embed(*state_, tokens, runs); });
    for (int i = 0; i < spec().nLayer; ++i) layer(i, info);
    if (routingLater()) {
        backend_.waitForLayers(*state_);
        tellRouting(info);
    }
    then();
    scope.end();
}

void ForwardPass::layer(int i, const StepInfo& info) {
    const NvtxRange range(i);
    BackendState& s = *state_;
    traced(Op::AttentionInput, i, [&] { return backend_.attentionInput(s, i); });
    traced(Op::Attention, i, [&] { return backend_.attention(s, i); });
    traced(Op::AttentionOutput, i, [&] { return backend_.attentionOutput(s, i); });
    if (spec().layers[static_cast<std::size_t>(i)].mlp != MlpKind::Experts) {
        traced(Op::Mlp, i, [&] { return backend_.feedForward(s, i); });
        return;
    }
    traced(Op::Router, i, [&] { return backend_.route(s, i); });
    if (routing_ != nullptr && !routingLater()) {
        const RoutingView chosen = backend_.routing(s);
        routing_->onRouting(info, i, spec().topK, chosen.experts, chosen.weights);
    }
    traced(Op::Experts, i, [&] { return backend_.feedForward(s, i); });
}

/// One wait for a device instead of one a layer, where nobody times operations.
bool ForwardPass::routingLater() const noexcept {
    return routing_ != nullptr && trace_ == nullptr && backend_.wholeSteps();
}

void ForwardPass::tellRouting(const StepInfo& info) const {
    for (int i = 0; i < spec().nLayer; ++i) {
        if (spec().layers[static_cast<std::size_t>(i)].mlp != MlpKind::Experts) continue;
        const RoutingView chosen = backend_.stepRouting(*state_, i);
        routing_->onRouting(info, i, spec().topK, chosen.experts, chosen.weights);
    }
}

std::span<const float> ForwardPass::head(std::span<const std::int32_t> rows) {
    logits_.resize(rows.size() * static_cast<std::size_t>(spec().vocab));
    traced(Op::Head, -1, [&] { return backend_.head(*state_, rows, logits_); });
    return logits_;
}

void ForwardPass::head(std::span<const std::int32_t> rows,
                       const std::function<void(std::size_t, std::span<const float>)>& visit) {
    const std::size_t most = std::max<std::size_t>(
        1, kMaxLogitBytes / sizeof(float) / static_cast<std::size_t>(spec().vocab));
    for (std::size_t first = 0; first < rows.size(); first += most) {
        const auto logits = head(rows.subspan(first, std::min(most, rows.size() - first)));
        // What the caller does with the logits is part of the step's time and is shown as such.
        traced(Op::Sample, -1, [&] {
            visit(first, logits);
            return OpWork{};
        });
    }
}

/// ask(first, count): of rows [first, first + count), whose logits are kept meanwhile.
template <typename Ask>
void ForwardPass::keepLogits(std::span<const std::int32_t> rows, const Ask& ask) {
    const auto most = static_cast<std::size_t>(backend_.keptRows(*state_));
    for (std::size_t first = 0; first < rows.size(); first += most) {
        assert(most > 0);
        const std::size_t count = std::min(most, rows.size() - first);
        traced(Op::Head, -1,
               [&] { return backend_.keepLogits(*state_, rows.subspan(first, count)); });
        traced(Op::Sample, -1, [&] { return ask(first, count); });
    }
}

void ForwardPass::choose(std::span<const std::int32_t> rows, std::span<const TokenRule> rules,
                         std::span<TokenChoice> out) {
    keepLogits(rows, [&](std::size_t first, std::size_t count) {
        return backend_.choose(*state_, rules.subspan(first, count), out.subspan(first, count));
    });
}

void ForwardPass::examine(std::span<const std::int32_t> rows,
                          std::span<const TokenQuestion> questions, std::span<TokenAnswer> out) {
    std::vector<TokenQuestion> asked;
    std::size_t done = 0;
    keepLogits(rows, [&](std::size_t first, std::size_t count) {
        asked.clear();
        for (const TokenQuestion& q : questions.subspan(done)) {
            const auto row = static_cast<std::size_t>(q.row);
            if (row >= first + count) break;
            asked.push_back({static_cast<std::int32_t>(row - first), q.token});
        }
        const auto answers = out.subspan(done, asked.size());
        done += asked.size();
        return backend_.examine(*state_, asked, answers);
    });
}

bool ForwardPass::takesWholeSteps() const noexcept {
    return backend_.wholeSteps() && (trace_ == nullptr || trace_->takesWholeSteps());
}

template <typename Fetch>
void ForwardPass::runWhole(const StepInfo& info, KvCache& cache, TokenId token,
                           const TokenRule* rule, const Fetch& fetch,
                           const std::function<void()>& then) {
    StepScope scope(trace_, info);
    traced(Op::Embed, -1,
           [&] { return backend_.sendToken(*state_, cache, token, info.firstPosition, rule); });
    backend_.runToken(*state_);
    traced(Op::Head, -1, fetch);
    if (routing_ != nullptr) tellRouting(info);
    then();
    scope.end();
}

std::span<const float> ForwardPass::wholeStep(const StepInfo& info, KvCache& cache, TokenId token,
                                              const std::function<void()>& then) {
    if (!takesWholeSteps()) return {};
    logits_.resize(static_cast<std::size_t>(spec().vocab));
    runWhole(
        info, cache, token, nullptr, [&] { return backend_.fetchLogits(*state_, logits_); }, then);
    return logits_;
}

std::optional<TokenChoice> ForwardPass::wholeStep(const StepInfo& info, KvCache& cache,
                                                  TokenId token, const TokenRule& rule,
                                                  const std::function<void()>& then) {
    if (!takesWholeSteps() || !keepsLogits()) return std::nullopt;
    TokenChoice chosen;
    runWhole(
        info, cache, token, &rule, [&] { return backend_.fetchChoice(*state_, chosen); }, then);
    return chosen;
}

int ForwardPass::greedy(KvCache& cache, TokenId first, int position, std::span<TokenId> out) const {
    if (trace_ != nullptr || routing_ != nullptr) return 0;
    return backend_.decodeGreedy(*state_, cache, first, position, out);
}

}  // namespace moescope
