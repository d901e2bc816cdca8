// SPDX-License-Identifier: Apache-2.0
// One sequence: the chunking of prompts and the growing cache.
#include "engine/run/session.h"

#include <algorithm>
#include <numeric>

#include "engine/core/error.h"
#include "engine/nvtx_ranges.h"

namespace moescope {
namespace {

class IgnoredTrace final : public TraceSink {
    void stepBegin(const StepInfo&) override {}
    void stepEnd() override {}
    void opBegin(Op, int) override {}
    void opEnd(const OpWork&) override {}
};

}  // namespace

Session::Session(const Backend& backend, int maxContext, int maxBatch)
    : pass_(backend, maxContext,
            std::min(maxBatch == 0 ? backend.preferredBatch() : maxBatch, maxContext)),
      cache_(backend.newCache({maxContext, pass_.maxBatch()})) {}

Session::Session(const Model& model, int maxContext, int maxBatch)
    : Session(model.backend(), maxContext, maxBatch) {}

Session::~Session() = default;

void Session::warmUp(std::span<const TokenId> tokens) {
    const NvtxRange range(NvtxRange::WarmUp{});
    IgnoredTrace each;  // whole steps would leave a device's graph recorded that nobody counted
    setTrace(&each);
    const auto most = std::min(pass_.maxBatch(), std::max(1, maxContext() - 1));
    const auto leave = [this] {
        setTrace(nullptr);
        beginSequence(0);
    };
    try {
        append(tokens.first(std::min(tokens.size(), static_cast<std::size_t>(most))),
               StepKind::Prefill);
        if (position_ < maxContext()) append(tokens.first(1), StepKind::Decode);
    } catch (...) {
        leave();
        throw;
    }
    leave();
}

void Session::beginSequence(std::int64_t id) noexcept {
    sequence_ = id;
    position_ = 0;
}

std::span<const float> Session::append(std::span<const TokenId> tokens,
                                       std::optional<StepKind> kind) {
    run(tokens, kind.value_or(tokens.size() == 1 ? StepKind::Decode : StepKind::Prefill), nullptr,
        nullptr);
    return logits_;
}

void Session::append(std::span<const TokenId> tokens, const Visit& visit, StepKind kind) {
    run(tokens, kind, &visit, nullptr);
}

TokenChoice Session::append(std::span<const TokenId> tokens, StepKind kind, const TokenRule& rule) {
    run(tokens, kind, nullptr, &rule);
    if (choice_.token < 0) throw notFinite();
    return choice_;
}

void Session::checkTokens(std::span<const TokenId> tokens) const {
    if (tokens.empty()) throw Error("there are no tokens to evaluate");
    const auto room = static_cast<std::size_t>(maxContext() - position_);
    if (tokens.size() > room) {
        throw Error("the context of " + std::to_string(maxContext()) +
                        " tokens is full: " + std::to_string(tokens.size()) +
                        " more do not fit after " + std::to_string(position_),
                    "use a larger --context");
    }
    pass_.checkTokens(tokens);
}

void Session::run(std::span<const TokenId> tokens, StepKind kind, const Visit* visit,
                  const TokenRule* rule) {
    checkTokens(tokens);
    const auto batch = static_cast<std::size_t>(pass_.maxBatch());
    for (std::size_t offset = 0; offset < tokens.size(); offset += batch) {
        throwIfStopped(stop_);
        const auto chunk = tokens.subspan(offset, std::min(batch, tokens.size() - offset));
        const int count = static_cast<int>(chunk.size());
        const StepInfo info{sequence_, kind, position_, count};
        const bool last = offset + chunk.size() == tokens.size();
        if (visit == nullptr && last && count == 1 && runWhole(info, chunk.front(), rule)) continue;
        const StepRun whole{cache_.get(), position_, count};
        pass_.step(info, chunk, {&whole, 1}, [&] {
            position_ += count;
            const std::int32_t row = count - 1;
            if (visit != nullptr) {
                visitChunk(count, static_cast<int>(offset), *visit);
            } else if (last && rule != nullptr) {
                pass_.choose({&row, 1}, {rule, 1}, {&choice_, 1});
            } else if (last) {
                logits_ = pass_.head({&row, 1});
            }
        });
    }
}

bool Session::runWhole(const StepInfo& info, TokenId token, const TokenRule* rule) {
    const auto then = [&] { ++position_; };
    if (rule == nullptr) {
        logits_ = pass_.wholeStep(info, *cache_, token, then);
        return !logits_.empty();
    }
    const std::optional<TokenChoice> choice = pass_.wholeStep(info, *cache_, token, *rule, then);
    if (choice) choice_ = *choice;
    return choice.has_value();
}

void Session::visitChunk(int tokens, int offset, const Visit& visit) {
    std::vector<std::int32_t> rows(static_cast<std::size_t>(tokens));
    std::iota(rows.begin(), rows.end(), 0);
    const auto vocab = static_cast<std::size_t>(pass_.spec().vocab);
    pass_.head(rows, [&](std::size_t first, std::span<const float> logits) {
        for (std::size_t at = 0; at < logits.size(); at += vocab)
            visit(offset + static_cast<int>(first + at / vocab), logits.subspan(at, vocab));
    });
}

std::vector<TokenId> Session::appendGreedy(TokenId first, int count) {
    if (count < 1) throw Error("the number of tokens to decode must be at least 1");
    // The ids to come are valid by themselves; room for them is not.
    checkTokens(std::vector<TokenId>(static_cast<std::size_t>(count), first));
    std::vector<TokenId> chosen(static_cast<std::size_t>(count));
    if (const int evaluated = pass_.greedy(*cache_, first, position_, chosen)) {
        position_ += evaluated;
        const auto isNone = [](TokenId token) { return token < 0; };
        if (std::ranges::any_of(chosen, isNone)) throw notFinite();
        return chosen;
    }
    for (TokenId& next : chosen)
        first = next = mostLikely(append(std::span(&first, 1), StepKind::Decode));
    return chosen;
}

}  // namespace moescope
