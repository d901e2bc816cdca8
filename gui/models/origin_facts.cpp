// SPDX-License-Identifier: Apache-2.0
// Where a run came from, in words: keys of the run file become names, raw numbers get their units.
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/core/file.h"
#include "gui/data/format.h"
#include "gui/models/facts.h"
#include "reports/numbers.h"

namespace moescope::gui {
namespace {

using nlohmann::json;

struct OriginFacts {
    Q_DECLARE_TR_FUNCTIONS(OriginFacts)
};
QString tr(const char* source) {
    return OriginFacts::tr(source);
}

/// Names of keys whose words alone would not tell; others lose their underscores and unit.
constexpr std::array<std::pair<std::string_view, const char*>, 30> kNames = {{
    {"affinity_cpus", QT_TRANSLATE_NOOP("OriginFacts", "Usable CPUs")},
    {"backend_description", QT_TRANSLATE_NOOP("OriginFacts", "Back end")},
    {"build_type", QT_TRANSLATE_NOOP("OriginFacts", "Build type")},
    {"chat", QT_TRANSLATE_NOOP("OriginFacts", "Chat template")},
    {"context", QT_TRANSLATE_NOOP("OriginFacts", "Context (tokens)")},
    {"context_length", QT_TRANSLATE_NOOP("OriginFacts", "Longest context (tokens)")},
    {"cpu_model", QT_TRANSLATE_NOOP("OriginFacts", "CPU")},
    {"d_model", QT_TRANSLATE_NOOP("OriginFacts", "Width (d_model)")},
    {"degradation", QT_TRANSLATE_NOOP("OriginFacts", "Measured with")},
    {"ended_utc", QT_TRANSLATE_NOOP("OriginFacts", "Ended (UTC)")},
    {"file_bytes", QT_TRANSLATE_NOOP("OriginFacts", "File size")},
    {"ggml_yarn", QT_TRANSLATE_NOOP("OriginFacts", "YaRN as in ggml")},
    {"git_revision", QT_TRANSLATE_NOOP("OriginFacts", "Git revision")},
    {"governor", QT_TRANSLATE_NOOP("OriginFacts", "CPU governor")},
    {"hypervisor", QT_TRANSLATE_NOOP("OriginFacts", "Virtual machine")},
    {"identity", QT_TRANSLATE_NOOP("OriginFacts", "Identity (hash)")},
    {"limit", QT_TRANSLATE_NOOP("OriginFacts", "Item limit (0: none)")},
    {"load_1m", QT_TRANSLATE_NOOP("OriginFacts", "Load average (1 min)")},
    {"load_ns", QT_TRANSLATE_NOOP("OriginFacts", "Time to load the model")},
    {"logical_cpus", QT_TRANSLATE_NOOP("OriginFacts", "Logical CPUs")},
    {"logits_hash", QT_TRANSLATE_NOOP("OriginFacts", "Hash of the logits")},
    {"max_tokens", QT_TRANSLATE_NOOP("OriginFacts", "Tokens to generate")},
    {"memory_available_bytes", QT_TRANSLATE_NOOP("OriginFacts", "Memory free at the start")},
    {"memory_bytes", QT_TRANSLATE_NOOP("OriginFacts", "Memory")},
    {"min_p", QT_TRANSLATE_NOOP("OriginFacts", "Min-p")},
    {"os", QT_TRANSLATE_NOOP("OriginFacts", "Operating system")},
    {"read_bandwidth_bytes_per_second", QT_TRANSLATE_NOOP("OriginFacts", "Read bandwidth")},
    {"started_utc", QT_TRANSLATE_NOOP("OriginFacts", "Started (UTC)")},
    {"top_k", QT_TRANSLATE_NOOP("OriginFacts", "Top-k (0: off)")},
    {"top_p", QT_TRANSLATE_NOOP("OriginFacts", "Top-p")},
}};

QString nameOf(const std::string& key) {
    for (const auto& [known, name] : kNames) {
        if (known == key) return tr(name);
    }
    QString name = text(key);
    for (const char* unit : {"_bytes", "_ns"}) {
        if (name.endsWith(QLatin1String(unit)))
            name.chop(static_cast<qsizetype>(std::strlen(unit)));
    }
    name.replace(QChar('_'), QChar(' '));
    if (!name.isEmpty()) name[0] = name[0].toUpper();
    return name;
}

QString valueOf(const std::string& key, const json& value) {
    const auto endsWith = [&](std::string_view ending) { return key.ends_with(ending); };
    if (value.is_boolean()) return value.get<bool>() ? tr("yes") : tr("no");
    if (value.is_number())
        return text(key == "seed" ? value.dump() : formatFact(key, value.get<double>()));
    QString shown = value.is_string() ? text(value.get<std::string>()) : text(value.dump());
    if (endsWith("_utc")) shown.replace(QChar('T'), QChar(' ')).remove(QChar('Z'));
    constexpr int kLongest = 1000;
    if (shown.size() > kLongest) shown = shown.left(kLongest - 1) + QChar(0x2026);
    return shown;
}

class Rows {
public:
    explicit Rows(std::vector<FactRow>& rows) : rows_(rows) {}

    void section(const QString& name) { rows_.push_back({name, {}, {}, true}); }
    void add(const QString& name, const QString& value, const QString& tip = {}) {
        if (!value.isEmpty()) rows_.push_back({name, value, tip, false});
    }
    void add(const std::string& key, const json& value) {
        if (value.is_null()) return;
        add(nameOf(key), valueOf(key, value), text(key));
    }
    /// What is left of an object; nested objects add their own key in front.
    void addRest(const json& object, const QString& prefix = {}, const std::string& of = {}) {
        constexpr std::size_t kMostRows = 200;
        for (const auto& [key, value] : object.items()) {
            if (rows_.size() >= kMostRows) return;
            const QString name = prefix.isEmpty()
                                     ? nameOf(key)
                                     : prefix + QStringLiteral(": ") + nameOf(key).toLower();
            if (value.is_object()) {
                addRest(value, name, key);
            } else if (!value.is_null()) {
                add(name, valueOf(std::string(unitKey(of, key)), value), text(key));
            }
        }
    }

private:
    std::vector<FactRow>& rows_;
};

json take(json& object, const char* key) {
    if (!object.contains(key)) return nullptr;
    json value = object[key];
    object.erase(key);
    return value;
}

/// 11.8 M rather than eight digits; the exact number is in the tip.
QString parameterCount(const json& value) {
    return value.is_number() ? text(formatParameters(value.get<double>())) : QString();
}

void modelFacts(json model, Rows& rows) {
    rows.section(tr("Model"));
    for (const char* key : {"name", "architecture"}) rows.add(key, take(model, key));
    const json parameters = take(model, "parameters");
    if (parameters.is_object() && parameters.contains("total")) {
        const QString total = parameterCount(parameters["total"]);
        const QString active =
            parameters.contains("active") ? parameterCount(parameters["active"]) : QString();
        rows.add(tr("Parameters"),
                 active.isEmpty() || active == total
                     ? total
                     : tr("%1 total, %2 active a token").arg(total, active),
                 text(parameters.dump()));
    }
    rows.add("file_bytes", take(model, "file_bytes"));
    rows.add("layers", take(model, "layers"));
    const json experts = take(model, "experts"), topK = take(model, "top_k");
    if (experts.is_number_integer()) {
        const auto count = experts.get<std::int64_t>();
        rows.add(
            tr("Experts"),
            count == 0 ? tr("none (dense)")
            : topK.is_number()
                ? tr("%1 a layer, %2 chosen a token").arg(formatCount(count), text(topK.dump()))
                : tr("%1 a layer").arg(formatCount(count)));
    }
    rows.add("d_model", take(model, "d_model"));
    const json heads = take(model, "heads"), kv = take(model, "kv_heads"),
               width = take(model, "head_dim");
    if (heads.is_number() && kv.is_number() && width.is_number())
        rows.add(tr("Attention heads"),
                 tr("%1 for queries, %2 for keys and values, %3 wide")
                     .arg(text(heads.dump()), text(kv.dump()), text(width.dump())));
    const json vocabulary = take(model, "vocab");
    if (vocabulary.is_number()) rows.add(tr("Vocabulary"), valueOf("vocab", vocabulary));
    rows.add("context_length", take(model, "context_length"));
    const json synthetic = take(model, "synthetic");
    if (synthetic == true) rows.add(tr("Weights"), tr("random (synthetic model)"));
    rows.addRest(model);
}

void machineFacts(json machine, Rows& rows) {
    rows.section(tr("Machine"));
    rows.add("cpu_model", take(machine, "cpu_model"));
    const json logical = take(machine, "logical_cpus"), usable = take(machine, "affinity_cpus");
    if (logical.is_number() && usable.is_number())
        rows.add(tr("CPUs"),
                 tr("%1 logical, %2 usable").arg(text(logical.dump()), text(usable.dump())));
    rows.add("memory_bytes", take(machine, "memory_bytes"));
    rows.add("memory_available_bytes", take(machine, "memory_available_bytes"));
    const json bandwidth = take(machine, "read_bandwidth_bytes_per_second"),
               threads = take(machine, "read_bandwidth_threads");
    if (bandwidth.is_number())
        rows.add(
            tr("Read bandwidth"),
            formatPerSecond(bandwidth.get<double>(), "B") +
                (threads.is_number() ? tr(", %1 threads").arg(text(threads.dump())) : QString()),
            tr("Measured before the run by reading memory"));
    rows.addRest(machine);
}

QString commandLine(const json& command) {
    QStringList words;
    for (const json& word : command) {
        QString shown = word.is_string() ? text(word.get<std::string>()) : text(word.dump());
        if (shown.contains(QChar(' ')) || shown.isEmpty())
            shown = QChar('\'') + shown + QChar('\'');
        words << shown;
    }
    return words.join(QChar(' '));
}

void sourceFacts(const json& sources, Rows& rows) {
    QStringList names;
    double bytes = 0;
    for (const json& source : sources) {
        if (!source.is_object()) continue;
        if (source.contains("file") && source["file"].is_string())
            names << text(source["file"].get<std::string>());
        if (source.contains("bytes") && source["bytes"].is_number())
            bytes += source["bytes"].get<double>();
    }
    rows.add(tr("Imported from"), tr("%1 (files: %2)").arg(formatBytes(bytes)).arg(names.size()),
             names.join(QChar('\n')));
}

}  // namespace

std::vector<FactRow> originFacts(const RunData& run) {
    std::vector<FactRow> out;
    Rows rows(out);
    rows.section(tr("Run"));
    rows.add(tr("File"), text(run.path.string()));
    rows.add(tr("Status"), text(runStatusName(run.summary.status)));
    for (const char* key : {"kind", "started_utc", "ended_utc"})
        rows.add(nameOf(key), valueOf(key, run.meta(key)));
    for (const auto& [key, value] : run.summary.meta) {
        const json parsed = looseJson(value);
        if (key == "command" && parsed.is_array()) {
            const QString line = commandLine(parsed);
            constexpr int kLongest = 280;  // an import names every file it read
            rows.add(tr("Command"),
                     line.size() > kLongest ? line.left(kLongest - 1) + QChar(0x2026) : line, line);
        } else if (key == "sources" && parsed.is_array()) {
            sourceFacts(parsed, rows);
        } else if (!parsed.is_object() && key != "error" && key != "status" && key != "kind" &&
                   key != "started_utc" && key != "ended_utc" && key != "writer_pid" &&
                   key != "writer_stamp" && key != "synthetic") {
            rows.add(key, json(value));
        }
    }
    const auto object = [&](const char* key) {
        json parsed = looseJson(run.meta(key));
        return parsed.is_object() ? parsed : json::object();
    };
    if (json model = object("model"); !model.empty()) modelFacts(std::move(model), rows);
    if (json machine = object("machine"); !machine.empty()) machineFacts(std::move(machine), rows);
    for (const auto& [key, title] :
         {std::pair{"settings", tr("Settings")}, {"build", tr("Build")}}) {
        json rest = object(key);
        if (rest.empty()) continue;
        rows.section(title);
        if (rest.contains("backend_description")) rest.erase("backend");
        rows.addRest(rest);
    }
    return out;
}

}  // namespace moescope::gui
