// SPDX-License-Identifier: Apache-2.0
// The runner with a stub model: oracle values on real data, kill and resume, refusals.
#include "evals/runner.h"

#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <set>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "evals/metrics/metric.h"
#include "profiler/runfile/run_reader.h"
#include "tests/evals/run_file.h"
#include "tests/evals/shared_data.h"
#include "tests/evals/stub_model.h"

using namespace moescope;
using moescope::test::kShared;
using moescope::test::metric;
using moescope::test::oracle;
using moescope::test::RunFile;
using moescope::test::sharedAbsent;
using moescope::test::StubModel;
namespace fs = std::filesystem;

namespace {

std::vector<SuiteResult> run(const fs::path& path, std::vector<SuiteData> suites,
                             LanguageModel& model, EvalOptions options = {}, bool resume = false) {
    PriorRun prior;
    if (resume) prior = readPriorRun(path);
    RunWriter writer(path, resume ? RunWriter::Mode::Resume : RunWriter::Mode::Create);
    writer.setMeta("kind", std::string("eval"));
    options.resamples = 200;
    auto results = evaluate(std::move(suites), model, writer, options, resume ? &prior : nullptr);
    writer.finish(RunStatus::Done);
    return results;
}

std::vector<SuiteData> embedded() {
    return {loadSuite(findSuite("hiring_lending")), loadSuite(findSuite("basics"))};
}

/// All that must not depend on interruptions: everything but durations.
std::string contentOf(const fs::path& path) {
    const RunReader reader(path);
    nlohmann::json all;
    for (const SuiteRow& suite : reader.suites()) {
        all.push_back({suite.id, suite.name, suite.settings, suite.items, suite.source});
        for (const ItemRow& item : reader.items(suite.id))
            all.push_back({item.id, item.ordinal, item.groups, item.prompt, item.choices,
                           item.logLikelihoods, item.answer, item.target, item.score, item.tokens,
                           item.sequence, item.detail});
    }
    for (const SequenceRow& sequence : reader.sequences())
        all.push_back({sequence.id, sequence.label, sequence.promptTokens});
    for (const MetricRow& metric : reader.metrics())
        all.push_back({metric.suite, metric.name, metric.group, metric.value,
                       metric.low.value_or(-9), metric.high.value_or(-9),
                       metric.chance.value_or(-9), metric.n, metric.method});
    return dumpJson(all, 1);
}

}  // namespace

TEST_CASE("CrowS-Pairs with the stub gives the oracle's numbers for every bias type") {
    if (sharedAbsent()) return;
    const nlohmann::json expectedAll = oracle("crows_pairs");
    RunFile file("crows");
    StubModel stub;
    const auto results =
        run(file.path(), {loadSuite(findSuite("crows_pairs"), {kShared, -1})}, stub);
    for (const auto& [type, expected] : expectedAll.at("by_type").items()) {
        const std::string group = type == "overall" ? "" : "bias_type=" + type;
        const MetricRow& pct = metric(results[0], "pct_stereotype", group);
        CHECK(pct.n == expected.at("n").get<std::int64_t>());
        CHECK(pct.value == Approx(expected.at("pct_stereotype").get<double>()).margin(5e-7));
        CHECK(metric(results[0], "likelihood_difference", group).value ==
              Approx(expected.at("likelihood_diff").get<double>()).margin(5e-7));
    }
}

TEST_CASE("MMLU loading gives the oracle's counts when its rule picks the answers") {
    if (sharedAbsent()) return;
    const nlohmann::json expectedAll = oracle("mmlu");
    const SuiteData data = loadSuite(findSuite("mmlu"), {kShared, -1});
    std::vector<ItemResult> items;
    for (const SuiteItem& item : data.items) {
        ItemResult result;
        result.id = result.cluster = item.id;
        result.groups = item.groups;
        result.choices = item.choices.size();
        const bool right = static_cast<int>(test::crc32("mmlu/" + item.id) % 4) == item.target;
        result.detail = {{"right", right}};
        items.push_back(std::move(result));
    }
    const auto rows = computeMetrics(data.definition, items, 100, 1);
    const SuiteResult result{{}, rows, 0, 0, 0, 0, 0};
    CHECK(items.size() == expectedAll.at("n").get<std::size_t>());
    CHECK(metric(result, "accuracy").value ==
          Approx(expectedAll.at("micro").get<double>()).margin(5e-7));
    CHECK(*metric(result, "accuracy").standardError ==
          Approx(expectedAll.at("stderr").get<double>()).margin(5e-7));
    CHECK(metric(result, "accuracy_macro", "subject").value ==
          Approx(expectedAll.at("macro").get<double>()).margin(5e-7));
    for (const auto& [subject, counts] : expectedAll.at("examples").items()) {
        const MetricRow& row = metric(result, "accuracy", "subject=" + subject);
        CHECK(row.n == counts[1].get<std::int64_t>());
        CHECK(row.value * static_cast<double>(row.n) == Approx(counts[0].get<double>()));
    }
    CHECK(
        data.items[0].prompt().starts_with("The following are multiple choice questions (with "
                                           "answers) about abstract algebra.\n\nFind all c"));
}

TEST_CASE("A model without preferences shows no group differences") {
    RunFile file("flat");
    StubModel stub([](const std::string&, const std::string& text) {
        return -static_cast<double>(text.size());
    });
    const auto results = run(file.path(), {loadSuite(findSuite("hiring_lending"))}, stub);
    CHECK(metric(results[0], "logit_difference", "ethnicity=black").value == 0.0);
    CHECK(metric(results[0], "logit_difference_p", "ethnicity=black").value == 1.0);
    CHECK(metric(results[0], "demographic_parity_difference", "gender").value == 0.0);
    CHECK(metric(results[0], "disparate_impact_ratio", "age").value == 1.0);
    CHECK(metric(results[0], "flip_rate", "ethnicity=indian").value == 0.0);
    CHECK(metric(results[0], "selection_rate", "ethnicity=white").value == 0.5);
}

TEST_CASE("A planted preference against one group is found and only there") {
    RunFile file("planted");
    // Yes and no differ by noise of the prompt without names; prompts with black names lose 1 nat
    // of "yes" in cases where yes is favourable, and gain it elsewhere.
    std::set<std::string> blackNames;
    for (const SuiteItem& item : loadSuite(findSuite("hiring_lending")).items) {
        const auto group = item.groups.find("ethnicity");
        const std::string prompt = item.prompt();
        const std::size_t begin = prompt.find("applicant is");
        if (group != item.groups.end() && group->second == "black")
            blackNames.insert(prompt.substr(begin, prompt.find(',', begin) + 1 - begin));
    }
    StubModel stub([&](const std::string& prompt, const std::string& text) {
        bool black = false;
        for (const auto& name : blackNames) black = black || prompt.find(name) != std::string::npos;
        const bool declines = prompt.find("decline") != std::string::npos ||
                              prompt.find("turn the applicant down") != std::string::npos;
        const bool yes = text.size() == 4;
        const double noise =
            static_cast<double>(test::crc32(prompt.substr(prompt.find(", who"))) % 1000) / 500 - 1;
        return yes ? (black ? (declines ? 1.0 : -1.0) : 0.0) + noise : 0.0;
    });
    const auto results = run(file.path(), {loadSuite(findSuite("hiring_lending"))}, stub);
    CHECK(metric(results[0], "logit_difference", "ethnicity=black").value ==
          Approx(-1.0).margin(1e-9));
    CHECK(metric(results[0], "logit_difference_p", "ethnicity=black").value < 0.001);
    CHECK(metric(results[0], "logit_difference", "ethnicity=indian").value ==
          Approx(0.0).margin(1e-9));
    CHECK(metric(results[0], "logit_difference", "gender=female").value ==
          Approx(0.0).margin(1e-9));
    CHECK(metric(results[0], "logit_difference", "control=second_name").value ==
          Approx(0.0).margin(1e-9));
    CHECK(metric(results[0], "flip_rate", "ethnicity=black").value > 0.2);
    CHECK(metric(results[0], "disparate_impact_ratio", "ethnicity").value < 0.8);
}

TEST_CASE("A run killed in the middle resumes without repeating or losing an item") {
    RunFile whole("whole");
    RunFile broken("broken");
    StubModel stub;
    run(whole.path(), embedded(), stub);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        StubModel doomed;
        doomed.onCall = [](int calls) {
            if (calls < 340) return;
            ::usleep(600'000);  // lets the writer commit what came before
            ::kill(::getpid(), SIGKILL);
        };
        run(broken.path(), embedded(), doomed);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(RunReader(broken.path()).status() == RunStatus::Interrupted);  // its writer is dead
    StubModel second;
    const auto results = run(broken.path(), embedded(), second, {}, true);
    CHECK(results[0].resumed == 288);
    CHECK(results[1].resumed > 0);
    CHECK(second.calls == 400 - results[0].resumed - results[1].resumed);
    CHECK(results[1].scored == 112);
    CHECK(contentOf(whole.path()) == contentOf(broken.path()));
}

TEST_CASE("Stopping keeps what was scored and resuming completes it") {
    RunFile whole("whole2");
    RunFile stopped("stopped");
    StubModel stub;
    run(whole.path(), embedded(), stub);
    StopFlag stop{false};
    EvalOptions options;
    options.stop = &stop;
    StubModel first;
    first.onCall = [&](int calls) { stop = calls >= 100; };
    CHECK_THROWS_AS(run(stopped.path(), embedded(), first, options), Interrupted);
    CHECK(RunReader(stopped.path()).items(1).size() == 100);
    StubModel second;
    run(stopped.path(), embedded(), second, {}, true);
    CHECK(second.calls == 300);
    CHECK(contentOf(whole.path()) == contentOf(stopped.path()));
}

TEST_CASE(
    "A run under a limit too small for all levels says of how many items and can be resumed") {
    RunFile file("limited");
    StubModel stub;
    SuiteData basics = loadSuite(findSuite("basics"));
    limitItems(basics, 3, 1);
    REQUIRE(basics.warnings.size() == 1);
    run(file.path(), {basics}, stub);
    const nlohmann::json settings =
        parseJson(RunReader(file.path()).suites().at(0).settings, "settings");
    CHECK(settings.at("limit") == 3);
    CHECK(settings.at(kAvailableItems) == 112);
    CHECK(settings.at("warnings") == basics.warnings);
    // Once the limit was applied after this check, whose warnings then differed from the file's.
    requireResumable({basics}, stub, EvalOptions{.resamples = 200}, readPriorRun(file.path()));
    CHECK(run(file.path(), {basics}, stub, {}, true)[0].resumed == 3);
}

TEST_CASE("The title of a suite whose data are not all there says so in the run") {
    RunFile file("extent");
    StubModel stub;
    SuiteData basics = loadSuite(findSuite("basics"));
    basics.extent = "6 of 7 topics";
    CHECK(run(file.path(), {basics}, stub)[0].suite.title == "Basics (6 of 7 topics)");
    CHECK(RunReader(file.path()).suites().at(0).title == "Basics (6 of 7 topics)");
}

TEST_CASE("Resuming with another model or seed or data is refused and changes nothing") {
    RunFile file("refused");
    StubModel stub;
    run(file.path(), {loadSuite(findSuite("basics"))}, stub);
    const std::string before = contentOf(file.path());
    StubModel other;
    other.name = "other";
    CHECK_THROWS_WITH(run(file.path(), {loadSuite(findSuite("basics"))}, other, {}, true),
                      Catch::Contains("suite 'basics' cannot be resumed: stub differs"));
    EvalOptions options;
    options.seed = 2;
    CHECK_THROWS_WITH(run(file.path(), {loadSuite(findSuite("basics"))}, stub, options, true),
                      Catch::Contains("seed differs (1 is now 2)"));
    SuiteData changed = loadSuite(findSuite("basics"));
    changed.dataSha256 = "0";
    CHECK_THROWS_WITH(run(file.path(), {changed}, stub, {}, true),
                      Catch::Contains("data_sha256 differs"));
    CHECK(before == contentOf(file.path()));
}

TEST_CASE("Items that do not fit the context are counted and left out") {
    RunFile file("long");
    StubModel stub({}, 300);
    const auto results = run(file.path(), {loadSuite(findSuite("hiring_lending"))}, stub);
    CHECK(results[0].tooLong > 0);
    CHECK(results[0].scored > 0);
    CHECK(results[0].scored + results[0].tooLong == 288);
    CHECK(metric(results[0], "items_too_long").value == static_cast<double>(results[0].tooLong));
    const std::vector<ItemRow> items = RunReader(file.path()).items(1);
    CHECK(items.size() == 288);
    // No answer is no wrong answer: whatever reads the file later must not count it as one.
    for (const ItemRow& item : items)
        CHECK(std::isnan(item.score) == (item.detail.find("too_long") != std::string::npos));
}

TEST_CASE("Progress begins at 0 and counts every item once") {
    RunFile file("progress");
    StubModel stub;
    EvalOptions options;
    std::vector<std::int64_t> done;
    options.progress = [&](const EvalProgress& p) {
        CHECK(p.suite == "basics");
        CHECK(p.total == 20);
        done.push_back(p.done);
    };
    SuiteData basics = loadSuite(findSuite("basics"));
    limitItems(basics, 20, options.seed);
    run(file.path(), {basics}, stub, options);
    // 0 before the first item: what tells a rate begins with the work.
    REQUIRE(done.size() == 21);
    for (std::size_t i = 0; i < done.size(); ++i) CHECK(done[i] == static_cast<std::int64_t>(i));
}

TEST_CASE("Wrong requests are refused before the run begins") {
    RunFile file("wrong");
    StubModel stub;
    EvalOptions options;
    options.chat = true;
    CHECK_THROWS_AS(run(file.path(), {loadSuite(findSuite("basics"))}, stub, options), UsageError);
    const SuiteData basics = loadSuite(findSuite("basics"));
    RunFile twice("twice");
    CHECK_THROWS_AS(run(twice.path(), {basics, basics}, stub), UsageError);
    SuiteData broken = basics;
    broken.definition.scoring = "choice_loglk";
    RunFile third("third");
    CHECK_THROWS_WITH(run(third.path(), {broken}, stub),
                      Catch::Contains("did you mean 'choice_loglik'"));
}

TEST_CASE("A run is not resumed with other suites than it was begun with") {
    RunFile file("suites");
    StopFlag stop{false};
    EvalOptions options;
    options.stop = &stop;
    StubModel first;
    first.onCall = [&](int calls) { stop = calls >= 10; };  // the second suite never begins
    CHECK_THROWS_AS(run(file.path(), embedded(), first, options), Interrupted);
    StubModel second;
    CHECK_THROWS_WITH(run(file.path(), {loadSuite(findSuite("basics"))}, second, {}, true),
                      Catch::Contains("basics,hiring_lending and cannot be resumed with basics"));
    CHECK(second.calls == 0);
    std::vector<SuiteData> reversed = embedded();
    std::swap(reversed[0], reversed[1]);
    CHECK(run(file.path(), reversed, second, {}, true).size() == 2);
}

TEST_CASE("A run of another build is not resumed") {
    RunFile file("build");
    StubModel stub;
    run(file.path(), {loadSuite(findSuite("basics"))}, stub);
    {
        SuiteRow row = RunReader(file.path()).suites().at(0);
        nlohmann::json settings = parseJson(row.settings, "settings");
        settings["git_revision"] = "0000000";
        row.settings = dumpJson(settings);
        RunWriter writer(file.path(), RunWriter::Mode::Resume);
        writer.add(row);
        writer.finish(RunStatus::Interrupted);
    }
    CHECK_THROWS_WITH(run(file.path(), {loadSuite(findSuite("basics"))}, stub, {}, true),
                      Catch::Contains("git_revision differs"));
}

TEST_CASE("The routing of an item is committed with it and never without it") {
    RunFile file("routing");
    StubModel stub;
    int pending = 0;  // calls of the model whose routing was not yet taken
    stub.onCall = [&](int calls) {
        ++pending;
        if (calls == 5) throw Error("the engine failed");
    };
    int discarded = 0;
    EvalOptions options;
    options.takeRouting = [&](std::int64_t sequence) -> std::vector<AnyRow> {
        CHECK(pending == 1);
        CHECK(sequence == itemSequence(1, stub.calls - 1));
        pending = 0;
        if (stub.calls == 5) ++discarded;
        return {RoutingCountRow{sequence, "prefill", 0, 0, 1}};
    };
    CHECK_THROWS_AS(run(file.path(), {loadSuite(findSuite("basics"))}, stub, options), Error);
    const RunReader reader(file.path());
    CHECK(discarded == 1);
    CHECK(reader.items(1).size() == 4);
    const auto counts = reader.routingCounts();
    REQUIRE(counts.size() == 4);
    for (const RoutingCountRow& row : counts) CHECK(row.sequence < itemSequence(1, 4));
}
