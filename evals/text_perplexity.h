// SPDX-License-Identifier: Apache-2.0
// Perplexity of a text longer than a model's context: the conventions in use, each as its own
// program has it. They give different numbers for the same model and text, so a perplexity means
// something only together with its convention (docs/scoring.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace moescope {

/// HuggingFace: documentation of transformers, "Perplexity of fixed-length models". Windows of
///   `window` tokens that begin every `stride` tokens; of each, only the tokens behind the end of
///   the one before are scored, and never its very first.
/// LmEval: lm-evaluation-harness 0.4.13, utils.get_rolling_token_windows with context_len 1, then
///   utils.make_disjoint_window. Every token is scored once: the first window predicts `window`
///   tokens from the lead token and what precedes, each further one `window` tokens from a single
///   token of context; the last, shorter one is filled up with context.
/// LlamaCpp: llama-perplexity. Whole windows one behind the other, the rest of the text left out;
///   of each, the tokens behind the one at window / 2 are scored. A lead token stands in the place
///   of the first token of every window.
enum class WindowConvention : std::uint8_t { HuggingFace, LmEval, LlamaCpp };

/// "hf", "lm-eval", "llama.cpp"; UsageError for another name.
WindowConvention parseConvention(std::string_view name);

/// One sequence to evaluate: [lead] tokens[begin, end), of which tokens[scored, end) are scored.
struct TextWindow {
    bool lead = false;
    std::size_t begin = 0, scored = 0, end = 0;

    friend bool operator==(const TextWindow&, const TextWindow&) = default;
};

/// Windows of a text of `tokens` tokens, which does not hold the lead token. `lead`: there is one
/// (LmEval needs it). UsageError for a window below 2 (LlamaCpp: 4), for a stride outside 1 to
/// window, or one that the convention has not; Error for a text too short to score anything of.
std::vector<TextWindow> textWindows(WindowConvention convention, std::size_t tokens,
                                    std::size_t window, std::size_t stride, bool lead);

/// Labels of window `i` as the page of Hugging Face counts them: the scored tokens, and the first
/// token of a window that overlaps no other, which is a label though nothing precedes it.
std::size_t pageLabels(std::span<const TextWindow> windows, std::size_t i) noexcept;

struct WindowScore {
    std::size_t tokens = 0;  ///< scored
    double sum = 0.0;        ///< of their log-probabilities, nats
    std::size_t labels = 0;  ///< pageLabels()
};

struct TextPerplexity {
    std::size_t tokens = 0;
    double sum = 0.0;
    double natsPerToken = 0.0;  ///< -sum / tokens
    double perplexity = 0.0;    ///< its exponential
    /// As the loop of the Hugging Face page weighs: the mean of each window counts its number of
    /// scored labels minus one, also where the label shift drops none of them. NaN when there are
    /// none.
    double huggingFace = 0.0;
    std::size_t blocks = 0;
    double standardError = 0.0;    ///< of natsPerToken; NaN for fewer than two blocks
    double low = 0.0, high = 0.0;  ///< 95 % interval of the perplexity; NaN likewise
};

/// Neighbouring tokens are not independent, so the unit of the error is a block of consecutive
/// windows with at least kBlockTokens scored tokens. For a ratio of sums over B blocks (Cochran,
/// Sampling Techniques, 1977, section 6.4):
///     se^2 = B / (B - 1) * sum_b (nats_b - mean * tokens_b)^2 / tokens^2
/// and the interval is exp(mean +- t(B - 1) se).
inline constexpr std::size_t kBlockTokens = 128;
TextPerplexity textPerplexity(std::span<const WindowScore> windows);

/// Words as lm-evaluation-harness counts them: the parts that runs of white space (Unicode's, as
/// Python's \s) cut the text into, an empty one before or behind them included.
std::size_t countWords(std::string_view utf8);

}  // namespace moescope
