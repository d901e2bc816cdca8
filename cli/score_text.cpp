// SPDX-License-Identifier: Apache-2.0
#include "cli/score_text.h"

#include <cmath>
#include <iostream>
#include <numbers>

#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/scored_bytes.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/run/score.h"
#include "evals/text_perplexity.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

struct Setting {
    std::string name;
    WindowConvention convention = WindowConvention::LmEval;
    std::size_t window = 0, stride = 0;
};

Setting settingOf(const Options& options, const ModelSpec& spec) {
    Setting setting;
    setting.name = options.get<std::string>("convention");
    setting.convention = parseConvention(setting.name);
    // What the programs themselves take: llama-perplexity 512, the others all the model has.
    const int usual = setting.convention == WindowConvention::LlamaCpp ? 512 : 2048;
    const int window = options.get<int>("window", std::min(usual, spec.contextLength));
    if (window < 1 || window > spec.contextLength)
        throw UsageError("--window takes 1 to the model's context of " +
                         std::to_string(spec.contextLength) + " tokens");
    setting.window = static_cast<std::size_t>(window);
    const int stride = options.get<int>("stride", window);
    if (stride < 1) throw UsageError("--stride takes a positive number of tokens");
    setting.stride = static_cast<std::size_t>(stride);
    return setting;
}

/// The token put before a text. lm-evaluation-harness always has one.
std::optional<TokenId> leadToken(const Tokenizer& tokenizer, WindowConvention convention) {
    if (tokenizer.addBos() && tokenizer.bos()) return tokenizer.bos();
    if (convention != WindowConvention::LmEval) return std::nullopt;
    return tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
}

std::vector<ScoreSequence> sequencesOf(const std::vector<TextWindow>& windows,
                                       const std::vector<TokenId>& tokens,
                                       std::optional<TokenId> lead) {
    std::vector<ScoreSequence> sequences;
    for (const TextWindow& w : windows) {
        ScoreSequence s;
        if (w.lead) s.tokens.push_back(*lead);
        s.reportFrom = s.tokens.size() + w.scored - w.begin;
        s.tokens.insert(s.tokens.end(), tokens.begin() + static_cast<std::ptrdiff_t>(w.begin),
                        tokens.begin() + static_cast<std::ptrdiff_t>(w.end));
        sequences.push_back(std::move(s));
    }
    return sequences;
}

/// Of the text, behind the scored tokens of `sequences`.
std::size_t bytesOf(const Tokenizer& tokenizer, std::span<const ScoreSequence> sequences,
                    const std::string& text, const std::vector<TokenId>& tokens) {
    std::size_t scored = 0;
    for (const ScoreSequence& s : sequences)
        scored += spelledBytes(tokenizer, std::span(s.tokens).subspan(s.reportFrom));
    return textBytes(text.size(), scored, spelledBytes(tokenizer, tokens));
}

/// Behind the perplexity: " [low, high]", or why there is none.
std::string intervalText(const TextPerplexity& of, std::size_t windows) {
    if (std::isnan(of.low))
        return windows == 1 ? " (one window: no interval)" : " (too few tokens: no interval)";
    return " [" + formatFixed(of.low, 4) + ", " + formatFixed(of.high, 4) + "]";
}

}  // namespace

void addTextOptions(Options& options) {
    options.add("perplexity", po::value<std::string>()->value_name("F.txt"),
                "perplexity of this text instead of --input");
    options.add("convention",
                po::value<std::string>()->default_value("lm-eval")->value_name("NAME"),
                "how it is cut: lm-eval, hf, llama.cpp (docs/scoring.md)");
    options.add("window", po::value<int>()->value_name("N"),
                "tokens of a window; default: 2048 (llama.cpp: 512) or what the model has");
    options.add("stride", po::value<int>()->value_name("N"),
                "tokens from window to window (hf); default: the window");
}

int runTextPerplexity(const Invocation& invocation, const Options& options) {
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    const std::string path = options.get<std::string>("perplexity");
    const std::string text = readFile(path);
    Setting setting;
    int context = 0;
    std::vector<TokenId> tokens;
    std::vector<TextWindow> windows;
    std::vector<ScoreSequence> sequences;
    const auto cut = [&](const Model& model) {
        setting = settingOf(options, model.spec());
        context = contextFor(model, options, static_cast<std::int64_t>(setting.window));
        const Tokenizer& tokenizer = model.tokenizer();
        tokens = tokenizer.encode(text, SpecialTokens::AsText);
        const std::optional<TokenId> lead = leadToken(tokenizer, setting.convention);
        // The page of Hugging Face scores what its tokenizer gives, the first token included.
        const bool inText = setting.convention == WindowConvention::HuggingFace && lead;
        if (inText) tokens.insert(tokens.begin(), *lead);
        try {
            windows = textWindows(setting.convention, tokens.size(), setting.window, setting.stride,
                                  lead && !inText);
        } catch (const UsageError&) {
            throw;
        } catch (const Error& e) {
            throw Error(path + ": " + e.what(), e.hint());
        }
        sequences = sequencesOf(windows, tokens, lead);
    };
    const auto model =
        loadModel(options.get<std::vector<std::string>>("model").front(), options, cut);
    BatchScorer scorer(model->backend(), context, {.share = false, .brief = true});
    scorer.setStop(invocation.stop);
    std::vector<WindowScore> scores(windows.size());
    Progress progress(style, "perplexity", "windows");
    std::size_t done = 0;
    try {
        scorer.score(sequences, [&](BatchScorer::Scored&& scored) {
            WindowScore& score = scores[scored.sequence];
            for (const TokenFinding& f : scored.findings) score.sum += f.logProbability;
            score.tokens = scored.findings.size();
            score.labels = pageLabels(windows, scored.sequence);
            progress.update(++done, windows.size());
        });
    } catch (const Interrupted&) {
        if (done == 0) throw;  // else the windows so far are shown first
    }
    progress.finish();
    const bool interrupted = done < windows.size();
    scores.resize(done);  // with nothing shared one comes behind the other
    const TextPerplexity result = textPerplexity(scores);
    const std::size_t bytes =
        bytesOf(model->tokenizer(), std::span(sequences).first(done), text, tokens);
    const std::size_t words = countWords(text);
    nlohmann::json body{{"text", path},
                        {"convention", setting.name},
                        {"window", setting.window},
                        {"stride", setting.stride},
                        {"windows", done},
                        {"interrupted", interrupted},
                        {"tokens", tokens.size()},
                        {"scored_tokens", result.tokens},
                        {"sum", result.sum},
                        {"nats_per_token", result.natsPerToken},
                        {"standard_error", result.standardError},
                        {"blocks", result.blocks},
                        {"perplexity", result.perplexity},
                        {"perplexity_low", result.low},
                        {"perplexity_high", result.high},
                        {"bytes", bytes},
                        {"bits_per_byte", -result.sum / std::numbers::ln2 / double(bytes)}};
    if (setting.convention == WindowConvention::HuggingFace)
        body["perplexity_as_the_page_weighs"] = result.huggingFace;
    if (setting.convention == WindowConvention::LmEval) {
        if (!interrupted) {  // words are those of the whole text
            body["words"] = words;
            body["word_perplexity"] = std::exp(-result.sum / static_cast<double>(words));
        }
        body["byte_perplexity"] = std::exp(-result.sum / static_cast<double>(bytes));
    }
    if (options.isSet("json")) {
        body["model"] = modelFacts(*model);
        body["settings"] = backendFacts(*model, options);
        printJson("perplexity", body);
    } else {
        std::cout << "perplexity " << formatFixed(result.perplexity, 4)
                  << intervalText(result, done) << ", " << formatFixed(result.natsPerToken, 5)
                  << " nats/token, " << formatFixed(body["bits_per_byte"].get<double>(), 4)
                  << " bits/byte; " << result.tokens << " of " << tokens.size() << " tokens in "
                  << countText(done, "window") << " of " << setting.window << ", convention "
                  << setting.name << "\n";
    }
    if (interrupted) {
        throw Interrupted("interrupted", std::to_string(done) + " of " +
                                             countText(windows.size(), "window") + " are above");
    }
    return kDone;
}

}  // namespace moescope::cli
