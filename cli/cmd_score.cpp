// SPDX-License-Identifier: Apache-2.0
// moescope score: log-probabilities of texts, token lists and continuations, one JSON line each.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/prompting.h"
#include "cli/score_totals.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/run/score.h"
#include "evals/engine_model.h"

namespace moescope::cli {
namespace {

struct Item {
    std::string id;
    std::string group;            ///< "": none
    std::vector<TokenId> tokens;  ///< prefix and continuation
    std::size_t scoredFrom = 1;   ///< first scored token
};

/// The tokens of one input line; text and continuation are split as the suites split them.
Item parseItem(const Model& model, const nlohmann::json& line, std::size_t number) {
    Item item;
    item.id = idField(line, number);
    if (line.contains("group")) item.group = textField(line, "group", number);
    if (line.contains("tokens")) {
        if (line.contains("text"))
            throw Error("line " + std::to_string(number) +
                        ": give \"text\" or \"tokens\", not both");
        item.tokens = tokensField(line, "tokens", number);
        if (line.contains("continuation")) {
            item.scoredFrom = item.tokens.size();
            const std::vector<TokenId> rest = model.tokenizer().encode(
                textField(line, "continuation", number), SpecialTokens::AsText);
            item.tokens.insert(item.tokens.end(), rest.begin(), rest.end());
        }
    } else {
        const Tokenizer& tokenizer = model.tokenizer();
        const std::string text = textField(line, "text", number);
        if (line.contains("continuation")) {
            TokenPair pair = encodePair(tokenizer, text, textField(line, "continuation", number));
            item.tokens = std::move(pair.tokens);
            item.scoredFrom = pair.split;
        } else {
            item.tokens = plainPrompt(tokenizer, text).tokens;
        }
    }
    if (item.tokens.empty())
        throw Error("line " + std::to_string(number) + ": there is nothing to score");
    for (const TokenId token : item.tokens) {
        if (token >= model.spec().vocab)
            throw Error("line " + std::to_string(number) + ": token id " + std::to_string(token) +
                        " is outside the vocabulary of " + std::to_string(model.spec().vocab));
    }
    if (item.scoredFrom == 0 || item.scoredFrom >= item.tokens.size()) {
        throw Error("line " + std::to_string(number) +
                    ": there is nothing to score: a token needs another before it to be predicted "
                    "from, and a continuation needs tokens of its own");
    }
    return item;
}

/// Bytes of what the scored tokens spell. Control tokens and the padding of a vocabulary are no
/// text: their nats count, bytes they have none.
std::optional<std::size_t> scoredBytes(const Model& model, const Item& item) {
    if (!model.hasTokenizer()) return std::nullopt;
    const Tokenizer& tokenizer = model.tokenizer();
    std::size_t bytes = 0;
    for (const TokenId token : std::span(item.tokens).subspan(item.scoredFrom)) {
        if (token < tokenizer.vocabSize() && !tokenizer.isSpecial(token))
            bytes += tokenizer.bytes(token).size();
    }
    return bytes;
}

/// The first token has nothing before it: its log-probability is null.
nlohmann::json scoreItem(Session& session, const Item& item) {
    session.beginSequence(0);
    nlohmann::json logprobs = nlohmann::json::array({nullptr});
    nlohmann::json likeliest = nlohmann::json::array({nullptr});
    const Score score =
        scoreTokens(session, item.tokens, [&](std::size_t, std::span<const float> logits) {
            likeliest.push_back(std::max_element(logits.begin(), logits.end()) - logits.begin());
        });
    nlohmann::json out{{"id", item.id}, {"tokens", item.tokens}};
    if (!item.group.empty()) out["group"] = item.group;
    double sum = 0;
    bool allGreedy = true;
    for (std::size_t i = 1; i < item.tokens.size(); ++i) {
        const TokenScore& t = score.tokens[i - 1];
        logprobs.push_back(t.logProbability);
        if (i < item.scoredFrom) continue;
        sum += t.logProbability;
        allGreedy = allGreedy && t.greedy;
    }
    const std::size_t scored = item.tokens.size() - item.scoredFrom;
    out["logprobs"] = std::move(logprobs);
    out["likeliest"] = std::move(likeliest);
    out["scored_tokens"] = scored;
    out["sum"] = sum;
    out["greedy"] = allGreedy;
    out["perplexity"] = scored > 0 ? nlohmann::json(std::exp(-sum / static_cast<double>(scored)))
                                   : nlohmann::json(nullptr);
    out["logits_hash"] = hashText(score.logitsHash);
    return out;
}

void printTotals(const ScoreTotals& totals, bool json) {
    if (json) {
        printJson("score", totals.json());
        return;
    }
    const double nats = totals.overall().natsPerToken();
    note(std::to_string(totals.overall().items) + " items, " +
         std::to_string(totals.overall().tokens) + " tokens, mean log-probability " +
         formatFixed(-nats, 5) + " nats, perplexity " + formatFixed(std::exp(nats), 3) + ", " +
         formatFixed(totals.overall().bitsPerByte(), 4) + " bits per byte");
    std::cout << totals.table();
}

}  // namespace

int runScore(const Invocation& invocation) {
    Options options("score");
    options.positional("model", 1, "a file, folder or name");
    options.add(
        "input", po::value<std::string>()->value_name("F.jsonl"),
        "one {\"id\", \"text\" or \"tokens\", optional \"continuation\", optional \"group\"} a "
        "line");
    options.add("output", po::value<std::string>()->value_name("F.jsonl"),
                "one result a line, in the same order");
    options.flag("json", "print the totals as one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addModelOptions(options);
    options.epilog(
        "The first token of a text has nothing before it and is not scored, unless the model\n"
        "starts texts with a token of its own; with \"continuation\" only that is scored. Where\n"
        "lines name a \"group\" (a domain, a language), the totals are given by group too, with\n"
        "the macro mean: each group counts the same, however long its texts.\n"
        "Bits per byte = nats / ln 2 / bytes of the scored text in UTF-8.");
    if (!options.parse(invocation)) return kDone;
    if (!options.has("input") || !options.has("output"))
        throw UsageError("'score' needs --input and --output");
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    const std::string path = options.get<std::string>("output");
    std::error_code absent;
    if (std::filesystem::equivalent(path, options.get<std::string>("input"), absent))
        throw UsageError("--output names the --input file, which would be lost");

    const auto model = loadModel(options.get<std::vector<std::string>>("model").front(), options);
    std::vector<Item> items;
    std::size_t longest = 1;
    readJsonLines(options.get<std::string>("input"),
                  [&](const nlohmann::json& line, std::size_t number) {
                      items.push_back(parseItem(*model, line, number));
                      longest = std::max(longest, items.back().tokens.size());
                  });
    Session session(*model, contextFor(*model, options, static_cast<std::int64_t>(longest)));
    session.setStop(invocation.stop);

    std::ofstream output(path, std::ios::binary | std::ios::trunc);
    if (!output) throw Error(path + ": cannot write");
    ScoreTotals totals;
    Progress progress(style, "score", "items");
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (invocation.stop->load())
            throw Interrupted("interrupted", std::to_string(i) + " items are complete in " + path);
        const nlohmann::json result = scoreItem(session, items[i]);
        totals.add(items[i].group, {1, result["scored_tokens"].get<std::size_t>(),
                                    result["sum"].get<double>(), scoredBytes(*model, items[i])});
        output << dumpJson(result) << '\n' << std::flush;
        if (!output)
            throw Error(path + ": cannot write (disk full?); " + std::to_string(i) +
                        " items are complete");
        progress.update(i + 1, items.size());
    }
    progress.finish();
    printTotals(totals, options.isSet("json"));
    return kDone;
}

}  // namespace moescope::cli
