// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and kill -9 in the middle of an evaluation: nothing measured is lost, nothing repeated.
#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "profiler/runfile/run_reader.h"
#include "tests/cli/program.h"

using namespace moescope;
using namespace moescope::test;

namespace {

std::vector<std::string> evaluation(const std::string& out) {
    return {"eval", "demo", "--suite", "hiring_lending", "--out", out, "--progress", "json"};
}

/// Of drawn replies, at two efforts: into <stem>-low.moescope and <stem>-high.moescope.
std::vector<std::string> sweep(const std::string& stem) {
    return {"eval",
            "demo",
            "--suite",
            "basics",
            "--generate",
            "--temperature",
            "1",
            "-n",
            "24",
            "--repeats",
            "3",
            "--reasoning",
            "low,high",
            "--limit",
            "21",
            "--out",
            stem + ".moescope",
            "--progress",
            "json"};
}

/// Everything of an evaluation that must not depend on an interruption.
std::set<std::string> figures(const std::string& path) {
    const RunReader run(path);
    std::set<std::string> out;
    for (const MetricRow& m : run.metrics()) {
        out.insert(m.name + '|' + m.group + '|' + std::to_string(m.value) + '|' +
                   std::to_string(m.low.value_or(0)) + '|' + std::to_string(m.n));
    }
    for (const ItemRow& item : run.items(1))
        out.insert(item.id + '|' + std::to_string(item.repeat) + '|' + std::to_string(item.score) +
                   '|' + item.detail);
    return out;
}

Outcome interrupt(const std::string& out, int signal) {
    Child child(evaluation(out));
    child.waitFor("\"done\":");
    child.kill(signal);
    return child.wait();
}

}  // namespace

TEST_CASE("an evaluation stopped in the middle resumes to the same figures") {
    const Folder folder;
    const std::string whole = folder / "whole.moescope", stopped = folder / "stopped.moescope";
    REQUIRE(run(evaluation(whole)).code == 0);
    const auto expected = figures(whole);
    for (const int signal : {SIGINT, SIGKILL}) {
        CAPTURE(signal);
        fs::remove(stopped);
        const Outcome outcome = interrupt(stopped, signal);
        INFO(outcome.err);
        CHECK(outcome.code == (signal == SIGINT ? 130 : 128 + SIGKILL));
        {
            const RunReader partial(stopped);
            CHECK(partial.meta("status") == (signal == SIGINT ? "interrupted" : "running"));
            CHECK(partial.status() == RunStatus::Interrupted);
            CHECK(partial.items(1).size() < 288);
            // Wherever the run is shown, what was done is told from what was planned.
            const std::string done = std::to_string(partial.items(1).size()) + " of 288 items";
            if (signal == SIGINT)
                CHECK_THAT(outcome.err,
                           Catch::Contains("interrupted after " + done + " of hiring_lending"));
            CHECK_THAT(run({"report", stopped, "--format", "summary"}).out,
                       Catch::Contains("NOT FINISHED, " + done + "; no metric was computed") &&
                           Catch::Contains(done + " evaluated: NOT FINISHED"));
            CHECK_THAT(run({"compare", whole, stopped}).out,
                       Catch::Contains("; ! status interrupted: only what was "
                                       "saved."));
            CHECK_THAT(run({"compare", whole, stopped}).err,
                       Catch::Contains("run 2: hiring_lending: " + done + " evaluated"));
        }
        const Outcome again = run(evaluation(stopped));
        CHECK(again.code == 1);
        CHECK_THAT(again.err, Catch::Contains("exists already and is unfinished") &&
                                  Catch::Contains("--resume continues it"));
        std::vector<std::string> resume = evaluation(stopped);
        resume.emplace_back("--resume");
        REQUIRE(run(resume).code == 0);
        CHECK(figures(stopped) == expected);
        CHECK(RunReader(stopped).meta("status") == "done");
    }
}

TEST_CASE("a sweep over efforts stopped at any of them resumes to the same figures") {
    const Folder folder;
    const Outcome whole = run(sweep(folder / "whole"));
    INFO(whole.err);
    REQUIRE(whole.code == 0);
    CHECK_THAT(whole.out, Catch::Contains("63 of 63 replies evaluated, 3 to each of 21 items"));
    const std::string low = folder / "whole-low.moescope", high = folder / "whole-high.moescope";
    CHECK_THAT(whole.out, Catch::Contains("moescope compare " + low + " " + high));
    CHECK(RunReader(low).metaJson("settings").at("reasoning") == "low");
    CHECK(RunReader(high).metaJson("settings").at("reasoning") == "high");
    CHECK(figures(low) != figures(high));
    for (const char* effort : {"low", "high"}) {
        CAPTURE(effort);
        const std::string stem = folder / ("stopped-" + std::string(effort));
        Child child(sweep(stem));
        child.waitFor("eval basics, reasoning " + std::string(effort));
        child.kill(SIGKILL);
        child.wait();
        const Outcome again = run(sweep(stem));
        CHECK(again.code == 1);
        CHECK_THAT(again.err, Catch::Contains("--resume continues it"));
        std::vector<std::string> resume = sweep(stem);
        resume.emplace_back("--resume");
        REQUIRE(run(resume).code == 0);
        CHECK(figures(stem + "-low.moescope") == figures(low));
        CHECK(figures(stem + "-high.moescope") == figures(high));
    }
}

TEST_CASE("a run that is being written has one writer") {
    const Folder folder;
    const std::string out = folder / "run.moescope";
    Child first(evaluation(out));
    first.waitFor("\"done\":");
    std::vector<std::string> resume = evaluation(out);
    resume.emplace_back("--resume");
    const Outcome second = run(resume);
    CHECK(second.code == 1);
    CHECK_THAT(second.err, Catch::Matchers::Contains("is being written by process"));
    first.kill(SIGTERM);
    CHECK(first.wait().code == 130);
}

TEST_CASE("a --resume of what was never begun starts afresh and says so") {
    const Folder folder;
    const std::string out = folder / "run.moescope";
    const Outcome evaluated = run({"eval", "demo", "--suite", "basics", "--limit", "7", "--out",
                                   out, "--resume", "--progress", "off"});
    CHECK(evaluated.code == 0);
    CHECK_THAT(evaluated.err, Catch::Contains(out + " is not there: nothing to resume"));
    std::ofstream(folder / "in") << "{\"text\": \"A short text.\"}\n";
    const Outcome scored = run({"score", "demo", "--input", folder / "in", "--output",
                                folder / "scores", "--resume", "--progress", "off"});
    CHECK(scored.code == 0);
    CHECK_THAT(scored.err, Catch::Contains("is not there: nothing to resume"));
}

namespace {

/// Long enough to be interrupted in the middle.
void writeTexts(const std::string& path) {
    std::ofstream file(path);
    for (int i = 0; i < 1500; ++i)
        file << "{\"text\": \"Number " << i * 7919 % 1500 << " is one of the many numbers in this "
             << "file of short texts.\"}\n";
}

std::vector<std::string> scoring(const Folder& folder, const std::string& out) {
    return {"score", "demo", "--input", folder / "in", "--output", out, "--progress", "json"};
}

std::vector<std::string> with(std::vector<std::string> words, const std::string& option) {
    words.push_back(option);
    return words;
}

}  // namespace

TEST_CASE("a scoring stopped in the middle resumes to the same lines") {
    const Folder folder;
    writeTexts(folder / "in");
    REQUIRE(run(scoring(folder, folder / "whole")).code == 0);
    const std::string expected = contentOf(folder / "whole");
    const std::string out = folder / "out", part = folder / "out.part";
    for (const int signal : {SIGINT, SIGKILL}) {
        CAPTURE(signal);
        Child child(scoring(folder, out));
        child.waitFor("\"done\":");
        child.kill(signal);
        CHECK(child.wait().code == (signal == SIGINT ? 130 : 128 + SIGKILL));
        CHECK_FALSE(fs::exists(out));
        const std::string kept = contentOf(part);
        CHECK(std::count(kept.begin(), kept.end(), '\n') > 1);
        std::ofstream(part, std::ios::app) << "77 {\"half a";  // what a kill may leave
        const Outcome again = run(scoring(folder, out));
        CHECK(again.code == 1);
        CHECK_THAT(again.err, Catch::Matchers::Contains("unfinished results are here"));
        REQUIRE(run(with(with(scoring(folder, out), "--resume"), "--threads=1")).code == 0);
        CHECK((contentOf(out) == expected));
        CHECK_FALSE(fs::exists(part));
        fs::remove(out);
    }
}

TEST_CASE("a scoring is not resumed with another model or input or setting") {
    const Folder folder;
    writeTexts(folder / "in");
    Child child(scoring(folder, folder / "out"));
    child.waitFor("\"done\":");
    child.kill(SIGKILL);
    child.wait();
    const std::string kept = contentOf(folder / "out.part");
    const auto refused = [&](std::vector<std::string> words, const std::string& what) {
        const Outcome outcome = run(with(std::move(words), "--resume"));
        CHECK(outcome.code == 1);
        CHECK_THAT(outcome.err, Catch::Matchers::Contains("begun with another " + what + " ("));
        CHECK((contentOf(folder / "out.part") == kept));
    };
    std::vector<std::string> words = scoring(folder, folder / "out");
    words[1] = "demo-wide";
    refused(words, "model");
    refused(with(scoring(folder, folder / "out"), "--prompt-logprobs"), "--prompt-logprobs");
    std::ofstream(folder / "in", std::ios::app) << "{\"text\": \"one more line\"}\n";
    refused(scoring(folder, folder / "out"), "--input");
    CHECK(run(with(scoring(folder, folder / "out"), "--overwrite")).code == 0);
}

TEST_CASE("a scoring that cannot be written says so") {
    const Folder folder;
    std::ofstream(folder / "in") << "{\"text\": \"a b c\"}\n";
    const Outcome full = run(scoring(folder, "/dev/full"));
    CHECK(full.code == 1);
    CHECK_THAT(full.err, Catch::Matchers::Contains("/dev/full: cannot write"));
    const Outcome stdoutResult = run(scoring(folder, "/dev/stdout"));
    CHECK(stdoutResult.code == 0);
    CHECK_THAT(stdoutResult.out, Catch::Matchers::Contains("\"logprobs\""));
    CHECK(run(scoring(folder, folder / "in/out")).code == 1);
}

TEST_CASE("a bench stopped in the middle shows the measurements that are done") {
    std::string lengths = "16";
    for (int i = 1; i < 500; ++i) lengths += ",16";
    for (const bool json : {true, false}) {
        CAPTURE(json);
        std::vector<std::string> words{"bench", "demo", "-p", lengths,      "-n",
                                       "4",     "-r",   "1",  "--progress", "json"};
        if (json) words.emplace_back("--json");
        Child child(words);
        child.waitFor("\"done\":");
        child.kill(SIGINT);
        const Outcome outcome = child.wait();
        INFO(outcome.err);
        CHECK(outcome.code == 130);
        CHECK_THAT(outcome.err, Catch::Contains(" of 501 measurements are above"));
        if (json) {
            const auto body = nlohmann::json::parse(outcome.out);
            CHECK(body.at("interrupted") == true);
            CHECK(body.at("results").size() >= 1);
            CHECK(body.at("results").size() < 501);
        } else {
            CHECK_THAT(outcome.out, Catch::Contains("prefill") && !Catch::Contains("decode "));
        }
    }
}

TEST_CASE("a perplexity stopped in the middle is that of the windows that are done") {
    const Folder folder;
    writeTexts(folder / "in");
    Child child({"score", "demo", "--perplexity", folder / "in", "--window", "16", "--json",
                 "--progress", "json"});
    child.waitFor("\"done\":");
    child.kill(SIGINT);
    const Outcome outcome = child.wait();
    INFO(outcome.err);
    CHECK(outcome.code == 130);
    CHECK_THAT(outcome.err, Catch::Contains(" windows are above"));
    const auto body = nlohmann::json::parse(outcome.out);
    CHECK(body.at("interrupted") == true);
    CHECK(body.at("scored_tokens") == 16 * body.at("windows").get<int>());
    CHECK(body.at("scored_tokens") < body.at("tokens"));
    CHECK(body.at("bytes").get<std::size_t>() < contentOf(folder / "in").size());
    CHECK(body.at("perplexity").get<double>() > 1);
    CHECK_FALSE(body.contains("word_perplexity"));
}
