// SPDX-License-Identifier: Apache-2.0
#include "cli/score_items.h"

#include <algorithm>
#include <cmath>

#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/prompting.h"
#include "cli/scored_bytes.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/unicode.h"
#include "evals/engine_model.h"

namespace moescope::cli {
namespace {

void measure(std::string_view continuation, ScoreCandidate& candidate) {
    const std::size_t start = continuation.find_first_not_of(" \t\r\n");
    continuation.remove_prefix(std::min(start, continuation.size()));
    candidate.bytes = continuation.size();
    for (std::size_t i = 0; i < continuation.size(); ++candidate.characters)
        i += unicode::decodeUtf8(continuation, i).length;
}

class LineReader {
public:
    LineReader(const Model& model, bool prompts) : model_(model), prompts_(prompts) {}

    ScoreItem read(const JsonLine& line, std::size_t number) {
        ScoreItem item;
        item.line = number;
        item.id = ids_.next(line, number);
        if (line.contains("group")) item.group = textField(line, "group");
        if (line.contains("tokens") && line.contains("text"))
            throw Error("give \"text\" or \"tokens\", not both");
        if (line.contains("continuation") && line.contains("continuations"))
            throw Error("give \"continuation\" or \"continuations\", not both");
        item.listed = line.contains("continuations");
        if (item.listed) {
            const JsonLine& list = line.at("continuations");
            if (!list.is_array() || list.empty())
                throw Error("\"continuations\" must be a list of strings");
            for (const JsonLine& entry : list) {
                if (!entry.is_string()) throw Error("\"continuations\" must be a list of strings");
                item.candidates.push_back(candidate(line, entry.get<std::string>()));
            }
        } else if (line.contains("continuation")) {
            item.candidates.push_back(candidate(line, textField(line, "continuation")));
        } else {
            item.candidates.push_back(candidate(line, std::nullopt));
        }
        return item;
    }

private:
    ScoreCandidate candidate(const JsonLine& line, const std::optional<std::string>& rest) const {
        if (rest && rest->empty()) throw Error("the continuation is empty");
        ScoreCandidate out;
        std::vector<TokenId>& tokens = out.sequence.tokens;
        if (line.contains("tokens")) {
            tokens = tokensField(line, "tokens");
            if (rest) {
                out.scoredFrom = tokens.size();
                const auto more = model_.tokenizer().encode(*rest, SpecialTokens::AsText);
                tokens.insert(tokens.end(), more.begin(), more.end());
            }
        } else if (rest) {
            TokenPair pair = encodePair(model_.tokenizer(), textField(line, "text"), *rest);
            tokens = std::move(pair.tokens);
            out.scoredFrom = pair.split;
        } else {
            tokens = plainPrompt(model_.tokenizer(), textField(line, "text")).tokens;
        }
        check(out);
        out.sequence.reportFrom = prompts_ ? 1 : out.scoredFrom;
        out.textBytes = scoredBytes(line, rest, out);
        if (rest) measure(*rest, out);
        return out;
    }

    std::optional<std::size_t> scoredBytes(const JsonLine& line,
                                           const std::optional<std::string>& rest,
                                           const ScoreCandidate& candidate) const {
        if (!model_.hasTokenizer()) return std::nullopt;
        const std::span<const TokenId> tokens = candidate.sequence.tokens;
        const Tokenizer& tokenizer = model_.tokenizer();
        const std::size_t scored = spelledBytes(tokenizer, tokens.subspan(candidate.scoredFrom));
        if (!line.contains("text")) return rest ? rest->size() : scored;
        const std::string text = textField(line, "text");
        const std::size_t whole = spelledBytes(tokenizer, tokens);
        if (!rest) return textBytes(text.size(), scored, whole);
        if (whole == text.size() + rest->size()) return scored;
        // The shares of text and continuation are not known, so the border is where encodePair
        // puts it: behind what is no white space.
        const std::size_t kept = text.find_last_not_of(" \t\r\n") + 1;  // npos + 1 is 0
        return text.size() - kept + rest->size();
    }

    void check(const ScoreCandidate& candidate) const {
        const std::vector<TokenId>& tokens = candidate.sequence.tokens;
        if (tokens.empty()) throw Error("there is nothing to score");
        requireTokens(model_.spec(), tokens);
        if (candidate.scoredFrom == 0 || candidate.scoredFrom >= tokens.size())
            throw Error(
                "there is nothing to score: a token needs another before it to be "
                "predicted from, and a continuation needs tokens of its own");
        const auto context = static_cast<std::size_t>(model_.spec().contextLength);
        // The last token is predicted and not evaluated.
        if (tokens.size() - 1 > context)
            throw Error(std::to_string(tokens.size() - 1) +
                        " tokens before the last are more than the model's context of " +
                        std::to_string(context));
    }

    const Model& model_;
    bool prompts_;
    LineIds ids_;
};

struct Sums {
    double scored = 0;
    bool greedy = true;
};

Sums sumsOf(const ScoreCandidate& candidate, const std::vector<TokenFinding>& findings) {
    Sums sums;
    for (std::size_t i = candidate.scoredFrom; i < candidate.sequence.tokens.size(); ++i) {
        const TokenFinding& f = findings[i - candidate.sequence.reportFrom];
        sums.scored += f.logProbability;
        sums.greedy = sums.greedy && f.likeliest == candidate.sequence.tokens[i];
    }
    return sums;
}

nlohmann::json alternatives(const Model& model, const TokenFinding& finding) {
    nlohmann::json list = nlohmann::json::array();
    for (const Alternative& a : finding.top) {
        nlohmann::json entry{{"token", a.token}, {"logprob", a.logProbability}};
        if (model.hasTokenizer()) entry["text"] = toValidUtf8(model.tokenizer().bytes(a.token));
        list.push_back(std::move(entry));
    }
    return list;
}

/// Lists as long as the tokens; null where nothing was asked, so for the first token at least.
void addTokenLists(const Model& model, const ScoreCandidate& candidate,
                   const std::vector<TokenFinding>& findings, nlohmann::json& out) {
    const std::size_t unasked = candidate.sequence.reportFrom;
    nlohmann::json logprobs(unasked, nullptr), likeliest(unasked, nullptr), ranks(unasked, nullptr),
        top(unasked, nullptr);
    for (const TokenFinding& f : findings) {
        logprobs.push_back(f.logProbability);
        likeliest.push_back(f.likeliest);
        ranks.push_back(f.rank);
        top.push_back(alternatives(model, f));
    }
    out["logprobs"] = std::move(logprobs);
    out["likeliest"] = std::move(likeliest);
    out["ranks"] = std::move(ranks);
    if (!findings.empty() && !findings.front().top.empty()) out["top"] = std::move(top);
}

nlohmann::json candidateResult(const Model& model, const ScoreCandidate& candidate,
                               const std::vector<TokenFinding>& findings) {
    const Sums sums = sumsOf(candidate, findings);
    const std::size_t scored = candidate.sequence.tokens.size() - candidate.scoredFrom;
    nlohmann::json out{{"tokens", candidate.sequence.tokens},
                       {"scored_tokens", scored},
                       {"sum", sums.scored},
                       {"greedy", sums.greedy},
                       {"perplexity", std::exp(-sums.scored / static_cast<double>(scored))},
                       {"logits_hash", hashText(combinedHash(findings))}};
    addTokenLists(model, candidate, findings, out);
    return out;
}

/// Index of the largest; the first of equal ones. Null where a candidate has no `size`.
template <typename Size>
nlohmann::json best(const ScoreItem& item, const std::vector<nlohmann::json>& results,
                    const Size& size) {
    std::size_t found = 0;
    double largest = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
        const std::size_t by = size(item.candidates[i]);
        if (by == 0) return nullptr;
        const double value = results[i]["sum"].get<double>() / static_cast<double>(by);
        if (i == 0 || value > largest) {
            largest = value;
            found = i;
        }
    }
    return found;
}

}  // namespace

std::vector<ScoreItem> readScoreItems(const Model& model, const std::filesystem::path& path,
                                      bool prompts) {
    LineReader reader(model, prompts);
    std::vector<ScoreItem> items;
    readJsonLines(path, {"id", "group", "text", "tokens", "continuation", "continuations"},
                  [&](const JsonLine& line, std::size_t number) {
                      items.push_back(reader.read(line, number));
                  });
    return items;
}

nlohmann::json scoreResult(const Model& model, const ScoreItem& item,
                           const std::vector<std::vector<TokenFinding>>& findings) {
    nlohmann::json out;
    std::vector<nlohmann::json> results;
    for (std::size_t i = 0; i < item.candidates.size(); ++i)
        results.push_back(candidateResult(model, item.candidates[i], findings[i]));
    if (item.listed) {
        out["best"] = best(item, results, [](const ScoreCandidate&) { return std::size_t{1}; });
        out["best_per_byte"] = best(item, results, [](const ScoreCandidate& c) { return c.bytes; });
        out["best_per_character"] =
            best(item, results, [](const ScoreCandidate& c) { return c.characters; });
        for (std::size_t i = 0; i < results.size(); ++i) {
            results[i]["bytes"] = item.candidates[i].bytes;
            results[i]["characters"] = item.candidates[i].characters;
        }
        out["continuations"] = std::move(results);
    } else {
        out = std::move(results.front());
    }
    out["id"] = item.id;
    if (!item.group.empty()) out["group"] = item.group;
    return out;
}

}  // namespace moescope::cli
