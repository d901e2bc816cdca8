// SPDX-License-Identifier: Apache-2.0
// moescope import and export: other tools' recordings in, files for other tools out.
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/export/exporters.h"
#include "profiler/import/importers.h"
#include "profiler/import/routed_facts.h"

namespace moescope::cli {
namespace {

/// 0 when it is not given, which nobody can mean.
int numberFrom1(const Options& options, const char* name) {
    if (!options.has(name)) return 0;
    const int value = options.get<int>(name);
    if (value < 1) throw UsageError("--" + std::string(name) + " takes a number from 1");
    return value;
}

}  // namespace

int runImport(const Invocation& invocation) {
    Options options("import");
    options.positional("kind", 1, "what the files are (listed below)");
    options.positional("file", -1, "one or more files; of trtllm a folder");
    options.add("out,o", po::value<std::string>()->value_name("RUN"), "run file to write");
    options.add("experts", po::value<int>()->value_name("E"),
                "experts of a layer, where the files show only those that were chosen");
    options.add("layers", po::value<int>()->value_name("L"),
                "layers of the model, where the files do not say");
    options.add("top-k", po::value<int>()->value_name("K"),
                "experts of a token, where the files do not say");
    options.add("config", po::value<std::string>()->value_name("FILE"),
                "config.json of the model: says the three above and the size of an expert");
    options.add("model", po::value<std::string>()->value_name("NAME"), "what to call the model");
    options.flag("overwrite", "replace an existing run file");
    options.flag("json", "print one JSON document");
    std::string kinds = "Kinds:\n";
    for (const Importer& importer : importers()) {
        kinds +=
            "  " + std::string(importer.kind) + ": " + std::string(importer.description) + '\n';
    }
    options.epilog(kinds);
    if (!options.parse(invocation)) return kDone;
    if (!options.has("out")) throw UsageError("'import' needs --out RUN");

    ImportRequest request;
    request.kind = options.get<std::vector<std::string>>("kind").front();
    for (const std::string& file : options.get<std::vector<std::string>>("file"))
        request.files.emplace_back(file);
    request.out = options.get<std::string>("out");
    request.command = invocation.commandLine;
    request.overwrite = options.isSet("overwrite");
    request.stop = invocation.stop;
    request.facts = {numberFrom1(options, "experts"), numberFrom1(options, "layers"),
                     numberFrom1(options, "top-k"), options.get<std::string>("model", "")};
    request.config = options.get<std::string>("config", "");
    requireFreshOutput(request.out, request.overwrite);
    importFiles(request);

    const RunSummary run = summarize(RunReader(request.out));
    for (const QualityRow& row : run.quality)
        if (!row.ok && row.name != kTimings) note("warning: " + qualityWarning(row));
    std::int64_t tokens = 0;
    for (const SequenceRow& sequence : run.sequences)
        tokens += sequence.promptTokens + sequence.generatedTokens;
    if (options.isSet("json")) {
        printJson("import", {{"run", request.out.string()},
                             {"sequences", run.sequences.size()},
                             {"tokens", tokens},
                             {"layers", run.routing.size()},
                             {"experts", run.experts},
                             {"top_k", run.topK}});
    } else {
        std::cout << request.out.string() << ": " << countText(run.sequences.size(), "sequence")
                  << ", " << countText(tokens, "token") << ", ";
        if (run.routing.empty())
            std::cout << "no expert routing\n";
        else
            std::cout << countText(run.routing.size(), "layer") << " x "
                      << countText(run.experts, "expert") << ", top-" << run.topK << '\n';
    }
    return kDone;
}

int runExport(const Invocation& invocation) {
    Options options("export");
    options.positional("run", 1,
                       "a run file with timed operations, or with the experts of each token");
    options.add("out,o", po::value<std::string>()->value_name("FILE"), "file to write");
    options.add("format", po::value<std::string>()->value_name("NAME"),
                "one of those below; default: what the extension of --out says");
    options.flag("overwrite", "replace an existing file");
    options.flag("json", "print one JSON document");
    std::string formats = "Formats:\n";
    for (const Exporter& exporter : exporters())
        formats += "  " + std::string(exporter.format) + " (" + std::string(exporter.extension) +
                   "): " + std::string(exporter.description) + '\n';
    options.epilog(formats);
    if (!options.parse(invocation)) return kDone;
    if (!options.has("out")) throw UsageError("'export' needs --out FILE");
    const std::filesystem::path out = options.get<std::string>("out");
    const std::string from = options.get<std::vector<std::string>>("run").front();
    refuseSameFile("--out", out, {{"run", from}});
    requireFreshOutput(out, options.isSet("overwrite"));
    const Exporter& exporter =
        exporterFor(options.has("format") ? options.get<std::string>("format") : "", out);
    const RunReader run(from);
    if (exporter.times && run.operationCount() == 0)
        throw Error(run.path().string() + ": holds no timed operations",
                    "'moescope profile' records them");
    exporter.write(run, out);
    if (options.isSet("json"))
        printJson("export", {{"file", out.string()},
                             {"format", std::string(exporter.format)},
                             {"bytes", std::filesystem::file_size(out)}});
    else
        std::cout << out.string() << ": " << exporter.opens << '\n';
    return kDone;
}

}  // namespace moescope::cli
