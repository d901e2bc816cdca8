// SPDX-License-Identifier: Apache-2.0
#include "cli/prompting.h"

#include "engine/core/error.h"

namespace moescope::cli {

void addSamplingOptions(Options& options, int defaultTokens) {
    options.add("tokens,n", po::value<int>()->default_value(defaultTokens)->value_name("N"),
                "tokens to generate at most");
    options.add("temperature", po::value<double>()->default_value(0.0)->value_name("X"),
                "0: greedy");
    options.add("top-k", po::value<int>()->default_value(0)->value_name("N"),
                "keep the N likeliest; 0: off");
    options.add("top-p", po::value<double>()->default_value(1.0)->value_name("X"),
                "keep the likeliest that sum to X; 1: off");
    options.add("min-p", po::value<double>()->default_value(0.0)->value_name("X"),
                "drop what is below X of the likeliest; 0: off");
    options.add("seed", po::value<std::uint64_t>()->default_value(0)->value_name("N"),
                "of the sampler");
}

SamplingOptions samplingOptions(const Options& options) {
    SamplingOptions out;
    out.temperature = options.get<double>("temperature");
    out.topK = options.get<int>("top-k");
    out.topP = options.get<double>("top-p");
    out.minP = options.get<double>("min-p");
    out.seed = options.get<std::uint64_t>("seed");
    return out;
}

ReasoningEffort parseReasoning(const std::string& text) {
    if (text == "low") return ReasoningEffort::Low;
    if (text == "medium") return ReasoningEffort::Medium;
    if (text == "high") return ReasoningEffort::High;
    throw UsageError("--reasoning takes low, medium or high, not '" + text + "'");
}

Prompt plainPrompt(const Tokenizer& tokenizer, const std::string& text) {
    Prompt prompt;
    if (tokenizer.addBos() && tokenizer.bos()) prompt.tokens.push_back(*tokenizer.bos());
    const std::vector<TokenId> tokens = tokenizer.encode(text, SpecialTokens::AsText);
    prompt.tokens.insert(prompt.tokens.end(), tokens.begin(), tokens.end());
    if (prompt.tokens.empty()) {
        if (!tokenizer.bos())
            throw UsageError(
                "the prompt is empty and this model has no beginning-of-sequence token");
        prompt.tokens.push_back(*tokenizer.bos());
    }
    prompt.stopTokens = tokenizer.endOfText();
    return prompt;
}

Prompt chatPrompt(const Tokenizer& tokenizer, const std::string& message, const std::string& system,
                  ReasoningEffort reasoning) {
    Prompt prompt;
    prompt.chat = chatFormatFor(tokenizer);
    if (prompt.chat == nullptr)
        throw Error("this model has no chat template", "use --prompt to continue a text");
    prompt.chatOptions.reasoning = reasoning;
    std::vector<ChatMessage> messages;
    if (!system.empty()) {
        ChatMessage first;
        first.role = prompt.chat->name() == "harmony" ? Role::Developer : Role::System;
        first.content = system;
        messages.push_back(std::move(first));
    }
    ChatMessage user;
    user.content = message;
    messages.push_back(std::move(user));
    prompt.tokens = prompt.chat->render(messages, prompt.chatOptions);
    prompt.stopTokens = prompt.chat->stopTokens();
    return prompt;
}

}  // namespace moescope::cli
