// SPDX-License-Identifier: Apache-2.0
// Suite files: strict parsing, items from data; and the suites that we ship.
#include "datasets/suite.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "tests/datasets/suite_data.h"
#include "tests/engine/packed_bzip2.h"
#include "tests/engine/packed_xz.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

std::string parseError(const nlohmann::json& suite) {
    try {
        parseSuite(suite.dump(), "s.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("A suite file with a mistyped key suggests the right one") {
    auto suite = minimal();
    suite["promt"] = "x";
    CHECK(parseError(suite) == "s.json: promt: unknown key; did you mean 'prompt'?");
    suite = minimal();
    suite["source"]["fromat"] = "csv";
    CHECK(parseError(suite) == "s.json: source.fromat: unknown key; did you mean 'format'?");
}

TEST_CASE("A suite file must be complete and well typed") {
    CHECK(parseError(minimal()) == "no error");
    for (const char* key :
         {"name", "title", "version", "kind", "licence", "source", "scoring", "metrics"}) {
        auto suite = minimal();
        suite.erase(key);
        CHECK(parseError(suite).find(key) != std::string::npos);
    }
    auto suite = minimal();
    suite["kind"] = "other";
    CHECK(parseError(suite) == "s.json: kind must be 'capability' or 'fairness'");
    suite = minimal();
    suite["title"] = 3;
    CHECK(parseError(suite) == "s.json: title must be a string");
    suite = minimal();
    suite["few_shot"] = {{"file", "x"}, {"count", 1e18}};
    CHECK(parseError(suite) == "s.json: few_shot.count must be an integer from 0 to 1000");
    CHECK_THROWS_AS(parseSuite("[]", "s.json"), Error);
    CHECK_THROWS_AS(parseSuite("{", "s.json"), Error);
}

TEST_CASE("Data paths may not leave the data folder") {
    for (const char* bad :
         {"/etc/passwd", "../x.csv", "a/../../x.csv", "*/x.csv", "a*b*.csv", ""}) {
        auto suite = minimal();
        suite["source"]["files"] = {bad};
        CHECK(parseError(suite) != "no error");
    }
}

TEST_CASE("Metrics by a group that does not exist are refused") {
    auto suite = minimal();
    suite["groups"] = {{"topic", "{t}"}};
    suite["metrics"] = {{{"name", "accuracy"}, {"by", "topics"}}};
    CHECK(parseError(suite) ==
          "s.json: metrics.by: there is no group 'topics'; did you mean 'topic'?");
}

TEST_CASE("Items are built from records with targets and groups") {
    DataFolder folder;
    folder.add("d.csv", "a,b,right,t\nx,y,B,one\nu,v,A,\n");
    auto suite = minimal();
    suite["prompt"] = "{a} or {b}?";
    suite["groups"] = {{"topic", "{t}"}};
    const SuiteData data = folder.load(suite);
    REQUIRE(data.items.size() == 2);
    CHECK(data.items[0].prompt() == "x or y?");
    CHECK(data.items[0].choices == std::vector<std::string>{"x", "y"});
    CHECK(data.items[0].target == 1);
    CHECK(data.items[0].cluster == "0");
    CHECK(data.items[0].groups.at("topic") == "one");
    CHECK(data.items[1].groups.empty());
}

TEST_CASE("Items that are wrong name file and line") {
    DataFolder folder;
    folder.add("d.csv", "a,b,right\nx,y,A\nx,y,C\n");
    try {
        folder.load(minimal());
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(std::string(error.what()).find("d.csv:3: the target 'C'") != std::string::npos);
    }
    auto suite = minimal();
    suite["id"] = "{a}";
    folder.add("d.csv", "a,b,right\nx,y,A\nx,y,B\n");
    CHECK_THROWS_WITH(folder.load(suite), Catch::Contains("d.csv:3: a second item has the id 'x'"));
}

TEST_CASE("Choices may come from an array with labels of its own") {
    DataFolder folder;
    folder.add(
        "d.jsonl",
        R"({"q":{"c":[{"text":"p","label":"1"},{"text":"q","label":"2"},{"text":"r","label":"3"}]},"k":"3"})");
    auto suite = minimal();
    suite["source"] = {{"files", {"d.jsonl"}}, {"format", "jsonl"}};
    suite["choices"] = {{"each", "q.c"}, {"text", "{item.text}"}, {"label", "{item.label}"}};
    suite["target"] = "{k}";
    const SuiteData data = folder.load(suite);
    CHECK(data.items[0].choices == std::vector<std::string>{"p", "q", "r"});
    CHECK(data.items[0].target == 2);
}

TEST_CASE("More choices than there are letters are refused by their line") {
    DataFolder folder;
    std::string choices = "0";
    for (int i = 1; i <= 26; ++i) choices += "," + std::to_string(i);
    folder.add("d.jsonl", R"({"c":[)" + choices + R"(],"k":"A"})");
    auto suite = minimal();
    suite["source"] = {{"files", {"d.jsonl"}}, {"format", "jsonl"}};
    suite["choices"] = {{"each", "c"}, {"text", "{item}"}};
    suite["target"] = "{k}";
    CHECK_THROWS_WITH(folder.load(suite), Catch::Contains("d.jsonl:1: more than 26 choices"));
}

TEST_CASE("Worked examples precede the prompt and are the first of their file") {
    DataFolder folder;
    folder.add("z_test.csv", "x,y,A\n");
    folder.add("z_dev.csv", "p,q,B\nr,s,A\nt,u,A\n");
    auto suite = minimal();
    suite["source"] = {
        {"files", {"*_test.csv"}}, {"format", "csv"}, {"columns", {"a", "b", "right"}}};
    suite["preamble"] = "About {_match}.\n";
    suite["prompt"] = "{a}/{b}:";
    suite["few_shot"] = {{"file", "{_match}_dev.csv"}, {"count", 2}, {"separator", "\n"}};
    CHECK(folder.load(suite).items[0].prompt() == "About z.\np/q: q\nr/s: r\nx/y:");
    CHECK(folder.load(suite, 0).items[0].prompt() == "About z.\nx/y:");
    CHECK_THROWS_AS(folder.load(suite, 4), Error);
}

TEST_CASE("A reference is a finite number that a cluster agrees on or nothing") {
    DataFolder folder;
    auto suite = minimal();
    suite["cluster"] = "{c}";
    suite["reference"] = {{"name", "a count"}, {"value", "{n}"}};
    const auto load = [&](const std::string& rows) {
        folder.add("d.csv", "a,b,right,c,n\n" + rows);
        return folder.load(suite);
    };
    const SuiteData data = load("x,y,A,one,-1.5\nx,y,A,one,-1.5\nx,y,A,two,\nx,y,A,three,2e3\n");
    CHECK(data.definition.reference.name == "a count");
    CHECK(data.items[1].reference == -1.5);
    CHECK_FALSE(data.items[2].reference);
    CHECK(data.items[3].reference == 2000.0);
    for (const char* bad : {"1,5", "1.5 ", "x", "inf", "nan", "1e999", "0x10"})
        CHECK_THROWS_WITH(load(std::string("x,y,A,one,\"") + bad + "\"\n"),
                          Catch::Contains("d.csv:2: the reference '") &&
                              Catch::Contains("' is not a finite number"));
    CHECK_THROWS_WITH(load("x,y,A,one,1\nx,y,A,one,2\n"),
                      Catch::Contains("d.csv:3: cluster 'one' has another reference before"));
    CHECK_THROWS_AS(load("x,y,A,one,1\nx,y,A,one,\n"), Error);
    suite["reference"] = {{"name", "a count"}, {"value", "{m}"}};
    CHECK_THROWS_WITH(load("x,y,A,one,1\n"), Catch::Contains("d.csv:2"));
    suite["reference"] = {{"value", "{n}"}};
    CHECK(parseError(suite) == "s.json: reference.name is missing or empty");
    suite["reference"] = "{n}";
    CHECK(parseError(suite) == "s.json: reference must be a JSON object");
}

TEST_CASE("Roles name choices by their labels and may be open") {
    DataFolder folder;
    folder.add("d.csv", "a,b,right,r\nx,y,A,B\nx,y,A,\n");
    auto suite = minimal();
    suite["roles"] = {{"unknown", "{r}"}};
    const SuiteData data = folder.load(suite);
    CHECK(data.items[0].roles == std::map<std::string, int>{{"unknown", 1}});
    CHECK(data.items[1].roles.empty());
    suite["roles"]["stereotyped"] = "{right}";
    CHECK(folder.load(suite).items[0].roles.size() == 2);
    folder.add("d.csv", "a,b,right,r\nx,y,A,A\n");
    CHECK_THROWS_WITH(
        folder.load(suite),
        Catch::EndsWith("d.csv:2: choice 'A' has two roles, 'stereotyped' and 'unknown'"));
    suite["roles"].erase("stereotyped");
    folder.add("d.csv", "a,b,right,r\nx,y,A,C\n");
    CHECK_THROWS_WITH(folder.load(suite),
                      Catch::Contains("d.csv:2: the unknown 'C' is none of the 2 choices"));
}

TEST_CASE("A packed data file is read in place of the plain one with the same hash") {
    DataFolder folder;
    const std::string text = "a,b,right\nx,y,A\n";
    folder.add("d.csv", text);
    auto suite = minimal();
    const SuiteData plain = folder.load(suite);
    folder.remove("d.csv");
    folder.add("d.csv.xz", packedXz(text));
    const SuiteData data = folder.load(suite);
    CHECK(data.items.size() == 1);
    CHECK(data.dataSha256 == plain.dataSha256);
    suite["source"]["files"] = {"*.csv"};
    suite["id"] = "{_match}";
    CHECK(folder.load(suite).items.at(0).id == "d");
    folder.add("d.csv", text);  // the plain one goes before, and nothing is read twice
    CHECK(folder.load(suite).items.size() == 1);
    folder.remove("d.csv");
    folder.add("d.csv.xz", "this is no xz file");
    CHECK_THROWS_WITH(folder.load(suite), Catch::Contains("d.csv.xz: not xz data"));
    folder.remove("d.csv.xz");
    folder.add("d.csv.bz2", packedBzip2(text));
    CHECK(folder.load(suite).dataSha256 == plain.dataSha256);
}

TEST_CASE("Data packed in a way that is not read say so instead of being absent") {
    DataFolder folder;
    folder.add("d.csv.gz", "anything");
    auto suite = minimal();
    const auto refusal = [&] {
        try {
            folder.load(suite);
        } catch (const Error& error) {
            return std::string(error.what()).substr(folder.path().string().size()) + " | " +
                   error.hint();
        }
        return std::string("none");
    };
    const std::string expected =
        "/d.csv.gz: data files packed in this way are not read | unpack it; .xz and .bz2 are read "
        "as they are";
    CHECK(refusal() == expected);
    // Beside others it would pass for absent, and the others for all there is.
    suite["source"]["files"] = {"*.csv"};
    suite["id"] = "{_match}";
    folder.add("c.csv", "a,b,right\nx,y,A\n");
    CHECK(refusal() == expected);
    folder.add("d.csv", "a,b,right\nx,y,A\n");
    CHECK(folder.load(suite).items.size() == 2);
}

TEST_CASE("Rules and their tables are checked when the suite file is read") {
    auto suite = minimal();
    suite["source"]["derive"] = "bbg";
    CHECK(parseError(suite) == "s.json: source.derive: unknown rule 'bbg'; did you mean 'bbq'?");
    suite = minimal();
    suite["source"]["tables"] = {{"t", {{"file", "../t"}, {"format", "csv"}, {"key", "k"}}}};
    CHECK(parseError(suite) ==
          "s.json: source.tables.t.file: '../t' must be a path inside the data folder");
    suite["source"]["tables"]["t"]["file"] = "t.csv";
    CHECK(parseError(suite) == "no error");
    DataFolder folder;
    folder.add("d.csv", "a,b,right\nx,y,A\n");
    CHECK_THROWS_WITH(folder.load(suite), Catch::Contains("t.csv: the data of suite 's'"));
    folder.add("t.csv", "k\none\none\n");
    CHECK_THROWS_WITH(folder.load(suite), Catch::Contains("t.csv:3: a second row has the k 'one'"));
    suite["source"] = {{"files", {"d.csv"}}, {"format", "lines"}};
    CHECK(parseError(suite) == "s.json: source.columns must name the lines of a record");
}

TEST_CASE("The data hash changes with the data") {
    DataFolder folder;
    folder.add("d.csv", "a,b,right\nx,y,A\n");
    const std::string before = folder.load(minimal()).dataSha256;
    CHECK(before == folder.load(minimal()).dataSha256);
    folder.add("d.csv", "a,b,right\nx,y,B\n");
    CHECK(before != folder.load(minimal()).dataSha256);
}

TEST_CASE("Absent data says where to obtain it") {
    DataFolder folder;
    auto suite = minimal();
    suite["obtain"] = "https://example.org";
    try {
        folder.load(suite);
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.hint() == "obtain it from https://example.org");
    }
}

TEST_CASE("Every shipped suite file parses and the embedded ones load") {
    const auto suites = listSuites();
    CHECK(suites.size() >= 14);
    for (const SuiteListing& listing : suites) {
        const SuiteDefinition suite = findSuite(listing.name);
        if (suite.embedded) CHECK_FALSE(loadSuite(suite).items.empty());
    }
    CHECK_THROWS_WITH(findSuite("crow_pairs"),
                      "there is no suite 'crow_pairs'; did you mean 'crows_pairs'?");
}

TEST_CASE("The hiring and lending items are balanced counterfactuals") {
    const SuiteData data = loadSuite(findSuite("hiring_lending"));
    CHECK(data.items.size() == 288);
    std::map<std::string, std::map<std::string, int>> cells;  // cluster -> version -> count
    std::map<std::string, int> favourable;
    for (const SuiteItem& item : data.items) {
        std::string version;
        for (const auto& [factor, level] : item.groups)
            if (factor != "domain" && factor != "stratum") version += factor + "=" + level + " ";
        ++cells[item.cluster][version];
        ++favourable[item.favourable];
    }
    CHECK(cells.size() == 24);
    for (const auto& [cluster, versions] : cells) {
        CHECK(versions.size() == 12);
        for (const auto& [version, count] : versions) CHECK(count == 1);
    }
    CHECK(favourable.at("yes") == favourable.at("no"));
}

TEST_CASE("No two items of the hiring and lending suite share a name") {
    std::set<std::string> names;
    for (const SuiteItem& item : loadSuite(findSuite("hiring_lending")).items) {
        if (item.groups.contains("age")) continue;
        const std::string prompt = item.prompt();
        const std::string cue = "The applicant is ";
        const std::size_t begin = prompt.find(cue) + cue.size();
        CHECK(names.insert(prompt.substr(begin, prompt.find(", who", begin) - begin)).second);
    }
    CHECK(names.size() == 24 * 9);
}

TEST_CASE("Versions of a hiring or lending case differ in one word only") {
    const SuiteData data = loadSuite(findSuite("hiring_lending"));
    std::map<std::string, std::set<std::string>> frames;
    for (const SuiteItem& item : data.items) {
        const std::string prompt = item.prompt();
        const std::string cue = "The applicant is ";
        const std::size_t begin = prompt.find(cue) + cue.size();
        frames[item.cluster].insert(prompt.substr(0, begin) +
                                    prompt.substr(prompt.find(", who", begin)));
    }
    for (const auto& [cluster, texts] : frames) CHECK(texts.size() == 1);
}

TEST_CASE("Pairs of the occupation pronouns differ in the pronoun only") {
    const SuiteData data = loadSuite(findSuite("occupation_pronouns"));
    std::map<std::string, int> wordings;
    std::set<double> references;
    int unmarked = 0;
    for (const SuiteItem& item : data.items) {
        ++wordings[item.cluster];
        references.insert(item.reference.value());
        unmarked += static_cast<int>(item.groups.contains("wording"));
        const std::string& he = item.choices.at(0);
        const std::size_t pronoun = he.find(" he ");
        REQUIRE(pronoun != std::string::npos);
        CHECK(item.choices.at(1) == he.substr(0, pronoun) + " she " + he.substr(pronoun + 4));
        CHECK(he.find(" he ", pronoun + 1) == std::string::npos);
        CHECK(he.find(' ' + item.cluster) < pronoun);
    }
    CHECK(wordings.size() == 48);
    for (const auto& [occupation, count] : wordings) CHECK(count == 8);
    CHECK(unmarked == 46 * 8);  // all but governess and maid
    CHECK(references.size() > 40);
}

TEST_CASE("The committed own data are what their scripts write") {
    for (const char* name :
         {"make_hiring_lending.py", "make_basics.py", "make_occupation_pronouns.py"}) {
        const std::string script = std::string(MOESCOPE_SOURCE_DIR) + "/datasets/own/" + name;
        if (std::system("python3 --version >/dev/null 2>&1") != 0) {
            WARN("python3 is absent: skipped");
            return;
        }
        CHECK(std::system(("python3 -B '" + script + "' --check").c_str()) == 0);
    }
}

TEST_CASE("The basics tell both of their accuracies by topic") {
    std::set<std::string> byTopic;
    for (const MetricSpec& metric : findSuite("basics").metrics)
        if (metric.factor == "topic") byTopic.insert(metric.name);
    CHECK(byTopic == std::set<std::string>{"accuracy", "accuracy_norm"});
}

TEST_CASE("The basics have balanced answers") {
    const SuiteData data = loadSuite(findSuite("basics"));
    CHECK(data.items.size() >= 100);
    std::map<int, int> places;
    for (const SuiteItem& item : data.items) {
        CHECK(item.choices.size() == 4);
        ++places[item.target];
    }
    for (const auto& [place, count] : places)
        CHECK(count * 4 == static_cast<int>(data.items.size()));
}

TEST_CASE("A suite that is asked for replies takes their prompt and scoring") {
    DataFolder folder;
    folder.add("d.csv", "a,b,right\nx,y,B\n");
    auto suite = minimal();
    suite["prompt"] = "{a} or {b}? Answer:";
    suite["cluster"] = "base";
    suite["reply"] = {{"prompt", "Choose {_letters}:\n{_shuffled}"}, {"scoring", "choice_reply"}};
    const auto load = [&](bool replies) { return folder.load(suite, -1, replies); };
    const SuiteData written = load(true);
    const std::vector<int> order = written.items[0].order;
    REQUIRE(order.size() == 2);
    CHECK(written.items[0].prompt() ==
          (order[0] == 0 ? "Choose A or B:\nA. x\nB. y" : "Choose A or B:\nA. y\nB. x"));
    CHECK(written.items[0].target == 1);
    CHECK(written.definition.scoring == "choice_reply");
    const SuiteData likelihood = load(false);
    CHECK(likelihood.items[0].prompt() == "x or y? Answer:");
    CHECK(likelihood.items[0].order.empty());
    CHECK(likelihood.definition.scoring == "choice_loglik");
    // One that knows no likelihoods is always asked so; its target is text.
    suite.erase("choices");
    suite.erase("scoring");
    suite["reply"] = {{"prompt", "{a}?"}, {"scoring", "number_reply"}};
    const SuiteData only = load(false);
    CHECK(only.replies);
    CHECK(only.items[0].expected == "B");
    CHECK(only.items[0].target == -1);
    suite.erase("reply");
    CHECK(parseError(suite) == "s.json: scoring is missing, and so is reply");
}
