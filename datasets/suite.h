// SPDX-License-Identifier: Apache-2.0
// A suite is data: where its rows are, how a row becomes an item, how items are scored and grouped.
// The file format is documented in docs/suites.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datasets/records.h"
#include "datasets/text_template.h"

namespace moescope {

/// A file beside the data that a `derive` rule looks things up in.
struct TableSpec {
    std::string name;
    std::string file;  ///< relative path
    RecordOptions read;
    std::string key;  ///< the column whose values name the rows, each once
};

struct PublishedFile {
    std::size_t records = 0;
    std::string sha256;  ///< of the file as it is published, unpacked; empty: unknown
};

/// The data set that a suite was written for.
struct PublishedData {
    std::string release;          ///< which, for people
    std::string parts = "files";  ///< what the files of a pattern are, in the plural: "categories"
    std::map<std::string, PublishedFile> files;  ///< by relative path; those of tables too
};

/// One way in which the data may be laid out on disk. A file that is there packed only (NAME.xz,
/// NAME.bz2) is unpacked. A suite may list several; the first whose every pattern matches a file is
/// used.
struct SuiteSource {
    std::vector<std::string> files;  ///< relative paths; the last component may hold one '*'
    RecordOptions read;
    std::string derive;  ///< a name of the table in derivation.h, or empty
    std::vector<TableSpec> tables;
    /// Fields added to every record, by name in the order of the alphabet: a template each, which
    /// may use those before it and those that `derive` added. Brings differently laid out sources
    /// to one set of names.
    std::vector<std::pair<std::string, TextTemplate>> fields;
    PublishedData published;  ///< data that differs is a warning, not an Error
};

inline constexpr std::size_t kMostChoices = 26;  ///< labelled A to Z

/// Either a fixed list of templates, or one template for each element of an array field.
struct ChoiceSpec {
    std::vector<TextTemplate> list;
    std::vector<std::string> labels;  ///< of `list`; "A", "B", ... by default
    std::string each;                 ///< array field; its element is field "item" or "item.<name>"
    TextTemplate text;                ///< of one element
    TextTemplate label;               ///< of one element; letters when empty
};

/// Worked examples put before the prompt.
struct FewShotSpec {
    TextTemplate file;  ///< rendered with the item's fields; same format as the source
    int count = 0;      ///< the first `count` records, in file order
    std::string separator = "\n\n";
};

/// A division of the items into groups. With a reference level, differences to it are measured
/// between items of one cluster that agree in all `match` factors (counterfactual pairs).
struct FactorSpec {
    std::string name;
    TextTemplate level;  ///< an item whose level renders empty is in no group of this factor
    std::string reference;
    std::vector<std::string> match;
};

/// A number that comes with each item (a count in a corpus, a share in a census), which metrics
/// compare with what the model does. Items of one cluster have the same.
struct ReferenceSpec {
    std::string name;    ///< what the number is, for people
    TextTemplate value;  ///< an item whose value renders empty has none
};

/// How the suite asks when the model writes a reply, and how the answer is read from it.
struct ReplySpec {
    /// The user's message. Beside the item's fields it may use {_shuffled}: its choices as lettered
    /// lines, in an order drawn for each cluster, and {_letters}: "A, B or C".
    TextTemplate prompt;
    std::string scoring;  ///< a name of evals' table of reply readers; empty: it cannot ask so
};

struct MetricSpec {
    std::string name;    ///< a name of evals' metric table
    std::string factor;  ///< the factor it is computed by; empty: over all items
};

struct SuiteDefinition {
    std::string name, title, version, description, citation;
    std::string kind;  ///< "capability" or "fairness"
    std::string licence, obtain;
    bool embedded = false;  ///< data lies beside the suites folder, nothing to obtain
    std::vector<std::string> cautions;
    std::vector<SuiteSource> sources;
    TextTemplate id;
    std::string delimiter = " ";  ///< between prompt and choice (not in chat prompts)
    TextTemplate preamble, prompt;
    ChoiceSpec choices;
    TextTemplate target;  ///< renders to the label of the right choice; empty: none
    /// What choices stand for, for metrics ("unknown"): renders to a choice's label, or to nothing.
    std::vector<std::pair<std::string, TextTemplate>> roles;
    FewShotSpec fewShot;
    std::string scoring;  ///< a name of evals' scorer table; empty: by replies only
    ReplySpec reply;
    std::vector<std::string> yesForms, noForms;  ///< yes_no_logit: spellings whose mass is summed
    TextTemplate favourable;                     ///< yes_no_logit: renders to "yes" or "no"
    TextTemplate cluster;  ///< items made from one base; empty: each item is its own
    /// Items of a cluster that are read beside each other, which --limit keeps together: all pairs
    /// of factors with a reference, at least. Empty: the cluster.
    TextTemplate counterparts;
    ReferenceSpec reference;
    std::vector<FactorSpec> factors;
    std::string stratify;  ///< factor of whose levels --limit keeps all it can; empty: none
    std::vector<MetricSpec> metrics;

    std::filesystem::path file;
    std::string sha256;                                              ///< of the definition file
    const FactorSpec* factor(std::string_view name) const noexcept;  ///< null when absent
};

/// Strict: unknown keys, missing keys, wrong types, unknown factors and factors named twice throw
/// Error "<origin>: ...". Whether scoring and metrics exist is checked by evals, which has the
/// tables.
SuiteDefinition parseSuite(std::string_view json, const std::string& origin);

/// Folders searched, in order: $MOESCOPE_DATA/suites, <executable>/../share/moescope/suites, and
/// the source tree this was built from. Only those that exist.
std::vector<std::filesystem::path> suiteFolders();

struct SuiteListing {
    std::string name, title, kind;
    std::filesystem::path file;
};
/// Every suite found, by name; the first folder wins. A malformed file throws.
std::vector<SuiteListing> listSuites();

/// By name, or by path when the name ends in ".json". Throws Error with the nearest known name.
SuiteDefinition findSuite(const std::string& name);

struct SuiteItem {
    std::string id;
    std::string place;                          ///< "<file>:<line>" of its record, for messages
    std::int64_t ordinal = 0;                   ///< position in the whole suite, kept by --limit
    std::shared_ptr<const std::string> prefix;  ///< preamble and shots, shared between items
    std::string body;                           ///< the item's own part of the prompt
    std::vector<std::string> choices;
    int target = -1;         ///< index into choices
    std::string expected;    ///< what `target` renders to in a suite without choices
    std::vector<int> order;  ///< the choice behind each letter; empty: the choices in order
    std::map<std::string, int> roles;  ///< indices into choices; a role nothing plays is absent
    std::string favourable;            ///< "yes", "no" or ""
    std::string cluster;               ///< equals id when the suite has no clusters
    std::string counterparts;          ///< equal within a set, one cluster's; empty: the cluster
    std::optional<double> reference;   ///< finite
    std::map<std::string, std::string> groups;

    std::string prompt() const { return (prefix ? *prefix : std::string()) + body; }
};

struct SuiteData {
    SuiteDefinition definition;
    std::vector<SuiteItem> items;
    std::string source;      ///< for people: files and SHA-256
    std::string dataSha256;  ///< over all files read, names and contents
    /// In which way the data are not the whole published set: "6 of 11 categories", "not the
    /// published data"; empty when they are, or the suite does not know.
    std::string extent;
    std::int64_t available = 0;  ///< items before limitItems
    std::int64_t limit = 0;      ///< what limitItems was given
    int shots = 0;
    /// Items ask for a written reply, and definition.scoring names a reader of replies.
    bool replies = false;
    std::vector<std::string> warnings;

    /// The definition's, with the extent in parentheses: "BBQ (6 of 11 categories)".
    std::string title() const;
};

struct SuiteLoadOptions {
    std::filesystem::path dataFolder;  ///< --data; empty: $MOESCOPE_DATA; embedded suites ignore it
    int shots = -1;                    ///< -1: what the suite says
    /// Ask for written replies, without worked examples: the suite's `reply` gives prompt and
    /// scoring in place of its own. Suites that know no other way are always asked so.
    bool replies = false;
};

/// Reads the data and builds all items. Throws Error naming file and line, or saying where the data
/// can be obtained when it is absent; UsageError when the suite cannot be asked as `options` say.
SuiteData loadSuite(const SuiteDefinition& definition, const SuiteLoadOptions& options = {});

/// At most `limit` items (0: all), the same for the same seed on every platform. Sets of
/// counterparts are kept whole, so that pairs survive. Of every level of the suite's `stratify`
/// factor one is kept where `limit` has room for that, the others in proportion to the levels; a
/// warning names the levels that have none. At least one set is kept. Order is the suite's. Call it
/// once, before `evaluate`.
void limitItems(SuiteData& data, std::int64_t limit, std::uint64_t seed);

}  // namespace moescope
