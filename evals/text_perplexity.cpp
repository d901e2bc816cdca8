// SPDX-License-Identifier: Apache-2.0
#include "evals/text_perplexity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "engine/core/error.h"
#include "engine/text/unicode.h"
#include "evals/stats/distributions.h"

namespace moescope {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::vector<TextWindow> huggingFace(std::size_t tokens, std::size_t window, std::size_t stride) {
    std::vector<TextWindow> out;
    std::size_t before = 0;
    for (std::size_t begin = 0; begin < tokens; begin += stride) {
        const std::size_t end = std::min(begin + window, tokens);
        const std::size_t scored = std::max(before, begin + 1);
        if (scored < end) out.push_back({false, begin, scored, end});
        before = end;
        if (end == tokens) break;
    }
    return out;
}

std::vector<TextWindow> lmEval(std::size_t tokens, std::size_t window) {
    std::vector<TextWindow> out;
    const std::size_t first = std::min(window, tokens);
    if (first > 0) out.push_back({true, 0, 0, first});
    for (std::size_t done = first; done < tokens;) {
        const std::size_t predicted = std::min(tokens - done, window);
        const std::size_t end = done + predicted;
        out.push_back({false, end - window - 1, done, end});
        done = end;
    }
    return out;
}

std::vector<TextWindow> llamaCpp(std::size_t tokens, std::size_t window, bool lead) {
    std::vector<TextWindow> out;
    const std::size_t shift = lead ? 1 : 0;  // the program's positions count the lead token
    for (std::size_t start = 0; start + window <= tokens + shift; start += window) {
        const std::size_t scored = start + window / 2 + 1 - shift;
        out.push_back({lead, start, scored, start + window - shift});
    }
    return out;
}

}  // namespace

WindowConvention parseConvention(std::string_view name) {
    if (name == "hf") return WindowConvention::HuggingFace;
    if (name == "lm-eval") return WindowConvention::LmEval;
    if (name == "llama.cpp") return WindowConvention::LlamaCpp;
    throw UsageError("--convention takes hf, lm-eval or llama.cpp, not '" + std::string(name) +
                     "'");
}

std::vector<TextWindow> textWindows(WindowConvention convention, std::size_t tokens,
                                    std::size_t window, std::size_t stride, bool lead) {
    const std::size_t least = convention == WindowConvention::LlamaCpp ? 4 : 2;
    if (window < least)
        throw UsageError("a window has at least " + std::to_string(least) + " tokens");
    if (stride < 1 || stride > window) throw UsageError("the stride is 1 to the window's tokens");
    if (convention != WindowConvention::HuggingFace && stride != window)
        throw UsageError("only the convention hf has a stride");
    if (convention == WindowConvention::LmEval && !lead)
        throw Error("the convention lm-eval needs a beginning-of-sequence or end-of-text token");
    std::vector<TextWindow> windows;
    if (convention == WindowConvention::HuggingFace)
        windows = huggingFace(tokens, window, stride);
    else if (convention == WindowConvention::LmEval)
        windows = lmEval(tokens, window);
    else
        windows = llamaCpp(tokens, window, lead);
    if (windows.empty())
        throw Error("a text of " + std::to_string(tokens) + " tokens is too short for windows of " +
                    std::to_string(window));
    return windows;
}

std::size_t pageLabels(std::span<const TextWindow> windows, std::size_t i) noexcept {
    const bool overlaps = i > 0 && windows[i - 1].end > windows[i].begin;
    return windows[i].end - windows[i].scored + (overlaps ? 0 : 1);
}

TextPerplexity textPerplexity(std::span<const WindowScore> windows) {
    TextPerplexity out;
    std::vector<WindowScore> blocks;
    double labels = 0, weighted = 0;
    for (const WindowScore& w : windows) {
        out.tokens += w.tokens;
        out.sum += w.sum;
        if (w.tokens > 0) {
            const auto weight = static_cast<double>(w.labels - 1);
            labels += weight;
            weighted += w.sum / static_cast<double>(w.tokens) * weight;
        }
        if (blocks.empty() || blocks.back().tokens >= kBlockTokens) blocks.emplace_back();
        blocks.back().tokens += w.tokens;
        blocks.back().sum += w.sum;
    }
    // What is left at the end is no block of its own.
    if (blocks.size() > 1 && blocks.back().tokens < kBlockTokens) {
        blocks[blocks.size() - 2].tokens += blocks.back().tokens;
        blocks[blocks.size() - 2].sum += blocks.back().sum;
        blocks.pop_back();
    }
    const auto tokens = static_cast<double>(out.tokens);
    out.natsPerToken = -out.sum / tokens;
    out.perplexity = std::exp(out.natsPerToken);
    out.huggingFace = labels > 0 ? std::exp(-weighted / labels) : kUnknown;
    out.blocks = blocks.size();
    out.standardError = out.low = out.high = kUnknown;
    if (blocks.size() < 2) return out;
    double squares = 0;
    for (const WindowScore& b : blocks) {
        const double off = -b.sum - out.natsPerToken * static_cast<double>(b.tokens);
        squares += off * off;
    }
    const auto count = static_cast<double>(blocks.size());
    out.standardError = std::sqrt(count / (count - 1) * squares) / tokens;
    const double reach = stats::tQuantile(0.975, count - 1) * out.standardError;
    out.low = std::exp(out.natsPerToken - reach);
    out.high = std::exp(out.natsPerToken + reach);
    return out;
}

std::size_t countWords(std::string_view utf8) {
    std::size_t words = 1;
    bool inSpace = false;
    for (std::size_t at = 0; at < utf8.size();) {
        const unicode::Decoded c = unicode::decodeUtf8(utf8, at);
        // Python's \s also has the four information separators.
        const bool separator = c.codePoint >= 0x1C && c.codePoint <= 0x1F;
        const bool space = separator || (unicode::charClass(c.codePoint) & unicode::kSpace) != 0;
        words += space && !inSpace;
        inSpace = space;
        at += c.length;
    }
    return words;
}

}  // namespace moescope
