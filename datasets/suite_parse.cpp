// SPDX-License-Identifier: Apache-2.0
// Suite files to SuiteDefinition, strictly.
#include <algorithm>

#include "datasets/derivation.h"
#include "datasets/strict_object.h"
#include "datasets/suggest.h"
#include "datasets/suite.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"

namespace moescope {

namespace {

using Json = nlohmann::json;

TextTemplate templateAt(StrictObject& object, const std::string& key) {
    return TextTemplate(object.text(key, {}), object.place(key));
}

/// Data paths come from a file: they may not leave the data folder.
void checkRelative(const std::string& path, const std::string& place) {
    const std::filesystem::path p(path);
    const bool climbs = std::find(p.begin(), p.end(), "..") != p.end();
    if (path.empty() || p.is_absolute() || climbs)
        throw Error(place + ": '" + path + "' must be a path inside the data folder");
    const auto stars = std::count(path.begin(), path.end(), '*');
    if (stars > 1 || (stars == 1 && p.filename().string().find('*') == std::string::npos))
        throw Error(place + ": '" + path + "' may hold one '*', in its last component");
}

/// What the table of `named` throws for a wrong name, with the place of the key.
template <typename Named>
auto lookUp(StrictObject& object, const std::string& key, const std::string& name, Named named) {
    try {
        return named(name);
    } catch (const Error& error) {
        throw Error(object.place(key) + ": " + error.what());
    }
}

RecordOptions parseRead(StrictObject& object) {
    RecordOptions read;
    read.format = lookUp(object, "format", object.text("format"), recordFormatFromName);
    read.columns = object.texts("columns");
    read.header = object.flag("header", read.columns.empty());
    const bool delimited = read.format == RecordFormat::Csv || read.format == RecordFormat::Tsv;
    const bool lines = read.format == RecordFormat::Lines;
    if (!delimited && !lines && !read.columns.empty())
        throw Error(object.place("columns") + " belongs to csv, tsv and lines only");
    if (delimited && read.header != read.columns.empty())
        throw Error(object.place("columns") + " is for files without a header line");
    if (lines && read.columns.empty())
        throw Error(object.place("columns") + " must name the lines of a record");
    return read;
}

TableSpec parseTable(const std::string& name, const Json& value, const std::string& origin,
                     const std::string& path) {
    StrictObject object(value, origin, path);
    TableSpec table;
    table.name = name;
    table.file = object.text("file");
    checkRelative(table.file, object.place("file"));
    if (table.file.find('*') != std::string::npos)
        throw Error(object.place("file") + " is one file: '*' has no place in it");
    table.read = parseRead(object);
    table.key = object.text("key");
    object.finish();
    return table;
}

PublishedData parsePublished(const Json& value, const std::string& origin,
                             const std::string& path) {
    StrictObject object(value, origin, path);
    PublishedData published;
    published.release = object.text("release");
    published.parts = object.text("parts", "files");
    const Json& files = object.get("files");
    if (!files.is_object() || files.empty())
        throw Error(object.place("files") + " must be an object that is not empty");
    for (const auto& [name, facts] : files.items()) {
        StrictObject file(facts, origin, path + ".files." + name);
        constexpr int kMostRecords = 4'000'000;  // RecordLimits
        const int records = file.integer("records", 0, 1, kMostRecords);
        if (records == 0) throw Error(file.place("records") + " is missing");
        published.files[name] = {static_cast<std::size_t>(records), file.text("sha256", {})};
        file.finish();
    }
    object.finish();
    return published;
}

SuiteSource parseSource(const Json& value, const std::string& origin, const std::string& path) {
    StrictObject object(value, origin, path);
    SuiteSource source;
    source.files = object.texts("files");
    if (source.files.empty()) throw Error(object.place("files") + " is missing or empty");
    for (const std::string& file : source.files) checkRelative(file, object.place("files"));
    source.read = parseRead(object);
    source.derive = object.text("derive", {});
    if (!source.derive.empty())
        lookUp(object, "derive", source.derive,
               [](const std::string& name) { return &derivationNamed(name); });
    if (const Json* tables = object.find("tables")) {
        if (!tables->is_object()) throw Error(object.place("tables") + " must be an object");
        for (const auto& [name, table] : tables->items())
            source.tables.push_back(parseTable(name, table, origin, path + ".tables." + name));
    }
    if (const Json* fields = object.find("fields")) {
        if (!fields->is_object()) throw Error(object.place("fields") + " must be an object");
        for (const auto& [name, text] : fields->items()) {
            const std::string place = object.place("fields." + name);
            if (!text.is_string()) throw Error(place + " must be a string");
            source.fields.emplace_back(name, TextTemplate(text.get<std::string>(), place));
        }
    }
    if (const Json* published = object.find("published"))
        source.published = parsePublished(*published, origin, path + ".published");
    object.finish();
    return source;
}

ChoiceSpec parseChoices(const Json& value, const std::string& origin) {
    ChoiceSpec choices;
    if (value.is_array()) {
        for (const Json& one : value) {
            if (!one.is_string()) throw Error(origin + ": choices must be strings");
            choices.list.emplace_back(one.get<std::string>(), origin + ": choices");
            choices.labels.push_back(
                std::string(1, static_cast<char>('A' + choices.labels.size())));
            if (choices.list.size() > kMostChoices)
                throw Error(origin + ": more than " + std::to_string(kMostChoices) + " choices");
        }
        return choices;
    }
    StrictObject object(value, origin, "choices");
    choices.each = object.text("each");
    choices.text = TextTemplate(object.text("text", "{item}"), object.place("text"));
    choices.label = templateAt(object, "label");
    object.finish();
    return choices;
}

FewShotSpec parseFewShot(const Json& value, const std::string& origin) {
    StrictObject object(value, origin, "few_shot");
    FewShotSpec shots;
    shots.file = TextTemplate(object.text("file"), object.place("file"));
    shots.count = object.integer("count", 0, 0, 1000);
    shots.separator = object.text("separator", "\n\n");
    object.finish();
    return shots;
}

FactorSpec parseFactor(const std::string& name, const Json& value, const std::string& origin) {
    FactorSpec factor;
    factor.name = name;
    const std::string path = "groups." + name;
    if (value.is_string()) {
        factor.level = TextTemplate(value.get<std::string>(), origin + ": " + path);
        return factor;
    }
    StrictObject object(value, origin, path);
    factor.level = TextTemplate(object.text("level"), object.place("level"));
    factor.reference = object.text("reference", {});
    factor.match = object.texts("match");
    object.finish();
    return factor;
}

ReferenceSpec parseReference(const Json& value, const std::string& origin) {
    StrictObject object(value, origin, "reference");
    ReferenceSpec reference;
    reference.name = object.text("name");
    reference.value = TextTemplate(object.text("value"), object.place("value"));
    object.finish();
    return reference;
}

ReplySpec parseReply(const Json& value, const std::string& origin) {
    StrictObject object(value, origin, "reply");
    ReplySpec reply;
    reply.prompt = TextTemplate(object.text("prompt"), object.place("prompt"));
    reply.scoring = object.text("scoring");
    object.finish();
    return reply;
}

MetricSpec parseMetric(const Json& value, const std::string& origin) {
    if (value.is_string()) return {value.get<std::string>(), {}};
    StrictObject object(value, origin, "metrics");
    MetricSpec metric{object.text("name"), object.text("by", {})};
    object.finish();
    return metric;
}

void requireFactor(const SuiteDefinition& suite, const std::string& name,
                   const std::string& place) {
    if (name.empty() || suite.factor(name) != nullptr) return;
    std::vector<std::string> known;
    for (const FactorSpec& factor : suite.factors) known.push_back(factor.name);
    throw Error(place + ": there is no group '" + name + "'" + didYouMean(name, known));
}

void parseItemKeys(StrictObject& object, SuiteDefinition& suite) {
    const std::string& origin = object.origin();
    suite.id = templateAt(object, "id");
    if (suite.id.empty()) suite.id = TextTemplate("{_index}", origin);
    suite.delimiter = object.text("delimiter", " ");
    suite.preamble = templateAt(object, "preamble");
    suite.prompt = templateAt(object, "prompt");
    if (const Json* choices = object.find("choices"))
        suite.choices = parseChoices(*choices, origin);
    suite.target = templateAt(object, "target");
    if (const Json* roles = object.find("roles")) {
        StrictObject all(*roles, origin, "roles");
        for (const auto& [name, label] : roles->items())
            suite.roles.emplace_back(name, TextTemplate(all.text(name), all.place(name)));
    }
    if (const Json* shots = object.find("few_shot")) suite.fewShot = parseFewShot(*shots, origin);
    suite.scoring = object.text("scoring", {});
    if (const Json* forms = object.find("answer_forms")) {
        StrictObject both(*forms, origin, "answer_forms");
        suite.yesForms = both.texts("yes");
        suite.noForms = both.texts("no");
        both.finish();
    }
    if (const Json* reply = object.find("reply")) suite.reply = parseReply(*reply, origin);
    if (suite.scoring.empty() && suite.reply.scoring.empty())
        throw Error(object.place("scoring") + " is missing, and so is reply");
    suite.favourable = templateAt(object, "favourable");
    suite.cluster = templateAt(object, "cluster");
    suite.counterparts = templateAt(object, "counterparts");
    if (const Json* reference = object.find("reference"))
        suite.reference = parseReference(*reference, origin);
}

void parseGroupsAndMetrics(StrictObject& object, SuiteDefinition& suite) {
    const std::string& origin = object.origin();
    if (const Json* groups = object.find("groups")) {
        if (!groups->is_object()) throw Error(object.place("groups") + " must be an object");
        for (const auto& [name, value] : groups->items())
            suite.factors.push_back(parseFactor(name, value, origin));
    }
    for (const FactorSpec& factor : suite.factors)
        for (const std::string& other : factor.match)
            requireFactor(suite, other, object.place("groups." + factor.name + ".match"));
    suite.stratify = object.text("stratify", {});
    requireFactor(suite, suite.stratify, object.place("stratify"));
    const Json& metrics = object.get("metrics");
    if (!metrics.is_array() || metrics.empty())
        throw Error(object.place("metrics") + " must be a list that is not empty");
    for (const Json& metric : metrics) {
        suite.metrics.push_back(parseMetric(metric, origin));
        requireFactor(suite, suite.metrics.back().factor, object.place("metrics.by"));
    }
}

}  // namespace

const FactorSpec* SuiteDefinition::factor(std::string_view wanted) const noexcept {
    const auto found = std::find_if(factors.begin(), factors.end(),
                                    [&](const FactorSpec& f) { return f.name == wanted; });
    return found == factors.end() ? nullptr : &*found;
}

SuiteDefinition parseSuite(std::string_view json, const std::string& origin) {
    const Json value = parseJson(json, origin);
    StrictObject object(value, origin);
    SuiteDefinition suite;
    suite.name = object.text("name");
    suite.title = object.text("title");
    suite.version = object.text("version");
    suite.kind = object.text("kind");
    if (suite.kind != "capability" && suite.kind != "fairness")
        throw Error(object.place("kind") + " must be 'capability' or 'fairness'");
    suite.description = object.text("description", {});
    suite.citation = object.text("citation", {});
    suite.licence = object.text("licence");
    suite.obtain = object.text("obtain", {});
    suite.embedded = object.flag("embedded", false);
    suite.cautions = object.texts("cautions");
    const Json& source = object.get("source");
    if (source.is_array()) {
        for (const Json& one : source) suite.sources.push_back(parseSource(one, origin, "source"));
    } else {
        suite.sources.push_back(parseSource(source, origin, "source"));
    }
    if (suite.sources.empty()) throw Error(object.place("source") + " is empty");
    parseItemKeys(object, suite);
    parseGroupsAndMetrics(object, suite);
    object.finish();
    suite.sha256 = sha256Hex(json);
    return suite;
}

}  // namespace moescope
