// SPDX-License-Identifier: Apache-2.0
// A model without weights: log-likelihoods are a function of the text, the same everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/core/interrupt.h"
#include "evals/language_model.h"

namespace moescope::test {

/// zlib's CRC-32 (reflected 0xEDB88320): the rule of the oracle in ../shared/data/_oracle.
inline std::uint32_t crc32(std::string_view text) {
    std::uint32_t crc = 0xFFFFFFFFU;
    for (const char c : text) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    }
    return ~crc;
}

class StubModel final : public LanguageModel {
public:
    using Rule = std::function<double(const std::string& prompt, const std::string& continuation)>;

    explicit StubModel(Rule rule = {}, std::size_t maxCharacters = 1U << 20)
        : rule_(std::move(rule)), maxCharacters_(maxCharacters) {}

    nlohmann::json identity() const override { return {{"stub", name}}; }
    bool hasChatFormat() const override { return chatFormat; }
    void setStop(const StopFlag* stop) override { stop_ = stop; }

    void score(const Source& next, const Done& done) override {
        while (const ScoreRequest* request = next()) done(*request, score(*request));
    }
    ScoreResult score(const ScoreRequest& request) {
        throwIfStopped(stop_);
        ++calls;
        ScoreResult result;
        const std::string prompt(request.prompt);
        for (const std::string& text : request.continuations) {
            result.neededContext = std::max<std::int64_t>(
                result.neededContext, static_cast<std::int64_t>(prompt.size() + text.size()));
            const double ll = rule_ ? rule_(prompt, text)
                                    : -static_cast<double>(crc32(prompt + text) % 100000) / 1000;
            result.continuations.push_back({ll, static_cast<std::int32_t>(text.size()), false});
            result.evaluatedTokens += static_cast<std::int64_t>(text.size());
        }
        result.promptTokens = static_cast<std::int64_t>(prompt.size());
        if (result.neededContext > static_cast<std::int64_t>(maxCharacters_)) {
            result.continuations.clear();
            result.evaluatedTokens = 0;
            result.tooLong = true;
        }
        if (onCall) onCall(calls);
        return result;
    }

    /// What the model says to a message; nothing by default.
    std::function<ReplyResult(const ReplyRequest&)> replyRule;

    void reply(const ReplySource& next, const ReplyDone& done) override {
        while (const ReplyRequest* request = next()) {
            throwIfStopped(stop_);
            ++calls;
            done(*request, replyRule ? replyRule(*request) : ReplyResult{});
            if (onCall) onCall(calls);
        }
    }

    std::string name = "crc32";
    bool chatFormat = false;
    int calls = 0;
    std::function<void(int)> onCall;

private:
    Rule rule_;
    std::size_t maxCharacters_;
    const StopFlag* stop_ = nullptr;
};

}  // namespace moescope::test
