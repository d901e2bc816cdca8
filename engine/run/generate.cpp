// SPDX-License-Identifier: Apache-2.0
#include "engine/run/generate.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "engine/core/error.h"
#include "engine/run/trace_scopes.h"

namespace moescope {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t nanosecondsSince(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

TokenId choose(Sampler& sampler, std::span<const float> logits, TraceSink* trace) {
    OpScope scope(trace, Op::Sample, -1);
    scope.work.bytes = logits.size_bytes();
    scope.work.kernel = "sampler";
    return sampler.sample(logits);
}

}  // namespace

std::string_view finishReasonName(FinishReason reason) noexcept {
    switch (reason) {
        case FinishReason::StopToken:
            return "stop";
        case FinishReason::Length:
            return "length";
        case FinishReason::ContextFull:
            return "context";
        case FinishReason::Caller:
            return "caller";
        case FinishReason::Interrupted:
            break;
    }
    return "interrupted";
}

std::optional<FinishReason> endOf(const Generation& result, const GenerateOptions& options,
                                  int position, int maxContext) {
    const auto& stops = options.stopTokens;
    if (std::find(stops.begin(), stops.end(), result.tokens.back()) != stops.end())
        return FinishReason::StopToken;
    if (result.tokens.size() >= static_cast<std::size_t>(options.maxTokens))
        return FinishReason::Length;
    if (position >= maxContext) return FinishReason::ContextFull;
    return std::nullopt;
}

double Generation::prefillTokensPerSecond() const noexcept {
    return firstTokenNs > 0 ? promptTokens * 1e9 / static_cast<double>(firstTokenNs) : 0.0;
}

double Generation::decodeTokensPerSecond() const noexcept {
    const auto total = std::accumulate(tokenNs.begin(), tokenNs.end(), std::int64_t{0});
    return total > 0 ? static_cast<double>(tokenNs.size()) * 1e9 / static_cast<double>(total) : 0.0;
}

Generation generate(Session& session, std::span<const TokenId> prompt,
                    const GenerateOptions& options, const TokenCallback& onToken) {
    if (options.maxTokens < 1)
        throw UsageError("the number of tokens to generate must be at least 1");
    Sampler sampler(options.sampling);
    const bool there = session.keepsLogits() && sampler.ruled();
    Generation result;
    result.promptTokens = static_cast<int>(prompt.size());
    result.logitsHash = logitsHash({});
    std::span<const TokenId> next = prompt;
    TokenId last = 0;
    std::optional<FinishReason> end;
    try {
        do {
            const auto start = Clock::now();
            const StepKind kind = result.tokens.empty() ? StepKind::Prefill : StepKind::Decode;
            std::span<const float> logits;  // none: the back end chooses
            TokenChoice choice;
            if (there) {
                choice = session.append(next, kind, sampler.rule());
            } else {
                logits = session.append(next, kind);
                choice.token = choose(sampler, logits, session.trace());
            }
            const std::int64_t elapsed = nanosecondsSince(start);
            (result.tokens.empty() ? result.firstTokenNs : result.tokenNs.emplace_back()) = elapsed;
            result.shareNs += elapsed;
            if (!there) choice.logitsHash = logitsHash(logits);
            result.logitsHash = addHash(result.logitsHash, choice.logitsHash);
            last = choice.token;
            result.tokens.push_back(last);
            next = std::span(&last, 1);
            if (onToken && !onToken(last))
                end = FinishReason::Caller;
            else
                end = endOf(result, options, session.position(), session.maxContext());
        } while (!end);
        result.reason = *end;
    } catch (const Interrupted&) {
        result.reason = FinishReason::Interrupted;
    }
    return result;
}

}  // namespace moescope
