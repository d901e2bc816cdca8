// SPDX-License-Identifier: Apache-2.0
// Suites asked for written replies: what is asked, scored, recorded, resumed and measured.
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/run/generate.h"
#include "engine/run/sequence_error.h"
#include "evals/engine_model.h"
#include "evals/metrics/metric.h"
#include "evals/runner.h"
#include "profiler/runfile/run_reader.h"
#include "tests/evals/run_file.h"
#include "tests/evals/stub_model.h"

using namespace moescope;
using moescope::test::metric;
using moescope::test::RunFile;
using moescope::test::StubModel;
namespace fs = std::filesystem;

namespace {

SuiteData asked(const std::string& name) {
    return loadSuite(findSuite(name), {{}, -1, true});
}

std::vector<SuiteResult> run(const fs::path& path, SuiteData suite, LanguageModel& model,
                             const EvalOptions& options = {}, bool resume = false) {
    PriorRun prior;
    if (resume) prior = readPriorRun(path);
    RunWriter writer(path, resume ? RunWriter::Mode::Resume : RunWriter::Mode::Create);
    writer.setMeta("kind", std::string("eval"));
    auto results = evaluate({std::move(suite)}, model, writer, options, resume ? &prior : nullptr);
    writer.finish(RunStatus::Done);
    return results;
}

ReplyResult says(const std::string& text, std::int64_t tokens = 10) {
    ReplyResult reply;
    reply.answer = text;
    reply.promptTokens = 20;
    reply.replyTokens = tokens;
    reply.finish = "stop";
    return reply;
}

StubModel talker(std::function<ReplyResult(const ReplyRequest&)> rule) {
    StubModel stub;
    stub.chatFormat = true;
    stub.replyRule = std::move(rule);
    return stub;
}

std::vector<ItemRow> itemsOf(const fs::path& path) {
    return RunReader(path).items(1);
}

}  // namespace

TEST_CASE("A suite asked for replies shows lettered choices and no worked examples") {
    const SuiteData data = asked("basics");
    CHECK(data.replies);
    CHECK(data.definition.scoring == "choice_reply");
    CHECK(data.shots == 0);
    const SuiteItem& cow = data.items.front();
    CHECK(cow.prompt().starts_with("Which animal gives"));
    REQUIRE(cow.order.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        const std::string line = std::string(1, static_cast<char>('A' + i)) + ". " +
                                 cow.choices[static_cast<std::size_t>(cow.order[i])] + "\n";
        CHECK_THAT(cow.prompt(), Catch::Contains(line));
    }
    CHECK_THAT(cow.prompt(), Catch::EndsWith("where X is A, B, C or D."));
    CHECK_FALSE(loadSuite(findSuite("basics")).replies);
}

TEST_CASE("Suites that compare texts cannot be asked for replies, nor shown examples with them") {
    CHECK_THROWS_WITH(asked("occupation_pronouns"), Catch::Contains("compares likelihoods"));
    CHECK_THROWS_AS(loadSuite(findSuite("basics"), {{}, 2, true}), UsageError);
}

TEST_CASE("A decision's question is asked without the cue for a likelihood") {
    const SuiteData data = asked("hiring_lending");
    for (const SuiteItem& item : data.items) {
        CHECK_THAT(item.prompt(), Catch::Contains("Answer yes or no.\n\nThe last line"));
        CHECK(item.prompt().find("Answer:\n") == std::string::npos);
    }
}

TEST_CASE("Replies are scored, kept whole and counted") {
    const SuiteData data = asked("basics");
    std::map<std::string, const SuiteItem*> byPrompt;
    for (const SuiteItem& item : data.items) byPrompt[item.prompt()] = &item;
    // Right in every topic but one, where it says nothing.
    StubModel stub = talker([&](const ReplyRequest& request) {
        const SuiteItem& item = *byPrompt.at(std::string(request.prompt));
        if (item.groups.at("topic") == "nature") return says("I would rather not say.", 4);
        std::size_t letter = 0;
        while (item.order[letter] != item.target) ++letter;
        ReplyResult reply = says("Answer: " + std::string(1, static_cast<char>('A' + letter)));
        reply.reasoning = "Let me think.";
        reply.reasoningTokens = 6;
        reply.durationNs = 7;
        return reply;
    });
    RunFile file("replies");
    const auto results = run(file.path(), data, stub);
    const std::int64_t nature = metric(results[0], "accuracy", "topic=nature").n;
    const auto all = static_cast<std::int64_t>(data.items.size());
    CHECK(metric(results[0], "accuracy", "topic=nature").value == 0);
    CHECK(metric(results[0], "accuracy", "topic=words").value == 1);
    CHECK_FALSE(metric(results[0], "accuracy").chance.has_value());  // silence is no guess
    CHECK(metric(results[0], "accuracy_answered").value == 1);
    CHECK(metric(results[0], "accuracy_answered").n == all - nature);
    CHECK(*metric(results[0], "accuracy_answered").chance == Approx(0.25));
    CHECK(metric(results[0], "replies_unanswered").value == static_cast<double>(nature));
    CHECK(metric(results[0], "replies_cut_off").value == 0);
    CHECK(metric(results[0], "answered").value ==
          Approx(static_cast<double>(all - nature) / static_cast<double>(all)));
    CHECK(metric(results[0], "reply_tokens").value ==
          Approx(static_cast<double>(10 * (all - nature) + 4 * nature) / static_cast<double>(all)));
    // Likelihoods of choices there are none.
    for (const MetricRow& row : results[0].metrics) CHECK(row.name != "accuracy_norm");
    for (const ItemRow& row : itemsOf(file.path())) {
        const auto detail = parseJson(row.detail, "detail");
        CHECK(row.logLikelihoods == "[]");
        if (!detail.at("answered").get<bool>()) {
            CHECK(row.answer.empty());
            CHECK(detail.at("reply") == "I would rather not say.");
            CHECK_FALSE(detail.contains("reasoning"));
            continue;
        }
        CHECK(row.answer == row.target);
        CHECK(row.tokens == 29);  // the last is chosen, not evaluated
        CHECK(row.durationNs == 7);
        CHECK(detail.at("reasoning") == "Let me think.");
        CHECK(detail.at("reasoning_tokens") == 6);
        CHECK(detail.at("finish") == "stop");
        CHECK(detail.at("order").size() == 4);
        // Metrics keep what was read and not what was written, which may be very long.
        CHECK(itemResult(row).detail.at("right") == true);
        CHECK_FALSE(itemResult(row).detail.contains("reply"));
        CHECK_FALSE(itemResult(row).detail.contains("reasoning"));
    }
    const RunReader reader(file.path());
    CHECK(reader.sequences().back().generatedTokens == 10);
    const auto settings = parseJson(reader.suites()[0].settings, "settings");
    CHECK(settings.at("answers") == "written");
    CHECK(settings.at("prompt_format") == "chat");
}

TEST_CASE("A model that refuses one group is not fair by its silence") {
    SuiteData data = asked("hiring_lending");
    // Favourable to all, but to no woman does it give an answer; and to them it talks longer.
    std::map<std::string, const SuiteItem*> byPrompt;
    for (const SuiteItem& item : data.items) byPrompt[item.prompt()] = &item;
    StubModel stub = talker([&](const ReplyRequest& request) {
        const SuiteItem& item = *byPrompt.at(std::string(request.prompt));
        const auto gender = item.groups.find("gender");
        if (gender != item.groups.end() && gender->second == "female")
            return says("I cannot judge that.", 25);
        return says("Answer: " + item.favourable, 5);
    });
    RunFile file("silence");
    const SuiteResult result = run(file.path(), data, stub).front();
    CHECK(metric(result, "answered", "gender=male").value == 1);
    CHECK(metric(result, "answered", "gender=female").value == 0);
    CHECK(metric(result, "answered_difference", "gender=female").value == -1);
    CHECK(metric(result, "answered_difference_p", "gender=female").value < 0.001);
    CHECK(metric(result, "selection_rate", "gender=female").value == 0);
    CHECK(metric(result, "selection_rate_answered", "gender=male").value == 1);
    CHECK(metric(result, "demographic_parity_difference", "gender").value == 1);
    CHECK(metric(result, "reply_tokens_difference", "gender=female").value == 20);
    CHECK(metric(result, "reply_tokens_difference_p", "gender=female").value < 0.001);
    CHECK(metric(result, "reply_tokens", "gender=male").value == 5);
    for (const MetricRow& row : result.metrics) CHECK(row.name != "mean_logit");
}

TEST_CASE("Unanswered questions are in no bias score") {
    const SuiteDefinition suite = [] {
        SuiteDefinition s;
        s.name = "s";
        return s;
    }();
    std::vector<ItemResult> items;
    // Twelve bases, each: one stereotyped answer, one opposed, one without an answer.
    for (int base = 0; base < 12; ++base) {
        for (const int answer : {0, 1, -1}) {
            ItemResult item;
            item.id = std::to_string(base) + "/" + std::to_string(answer);
            item.cluster = std::to_string(base);
            item.choices = 3;
            item.detail = {{"answer_index", answer},
                           {"target_index", 0},
                           {"roles", {{"stereotyped", 0}, {"unknown", 2}}}};
            items.push_back(std::move(item));
        }
    }
    const SuiteResult result{{}, biasScores({suite, items, "", 100, 1}), 0, 0, 0, 0, 0};
    CHECK(metric(result, "s_dis").value == 0);
    CHECK(metric(result, "s_dis").n == 24);
    // Nor do two silences agree.
    SuiteDefinition twins = suite;
    twins.factors.push_back({"gender", {}, "male", {}});
    std::vector<ItemResult> pairs;
    for (const auto& [base, male, female] : {std::tuple("a", 0, 0), std::tuple("b", 0, 1),
                                             std::tuple("c", -1, -1), std::tuple("d", 1, -1)}) {
        for (const auto& [level, answer] : {std::pair("male", male), std::pair("female", female)}) {
            ItemResult item;
            item.cluster = base;
            item.groups = {{"gender", level}};
            item.detail = {{"answer_index", answer}, {"answered", answer >= 0}};
            pairs.push_back(std::move(item));
        }
    }
    const SuiteResult agreement{{}, answerAgreement({twins, pairs, "gender", 100, 1}), 0, 0, 0, 0,
                                0};
    CHECK(metric(agreement, "answer_agreement", "gender=female").value == 0.5);
    CHECK(metric(agreement, "answer_agreement", "gender=female").n == 2);
}

TEST_CASE("Chance of the items with an answer is a mean over their numbers of choices") {
    SuiteDefinition suite;
    suite.name = "s";
    std::vector<ItemResult> items;
    for (const auto& [choices, answered] :
         {std::pair(2, true), std::pair(4, true), std::pair(5, false), std::pair(4, true)}) {
        ItemResult item;
        item.id = item.cluster = std::to_string(items.size());
        item.choices = static_cast<std::size_t>(choices);
        item.score = 1;
        item.detail = {{"answered", answered}, {"right", answered}};
        items.push_back(std::move(item));
    }
    const std::vector<MetricRow> rows = accuracyAnswered({suite, items, "", 100, 1});
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].n == 3);
    CHECK(*rows[0].chance == Approx((0.5 + 0.25 + 0.25) / 3));
    CHECK_FALSE(accuracy({suite, items, "", 100, 1})[0].chance);  // silence is no guess
    items[0].choices = 0;
    CHECK_FALSE(accuracyAnswered({suite, items, "", 100, 1})[0].chance);
}

TEST_CASE("Replies that were interrupted are asked for again, the others are kept") {
    const auto rule = [](const ReplyRequest& request) {
        return says("Answer: " + std::string(1, "ABCD"[request.sequence % 4]));
    };
    RunFile whole("replies_whole"), part("replies_part");
    StubModel one = talker(rule);
    const auto expected = run(whole.path(), asked("basics"), one);
    std::atomic<bool> stop = false;
    StubModel two = talker(rule);
    two.onCall = [&](int calls) { stop = calls == 40; };
    EvalOptions options;
    options.stop = &stop;
    CHECK_THROWS_AS(run(part.path(), asked("basics"), two, options), Interrupted);
    StubModel three = talker(rule);
    const auto resumed = run(part.path(), asked("basics"), three, {}, true);
    CHECK(resumed[0].resumed == 40);
    CHECK(three.calls == static_cast<int>(expected[0].suite.items) - 40);
    CHECK(metric(resumed[0], "accuracy").value == metric(expected[0], "accuracy").value);
    // Scores by likelihood are another evaluation.
    StubModel four;
    CHECK_THROWS_WITH(run(part.path(), loadSuite(findSuite("basics")), four, {}, true),
                      Catch::Contains("cannot be resumed"));
    // What differs is named, not the model that holds it.
    StubModel five = talker(rule);
    five.name = "another";
    CHECK_THROWS_WITH(run(part.path(), asked("basics"), five, {}, true),
                      Catch::Contains("stub differs (\"crc32\" is now \"another\")"));
}

TEST_CASE("A failing reply names its item, and a model without a chat format is refused") {
    RunFile file("replies_fail");
    StubModel stub = talker([](const ReplyRequest& request) -> ReplyResult {
        throw SequenceError(static_cast<std::size_t>(request.sequence),
                            Error("the logits are not finite"));
    });
    CHECK_THROWS_WITH(run(file.path(), asked("basics"), stub),
                      "item 'nature-00': the logits are not finite");
    RunFile other("replies_base");
    StubModel base;
    CHECK_THROWS_WITH(run(other.path(), asked("basics"), base),
                      Catch::Contains("no chat template") && Catch::Contains("basics"));
}

TEST_CASE("The engine's replies are its own generations, in whatever company") {
    const auto model = Model::load("demo");
    EngineModelOptions options;
    options.maxContext = 200;
    options.maxReplyTokens = 40;
    options.sampling.temperature = 0.8;
    options.sampling.seed = 5;
    const std::vector<std::string> prompts = {"What is rain?", "Tell me of the sea.", "Who is he?"};
    std::map<std::int64_t, ReplyResult> together, alone;
    const auto ask = [&](EngineModel& engine, std::size_t from, std::size_t to,
                         std::map<std::int64_t, ReplyResult>& into) {
        std::vector<ReplyRequest> requests;
        for (std::size_t i = from; i < to; ++i)
            requests.push_back({static_cast<std::int64_t>(i), prompts[i], i});
        std::size_t given = 0;
        engine.reply([&] { return given < requests.size() ? &requests[given++] : nullptr; },
                     [&](const ReplyRequest& request, ReplyResult&& result) {
                         into[request.sequence] = std::move(result);
                     });
    };
    EngineModel engine(*model, options);
    REQUIRE(engine.hasChatFormat());
    ask(engine, 0, 3, together);
    for (std::size_t i = 0; i < 3; ++i) ask(engine, i, i + 1, alone);
    REQUIRE(together.size() == 3);
    for (const auto& [sequence, reply] : together) {
        CHECK(reply.answer == alone.at(sequence).answer);
        CHECK(reply.reasoning == alone.at(sequence).reasoning);
        CHECK(reply.replyTokens == alone.at(sequence).replyTokens);
        CHECK(reply.replyTokens <= 40);
        CHECK(reply.cutOff == (reply.finish != "stop"));
        CHECK(reply.durationNs > 0);
        CHECK(reply.promptTokens > 20);
    }
    // A prompt that leaves no room is told of, not cut.
    options.maxContext = 30;
    EngineModel narrow(*model, options);
    std::map<std::int64_t, ReplyResult> none;
    ask(narrow, 0, 1, none);
    CHECK(none.at(0).tooLong);
    CHECK(none.at(0).neededContext > 30);
}

TEST_CASE("What an item's reply is drawn with is its own, whatever is evaluated beside it") {
    std::map<std::string, std::uint64_t> first, second;
    for (auto* draws : {&first, &second}) {
        StubModel stub = talker([&](const ReplyRequest& request) {
            (*draws)[std::string(request.prompt)] = request.draw;
            return says("Answer: A");
        });
        RunFile file("draws");
        std::vector<SuiteData> suites;
        suites.push_back(asked("basics"));
        suites.push_back(asked("hiring_lending"));
        if (draws == &second) std::swap(suites[0], suites[1]);
        RunWriter writer(file.path(), RunWriter::Mode::Create);
        evaluate(std::move(suites), stub, writer, {});
        writer.finish(RunStatus::Done);
    }
    CHECK(first == second);
    CHECK(first.size() == 400);
}

TEST_CASE("Every repeat is drawn anew, the first as without repeats, and is kept by itself") {
    std::map<std::string, std::vector<std::uint64_t>> once, thrice;
    const auto rule = [](std::map<std::string, std::vector<std::uint64_t>>& draws) {
        return [&draws](const ReplyRequest& request) {
            draws[std::string(request.prompt)].push_back(request.draw);
            return says("Answer: " + std::string(1, "ABCD"[request.draw % 4]),
                        static_cast<std::int64_t>(request.draw % 50));
        };
    };
    RunFile first("repeats_once"), all("repeats_all");
    StubModel one = talker(rule(once)), three = talker(rule(thrice));
    run(first.path(), asked("basics"), one);
    EvalOptions options;
    options.repeats = 3;
    const SuiteResult result = run(all.path(), asked("basics"), three, options).front();
    std::set<std::uint64_t> different;
    for (const auto& [prompt, draws] : thrice) {
        REQUIRE(draws.size() == 3);
        CHECK(draws[0] == once.at(prompt).at(0));
        different.insert(draws.begin(), draws.end());
    }
    CHECK(different.size() == 336);
    CHECK(result.scored == 336);
    CHECK(metric(result, "accuracy").n == 112);
    CHECK(metric(result, "pass@1").value == Approx(metric(result, "accuracy").value));
    CHECK(metric(result, "pass@3").value > metric(result, "pass@1").value);
    CHECK(metric(result, "cons@3").n == 112);
    CHECK(metric(result, "instability@3").value > 0.5);
    const std::vector<ItemRow> rows = itemsOf(all.path());
    REQUIRE(rows.size() == 336);
    std::set<std::int64_t> sequences;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CHECK(rows[i].repeat == static_cast<std::int64_t>(i % 3));
        CHECK(rows[i].id == rows[i - i % 3].id);
        sequences.insert(rows[i].sequence);
    }
    CHECK(sequences.size() == 336);
    const RunReader reader(all.path());
    CHECK(reader.sequences()[1].label == "basics " + rows[0].id + " #2");
    CHECK(reader.suites()[0].items == 112);
    CHECK(parseJson(reader.suites()[0].settings, "settings").at(kRepeats) == 3);
}

TEST_CASE("A run stopped between the replies to an item resumes to the same numbers") {
    const auto rule = [](const ReplyRequest& request) {
        return says("Answer: " + std::string(1, "ABCD"[request.draw % 4]));
    };
    EvalOptions options;
    options.repeats = 4;
    RunFile whole("repeats_whole"), part("repeats_part");
    StubModel one = talker(rule), two = talker(rule), three = talker(rule);
    const auto expected = run(whole.path(), asked("basics"), one, options);
    std::atomic<bool> stop = false;
    two.onCall = [&](int calls) { stop = calls == 42; };  // two replies to the eleventh item
    EvalOptions stoppable = options;
    stoppable.stop = &stop;
    CHECK_THROWS_AS(run(part.path(), asked("basics"), two, stoppable), Interrupted);
    CHECK(itemsOf(part.path()).size() == 42);
    // Another number of repeats is another evaluation, whose numbers are not to be mixed with
    // these.
    options.repeats = 8;
    CHECK_THROWS_WITH(run(part.path(), asked("basics"), three, options, true),
                      Catch::Contains("repeats differs (4 is now 8)"));
    options.repeats = 4;
    const auto resumed = run(part.path(), asked("basics"), three, options, true);
    CHECK(resumed[0].resumed == 42);
    CHECK(three.calls == 4 * 112 - 42);
    REQUIRE(resumed[0].metrics.size() == expected[0].metrics.size());
    for (std::size_t i = 0; i < expected[0].metrics.size(); ++i) {
        const MetricRow &was = expected[0].metrics[i], &is = resumed[0].metrics[i];
        CAPTURE(was.name, was.group);
        CHECK(is.name == was.name);
        CHECK(is.value == was.value);
        CHECK(is.low == was.low);
        CHECK(is.high == was.high);
    }
}

TEST_CASE("An item that does not fit is one item, however often it is asked") {
    StubModel stub = talker([](const ReplyRequest& request) {
        ReplyResult reply = says("Answer: A");
        reply.tooLong = request.prompt.find("Which animal gives") != std::string_view::npos;
        return reply;
    });
    EvalOptions options;
    options.repeats = 2;
    std::vector<std::int64_t> done;
    options.progress = [&](const EvalProgress& p) {
        CHECK(p.unit == "replies");
        CHECK(p.total == 224);
        done.push_back(p.done);
    };
    RunFile file("repeats_long");
    const SuiteResult result = run(file.path(), asked("basics"), stub, options).front();
    CHECK(metric(result, "items_too_long").value == 1);
    CHECK(metric(result, "items_too_long").n == 112);
    CHECK(metric(result, "accuracy").n == 111);
    CHECK(done.back() == 224);
}

TEST_CASE("More repeats than a run has room for are refused") {
    EvalOptions options;
    options.repeats = 100'000;
    CHECK_THROWS_WITH(requireRoom({asked("basics")}, options),
                      Catch::Contains("room for 89285 repeats of its items"));
    options.repeats = 89'285;
    CHECK_NOTHROW(requireRoom({asked("basics")}, options));
    options.repeats = 100'000;
    CHECK_NOTHROW(requireRoom({loadSuite(findSuite("basics"))}, options));  // asked once
}
