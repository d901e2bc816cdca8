// SPDX-License-Identifier: Apache-2.0
// From --prompt and --chat to tokens, and the sampling options that go with them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/options.h"
#include "engine/run/generate.h"
#include "engine/text/chat.h"

namespace moescope::cli {

/// --temperature, --top-p, --top-k, --min-p, --seed, -n.
void addSamplingOptions(Options& options, int defaultTokens);
SamplingOptions samplingOptions(const Options& options);

/// "low", "medium", "high"; UsageError otherwise.
ReasoningEffort parseReasoning(const std::string& text);

/// What is evaluated, and what ends the answer.
struct Prompt {
    std::vector<TokenId> tokens;
    std::vector<TokenId> stopTokens;
    std::unique_ptr<ChatFormat> chat;  ///< null for plain text
    ChatOptions chatOptions;
};

/// Plain text with the model's beginning-of-sequence token where it wants one. An empty prompt
/// starts from that token; UsageError when the model has none.
Prompt plainPrompt(const Tokenizer& tokenizer, const std::string& text);

/// One user message (and a system message when `system` is not empty; harmony calls that a
/// developer message). Error when the model has no chat template.
Prompt chatPrompt(const Tokenizer& tokenizer, const std::string& message, const std::string& system,
                  ReasoningEffort reasoning);

}  // namespace moescope::cli
