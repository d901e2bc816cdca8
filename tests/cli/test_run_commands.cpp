// SPDX-License-Identifier: Apache-2.0
// compare and routing on runs of the demo model: what they pair, what they warn of, when they fail.
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

void evaluate(const std::string& out, const std::string& limit) {
    const Outcome outcome =
        run({"eval", "demo", "--suite", "basics", "--limit", limit, "--out", out});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
}

}  // namespace

TEST_CASE("compare pairs items and warns when the runs saw different ones") {
    const Folder folder;
    evaluate(folder / "a.moescope", "28");
    evaluate(folder / "b.moescope", "14");
    const Outcome outcome =
        run({"compare", folder / "a.moescope", folder / "b.moescope", "--json"});
    REQUIRE(outcome.code == 0);
    const json document = json::parse(outcome.out);
    const json paired = document.at("paired").at(0);
    CHECK(paired.at("suite") == "basics");
    CHECK(paired.at("mean_difference") == 0.0);  // the same model on the common items
    CHECK(paired.at("p") == 1.0);
    CHECK(paired.at("p_holm") == 1.0);
    CHECK(paired.at("items").get<int>() > 0);
    CHECK(paired.at("items").get<int>() <= 14);
    bool grouped = false;
    for (const json& metric : document.at("metrics"))
        grouped |= !metric.at("group").get<std::string>().empty();
    CHECK(grouped);
    const std::string warnings = document.at("warnings").dump();
    CHECK_THAT(warnings, Contains("basics: limit is 28 in the first and 14 in run 2"));
    CHECK_THAT(warnings, !Contains("synthetic"));
}

TEST_CASE("eval says what its limit leaves out and resumes such a run") {
    const Folder folder;
    const std::vector<std::string> command = {"eval",    "demo", "--suite", "basics",
                                              "--limit", "3",    "--out",   folder / "a.moescope"};
    const Outcome outcome = run(command);
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.err,
               Contains("warning: suite 'basics': --limit 3 has no room for 4 of the 7 "
                        "levels of 'topic'"));
    CHECK_THAT(outcome.out,
               Contains("Basics: 3 of 3 items evaluated, chosen by --limit out of 112"));
    const Outcome whole =
        run({"eval", "demo", "--suite", "basics", "--out", folder / "b.moescope"});
    CHECK_THAT(whole.out, Contains("Basics: 112 of 112 items evaluated\n"));
    std::vector<std::string> again = command;
    again.emplace_back("--resume");
    const Outcome resumed = run(again);
    INFO(resumed.err);
    CHECK(resumed.code == 0);
}

TEST_CASE("eval at several efforts makes a run of each and one document of all") {
    const Folder folder;
    const std::vector<std::string> command = {"eval",
                                              "demo",
                                              "--suite",
                                              "basics",
                                              "--limit",
                                              "7",
                                              "--generate",
                                              "-n",
                                              "8",
                                              "--out",
                                              folder / "r.moescope",
                                              "--reasoning",
                                              "high, low",
                                              "--json"};
    const Outcome outcome = run(command);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const json document = json::parse(outcome.out);
    REQUIRE(document.at("runs").size() == 2);
    CHECK(document.at("runs").at(0).at("reasoning") == "high");
    CHECK(document.at("runs").at(1).at("run") == folder / "r-low.moescope");
    CHECK(document.at("runs").at(1).at("suites").at(0).at("items") == 7);
    CHECK(document.at("runs").at(1).at("suites").at(0).at("repeats") == 1);
    CHECK_FALSE(fs::exists(folder / "r.moescope"));
    const Outcome again = run(command);
    CHECK(again.code == 1);
    CHECK_THAT(again.err, Contains("r-high.moescope: exists already\n"));
    fs::remove(folder / "r-low.moescope");
    CHECK_THAT(run(command).err,
               Contains("r-high.moescope: exists already and its sweep is unfinished"));
    // What a resumed sweep would refuse is refused before any of it begins.
    std::vector<std::string> other = command;
    other[5] = "14";
    other.emplace_back("--resume");
    const Outcome refused = run(other);
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Contains("limit differs (7 is now 14)"));
    CHECK_FALSE(fs::exists(folder / "r-low.moescope"));
    const Outcome single = run({"eval", "demo", "--suite", "basics", "--limit", "7", "--generate",
                                "-n", "8", "--out", folder / "one.moescope", "--reasoning", "low"});
    CHECK(single.code == 0);
    CHECK(fs::exists(folder / "one.moescope"));
}

TEST_CASE("compare of evaluations shows what they hold, each metric with its paired test") {
    const Folder folder;
    evaluate(folder / "a.moescope", "28");
    evaluate(folder / "b.moescope", "14");
    const Outcome outcome = run({"compare", folder / "a.moescope", folder / "b.moescope"});
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.out, !Contains("TPOT") && !Contains("tok/s"));  // of generated tokens
    CHECK_THAT(outcome.out, Contains("difference") && Contains("accuracy_norm") &&
                                Contains("sign-flip permutation test over clusters"));
    // A report of the two holds the same.
    REQUIRE(run({"report", folder / "a.moescope", folder / "b.moescope", "--format", "md", "--out",
                 folder / "r"})
                .code == 0);
    CHECK_THAT(contentOf(folder / "r/report.md"),
               Contains("basics: limit is 28 in the first and 14 in run 2") &&
                   Contains("sign-flip permutation test over clusters"));
}

TEST_CASE("eval prints metrics in the suite's order with tests beside them and digits that tell") {
    const Folder folder;
    const Outcome outcome = run({"eval", "demo", "--suite", "occupation_pronouns", "--limit", "60",
                                 "--out", folder / "a.moescope"});
    REQUIRE(outcome.code == 0);
    const std::string& out = outcome.out;
    CHECK(out.find("reference_pearson") < out.find("likelihood_difference"));
    CHECK_THAT(out, !Contains("reference_pearson_p") && !Contains("items_too_long"));
    CHECK_THAT(out, !Contains("0.0000"));
}

TEST_CASE("compare pairs no item that one of the runs had no room for") {
    const Folder folder;
    for (const char* context : {"24", "200"}) {
        const Outcome made = run(
            {"eval", "demo", "--suite", "basics", "--context", context, "--out", folder / context});
        INFO(made.err);
        REQUIRE(made.code == 0);
    }
    const Outcome outcome = run({"compare", folder / "200", folder / "24", "--json"});
    const json document = json::parse(outcome.out);
    const json paired = document.at("paired").at(0);
    CHECK(paired.at("items").get<int>() > 50);
    CHECK(paired.at("items").get<int>() < 112);
    CHECK(paired.at("mean_difference") == 0.0);  // the logits are the same
    CHECK_THAT(document.at("warnings").dump(),
               Contains("basics: 0 items did not fit the context in the first and"));
}

TEST_CASE("compare says that the runs are of two models or numerics") {
    const Folder folder;
    const auto score = [&](const char* model, const char* name, const char* numerics) {
        return run({"eval", model, "--suite", "basics", "--limit", "7", "--numerics", numerics,
                    "--cpu-target", "avx2", "--out", folder / name});
    };
    REQUIRE(score("demo", "a.moescope", "exact").code == 0);
    REQUIRE(score("demo-wide", "b.moescope", "fast").code == 0);
    const Outcome outcome = run({"compare", folder / "a.moescope", folder / "b.moescope"});
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.out,
               Contains("! b: different model: ") &&
                   Contains("! b: different numerics: \"fast\" instead of \"exact\"") &&
                   !Contains("different back end") && !Contains("different device"));
    const Outcome alike = run({"compare", folder / "a.moescope", folder / "a.moescope", "--json"});
    CHECK_THAT(json::parse(alike.out).at("warnings").dump(), !Contains("different"));
}

TEST_CASE("compare says that the runs are of other texts or of another kind") {
    const Folder folder;
    const auto profile = [&](const char* name, const char* option, const std::string& text) {
        const Outcome outcome =
            run({"profile", "demo", option, text, "-n", "0", "--out", folder / name});
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
    };
    profile("a.moescope", "--prompt", "The ship sailed on.");
    profile("b.moescope", "--prompt", "The crew slept.");
    std::ofstream(folder / "w") << R"({"id":"1","text":"The ship sailed on."})"
                                << "\n";
    profile("same.moescope", "--workload", folder / "w");
    evaluate(folder / "e.moescope", "7");
    const auto compared = [&](const char* name) {
        return run({"compare", folder / "a.moescope", folder / name}).out;
    };
    CHECK_THAT(compared("b.moescope"), Contains("! b: different set of texts"));
    CHECK_THAT(compared("same.moescope"), !Contains("different"));
    CHECK_THAT(compared("e.moescope"),
               Contains("! e: different kind: \"eval\" instead of \"profile\"") &&
                   Contains("! e: different set of texts"));
}

TEST_CASE("compare warns that a model is synthetic") {
    const Folder folder;
    REQUIRE(run({"synth", "demo-synthetic", "--out", folder / "s.gguf"}).code == 0);
    for (const char* name : {"a.moescope", "b.moescope"})
        REQUIRE(run({"eval", folder / "s.gguf", "--suite", "basics", "--limit", "7", "--out",
                     folder / name})
                    .code == 0);
    const Outcome outcome =
        run({"compare", folder / "a.moescope", folder / "b.moescope", "--json"});
    REQUIRE(outcome.code == 0);
    CHECK_THAT(json::parse(outcome.out).at("warnings").dump(), Contains("synthetic"));
}

TEST_CASE("a refused resume leaves a finished run as it was") {
    const Folder folder;
    evaluate(folder / "a.moescope", "14");
    const std::string before = contentOf(folder / "a.moescope");
    const Outcome outcome = run({"eval", "demo", "--suite", "basics", "--limit", "14", "--chat",
                                 "--resume", "--out", folder / "a.moescope"});
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("prompt_format differs"));
    CHECK((contentOf(folder / "a.moescope") == before));
}

TEST_CASE("routing exits with 3 when a threshold is crossed") {
    const Folder folder;
    REQUIRE(run({"profile", "demo", "--prompt", "one two three", "-n", "4", "--out",
                 folder / "p.moescope"})
                .code == 0);
    CHECK(run({"routing", folder / "p.moescope", "--fail-on", "0.01"}).code == 3);
    CHECK(run({"routing", folder / "p.moescope", "--fail-on", "1000"}).code == 0);
    // What no excess can be above would never fail.
    for (const char* limit : {"nan", "inf"})
        CHECK(run({"routing", folder / "p.moescope", "--fail-on", limit}).code == 2);
    CHECK(run({"routing", folder / "p.moescope", "--lift-threshold", "inf"}).code == 2);
    CHECK(run({"routing", folder / "p.moescope", "--lift-threshold", "nan"}).code == 2);
}
