// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and kill -9 in the middle of an evaluation: nothing measured is lost, nothing repeated.
#include <set>

#include "profiler/runfile/run_reader.h"
#include "tests/cli/program.h"

using namespace moescope;
using namespace moescope::test;

namespace {

std::vector<std::string> evaluation(const std::string& out) {
    return {"eval", "demo", "--suite", "hiring_lending", "--out", out, "--progress", "json"};
}

/// Everything of an evaluation that must not depend on an interruption.
std::set<std::string> figures(const std::string& path) {
    const RunReader run(path);
    std::set<std::string> out;
    for (const MetricRow& m : run.metrics()) {
        out.insert(m.name + '|' + m.group + '|' + std::to_string(m.value) + '|' +
                   std::to_string(m.low.value_or(0)) + '|' + std::to_string(m.n));
    }
    for (const ItemRow& item : run.items(1)) out.insert(item.id + '|' + std::to_string(item.score));
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
            CHECK(partial.items(1).size() < 288);
        }
        std::vector<std::string> resume = evaluation(stopped);
        resume.emplace_back("--resume");
        REQUIRE(run(resume).code == 0);
        CHECK(figures(stopped) == expected);
        CHECK(RunReader(stopped).meta("status") == "done");
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
