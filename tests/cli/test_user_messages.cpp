// SPDX-License-Identifier: Apache-2.0
// What a person reads of a command: its closing line, what it records, how it fails.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/analysis_text.h"
#include "profiler/runfile/run_reader.h"
#include "reports/terms.h"
#include "tests/cli/program.h"

using namespace moescope;
using namespace moescope::test;

TEST_CASE("generate closes with a line of its own that states what was measured") {
    const auto closing = [](const std::string& tokens) {
        const Outcome outcome =
            run({"generate", "demo", "--prompt", "the", "-n", tokens, "--ignore-stop"});
        REQUIRE(outcome.code == 0);
        CHECK(outcome.out.back() == '\n');
        return outcome.err;
    };
    CHECK_THAT(closing("1"), Catch::Contains("1 generated, ended by length"));
    CHECK_THAT(closing("1"), Catch::Contains("\n1 prompt token at "));
    CHECK_THAT(closing("3"), Catch::Contains("3 generated at "));
}

TEST_CASE("generate's text comes before its closing line where both go to one file") {
    const Folder folder;
    const std::string file = folder / "both";
    const std::string command =
        "'" MOESCOPE_BINARY "' generate demo --prompt the -n 3 > '" + file + "' 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
    CHECK_THAT(contentOf(file), Catch::Contains("\n1 prompt token at "));
}

TEST_CASE("eval records the context that the model has and not more") {
    const Folder folder;
    const std::string out = folder / "run.moescope";
    REQUIRE(run({"eval", "demo", "--suite", "basics", "--limit", "2", "--context", "999999",
                 "--out", out, "--progress", "off"})
                .code == 0);
    const RunReader run(out);
    CHECK(run.metaJson("settings").at("context") == run.metaJson("model").at("context_length"));
}

TEST_CASE("an export that finds no room leaves nothing behind and names the file") {
    const Folder folder;
    const std::string made = folder / "run.moescope", out = folder / "x.sqlite",
                      said = folder / "said";
    REQUIRE(run({"profile", "demo", "--prompt", "the", "-n", "2", "--out", made}).code == 0);
    const std::string command = "ulimit -f 8; '" MOESCOPE_BINARY "' export '" + made + "' --out '" +
                                out + "' 2> '" + said + "'";
    CHECK(std::system(command.c_str()) != 0);
    CHECK_THAT(contentOf(said),
               Catch::Contains(out + ": cannot be written") && Catch::Contains("ulimit -f"));
    CHECK_FALSE(fs::exists(out));
    CHECK_FALSE(fs::exists(out + ".part"));
    CHECK_FALSE(fs::exists(out + ".part-journal"));
    const Outcome exported = run({"export", made, "--out", out, "--json"});
    REQUIRE(exported.code == 0);
    const auto document = nlohmann::json::parse(exported.out);
    CHECK(document.at("schema") == "moescope.export");
    CHECK(document.at("file") == out);
    CHECK(document.at("bytes") == fs::file_size(out));
}

TEST_CASE("an import without routing is not said to have no layers and no experts") {
    const Folder folder;
    const std::string made = folder / "run.moescope", out = folder / "x.sqlite";
    REQUIRE(run({"profile", "demo", "--prompt", "the", "-n", "2", "--out", made}).code == 0);
    REQUIRE(run({"export", made, "--out", out}).code == 0);
    const Outcome imported = run({"import", "nsys", out, "--out", folder / "i.moescope"});
    INFO(imported.err);
    REQUIRE(imported.code == 0);
    CHECK_THAT(imported.out,
               Catch::Contains("1 sequence, ") && Catch::Contains("tokens, no expert routing\n"));
}

TEST_CASE("the note of a failed check follows its value in the terminal") {
    using moescope::QualityLine;
    const std::vector<QualityLine> lines{{"mode", "cpu spans", true, true, ""},
                                         {"dropped", "2 records", true, false, "Lost."},
                                         {"versions", std::string(60, 'v'), true, true, ""}};
    CHECK_THAT(moescope::cli::qualityText(lines),
               Catch::Contains("! dropped   2 records: Lost.\n"));
}

TEST_CASE("compare says beside speeds of how many tokens they are") {
    const Folder folder;
    const std::string brief = folder / "brief.moescope", lengthy = folder / "lengthy.moescope";
    std::string text;
    for (int i = 0; i < 20; ++i) text += " the";
    REQUIRE(run({"profile", "demo", "--prompt", "the", "-n", "3", "--out", brief}).code == 0);
    REQUIRE(run({"profile", "demo", "--prompt", text, "-n", "4", "--out", lengthy}).code == 0);
    const Outcome compared = run({"compare", brief, lengthy});
    REQUIRE(compared.code == 0);
    CHECK_THAT(compared.out, Catch::Contains("! lengthy: prefill of 20 tokens instead of 1: a "
                                             "difference in speed is also one of length\n"));
    CHECK_THAT(compared.out, !Catch::Contains("decode of"));
    const auto document = nlohmann::json::parse(run({"compare", brief, lengthy, "--json"}).out);
    bool found = false;
    for (const auto& figure : document.at("figures"))
        if (figure.at("name") == "prefill tokens")
            found = figure.at("values") == nlohmann::json({1.0, 20.0});
    CHECK(found);
    CHECK_THAT(document.at("warnings").dump(), Catch::Contains("run 2: prefill of 20 tokens"));
}

TEST_CASE("a share of a roof names the roof, and one above it is explained") {
    using namespace moescope;
    OperationGroupRow row;
    row.group.op = "head";
    row.group.phase = "decode";
    row.group.calls = 1;
    row.group.totalNs = 1000;
    row.group.bytes = 2000;
    const Ceilings ceilings{1e9, 1e9, "fp32", {}, false};
    const std::string fast = moescope::cli::operationTableText({row}, {}, ceilings, 9);
    CHECK_THAT(fast, Catch::Contains("of roof  bound by") && Catch::Contains("200.0 %  memory") &&
                         Catch::Contains("Above 100 % of a memory roof the data came from a cache, "
                                         "which is faster than the 1.00 GB/s of the memory."));
    row.group.bytes = 900;
    CHECK_THAT(moescope::cli::operationTableText({row}, {}, ceilings, 9),
               Catch::Contains("90.0 %  memory") && !Catch::Contains("Above 100 %"));
}

TEST_CASE("terminal and page call the same thing by the same name") {
    const Folder folder;
    const std::string made = folder / "run.moescope", page = folder / "report";
    REQUIRE(run({"profile", "demo", "--prompt", "the", "-n", "3", "--out", made}).code == 0);
    REQUIRE(run({"report", made, "--format", "html", "--out", page}).code == 0);
    const std::string html = contentOf(fs::path(page) / "report.html");
    const std::string text = run({"kernels", made}).out + run({"routing", made}).out;
    for (const char* term : {kWholeRun, kWallTime, kIdle, kTimeToFirstToken, kTimePerOutputToken,
                             kStdDev, kMax, kByChance, kEffectiveExperts, kDeadExperts}) {
        CAPTURE(term);
        CHECK_THAT(html, Catch::Contains('>' + std::string(term) + "</"));
        CHECK_THAT(text, Catch::Contains(term));
    }
    const std::size_t latency = html.find("Latency of tokens");
    REQUIRE(latency != std::string::npos);
    CHECK(html.substr(latency, 1000).find('>' + std::string(kStdDev) + "</") != std::string::npos);
    const Outcome compared = run({"compare", made, made});
    REQUIRE(compared.code == 0);
    CHECK_THAT(compared.out, Catch::Contains(kWholeStep));
}
