// SPDX-License-Identifier: Apache-2.0
// Data files of a suite to items.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>
#include <system_error>

#include "datasets/data_files.h"
#include "datasets/derivation.h"
#include "datasets/lettered.h"
#include "datasets/published_data.h"
#include "datasets/suggest.h"
#include "datasets/suite.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"

namespace moescope {

namespace fs = std::filesystem;

namespace {

fs::path dataFolder(const SuiteDefinition& suite, const SuiteLoadOptions& options) {
    if (suite.embedded) return suite.file.parent_path().parent_path();
    if (!options.dataFolder.empty()) return options.dataFolder;
    const char* data = std::getenv("MOESCOPE_DATA");
    if (data != nullptr && *data != '\0') return data;
    throw Error("suite '" + suite.name + "' needs its data: no folder was given",
                "pass --data DIR or set MOESCOPE_DATA; obtain it from " + suite.obtain);
}

/// The whole text as a decimal number; absent when it is none, or infinite, or no number.
std::optional<double> finiteNumber(const std::string& text) {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
    return value;
}

/// Builds the items of one suite; keeps the running hash and the cache of few-shot prefixes.
class ItemBuilder {
public:
    ItemBuilder(const SuiteDefinition& suite, const SuiteSource& source, fs::path folder,
                SuiteData& data)
        : suite_(suite),
          source_(source),
          folder_(std::move(folder)),
          data_(data),
          published_(suite, source) {
        for (const TableSpec& table : source.tables) tables_[table.name] = readTable(table);
    }

    void addFile(const DataFile& file) {
        const std::vector<Record> records = read(file.path, file.name);
        for (std::size_t row = 0; row < records.size(); ++row) {
            const std::string place = file.path.string() + ":" + std::to_string(records[row].line);
            std::string noItem;
            const FieldMap fields =
                fieldsOf(records[row], row, data_.items.size(), file, place, noItem);
            ++records_;
            if (noItem.empty())
                addItem(fields, place);
            else
                ++left_[noItem];
        }
    }

    /// Says what was left out, and whether this is the data that the suite was written for.
    void finish(const std::vector<DataFile>& files) {
        published_.finish(files, data_);
        for (const auto& [why, count] : left_)
            data_.warnings.push_back("suite '" + suite_.name + "': " + groupedDigits(count) +
                                     " of " + groupedCount(records_, "record") +
                                     " left out: " + why);
    }

    std::string hash() { return hash_.hex(); }

private:
    std::vector<Record> read(const fs::path& path, const std::string& name) {
        return parse(path, name, source_.read);
    }

    std::vector<Record> parse(const fs::path& path, const std::string& name,
                              const RecordOptions& options) {
        const std::string text = readDataFile(path, options.limits);
        const std::string fileHash = sha256Hex(text);
        hash_.update(name + " " + fileHash + "\n");
        std::vector<Record> records = parseRecords(text, options, path.string());
        published_.add(name, records.size(), fileHash);
        return records;
    }

    SideTable readTable(const TableSpec& spec) {
        const fs::path path = plainOrPacked(folder_ / spec.file);
        SideTable table;
        for (Record& record : parse(path, spec.file, spec.read)) {
            const std::string place = path.string() + ":" + std::to_string(record.line);
            const std::string key = requiredField(record.fields, spec.key, place);
            if (!table.emplace(key, std::move(record.fields)).second)
                throw Error(place + ": a second row has the " + spec.key + " '" + key + "'");
        }
        return table;
    }

    /// noItem: why the record makes no item, from the source's `derive` rule.
    FieldMap fieldsOf(const Record& record, std::size_t row, std::size_t index,
                      const DataFile& file, const std::string& place, std::string& noItem) const {
        FieldMap fields = record.fields;
        fields["_row"] = std::to_string(row);
        fields["_index"] = std::to_string(index);
        fields["_match"] = file.match;
        fields["_file"] = fs::path(file.name).filename().string();
        if (!source_.derive.empty())
            noItem = derivationNamed(source_.derive).derive(fields, tables_, place);
        if (!noItem.empty()) return fields;
        for (const auto& [name, text] : source_.fields) fields[name] = text.render(fields, place);
        return fields;
    }

    void fillChoices(const FieldMap& fields, const std::string& place, SuiteItem& item,
                     std::vector<std::string>& labels) const {
        const ChoiceSpec& spec = suite_.choices;
        if (spec.each.empty()) {
            for (const TextTemplate& choice : spec.list)
                item.choices.push_back(choice.render(fields, place));
            labels = spec.labels;
            return;
        }
        for (std::size_t i = 0;; ++i) {
            const std::string element = spec.each + "." + std::to_string(i);
            FieldMap own = fields;
            bool any = false;
            for (auto it = fields.lower_bound(element);
                 it != fields.end() && it->first.starts_with(element); ++it) {
                const std::string rest = it->first.substr(element.size());
                if (!rest.empty() && rest[0] != '.') continue;
                own["item" + rest] = it->second;
                any = true;
            }
            if (!any) break;
            if (i == kMostChoices)
                throw Error(place + ": more than " + std::to_string(kMostChoices) + " choices");
            item.choices.push_back(spec.text.render(own, place));
            const std::string letter(1, static_cast<char>('A' + i));
            labels.push_back(spec.label.empty() ? letter : spec.label.render(own, place));
        }
    }

    static int indexOf(const std::string& label, const std::vector<std::string>& labels,
                       const std::string& what, const std::string& place) {
        const auto found = std::find(labels.begin(), labels.end(), label);
        if (found == labels.end())
            throw Error(place + ": " + what + " '" + label + "' is none of the " +
                        std::to_string(labels.size()) + " choices");
        return static_cast<int>(found - labels.begin());
    }

    /// The prompt. Its letters are drawn here where it shows them.
    std::string bodyOf(const FieldMap& fields, const std::string& place, SuiteItem& item) const {
        if (!data_.replies || item.choices.empty()) return suite_.prompt.render(fields, place);
        const auto count = static_cast<int>(item.choices.size());
        FieldMap own = fields;
        own["_letters"] = lettersUpTo(count);
        if (suite_.prompt.source().find("{_shuffled") != std::string::npos) {
            item.order = drawnOrder(suite_.name, item.cluster, count);
            own["_shuffled"] = letteredLines(item.choices, item.order);
        }
        return suite_.prompt.render(own, place);
    }

    SuiteItem build(const FieldMap& fields, const std::string& place) const {
        SuiteItem item;
        item.id = suite_.id.render(fields, place);
        item.place = place;
        item.cluster = suite_.cluster.empty() ? item.id : suite_.cluster.render(fields, place);
        std::vector<std::string> labels;
        fillChoices(fields, place, item, labels);
        item.body = bodyOf(fields, place, item);
        if (!suite_.target.empty()) {
            const std::string label = suite_.target.render(fields, place);
            if (labels.empty())
                item.expected = label;
            else
                item.target = indexOf(label, labels, "the target", place);
        }
        for (const auto& [role, text] : suite_.roles) {
            const std::string label = text.render(fields, place);
            if (label.empty()) continue;
            const int choice = indexOf(label, labels, "the " + role, place);
            for (const auto& [other, taken] : item.roles)
                if (taken == choice)
                    throw Error(place + ": choice '" + label + "' has two roles, '" + other +
                                "' and '" + role + "'");
            item.roles[role] = choice;
        }
        return item;
    }

    void addItem(const FieldMap& fields, const std::string& place) {
        SuiteItem item = build(fields, place);
        item.ordinal = static_cast<std::int64_t>(data_.items.size());
        if (!ids_.insert(item.id).second)
            throw Error(place + ": a second item has the id '" + item.id + "'");
        item.prefix = prefix(fields, place);
        item.favourable = suite_.favourable.render(fields, place);
        if (!item.favourable.empty() && item.favourable != "yes" && item.favourable != "no")
            throw Error(place + ": the favourable answer must be 'yes' or 'no'");
        item.counterparts = suite_.counterparts.render(fields, place);
        item.reference = referenceOf(fields, item.cluster, place);
        for (const FactorSpec& factor : suite_.factors) {
            std::string level = factor.level.render(fields, place);
            if (!level.empty()) item.groups.emplace(factor.name, std::move(level));
        }
        data_.items.push_back(std::move(item));
    }

    /// One cluster is one observation: two references in it would have to be averaged away.
    std::optional<double> referenceOf(const FieldMap& fields, const std::string& cluster,
                                      const std::string& place) {
        if (suite_.reference.value.empty()) return std::nullopt;
        const std::string text = suite_.reference.value.render(fields, place);
        const std::optional<double> value = finiteNumber(text);
        if (!value && !text.empty())
            throw Error(place + ": the reference '" + text + "' is not a finite number");
        const auto [first, isNew] = references_.try_emplace(cluster, value);
        if (!isNew && first->second != value)
            throw Error(place + ": cluster '" + cluster + "' has another reference before");
        return value;
    }

    std::shared_ptr<const std::string> prefix(const FieldMap& fields, const std::string& place) {
        std::string text = suite_.preamble.render(fields, place);
        const bool shots = data_.shots > 0;
        const std::string file = shots ? suite_.fewShot.file.render(fields, place) : std::string();
        const auto [slot, isNew] = prefixes_.try_emplace(file + "\n" + text);
        if (!isNew) return slot->second;
        if (shots) text += shotText(file);
        if (!text.empty()) slot->second = std::make_shared<const std::string>(std::move(text));
        return slot->second;
    }

    std::string shotText(const std::string& file) {
        const fs::path path = plainOrPacked(folder_ / file);
        const std::vector<Record> records = read(path.empty() ? folder_ / file : path, file);
        const auto count = static_cast<std::size_t>(data_.shots);
        if (records.size() < count)
            throw Error((folder_ / file).string() + ": " + std::to_string(count) +
                        " examples are wanted but there are " + std::to_string(records.size()));
        std::string text;
        for (std::size_t i = 0; i < count; ++i) {
            const std::string place =
                (folder_ / file).string() + ":" + std::to_string(records[i].line);
            std::string noItem;
            const FieldMap fields = fieldsOf(records[i], i, i, {path, file, {}}, place, noItem);
            if (!noItem.empty()) throw Error(place + ": an example is left out: " + noItem);
            const SuiteItem shot = build(fields, place);
            if (shot.target < 0) throw Error(place + ": an example needs a target");
            text += shot.body + suite_.delimiter +
                    shot.choices[static_cast<std::size_t>(shot.target)] + suite_.fewShot.separator;
        }
        return text;
    }

    const SuiteDefinition& suite_;
    const SuiteSource& source_;
    fs::path folder_;
    SuiteData& data_;
    Sha256 hash_;
    PublishedCheck published_;
    SideTables tables_;
    std::size_t records_ = 0;
    std::map<std::string, std::size_t> left_;  ///< records that make no item, by why
    std::set<std::string> ids_;
    std::map<std::string, std::shared_ptr<const std::string>> prefixes_;
    std::map<std::string, std::optional<double>> references_;  ///< by cluster
};

/// The files of the first source that is wholly there.
std::vector<DataFile> locate(const SuiteDefinition& suite, const fs::path& folder,
                             const SuiteSource*& used) {
    fs::path missing, unread;
    for (const SuiteSource& source : suite.sources) {
        std::vector<DataFile> all;
        bool complete = true;
        for (const std::string& pattern : source.files) {
            FoundFiles found = findDataFiles(folder, pattern);
            if (found.files.empty() && missing.empty()) missing = pattern;
            if (unread.empty()) unread = found.unread;
            // Without it the others would pass for all of the data.
            complete = complete && !found.files.empty() && found.unread.empty();
            std::move(found.files.begin(), found.files.end(), std::back_inserter(all));
        }
        for (const TableSpec& table : source.tables) {
            const bool there = !plainOrPacked(folder / table.file).empty();
            if (!there && missing.empty()) missing = table.file;
            complete = complete && there;
        }
        if (!complete) continue;
        used = &source;
        return all;
    }
    if (!unread.empty())
        throw Error(unread.string() + ": data files packed in this way are not read",
                    "unpack it; .xz and .bz2 are read as they are");
    throw Error(
        (folder / missing).string() + ": the data of suite '" + suite.name + "' is not there",
        suite.obtain.empty() ? "" : "obtain it from " + suite.obtain);
}

/// The way of `reply` becomes the suite's.
void askForReplies(SuiteDefinition& suite, const SuiteLoadOptions& options) {
    if (suite.reply.scoring.empty())
        throw UsageError("suite '" + suite.name + "' compares likelihoods of texts: it has no " +
                             "question that a reply could answer",
                         "leave out --generate");
    if (options.shots > 0)
        throw UsageError("suite '" + suite.name + "' is asked for replies without worked examples",
                         "leave out --shots");
    suite.prompt = suite.reply.prompt;
    suite.scoring = suite.reply.scoring;
    suite.preamble = TextTemplate();
    suite.fewShot = FewShotSpec();
}

}  // namespace

std::string SuiteData::title() const {
    if (extent.empty()) return definition.title;
    std::string text = definition.title;
    if (!text.ends_with(')')) return text + " (" + extent + ")";
    text.pop_back();
    return text + "; " + extent + ")";
}

SuiteData loadSuite(const SuiteDefinition& definition, const SuiteLoadOptions& options) {
    SuiteData data;
    data.definition = definition;
    data.replies = options.replies || definition.scoring.empty();
    if (data.replies) askForReplies(data.definition, options);
    data.shots = options.shots < 0 ? data.definition.fewShot.count : options.shots;
    if (data.shots > 0 && definition.fewShot.file.empty())
        throw UsageError("suite '" + definition.name + "' has no worked examples to show");
    const fs::path folder = dataFolder(definition, options);
    const SuiteSource* source = nullptr;
    const std::vector<DataFile> files = locate(definition, folder, source);
    ItemBuilder builder(data.definition, *source, folder, data);
    for (const DataFile& file : files) builder.addFile(file);
    builder.finish(files);
    if (data.items.empty()) throw Error(files[0].path.string() + ": there are no items");
    data.available = static_cast<std::int64_t>(data.items.size());
    data.dataSha256 = builder.hash();
    data.source =
        (files.size() == 1 ? files[0].name
                           : std::to_string(files.size()) + " files of " + source->files[0]) +
        ", " + groupedCount(data.items.size(), "item") + ", list SHA-256 " + data.dataSha256;
    return data;
}

}  // namespace moescope
