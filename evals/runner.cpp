// SPDX-License-Identifier: Apache-2.0
// The loop over items, and the checks that make --resume safe.
#include "evals/runner.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "engine/run/sequence_error.h"
#include "evals/reply_readers.h"
#include "evals/scorers.h"
#include "profiler/record/machine.h"
#include "profiler/runfile/run_reader.h"

namespace moescope {

namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

std::int64_t nanosecondsSince(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

/// Sequences that a suite may number.
constexpr std::int64_t kPlaces = 10'000'000;

/// Everything that decides the numbers of a suite. Equal settings: the same items, the same scores.
Json settingsOf(const SuiteData& data, const LanguageModel& model, const EvalOptions& options,
                bool chat) {
    Json settings = {
        {"model", model.identity()},
        // Another revision may score differently; half of each would be nobody's result.
        {"git_revision", buildFacts().at("git_revision")},
        {"suite_sha256", data.definition.sha256},
        {"data_sha256", data.dataSha256},
        {"scoring", data.definition.scoring},
        {"prompt_template", data.definition.prompt.source()},
        {"prompt_format", chat ? "chat" : "plain"},
        {"answers", answersOf(data)},
        {"shots", data.shots},
        {"limit", data.limit},
        {kAvailableItems, data.available},
        {"seed", options.seed},
        {"resamples", options.resamples},
        {"licence", data.definition.licence},
        {"citation", data.definition.citation},
        {"cautions", data.definition.cautions},
        {"warnings", data.warnings},
    };
    if (data.replies) settings[kRepeats] = options.repeats;
    return settings;
}

void requireSame(const std::string& suite, const Json& now, const Json& before) {
    for (const auto& [key, value] : now.items()) {
        const Json earlier = before.is_object() ? before.value(key, Json()) : Json();
        if (earlier == value) continue;
        // "model" holds what it is and how it is asked: say which of it.
        if (value.is_object() && earlier.is_object()) requireSame(suite, value, earlier);
        std::string change = dumpJson(earlier) + " is now " + dumpJson(value);
        if (change.size() > 300) change = "it has changed";
        throw Error("suite '" + suite + "' cannot be resumed: " + key + " differs (" + change + ")",
                    "repeat the earlier command, or write a new run with another --out");
    }
}

void requireSameSettings(const std::string& suite, const Json& now, const std::string& stored) {
    Json before = parseJson(stored, "settings of suite '" + suite + "' in the run file");
    // Runs from before there were repeats asked once.
    if (before.is_object() && now.contains(kRepeats) && !before.contains(kRepeats))
        before[kRepeats] = 1;
    requireSame(suite, now, before);
}

bool asksInChat(const SuiteData& data, const EvalOptions& options) {
    return data.replies || (options.chat && !scorerFor(data.definition).wholeTexts);
}

Json tokensOf(const ScoreResult& scores) {
    Json tokens = Json::array();
    for (const ContinuationScore& one : scores.continuations) tokens.push_back(one.tokens);
    return tokens;
}

/// Evaluates one suite.
class SuiteRun {
public:
    SuiteRun(const SuiteData& data, LanguageModel& model, RunWriter& writer,
             const EvalOptions& options)
        : data_(data),
          scorer_(data.replies ? nullptr : &scorerFor(data.definition)),
          reader_(data.replies ? &replyReaderFor(data.definition) : nullptr),
          model_(model),
          writer_(writer),
          options_(options),
          repeats_(repeatsOf(data, options)),
          chat_(asksInChat(data, options)) {
        checkMetrics(data.definition);
        if (reader_ != nullptr)
            for (const SuiteItem& item : data.items) reader_->expected(item);
        const SuiteDefinition& suite = data.definition;
        result_.suite.name = suite.name;
        result_.suite.version = suite.version;
        result_.suite.title = data.title();
        result_.suite.kind = suite.kind;
        result_.suite.source = data.source;
        result_.suite.items = static_cast<std::int64_t>(data.items.size());
    }

    /// Before anything is written: a run that may not be resumed is left as it was.
    void prepare(std::int64_t id, const PriorRun::Suite* prior) {
        const Json settings = settingsOf(data_, model_, options_, chat_);
        if (prior != nullptr)
            requireSameSettings(data_.definition.name, settings, prior->row.settings);
        result_.suite.id = prior != nullptr ? prior->row.id : id;
        result_.suite.settings = dumpJson(settings);
        prior_ = prior;
    }

    std::int64_t id() const { return result_.suite.id; }

    const SuiteRow& suite() const { return result_.suite; }

    SuiteResult run() {
        start_ = Clock::now();
        report();
        std::size_t at = 0;
        try {
            askModel(at);
        } catch (...) {
            // Of items that are not in the file.
            for (const auto& [sequence, pending] : pending_) takeRouting(sequence);
            throw;
        }
        addMetrics();
        result_.durationNs = nanosecondsSince(start_);
        return std::move(result_);
    }

private:
    void askModel(std::size_t& at) {
        if (reader_ == nullptr) {
            model_.score(
                [&]() -> const ScoreRequest* {
                    Pending* pending = nextPending(at);
                    return pending == nullptr ? nullptr : askScores(*pending);
                },
                [&](const ScoreRequest& request, ScoreResult&& scores) {
                    finish(request.sequence,
                           [&](const Pending& pending) { return judged(pending, scores); });
                });
            return;
        }
        try {
            model_.reply(
                [&]() -> const ReplyRequest* {
                    Pending* pending = nextPending(at);
                    if (pending == nullptr) return nullptr;
                    pending->reply = {pending->row.sequence, pending->row.prompt,
                                      drawOf(pending->row)};
                    return &pending->reply;
                },
                [&](const ReplyRequest& request, ReplyResult&& reply) {
                    finish(request.sequence,
                           [&](const Pending& pending) { return judged(pending, reply); });
                });
        } catch (const SequenceError& error) {
            const auto failed = pending_.find(static_cast<std::int64_t>(error.sequence()));
            if (failed == pending_.end()) throw;
            throw Error("item '" + failed->second.item->id + "': " + error.what(), error.hint());
        }
    }

    /// The replies to an item are drawn apart; the first as that of a run without repeats.
    std::uint64_t drawOf(const ItemRow& row) const {
        return sha256Seed(data_.definition.name + "\n" + row.id +
                          (row.repeat > 0 ? "\n" + std::to_string(row.repeat) : std::string()));
    }

    bool takePrior(const SuiteItem& item, std::int64_t repeat) {
        if (prior_ == nullptr) return false;
        const auto found = prior_->items.find({item.id, repeat});
        if (found == prior_->items.end()) return false;
        keep(item.ordinal, found->second);
        ++resumed_;
        return true;
    }

    void keep(std::int64_t ordinal, ItemResult result) {
        if (result.detail.contains("excluded")) {
            ++result_.tooLong;
        } else {
            ++result_.scored;
            const std::pair place(ordinal, result.repeat);
            kept_.emplace(place, std::move(result));
        }
    }

    ItemRow newRow(const SuiteItem& item, std::int64_t repeat) const {
        ItemRow row;
        row.suite = id();
        row.id = item.id;
        row.ordinal = item.ordinal;
        row.groups = dumpJson(Json(item.groups));
        row.prompt = item.prompt();
        row.sequence = itemSequence(id(), item.ordinal * repeats_ + repeat);
        row.repeat = repeat;
        return row;
    }

    /// An item that the model was given.
    struct Pending {
        const SuiteItem* item = nullptr;
        ItemRow row;
        std::vector<std::string> texts;
        ScoreRequest request;
        ReplyRequest reply;
    };

    /// What is asked for at `at`, which counts the repeats of the first item, then of the next: so
    /// the items of a run that was stopped are complete, but for the last.
    std::pair<const SuiteItem&, std::int64_t> askedAt(std::size_t at) const {
        const auto repeats = static_cast<std::size_t>(repeats_);
        return {data_.items[at / repeats], static_cast<std::int64_t>(at % repeats)};
    }

    /// The first from `at` on that the earlier run has not.
    Pending* nextPending(std::size_t& at) {
        const std::size_t all = data_.items.size() * static_cast<std::size_t>(repeats_);
        for (; at < all; ++at, report()) {
            const auto& [item, repeat] = askedAt(at);
            if (!takePrior(item, repeat)) break;
        }
        if (at == all) return nullptr;
        throwIfStopped(options_.stop);
        const auto& [item, repeat] = askedAt(at++);
        ItemRow row = newRow(item, repeat);
        const std::int64_t sequence = row.sequence;
        Pending& pending = pending_[sequence];
        pending.item = &item;
        pending.row = std::move(row);
        return &pending;
    }

    const ScoreRequest* askScores(Pending& pending) const {
        const SuiteItem& item = *pending.item;
        pending.texts = scorer_->continuations(data_.definition, item, chat_);
        for (const std::string& text : pending.texts)
            if (text.empty()) throw Error("item '" + item.id + "' has an empty choice");
        pending.request = {pending.row.sequence, pending.row.prompt, pending.texts, chat_};
        return &pending.request;
    }

    /// What a result makes of an item.
    struct Outcome {
        ItemScore score;
        Json choices = Json::array(), logLikelihoods = Json::array();
        std::int64_t tokens = 0, promptTokens = 0, generatedTokens = 0, durationNs = 0;
        std::vector<ItemToken> text;
    };

    static ItemScore excluded(std::int64_t neededContext) {
        ItemScore none;
        none.score = std::numeric_limits<double>::quiet_NaN();
        none.detail = {{"excluded", "too_long"}, {"needed_context", neededContext}};
        return none;
    }

    Outcome judged(const Pending& pending, ScoreResult& scores) const {
        Outcome outcome;
        outcome.text = std::move(scores.tokens);
        outcome.choices = pending.texts;
        outcome.tokens = scores.evaluatedTokens;
        outcome.promptTokens = scores.promptTokens;
        outcome.durationNs = scores.durationNs;
        if (scores.tooLong) {
            outcome.score = excluded(scores.neededContext);
            return outcome;
        }
        outcome.score = scorer_->judge(data_.definition, *pending.item, scores.continuations);
        outcome.score.detail["choice_tokens"] = tokensOf(scores);
        for (const ContinuationScore& one : scores.continuations)
            outcome.logLikelihoods.push_back(one.logLikelihood);
        return outcome;
    }

    Outcome judged(const Pending& pending, ReplyResult& reply) const {
        const SuiteItem& item = *pending.item;
        Outcome outcome;
        outcome.text = std::move(reply.tokens);
        outcome.choices = item.choices;
        // The last token is chosen and not evaluated.
        outcome.tokens = reply.promptTokens + std::max<std::int64_t>(0, reply.replyTokens - 1);
        outcome.generatedTokens = reply.replyTokens;
        outcome.promptTokens = reply.promptTokens;
        outcome.durationNs = reply.durationNs;
        if (reply.tooLong) {
            outcome.score = excluded(reply.neededContext);
            outcome.tokens = 0;
            return outcome;
        }
        outcome.score = reader_->judge(data_.definition, item, reply.answer, reply.cutOff);
        Json& detail = outcome.score.detail;
        detail["reply"] = reply.answer;
        if (!reply.reasoning.empty()) detail["reasoning"] = reply.reasoning;
        detail["reply_tokens"] = reply.replyTokens;
        detail["reasoning_tokens"] = reply.reasoningTokens;
        detail["finish"] = reply.finish;
        if (!item.order.empty()) detail["order"] = item.order;
        return outcome;
    }

    template <typename Judge>
    void finish(std::int64_t sequence, Judge judge) {
        const auto pending = pending_.find(sequence);
        Outcome outcome = judge(pending->second);
        const SuiteItem& item = *pending->second.item;
        ItemRow row = std::move(pending->second.row);
        Json& detail = outcome.score.detail;
        detail["cluster"] = item.cluster;
        if (item.reference) detail["reference"] = *item.reference;
        if (!item.roles.empty()) detail["roles"] = item.roles;
        row.answer = std::move(outcome.score.answer);
        row.target = std::move(outcome.score.target);
        row.score = outcome.score.score;
        row.choices = dumpJson(outcome.choices);
        row.logLikelihoods = dumpJson(outcome.logLikelihoods);
        row.detail = dumpJson(detail);
        row.tokens = outcome.tokens;
        row.durationNs = outcome.durationNs;
        result_.tokens += row.tokens;
        keep(row.ordinal, itemResult(row));
        write(std::move(row), outcome);
        pending_.erase(pending);
        report();
    }

    void write(ItemRow row, const Outcome& outcome) {
        SequenceRow sequence;
        sequence.id = row.sequence;
        sequence.label = data_.definition.name + " " + row.id;
        if (repeats_ > 1) sequence.label += " #" + std::to_string(row.repeat + 1);
        sequence.group = data_.definition.name;
        sequence.promptTokens = outcome.promptTokens;
        sequence.generatedTokens = outcome.generatedTokens;
        std::vector<AnyRow> rows = takeRouting(row.sequence);
        std::int64_t position = 0;
        for (const ItemToken& token : outcome.text)
            rows.emplace_back(TokenRow{row.sequence, position++, token.id, token.bytes,
                                       token.prompt, std::nullopt});
        rows.emplace_back(std::move(sequence));
        rows.emplace_back(std::move(row));
        writer_.add(std::move(rows));
    }

    std::vector<AnyRow> takeRouting(std::int64_t sequence) const {
        return options_.takeRouting ? options_.takeRouting(sequence) : std::vector<AnyRow>{};
    }

    void report() const {
        if (!options_.progress) return;
        EvalProgress progress;
        progress.suite = data_.definition.name;
        if (repeats_ > 1) progress.unit = "replies";
        progress.done = result_.scored + result_.tooLong;
        progress.total = result_.suite.items * repeats_;
        progress.resumed = resumed_;
        progress.tokens = result_.tokens;
        progress.elapsedNs = nanosecondsSince(start_);
        options_.progress(progress);
    }

    void addMetrics() {
        result_.resumed = resumed_;
        std::vector<ItemResult> items;
        for (auto& [place, item] : kept_) items.push_back(std::move(item));
        result_.metrics =
            computeMetrics(data_.definition, items, options_.resamples, options_.seed);
        MetricRow tooLong;
        tooLong.name = kItemsTooLong;
        const std::int64_t excluded = result_.tooLong / repeats_;  // all replies to an item or none
        tooLong.value = static_cast<double>(excluded);
        tooLong.n = result_.suite.items;
        tooLong.method = "count of items that did not fit the context; in no other metric";
        result_.metrics.push_back(std::move(tooLong));
        std::vector<AnyRow> rows;
        for (MetricRow& row : result_.metrics) {
            row.suite = id();
            rows.emplace_back(row);
        }
        writer_.add(std::move(rows));
    }

    const SuiteData& data_;
    const Scorer* scorer_;       ///< of likelihoods, or null
    const ReplyReader* reader_;  ///< of written replies, or null
    LanguageModel& model_;
    RunWriter& writer_;
    const EvalOptions& options_;
    int repeats_;
    bool chat_;
    const PriorRun::Suite* prior_ = nullptr;
    Clock::time_point start_;
    std::map<std::int64_t, Pending> pending_;  ///< by sequence
    /// By ordinal and repeat, in whatever order they came.
    std::map<std::pair<std::int64_t, std::int64_t>, ItemResult> kept_;
    std::int64_t resumed_ = 0;
    SuiteResult result_;
};

const PriorRun::Suite* priorOf(const PriorRun* prior, const std::string& name) {
    if (prior == nullptr) return nullptr;
    const auto found = prior->suites.find(name);
    return found == prior->suites.end() ? nullptr : &found->second;
}

/// A run is done when all of its suites are: resumed with others it would claim that wrongly.
void requireSameSuites(const PriorRun& prior, const std::vector<SuiteData>& suites) {
    if (prior.suites.empty()) return;  // killed before it chose any
    std::set<std::string> before, now;
    for (const auto& [name, suite] : prior.suites) before.insert(name);
    for (const SuiteData& data : suites) now.insert(data.definition.name);
    if (before == now) return;
    const auto listed = [](const std::set<std::string>& names) {
        std::string text;
        for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
        return text;
    };
    throw Error(
        "the run holds the suites " + listed(before) + " and cannot be resumed with " + listed(now),
        "name the same suites, or write a new run with another --out");
}

}  // namespace

std::string answersOf(const SuiteData& data) {
    return data.replies ? "written" : "by likelihood";
}

int repeatsOf(const SuiteData& data, const EvalOptions& options) noexcept {
    return data.replies ? options.repeats : 1;
}

void requireRoom(const std::vector<SuiteData>& suites, const EvalOptions& options) {
    for (const SuiteData& data : suites)
        for (const SuiteItem& item : data.items)
            if (item.ordinal >= kPlaces / repeatsOf(data, options))
                throw UsageError("suite '" + data.definition.name + "' has room for " +
                                     std::to_string(kPlaces / (data.items.back().ordinal + 1)) +
                                     " repeats of its items in a run",
                                 "give fewer --repeats");
}

std::int64_t itemSequence(std::int64_t suiteId, std::int64_t place) noexcept {
    return suiteId * kPlaces + place;
}

PriorRun readPriorRun(const std::filesystem::path& path) {
    const RunReader reader(path);
    const std::string kind = reader.meta("kind");
    if (kind != "eval")
        throw Error(path.string() +
                    ": this is not an evaluation that could be resumed (its kind is '" + kind +
                    "')");
    PriorRun prior;
    for (SuiteRow& row : reader.suites()) {
        PriorRun::Suite suite;
        for (const ItemRow& item : reader.items(row.id))
            suite.items.emplace(std::pair(item.id, item.repeat), itemResult(item));
        suite.row = std::move(row);
        std::string name = suite.row.name;
        prior.suites.emplace(std::move(name), std::move(suite));
    }
    return prior;
}

void requireResumable(const std::vector<SuiteData>& suites, const LanguageModel& model,
                      const EvalOptions& options, const PriorRun& prior) {
    requireSameSuites(prior, suites);
    for (const SuiteData& data : suites) {
        const PriorRun::Suite* before = priorOf(&prior, data.definition.name);
        if (before == nullptr) continue;
        requireSameSettings(data.definition.name,
                            settingsOf(data, model, options, asksInChat(data, options)),
                            before->row.settings);
    }
}

std::vector<SuiteResult> evaluate(std::vector<SuiteData> suites, LanguageModel& model,
                                  RunWriter& writer, const EvalOptions& options,
                                  const PriorRun* prior) {
    if (options.chat && !model.hasChatFormat())
        throw UsageError("this model has no chat template", "leave out --chat");
    for (SuiteData& data : suites) {
        if (!data.replies) continue;
        if (!model.hasChatFormat())
            throw UsageError("this model has no chat template: suite '" + data.definition.name +
                             "' cannot ask it for replies");
        replyMetrics(data.definition, options.repeats);
    }
    requireRoom(suites, options);
    if (prior != nullptr) requireSameSuites(*prior, suites);
    std::vector<std::unique_ptr<SuiteRun>> runs;
    std::int64_t nextId = 1;
    if (prior != nullptr)
        for (const auto& [name, suite] : prior->suites) nextId = std::max(nextId, suite.row.id + 1);
    for (SuiteData& data : suites) {
        for (const auto& other : suites)
            if (&other != &data && other.definition.name == data.definition.name)
                throw UsageError("suite '" + data.definition.name + "' is named twice");
        runs.push_back(std::make_unique<SuiteRun>(data, model, writer, options));
        const PriorRun::Suite* before = priorOf(prior, data.definition.name);
        runs.back()->prepare(nextId, before);
        if (before == nullptr) ++nextId;
    }
    // All suites at once: a run that is killed early still says what it was to hold.
    std::vector<AnyRow> planned;
    for (const auto& run : runs) planned.emplace_back(run->suite());
    writer.add(std::move(planned));
    writer.flush();
    model.setStop(options.stop);
    std::vector<SuiteResult> results;
    try {
        for (const auto& run : runs) results.push_back(run->run());
    } catch (const Interrupted&) {
        writer.flush();
        throw;
    }
    writer.flush();
    return results;
}

}  // namespace moescope
