// SPDX-License-Identifier: Apache-2.0
// CSV, TSV and JSON readers against hand-written files.
#include "datasets/records.h"

#include <catch2/catch.hpp>

#include "engine/core/error.h"

using namespace moescope;

namespace {

std::vector<Record> csv(std::string_view text, std::vector<std::string> columns = {}) {
    RecordOptions options;
    options.header = columns.empty();
    options.columns = std::move(columns);
    return parseRecords(text, options, "f.csv");
}

std::string errorOf(std::string_view text, RecordOptions options = {}) {
    try {
        parseRecords(text, options, "f.csv");
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("CSV fields may hold commas and quotes and line breaks") {
    const auto rows = csv("a,b\r\n\"x, \"\"y\"\"\nz\",2\r\n3,\"\"\n");
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].fields.at("a") == "x, \"y\"\nz");
    CHECK(rows[0].fields.at("b") == "2");
    CHECK(rows[0].line == 2);
    CHECK(rows[1].line == 4);
    CHECK(rows[1].fields.at("b").empty());
}

TEST_CASE("CSV without a header takes the given names and keeps quotes inside plain fields") {
    const auto rows = csv("say \"hi\",2\n,\n", {"q", "n"});
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].fields.at("q") == "say \"hi\"");
    CHECK(rows[1].fields.at("q").empty());
}

TEST_CASE("CSV skips a byte order mark and blank lines and names empty headers") {
    const auto rows = csv("\xEF\xBB\xBF,b\n\n1,2\n\n");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].fields.at("_column0") == "1");
    CHECK(rows[0].line == 3);
}

TEST_CASE("CSV without a last line break keeps a trailing empty field") {
    const auto rows = csv("a,b\n1,");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].fields.at("b").empty());
}

TEST_CASE("CSV errors name file and line") {
    CHECK(errorOf("a,b\n1,2\n3\n") == "f.csv:3: 1 fields where 2 are expected");
    CHECK(errorOf("a\n\"open\n\n") == "f.csv:2: a quoted field is never closed");
    CHECK(errorOf("a\n\"x\"y\n") == "f.csv:2: text follows a closing quote");
    CHECK(errorOf("a,a\n1,2\n") == "f.csv:1: two columns are named 'a'");
    CHECK(errorOf("") == "f.csv: the file has no header line");
}

TEST_CASE("Records beyond the limits are refused") {
    RecordOptions options;
    options.limits.records = 1;
    CHECK(errorOf("a\n1\n2\n", options) == "f.csv:3: too many records");
    options = {};
    options.limits.fieldBytes = 3;
    CHECK(errorOf("a\nabcd\n", options) == "f.csv:2: a field is too long");
    CHECK(errorOf("a\n\"abcd\"\n", options) == "f.csv:2: a field is too long");
    options = {};
    options.limits.fieldsPerRecord = 2;
    CHECK(errorOf("a,b,c\n", options) == "f.csv:1: too many fields");
}

TEST_CASE("TSV does not interpret quotes") {
    RecordOptions options;
    options.format = RecordFormat::Tsv;
    const auto rows = parseRecords("a\tb\n\"x\t'y'\n", options, "f.tsv");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].fields.at("a") == "\"x");
    CHECK(rows[0].fields.at("b") == "'y'");
}

TEST_CASE("JSON lines are flattened and numbers keep their spelling") {
    RecordOptions options;
    options.format = RecordFormat::JsonLines;
    const auto rows = parseRecords(
        "{\"a\":{\"b\":[\"x\",{\"c\":2.5}]},\"t\":true,\"n\":null}\n\n{\"a\":7}\n", options, "f");
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].fields.at("a.b.0") == "x");
    CHECK(rows[0].fields.at("a.b.1.c") == "2.5");
    CHECK(rows[0].fields.at("t") == "true");
    CHECK(rows[0].fields.at("n").empty());
    CHECK(rows[1].line == 3);
    CHECK_THROWS_WITH(parseRecords("{}\n[1]\n", options, "f"),
                      "f:2: a record must be a JSON object");
    CHECK_THROWS_AS(parseRecords("{}\n{,}\n", options, "f"), Error);
}

TEST_CASE("A JSON array gives one record for each object") {
    RecordOptions options;
    options.format = RecordFormat::JsonArray;
    CHECK(parseRecords("[{\"a\":1},{\"a\":2}]", options, "f").size() == 2);
    CHECK_THROWS_WITH(parseRecords("{}", options, "f"), "f: a JSON array of objects is expected");
}

TEST_CASE("Invalid UTF-8 in data becomes the replacement character") {
    CHECK(csv("a\n\xFFz\n")[0].fields.at("a") == "\xEF\xBF\xBDz");
}

TEST_CASE("An unknown format suggests the nearest") {
    CHECK_THROWS_WITH(recordFormatFromName("jsnl"),
                      "unknown data format 'jsnl'; did you mean 'jsonl'?");
}

TEST_CASE("Lines become records of as many lines as there are columns") {
    RecordOptions options;
    options.format = RecordFormat::Lines;
    options.columns = {"a", "b"};
    const auto rows = parseRecords("x \"1\"\t,\r\ny\n\r\nz\nw", options, "f");
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].fields.at("a") == "x \"1\"\t,");
    CHECK(rows[0].fields.at("b") == "y");
    CHECK(rows[0].line == 1);
    CHECK(rows[1].fields.at("b") == "w");
    CHECK(rows[1].line == 4);
    CHECK(errorOf("x\ny\nz\n", options) == "f.csv:3: the last record has 1 of 2 lines");
    CHECK(errorOf("x\ny\nz\n \nw\n", options) ==
          "f.csv:4: a blank line inside the record that begins on line 3");
    CHECK(parseRecords("\nx\ny\n\n\n", options, "f").size() == 1);
}
