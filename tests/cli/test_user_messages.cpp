// SPDX-License-Identifier: Apache-2.0
// What a person reads of a command: its closing line, what it records, how it fails.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "profiler/runfile/run_reader.h"
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

TEST_CASE("missing and wrong inputs are found before a model is loaded") {
    const Folder folder;
    const std::string out = folder / "out", missing = folder / "missing", wrong = folder / "wrong";
    std::ofstream(wrong) << "{\"text\": \"a b c\"}\nno JSON\n";
    for (const std::string& input : {missing, wrong}) {
        for (const auto& words : std::vector<std::vector<std::string>>{
                 {"score", "demo", "--input", input, "--output", out},
                 {"generate", "demo", "--input", input, "--output", out},
                 {"profile", "demo", "--workload", input, "--out", out},
                 {"score", "demo", "--perplexity", missing}}) {
            const Outcome outcome = run(words);
            INFO(outcome.err);
            CHECK(outcome.code == 1);
            CHECK(errorLines(outcome.err) == 1);
            CHECK_THAT(outcome.err, !Catch::Contains("loaded "));
        }
    }
    CHECK_FALSE(fs::exists(out));
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
