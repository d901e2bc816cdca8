// SPDX-License-Identifier: Apache-2.0
// report, export and compare as a shell runs them: what they refuse, what they leave, what they
// print.
#include <nlohmann/json.hpp>

#include "engine/core/file.h"
#include "profiler/runfile/run_writer.h"
#include "tests/cli/program.h"

using namespace moescope;
using namespace moescope::test;
using Catch::Matchers::Contains;

namespace {

void profile(const std::string& out) {
    const Outcome outcome = run({"profile", "demo", "--prompt", "the", "-n", "2", "--out", out});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
}

}  // namespace

TEST_CASE("report does not overwrite the run that it reads") {
    const Folder folder;
    const std::string made = folder / "a.json";
    profile(made);
    const std::string before = contentOf(made);
    const Outcome refused = run({"report", made, "--format", "json", "--out", made});
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Contains("which the report would replace"));
    CHECK((contentOf(made) == before));
}

TEST_CASE("report's synopsis runs, with spaces in the list, and a summary beside files") {
    const Folder folder;
    const std::string made = folder / "p.moescope";
    profile(made);
    const Outcome all =
        run({"report", made, "--format", "html, json,csv ,md,summary,md", "--out", folder / "r"});
    INFO(all.err);
    REQUIRE(all.code == 0);
    CHECK_THAT(all.out, Contains("demo, profile, status done") && Contains("report.md\n"));
    CHECK(all.out.find("report.md") == all.out.rfind("report.md"));
    for (const char* name : {"report.html", "report.json", "report.md", "runs.csv"})
        CHECK(fs::exists(folder / "r" + ("/" + std::string(name))));
    // Not the schema of report.json, which is another document.
    const Outcome listed = run({"report", made, "--out", folder / "l.html", "--json"});
    CHECK(nlohmann::json::parse(listed.out).at("schema") == "moescope.report-files");
    CHECK(run({"report", made, "--format", "html,json", "--out", folder / "x.html"}).code == 2);
    CHECK_FALSE(fs::exists(folder / "x.html"));
    CHECK(run({"report", made, "--format", "summary,html", "--json", "--out", folder / "s"}).code ==
          2);
}

TEST_CASE("export makes the folder that it is to write into, as other commands do") {
    const Folder folder;
    profile(folder / "p.moescope");
    for (const char* name : {"new dir/a/x.json", "new dir/b/x.sqlite"}) {
        const Outcome outcome = run({"export", folder / "p.moescope", "--out", folder / name});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(fs::exists(folder / name));
    }
}

TEST_CASE("compare tells runs of one name apart by their folders") {
    const Folder folder;
    for (const char* name : {"a/run.moescope", "b/run.moescope"}) profile(folder / name);
    const Outcome outcome = run({"compare", folder / "a/run.moescope", folder / "b/run.moescope"});
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.out, Contains("a/run: ") && Contains("b/run: ") && Contains("  a/run  "));
}

TEST_CASE("no name in a run file reaches the terminal as an escape sequence") {
    const Folder folder;
    const auto write = [&](const char* name, const char* model) {
        RunWriter writer(folder / name, RunWriter::Mode::Create);
        writer.setMeta("kind", nlohmann::json("profile"));
        writer.setMeta("model", nlohmann::json{{"name", model}, {"identity", model}});
        writer.add(SequenceRow{0, "s", "", 4, 0});
        writer.add(StepRow{0, 0, "prefill", 0, 4, 100, 1100});
        writer.finish(RunStatus::Done);
    };
    write("a.moescope", "plain");
    write("b.moescope", "x\x1b[31m\u009b32m\u202e");
    const Outcome compared = run({"compare", folder / "a.moescope", folder / "b.moescope"});
    REQUIRE(compared.code == 0);
    const Outcome summary = run({"report", folder / "b.moescope", "--format", "summary"});
    for (const std::string& text : {compared.out + compared.err, summary.out})
        CHECK_THAT(text, Contains("x\u241b[31m\u27e8U+009B\u27e932m\u27e8U+202E\u27e9") &&
                             !Contains("\x1b") && !Contains("\u009b"));
}

TEST_CASE("no name in a checkpoint reaches the terminal as an escape sequence") {
    const Folder folder;
    const std::string file = folder / "s.gguf";
    REQUIRE(run({"synth", "demo-synthetic", "--out", file}).code == 0);
    std::string bytes = contentOf(file);
    const std::string key = "general.name";
    const std::size_t name = bytes.find(key) + key.size() + 4 + 8;  // type, length
    REQUIRE(name < bytes.size());
    bytes.replace(name, 5, "\x1b[31m");
    writeFile(file, bytes);
    const Outcome inspected = run({"inspect", file});
    const Outcome generated = run({"generate", file, "--prompt", "a", "-n", "1"});
    REQUIRE(inspected.code == 0);
    REQUIRE(generated.code == 0);
    for (const std::string& text : {inspected.out, generated.err})
        CHECK_THAT(text, Contains("\u241b[31m") && !Contains("\x1b"));
}

TEST_CASE("eval refuses an effort that no prompt would state") {
    const Folder folder;
    const Outcome outcome = run({"eval", "demo", "--suite", "basics", "--limit", "7", "--reasoning",
                                 "high", "--out", folder / "e.moescope"});
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.err, Contains("--reasoning goes with --chat or --generate"));
    CHECK_FALSE(fs::exists(folder / "e.moescope"));
}

TEST_CASE("the first progress of an evaluation is 0 items at no rate") {
    const Folder folder;
    const Outcome outcome = run({"eval", "demo", "--suite", "basics", "--limit", "14", "--progress",
                                 "json", "--out", folder / "e.moescope"});
    REQUIRE(outcome.code == 0);
    const std::size_t at = outcome.err.find("{\"done\"");
    REQUIRE(at != std::string::npos);
    const auto first =
        nlohmann::json::parse(outcome.err.substr(at, outcome.err.find('\n', at) - at));
    CHECK(first.at("done") == 0);
    CHECK(first.at("rate") == 0.0);
    CHECK(first.at("eta_s").is_null());
}
