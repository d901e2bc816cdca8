// SPDX-License-Identifier: Apache-2.0
// Data that are cut, incomplete or of another release never pass for the suite's.
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "tests/datasets/suite_data.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

constexpr char kHeader[] = "a,b,right\n";

/// Written for one.csv and two.csv, of three records each.
nlohmann::json written(const std::string& sha256 = {}) {
    auto suite = minimal();
    suite["source"]["files"] = {"*.csv"};
    nlohmann::json file = {{"records", 3}};
    if (!sha256.empty()) file["sha256"] = sha256;
    suite["source"]["published"] = {{"release", "the first"},
                                    {"parts", "topics"},
                                    {"files", {{"one.csv", file}, {"two.csv", {{"records", 3}}}}}};
    return suite;
}

}  // namespace

TEST_CASE("Data that are as published have the suite's title and no warning") {
    DataFolder folder;
    const std::string text = std::string(kHeader) + "x,y,A\nx,y,A\nx,y,B\n";
    folder.add("one.csv", text);
    folder.add("two.csv", text);
    const SuiteData data = folder.load(written(sha256Hex(text)));
    CHECK(data.title() == "S");
    CHECK(data.warnings.empty());
}

TEST_CASE("A file cut at the end of a line is another data set in title and warnings") {
    DataFolder folder;
    const std::string text = std::string(kHeader) + "x,y,A\nx,y,A\nx,y,B\n";
    folder.add("one.csv", std::string(kHeader) + "x,y,A\nx,y,A\n");
    folder.add("two.csv", text);
    const SuiteData data = folder.load(written());
    CHECK(data.title() == "S (not the published data)");
    CHECK(data.warnings ==
          std::vector<std::string>{
              "suite 's': one.csv has 2 records, the suite was written for 3: figures are of "
              "another data set than the published one (the first)"});
    CHECK(data.items.size() == 5);
}

TEST_CASE("A file of the same length and another hash is another data set") {
    DataFolder folder;
    const std::string text = std::string(kHeader) + "x,y,A\nx,y,A\nx,y,B\n";
    folder.add("one.csv", std::string(kHeader) + "x,y,A\nx,y,A\nx,y,A\n");
    folder.add("two.csv", text);
    auto suite = written(sha256Hex(text));
    suite["title"] = "S (part)";
    const SuiteData data = folder.load(suite);
    CHECK(data.title() == "S (part; not the published data)");
    REQUIRE(data.warnings.size() == 1);
    CHECK_THAT(data.warnings[0], Catch::Contains("one.csv is not the file that the suite was "
                                                 "written for (its SHA-256 differs): figures"));
}

TEST_CASE("Files that are not there or not the suite's are counted in the title") {
    DataFolder folder;
    const std::string text = std::string(kHeader) + "x,y,A\nx,y,A\nx,y,B\n";
    folder.add("two.csv", text);
    const SuiteData part = folder.load(written());
    CHECK(part.title() == "S (1 of 2 topics)");
    CHECK(part.warnings ==
          std::vector<std::string>{"suite 's': 1 of 2 topics are there, without one: figures over "
                                   "all items are not the suite's"});
    folder.add("own.csv", text);
    const SuiteData other = folder.load(written());
    CHECK(other.title() == "S (1 of 2 topics; not the published data)");
    REQUIRE(other.warnings.size() == 2);
    CHECK_THAT(other.warnings[1],
               Catch::Contains("own.csv is no file that the suite was written for"));
}

TEST_CASE("What a suite says of its published files is checked") {
    const auto errorOf = [](const nlohmann::json& suite) {
        try {
            parseSuite(suite.dump(), "s.json");
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    auto suite = written();
    CHECK(errorOf(suite) == "no error");
    suite["source"]["published"].erase("release");
    CHECK(errorOf(suite) == "s.json: source.published.release is missing or empty");
    suite = written();
    suite["source"]["published"]["files"]["one.csv"].erase("records");
    CHECK(errorOf(suite) == "s.json: source.published.files.one.csv.records is missing");
    suite["source"]["published"]["files"] = nlohmann::json::object();
    CHECK(errorOf(suite) == "s.json: source.published.files must be an object that is not empty");
}
