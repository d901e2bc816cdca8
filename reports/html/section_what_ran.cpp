// SPDX-License-Identifier: Apache-2.0
// What ran, on what, and how complete the measurement is. Whatever limits the numbers comes first.
#include <algorithm>

#include "profiler/analysis/quality_block.h"
#include "reports/headline.h"
#include "reports/html/escape.h"
#include "reports/html/facts.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"
#include "reports/terms.h"

namespace moescope {
namespace {

std::string notice(std::string_view kind, std::string_view title, std::string_view text) {
    return "<div class=\"notice " + std::string(kind) + "\" role=\"note\"><strong>" +
           htmlEscape(title) + "</strong> " + htmlEscape(text) + "</div>\n";
}

/// The importers say so with this check; see docs/run-file.md.
bool generatedOnly(const RunSummary& run) {
    return std::any_of(run.quality.begin(), run.quality.end(), [](const QualityRow& row) {
        return row.name == "prompt_tokens_unrouted" && row.value > 0;
    });
}

std::string tooLong(const RunSummary& run) {
    std::string out;
    for (const std::string& warning : evaluationWarnings(run))
        out += notice("warning", "Warning:", warning);
    return out;
}

std::string failedQuality(const RunSummary& run, bool imported) {
    std::string items;
    for (const QualityRow& row : run.quality) {
        if (row.ok) continue;
        items += "<li>" + htmlEscape(qualityLabel(row.name) + " (" + row.name + ")") + " = " +
                 htmlEscape(qualityValue(row)) +
                 (row.note.empty() ? "" : ": " + htmlEscape(row.note)) + "</li>\n";
    }
    if (items.empty()) return {};
    const std::string title = imported ? "What the source does not cover:"
                                       : "Warning: not every check of the measurement passed.";
    return "<div class=\"notice warning\" role=\"note\"><strong>" + title + "</strong>\n<ul>\n" +
           items + "</ul></div>\n";
}

std::string notices(const ReportRun& run) {
    std::string out;
    if (run.imported())
        out += notice("banner", "Imported, not measured here.",
                      "Another tool recorded these data; MoEScope did not run the model" +
                          std::string(generatedOnly(run.summary)
                                          ? ". Routing covers generated tokens only: prompts are "
                                            "text without routing."
                                          : "."));
    out += failedQuality(run.summary, run.imported()) + tooLong(run.summary);
    const RunStatus status = run.summary.status;
    const auto error = run.summary.meta.find("error");
    const std::string cause = error == run.summary.meta.end() ? "" : " Cause: " + error->second;
    if (status == RunStatus::Running)
        out += notice(
            "warning", "Warning: status running.",
            "The run was still going, or was killed, when this report was made. It shows what "
            "had been saved by then.");
    if (status == RunStatus::Interrupted)
        out += notice("warning", "Warning: status interrupted.",
                      "The run was stopped before its end. What was measured is shown." + cause);
    if (status == RunStatus::Failed)
        out += notice("warning", "Warning: status failed.",
                      "The run ended with an error. What was measured is shown." + cause);
    if (run.synthetic())
        out += notice(
            "banner", "Synthetic model.",
            "Its weights are seeded random numbers: speed and memory are those of the true shape, "
            "but its text, routing and scores say nothing about any trained model.");
    return out;
}

std::string factTables(const ReportRun& run) {
    std::string out;
    for (const auto& [key, title] : {std::pair{"model", "Model"},
                                     {"machine", "Machine"},
                                     {"build", "Build"},
                                     {"settings", "Settings"}}) {
        const auto meta = run.summary.meta.find(key);
        if (meta == run.summary.meta.end()) continue;
        HtmlTable table(title, {{"fact"}, {"value"}});
        nlohmann::json value = run.metaJson(key);
        if (value.is_object() && value.contains("experts") && value["experts"] == 0) {
            value["experts"] = "none (dense)";
            value.erase("top_k");
        }
        addFacts(table, value.is_object() ? "" : key, key,
                 value.is_null() ? nlohmann::json(meta->second) : value);
        if (!table.empty()) out += table.html();
    }
    HtmlTable rest("Run", {{"fact"}, {"value"}});
    // The model's own facts name its experts and layers already.
    const bool modelKnown = run.metaJson("model").contains("experts");
    for (const auto& [key, text] : run.summary.meta) {
        if (key == "model" || key == "machine" || key == "build" || key == "settings" ||
            key == "command" || key == "writer_pid" || key == "writer_stamp" ||
            (key == "routing" && modelKnown))
            continue;
        const nlohmann::json value = run.metaJson(key);
        if (key == "sources" && value.is_array()) {
            std::string files;
            for (const nlohmann::json& source : value) {
                if (source.is_object() && source.contains("file"))
                    files += (files.empty() ? "" : ", ") + factText("file", source["file"]);
            }
            rest.row({"source files", formatCount(static_cast<std::int64_t>(value.size())) + ": " +
                                          shorten(files, 600)});
        } else if (value.is_object()) {
            addFacts(rest, key, key, value);
        } else {
            std::string label = key;
            std::replace(label.begin(), label.end(), '_', ' ');
            rest.row({label, value.is_boolean() ? factText(key, value) : shorten(text, 600)});
        }
    }
    return "<div class=\"facts\">\n" + out + rest.html() + "</div>\n";
}

/// Clock readings are only a part of what tracing costs, and the part that a run can tell.
std::string noteOf(const QualityRow& row) {
    if (row.name != "timer_overhead") return row.note;
    return row.note + (row.note.empty() ? "" : " ") +
           "Tracing costs more than this, most of all where operations are short: "
           "bench/tracing_overhead.py measures it.";
}

std::string completeness(const RunSummary& run, bool imported) {
    if (run.quality.empty()) return paragraph("This run file holds no quality records.");
    HtmlTable table("Quality of the measurement",
                    {{"check"}, {"result"}, {"value", true}, {"what it means"}, {"id"}});
    std::vector<QualityRow> rows = run.quality;
    std::stable_partition(rows.begin(), rows.end(), [](const QualityRow& row) { return !row.ok; });
    for (const QualityRow& row : rows) {
        table.row({qualityLabel(row.name),
                   row.ok     ? "\xE2\x9C\x93\xC2\xA0passed"
                   : imported ? "!\xC2\xA0limited"
                              : "\xE2\x9C\x97\xC2\xA0"
                                "failed",
                   qualityValue(row), noteOf(row), row.name});
    }
    return table.html();
}

std::string memoryTable(const RunSummary& run) {
    if (run.memory.empty()) return {};
    HtmlTable table("Memory", {{"part"}, {"size", true}, {"bytes", true}});
    for (const MemoryRow& row : run.memory) {
        table.row({memoryTitle(row.name), formatBytes(static_cast<double>(row.bytes)),
                   formatCount(row.bytes)});
    }
    return table.html();
}

}  // namespace

std::string renderWhatRan(const ReportRun& run, const SectionContext& at) {
    std::string out = notices(run);
    const std::string kind = run.kind();
    out += "<p class=\"lead\"><strong>" + htmlEscape(run.modelName()) + "</strong>" +
           (kind.empty() ? "" : ", " + htmlEscape(kind)) + ", status " +
           htmlEscape(runStatusName(run.summary.status)) + ", " +
           htmlEscape(
               formatCounted(static_cast<std::int64_t>(run.summary.sequences.size()), "sequence")) +
           ".</p>\n";
    if (run.summary.meta.count("command") > 0) {
        out += at.heading(1, "Command line");
        constexpr std::size_t kShownCommand = 400;
        const std::string line = run.commandLine();
        const auto markup = [](const std::string& text) {
            return "<pre class=\"command\"><code>" + htmlEscape(text) + "</code></pre>\n";
        };
        out += markup(shorten(line, kShownCommand));
        if (line.size() > kShownCommand) out += htmlDetails("The whole command line", markup(line));
    }
    out += at.heading(1, "How complete the measurement is") +
           completeness(run.summary, run.imported());
    out += at.heading(1, "Model, machine, build, settings") + factTables(run) +
           memoryTable(run.summary);
    return out;
}

}  // namespace moescope
