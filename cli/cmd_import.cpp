// SPDX-License-Identifier: Apache-2.0
// moescope import and export: other tools' recordings in, files for other tools out.
#include <iostream>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/export/exporters.h"
#include "profiler/import/importers.h"

namespace moescope::cli {

int runImport(const Invocation& invocation) {
    Options options("import");
    options.positional("kind", 1, "what the files are (listed below)");
    options.positional("file", -1, "one or more files");
    options.add("out,o", po::value<std::string>()->value_name("RUN"), "run file to write");
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
    requireFreshOutput(request.out, request.overwrite);
    importFiles(request);

    const RunSummary run = summarize(RunReader(request.out));
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
    options.positional("run", 1, "a run file with timed operations");
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
    if (run.operationCount() == 0)
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
