// SPDX-License-Identifier: Apache-2.0
// moescope score: log-probabilities of texts, token lists and continuations, one JSON line each.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/result_file.h"
#include "cli/score_items.h"
#include "cli/score_logits.h"
#include "cli/score_text.h"
#include "cli/score_totals.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "reports/numbers.h"

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
    options.flag("overwrite", "replace existing files; throw an unfinished scoring away");
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

ResultFile::Mode checkOptions(const Options& options) {
    if (!options.has("input") || !options.has("output"))
        throw UsageError("'score' needs --input and --output, or --perplexity");
    options.refuse({"convention", "window", "stride"}, "goes with --perplexity");
    if (options.get<int>("top") < 0) throw UsageError("--top takes 0 or more tokens");
    if (options.has("logits") && options.isSet("resume"))
        throw UsageError("--logits cannot --resume: the rows of an interrupted scoring are gone",
                         "--overwrite starts again; without --logits, --resume continues");
    const std::string input = options.get<std::string>("input");
    const std::string output = options.get<std::string>("output");
    const std::string logits = options.has("logits") ? options.get<std::string>("logits") : "";
    const std::string model = options.get<std::vector<std::string>>("model").front();
    refuseSameFile("--output", output,
                   {{"--input", input}, {"--logits", logits}, {"model's", model}});
    if (options.has("logits")) {
        refuseSameFile("--logits", logits, {{"--input", input}, {"model's", model}});
        requireFreshOutput(logits, options.isSet("overwrite"), "--logits");
    }
    return ResultFile::modeOf(options);
}

nlohmann::ordered_json headerOf(const Model& model, const Options& options) {
    return {{"schema", "moescope.score.part"},
            {"version", 2},
            {"model", model.checkpoint().identity()},
            {"back end", numericIdentity(model, options)},
            {"--input", sha256Hex(readFile(options.get<std::string>("input")))},
            {"--prompt-logprobs", options.isSet("prompt-logprobs")},
            {"--top", options.get<int>("top")}};
}

ScoreTotal totalOf(const ScoreItem& item, const nlohmann::json& result) {
    ScoreTotal total{1, 0, 0.0, 0};
    for (std::size_t i = 0; i < item.candidates.size(); ++i) {
        const nlohmann::json& r = item.listed ? result["continuations"][i] : result;
        total.tokens += r["scored_tokens"].get<std::size_t>();
        total.sum += r["sum"].get<double>();
        if (total.bytes && item.candidates[i].textBytes)
            *total.bytes += *item.candidates[i].textBytes;
        else
            total.bytes.reset();
    }
    return total;
}

/// The candidates of all items that have no result yet, as sequences to score.
class Work {
public:
    Work(const std::vector<ScoreItem>& items, const ResultFile& results)
        : items_(items), findings_(items.size()) {
        for (std::size_t i = 0; i < items.size(); ++i) {
            if (results.has(i)) continue;
            findings_[i].resize(items[i].candidates.size());
            for (std::size_t c = 0; c < items[i].candidates.size(); ++c) {
                sequences_.push_back(items[i].candidates[c].sequence);
                owners_.emplace_back(i, c);
            }
        }
    }

    std::span<const ScoreSequence> sequences() const { return sequences_; }
    /// (item, candidate) of each sequence.
    const std::vector<std::pair<std::size_t, std::size_t>>& owners() const { return owners_; }
    const ScoreItem& itemOf(std::size_t sequence) const { return items_[owners_[sequence].first]; }

    /// true: the item is complete.
    bool add(BatchScorer::Scored&& scored) {
        const auto [item, candidate] = owners_[scored.sequence];
        auto& all = findings_[item];
        all[candidate] = std::move(scored.findings);
        return std::none_of(all.begin(), all.end(), [](const auto& f) { return f.empty(); });
    }
    std::vector<std::vector<TokenFinding>> take(std::size_t item) {
        return std::move(findings_[item]);
    }

private:
    const std::vector<ScoreItem>& items_;
    std::vector<ScoreSequence> sequences_;
    std::vector<std::pair<std::size_t, std::size_t>> owners_;
    std::vector<std::vector<std::vector<TokenFinding>>> findings_;
};

void printTotals(const ScoreTotals& totals, const BatchScorer& scorer, bool json) {
    if (json) {
        nlohmann::json body = totals.json();
        body["evaluated_tokens"] = scorer.evaluated();
        body["shared_tokens"] = scorer.shared();
        printJson("score", body);
        return;
    }
    const double nats = totals.overall().natsPerToken();
    note(countText(totals.overall().items, "item") + ", " +
         countText(totals.overall().tokens, "token") + ", mean log-probability " +
         formatFixed(-nats, 5) + " nats, perplexity " + formatFixed(std::exp(nats), 3) + ", " +
         formatFixed(totals.overall().bitsPerByte(), 4) + " bits per byte; " +
         countText(scorer.evaluated(), "token") + " evaluated, " + std::to_string(scorer.shared()) +
         " shared");
    std::cout << totals.table();
}

/// Most tokens that are evaluated of a sequence: all but the last.
std::size_t longestOf(const std::vector<ScoreItem>& items) {
    std::size_t longest = 1;
    for (const ScoreItem& item : items)
        for (const ScoreCandidate& c : item.candidates)
            longest = std::max(longest, c.sequence.tokens.size() - 1);
    return longest;
}

}  // namespace

int runScore(const Invocation& invocation) {
    Options options("score");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    if (options.has("perplexity")) {
        options.refuse({"input", "output", "prompt-logprobs", "top", "logits", "no-share-prefix",
                        "resume", "overwrite"},
                       "goes with lines to score, not with --perplexity");
        return runTextPerplexity(invocation, options);
    }
    const ResultFile::Mode mode = checkOptions(options);
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    const std::string input = options.get<std::string>("input");

    std::vector<ScoreItem> items;
    int context = 0;
    const auto model = loadModel(
        options.get<std::vector<std::string>>("model").front(), options, [&](const Model& opened) {
            items = readScoreItems(opened, input, options.isSet("prompt-logprobs"));
            context = contextFor(opened, options, static_cast<std::int64_t>(longestOf(items)));
        });
    const std::string output = options.get<std::string>("output");
    ResultFile results(output, headerOf(*model, options), mode);
    // Rows of logits are written one sequence behind the other: none shares its tokens then.
    BatchScorer scorer(model->backend(), context,
                       {.share = !options.isSet("no-share-prefix") && !options.has("logits"),
                        .top = options.get<int>("top")});
    scorer.setStop(invocation.stop);
    Work work(items, results);
    std::optional<LogitsFile> logits;
    BatchScorer::LogitsVisitor visit;
    if (options.has("logits")) {
        logits.emplace(options.get<std::string>("logits"), input, items, work.owners(),
                       static_cast<std::size_t>(model->spec().vocab),
                       model->checkpoint().identity());
        visit = [&](std::size_t sequence, std::size_t index, std::span<const float> row) {
            const std::size_t candidate = work.owners()[sequence].second;
            if (index >= work.itemOf(sequence).candidates[candidate].scoredFrom) logits->add(row);
        };
    }

    Progress progress(style, "score", "items");
    progress.setResumed(results.count());
    if (results.count() > 0 && !results.whole()) progress.update(results.count(), items.size());
    try {
        scorer.score(
            work.sequences(),
            [&](BatchScorer::Scored&& scored) {
                const std::size_t item = work.owners()[scored.sequence].first;
                if (!work.add(std::move(scored))) return;
                results.add(item, scoreResult(*model, items[item], work.take(item)));
                progress.update(results.count(), items.size());
            },
            visit);
    } catch (const Interrupted&) {
        if (!logits) throw Interrupted("interrupted", results.kept());
        throw Interrupted("interrupted",
                          results.kept("with --logits --overwrite starts again, without it "
                                       "--resume continues"));
    } catch (const SequenceError& e) {
        throw Error(lineName(input, work.itemOf(e.sequence()).line) + ": " + e.what(), e.hint());
    }
    progress.finish();
    ScoreTotals totals;
    std::size_t at = 0;
    results.finish([&](const nlohmann::json& result) {
        totals.add(items[at].group, totalOf(items[at], result));
        ++at;
    });
    if (logits) logits->finish();
    printTotals(totals, scorer, options.isSet("json"));
    return kDone;
}

}  // namespace moescope::cli
