// SPDX-License-Identifier: Apache-2.0
// moescope score: log-probabilities of texts, token lists and continuations, one JSON line each.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/score_items.h"
#include "cli/score_logits.h"
#include "cli/score_results.h"
#include "cli/score_text.h"
#include "cli/score_totals.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"

namespace moescope::cli {
namespace {

void addOptions(Options& options) {
    options.positional("model", 1, "a file, folder or name");
    options.add("input", po::value<std::string>()->value_name("F.jsonl"),
                "one {\"id\", \"text\" or \"tokens\", optional \"continuation\" or "
                "\"continuations\", optional \"group\"} a line");
    options.add("output", po::value<std::string>()->value_name("F.jsonl"),
                "one result a line, in the same order");
    options.flag("prompt-logprobs", "score the tokens before a continuation too");
    options.add("top", po::value<int>()->default_value(0)->value_name("N"),
                "also the N likeliest tokens in place of each");
    options.add("logits", po::value<std::string>()->value_name("F.safetensors"),
                "also the logits behind every scored token");
    options.flag("no-share-prefix", "evaluate every line whole");
    options.flag("resume", "continue the scoring that was interrupted");
    options.flag("overwrite", "throw an unfinished scoring away");
    addTextOptions(options);
    options.add("context", po::value<int>()->value_name("N"),
                "tokens of context; default: what is needed");
    options.flag("json", "print the totals as one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addModelOptions(options);
    options.epilog(
        "The first token of a text has nothing before it and is not scored, unless the model\n"
        "starts texts with a token of its own; with \"continuation\" only that is scored. Where\n"
        "lines name a \"group\" (a domain, a language), the totals are given by group too, with\n"
        "the macro mean: each group counts the same, however long its texts.\n"
        "Bits per byte = nats / ln 2 / bytes of the scored text in UTF-8. docs/scoring.md");
}

void checkOptions(const Options& options) {
    if (!options.has("input") || !options.has("output"))
        throw UsageError("'score' needs --input and --output, or --perplexity");
    if (options.get<int>("top") < 0) throw UsageError("--top takes 0 or more tokens");
    if (options.has("logits") && options.isSet("resume"))
        throw UsageError("--logits cannot --resume: its file is written anew each time");
    if (options.isSet("resume") && options.isSet("overwrite"))
        throw UsageError("--resume and --overwrite exclude each other");
    for (const char* other : {"input", "logits"}) {
        std::error_code absent;
        if (options.has(other) &&
            std::filesystem::equivalent(options.get<std::string>("output"),
                                        options.get<std::string>(other), absent))
            throw UsageError("--output names the --" + std::string(other) +
                             " file, which would be lost");
    }
}

/// Threads are left out: they change no bit.
nlohmann::json headerOf(const Model& model, const Options& options) {
    std::string backend = model.backend().description();  // "cpu avx2, 2 threads, exact"
    const std::string threads = ", " + std::to_string(model.backend().threads()) + " thread";
    if (const auto at = backend.find(threads); at != std::string::npos)
        backend.erase(at, backend.find(',', at + 1) - at);
    if (options.isSet("ggml-yarn")) backend += ", ggml-yarn";
    return {{"schema", "moescope.score.part"},
            {"version", 1},
            {"model", model.checkpoint().identity()},
            {"backend", backend},
            {"input", sha256Hex(readFile(options.get<std::string>("input")))},
            {"prompt_logprobs", options.isSet("prompt-logprobs")},
            {"top", options.get<int>("top")}};
}

ScoreTotal totalOf(const ScoreItem& item, const nlohmann::json& result) {
    ScoreTotal total{1, 0, 0.0, 0};
    for (std::size_t i = 0; i < item.candidates.size(); ++i) {
        const nlohmann::json& r = item.listed ? result["continuations"][i] : result;
        total.tokens += r["scored_tokens"].get<std::size_t>();
        total.sum += r["sum"].get<double>();
        if (total.bytes && item.candidates[i].spelled)
            *total.bytes += *item.candidates[i].spelled;
        else
            total.bytes.reset();
    }
    return total;
}

/// What is scored, in the order of evaluation: candidates of one item may lie apart.
class Work {
public:
    Work(Session& session, const std::vector<ScoreItem>& items, const Options& options)
        : items_(items),
          findings_(items.size()),
          scorer_(session, sequences(),
                  {!options.isSet("no-share-prefix"), options.get<int>("top")}) {
        for (std::size_t i = 0; i < items.size(); ++i)
            findings_[i].resize(items[i].candidates.size());
        for (const std::size_t index : scorer_.order()) order_.push_back(owners_[index]);
    }

    const std::vector<std::pair<std::size_t, std::size_t>>& order() const { return order_; }
    const SequenceScorer& scorer() const { return scorer_; }

    /// Scores candidate `step` of the order; true: its item is complete.
    bool score(std::size_t step, LogitsFile* logits) {
        const auto [item, candidate] = order_[step];
        const ScoreCandidate& c = items_[item].candidates[candidate];
        SequenceScorer::LogitsVisitor visit;
        if (logits != nullptr)
            visit = [&c, logits](std::size_t index, std::span<const float> row) {
                if (index >= c.scoredFrom) logits->add(row);
            };
        auto& all = findings_[item];
        all[candidate] = scorer_.score(scorer_.order()[step], visit);
        return std::none_of(all.begin(), all.end(), [](const auto& f) { return f.empty(); });
    }
    std::vector<std::vector<TokenFinding>> take(std::size_t item) {
        return std::move(findings_[item]);
    }

private:
    std::vector<ScoreSequence> sequences() {
        std::vector<ScoreSequence> all;
        for (std::size_t i = 0; i < items_.size(); ++i) {
            for (std::size_t c = 0; c < items_[i].candidates.size(); ++c) {
                all.push_back(items_[i].candidates[c].sequence);
                owners_.emplace_back(i, c);
            }
        }
        return all;
    }

    const std::vector<ScoreItem>& items_;
    std::vector<std::pair<std::size_t, std::size_t>> owners_;  ///< of each sequence
    std::vector<std::pair<std::size_t, std::size_t>> order_;
    std::vector<std::vector<std::vector<TokenFinding>>> findings_;
    SequenceScorer scorer_;
};

void printTotals(const ScoreTotals& totals, const SequenceScorer& scorer, bool json) {
    if (json) {
        nlohmann::json body = totals.json();
        body["evaluated_tokens"] = scorer.evaluated();
        body["shared_tokens"] = scorer.shared();
        printJson("score", body);
        return;
    }
    const double nats = totals.overall().natsPerToken();
    note(std::to_string(totals.overall().items) + " items, " +
         std::to_string(totals.overall().tokens) + " tokens, mean log-probability " +
         formatFixed(-nats, 5) + " nats, perplexity " + formatFixed(std::exp(nats), 3) + ", " +
         formatFixed(totals.overall().bitsPerByte(), 4) + " bits per byte; " +
         std::to_string(scorer.evaluated()) + " tokens evaluated, " +
         std::to_string(scorer.shared()) + " shared");
    std::cout << totals.table();
}

std::size_t longestOf(const std::vector<ScoreItem>& items) {
    std::size_t longest = 1;
    for (const ScoreItem& item : items)
        for (const ScoreCandidate& c : item.candidates)
            longest = std::max(longest, c.sequence.tokens.size());
    return longest;
}

}  // namespace

int runScore(const Invocation& invocation) {
    Options options("score");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    if (options.has("perplexity")) {
        if (options.has("input") || options.has("output"))
            throw UsageError("give --perplexity or --input with --output, not both");
        return runTextPerplexity(invocation, options);
    }
    checkOptions(options);
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    const std::string input = options.get<std::string>("input");

    const auto model = loadModel(options.get<std::vector<std::string>>("model").front(), options);
    const std::vector<ScoreItem> items =
        readScoreItems(*model, input, options.isSet("prompt-logprobs"));
    using Mode = ScoreResults::Mode;
    ScoreResults results(options.get<std::string>("output"), headerOf(*model, options),
                         options.isSet("resume")      ? Mode::Resume
                         : options.isSet("overwrite") ? Mode::Overwrite
                                                      : Mode::Fresh);
    Session session(*model,
                    contextFor(*model, options, static_cast<std::int64_t>(longestOf(items))));
    session.setStop(invocation.stop);
    Work work(session, items, options);
    std::optional<LogitsFile> logits;
    if (options.has("logits"))
        logits.emplace(options.get<std::string>("logits"), items, work.order(),
                       static_cast<std::size_t>(model->spec().vocab),
                       model->checkpoint().identity());

    Progress progress(style, "score", "items");
    if (results.count() > 0) progress.update(results.count(), items.size());
    for (std::size_t step = 0; step < work.order().size(); ++step) {
        const std::size_t item = work.order()[step].first;
        if (results.has(item)) continue;
        try {
            throwIfStopped(invocation.stop);
            if (!work.score(step, logits ? &*logits : nullptr)) continue;
        } catch (const Interrupted&) {
            throw Interrupted("interrupted", std::to_string(results.count()) +
                                                 " items are kept in " +
                                                 results.partPath().string() +
                                                 "; the same command with --resume continues");
        } catch (const Error& e) {
            throw Error(input + ": line " + std::to_string(items[item].line) + ": " + e.what(),
                        e.hint());
        }
        results.add(item, scoreResult(*model, items[item], work.take(item)));
        progress.update(results.count(), items.size());
    }
    progress.finish();
    ScoreTotals totals;
    std::size_t at = 0;
    results.finish([&](const nlohmann::json& result) {
        totals.add(items[at].group, totalOf(items[at], result));
        ++at;
    });
    if (logits) logits->finish();
    printTotals(totals, work.scorer(), options.isSet("json"));
    return kDone;
}

}  // namespace moescope::cli
