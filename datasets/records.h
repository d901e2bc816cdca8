// SPDX-License-Identifier: Apache-2.0
// Readers of suite data: CSV (RFC 4180), TSV, JSON lines, JSON arrays and plain lines, all to field
// maps.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moescope {

/// One row of a data file. Values are valid UTF-8; numbers and booleans of JSON keep their spelling
/// ("3", "true"), null is "". Nested JSON is flattened: {"a": [{"b": 1}]} is field "a.0.b".
struct Record {
    std::map<std::string, std::string, std::less<>> fields;
    std::int64_t line = 0;  ///< 1-based line on which the record begins (index for a JSON array)
};

enum class RecordFormat : std::uint8_t { Csv, Tsv, JsonLines, JsonArray, Lines };

/// What a hostile or mistaken file may not exceed; an Error names file and line.
struct RecordLimits {
    std::uint64_t fileBytes = 1ULL << 30;
    std::size_t records = 4'000'000;
    std::size_t fieldsPerRecord = 4'096;
    std::size_t fieldBytes = 4U << 20;
};

struct RecordOptions {
    RecordFormat format = RecordFormat::Csv;
    /// CSV and TSV: the first record names the fields. An empty name becomes "_column<N>".
    bool header = true;
    /// CSV and TSV without a header: the names of the fields, in order. Lines: the same, a record
    /// is as many lines as there are names.
    std::vector<std::string> columns;
    RecordLimits limits{};
};

/// "csv", "tsv", "jsonl", "json", "lines"; throws Error for any other name, with the nearest.
RecordFormat recordFormatFromName(std::string_view name);

/// CSV: comma, double quotes, "" inside quotes, line breaks inside quotes, CRLF or LF, a UTF-8 byte
/// order mark skipped, blank lines skipped. A quote inside an unquoted field is an ordinary
/// character (MMLU has them); text after a closing quote is an Error. TSV: tabs, no quoting.
/// Lines: carriage returns before line ends and blank lines between records skipped; a blank line
/// inside a record is an Error.
/// Every record must have as many fields as there are names.
/// Throws Error "<origin>:<line>: <cause>".
std::vector<Record> parseRecords(std::string_view text, const RecordOptions& options,
                                 const std::string& origin);

/// Of the packed files that readDataFile unpacks.
inline constexpr std::array<std::string_view, 2> kPackedEndings = {".xz", ".bz2"};

/// The text of a data file; one whose name ends as kPackedEndings say is unpacked. Throws Error,
/// also when the text is longer than `limits` allow.
std::string readDataFile(const std::filesystem::path& path, const RecordLimits& limits);

/// parseRecords of a whole file.
std::vector<Record> readRecords(const std::filesystem::path& path, const RecordOptions& options);

}  // namespace moescope
