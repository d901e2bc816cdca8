// SPDX-License-Identifier: Apache-2.0
// Rows of every supported format to field maps, with the limits and error messages in one place.
#include "datasets/records.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "datasets/delimited.h"
#include "datasets/suggest.h"
#include "engine/core/decompress.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope {

namespace {

using Json = nlohmann::json;

std::string where(const std::string& origin, std::int64_t line) {
    return origin + ":" + std::to_string(line) + ": ";
}

std::vector<std::string> headerNames(const DelimitedRow& row, const std::string& origin) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
        std::string name = toValidUtf8(row.fields[i]);
        if (name.empty()) name = "_column" + std::to_string(i);
        if (std::find(names.begin(), names.end(), name) != names.end())
            throw Error(where(origin, row.line) + "two columns are named '" + name + "'");
        names.push_back(std::move(name));
    }
    return names;
}

std::vector<Record> parseDelimited(std::string_view text, const RecordOptions& options,
                                   const std::string& origin) {
    const bool csv = options.format == RecordFormat::Csv;
    DelimitedReader reader(text, csv ? ',' : '\t', csv, options.limits, origin);
    DelimitedRow row;
    std::vector<std::string> names = options.columns;
    if (options.header) {
        if (!reader.next(row)) throw Error(origin + ": the file has no header line");
        names = headerNames(row, origin);
    }
    std::vector<Record> records;
    while (reader.next(row)) {
        if (row.fields.size() != names.size())
            throw Error(where(origin, row.line) + std::to_string(row.fields.size()) +
                        " fields where " + std::to_string(names.size()) + " are expected");
        if (records.size() >= options.limits.records)
            throw Error(where(origin, row.line) + "too many records");
        Record record;
        record.line = row.line;
        for (std::size_t i = 0; i < names.size(); ++i)
            record.fields.emplace(names[i], toValidUtf8(row.fields[i]));
        records.push_back(std::move(record));
    }
    return records;
}

/// Flattens JSON into dotted field names; parseJson has limited the nesting.
class Flattener {
public:
    Flattener(Record& record, const RecordLimits& limits, std::string place)
        : record_(record), limits_(limits), place_(std::move(place)) {}

    void add(const std::string& name, const Json& value) {
        if (value.is_object()) {
            for (const auto& [key, child] : value.items()) add(joined(name, key), child);
        } else if (value.is_array()) {
            for (std::size_t i = 0; i < value.size(); ++i)
                add(joined(name, std::to_string(i)), value[i]);
        } else {
            store(name, value.is_string() ? value.get<std::string>()
                        : value.is_null() ? std::string()
                                          : dumpJson(value));
        }
    }

private:
    static std::string joined(const std::string& name, const std::string& key) {
        return name.empty() ? key : name + "." + key;
    }
    void store(const std::string& name, std::string text) {
        if (record_.fields.size() >= limits_.fieldsPerRecord)
            throw Error(place_ + "too many fields");
        if (text.size() > limits_.fieldBytes) throw Error(place_ + "a field is too long");
        record_.fields.insert_or_assign(name, toValidUtf8(text));
    }

    Record& record_;
    const RecordLimits& limits_;
    std::string place_;
};

Record recordFromJson(const Json& value, std::int64_t line, const RecordLimits& limits,
                      const std::string& origin) {
    if (!value.is_object()) throw Error(where(origin, line) + "a record must be a JSON object");
    Record record;
    record.line = line;
    Flattener(record, limits, where(origin, line)).add("", value);
    return record;
}

std::vector<Record> parseJsonLines(std::string_view text, const RecordOptions& options,
                                   const std::string& origin) {
    std::vector<Record> records;
    std::int64_t line = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view one = text.substr(at, end - at);
        at = end + 1;
        ++line;
        if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        if (records.size() >= options.limits.records)
            throw Error(where(origin, line) + "too many records");
        const Json value = parseJson(one, origin + ":" + std::to_string(line));
        records.push_back(recordFromJson(value, line, options.limits, origin));
    }
    return records;
}

std::vector<Record> parseJsonArray(std::string_view text, const RecordOptions& options,
                                   const std::string& origin) {
    const Json array = parseJson(text, origin);
    if (!array.is_array()) throw Error(origin + ": a JSON array of objects is expected");
    if (array.size() > options.limits.records) throw Error(origin + ": too many records");
    std::vector<Record> records;
    for (const Json& value : array)
        records.push_back(recordFromJson(value, static_cast<std::int64_t>(records.size()) + 1,
                                         options.limits, origin));
    return records;
}

std::vector<Record> parseLines(std::string_view text, const RecordOptions& options,
                               const std::string& origin) {
    if (options.columns.empty()) throw Error(origin + ": lines need the names of their columns");
    std::vector<Record> records;
    std::size_t filled = options.columns.size();
    std::int64_t line = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view one = text.substr(at, end - at);
        at = end + 1;
        ++line;
        if (one.ends_with('\r')) one.remove_suffix(1);
        if (one.find_first_not_of(" \t") == std::string_view::npos) {
            if (filled == options.columns.size()) continue;
            // An empty field or a stray line: to skip it would move all later lines up by one.
            throw Error(where(origin, line) +
                        "a blank line inside the record that begins on line " +
                        std::to_string(records.back().line));
        }
        if (one.size() > options.limits.fieldBytes)
            throw Error(where(origin, line) + "the line is too long");
        if (filled == options.columns.size()) {
            if (records.size() >= options.limits.records)
                throw Error(where(origin, line) + "too many records");
            records.emplace_back().line = line;
            filled = 0;
        }
        records.back().fields.emplace(options.columns[filled++], toValidUtf8(one));
    }
    if (filled != options.columns.size())
        throw Error(where(origin, line) + "the last record has " + std::to_string(filled) + " of " +
                    std::to_string(options.columns.size()) + " lines");
    return records;
}

constexpr std::pair<std::string_view, RecordFormat> kFormats[] = {
    {"csv", RecordFormat::Csv},         {"tsv", RecordFormat::Tsv},
    {"jsonl", RecordFormat::JsonLines}, {"json", RecordFormat::JsonArray},
    {"lines", RecordFormat::Lines},
};

}  // namespace

RecordFormat recordFormatFromName(std::string_view name) {
    std::vector<std::string> known;
    for (const auto& [text, format] : kFormats) {
        if (text == name) return format;
        known.emplace_back(text);
    }
    throw Error("unknown data format '" + std::string(name) + "'" + didYouMean(name, known));
}

std::vector<Record> parseRecords(std::string_view text, const RecordOptions& options,
                                 const std::string& origin) {
    switch (options.format) {
        case RecordFormat::Csv:
        case RecordFormat::Tsv:
            return parseDelimited(text, options, origin);
        case RecordFormat::JsonLines:
            return parseJsonLines(text, options, origin);
        case RecordFormat::JsonArray:
            return parseJsonArray(text, options, origin);
        case RecordFormat::Lines:
            return parseLines(text, options, origin);
    }
    return {};
}

std::string readDataFile(const std::filesystem::path& path, const RecordLimits& limits) {
    std::string text = readFile(path, limits.fileBytes);
    if (path.extension() == ".xz") return decompressXz(text, path.string(), limits.fileBytes);
    if (path.extension() == ".bz2") return decompressBzip2(text, path.string(), limits.fileBytes);
    return text;
}

std::vector<Record> readRecords(const std::filesystem::path& path, const RecordOptions& options) {
    return parseRecords(readDataFile(path, options.limits), options, path.string());
}

}  // namespace moescope
