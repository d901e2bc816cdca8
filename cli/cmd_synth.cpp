// SPDX-License-Identifier: Apache-2.0
// moescope synth: a checkpoint of a known shape with seeded random weights.
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "engine/model/synth.h"
#include "reports/numbers.h"

namespace moescope::cli {

int runSynth(const Invocation& invocation) {
    std::string names = "Built-in configurations:";
    for (const std::string& name : synthConfigNames()) names += "\n  " + name;
    Options options("synth");
    options.positional("config", 1, "a built-in configuration (listed below) or a JSON file");
    options.add("out,o", po::value<std::string>()->value_name("F.gguf"), "file to write");
    options.add("seed", po::value<std::uint64_t>()->default_value(1)->value_name("N"),
                "of the weights");
    options.add("threads,t", po::value<int>()->default_value(0)->value_name("N"),
                "0: every available core");
    options.add("dense", po::value<std::string>()->value_name("TYPE"),
                "of the matrices that are no experts: q8_0 (unless the configuration has another) "
                "or bf16");
    options.add("vocabulary", po::value<std::string>()->value_name("F.tiktoken"),
                "embed this vocabulary (o200k_base.tiktoken)");
    options.flag("overwrite", "replace an existing file");
    options.flag("json", "print one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    options.epilog(names);
    if (!options.parse(invocation)) return kDone;
    if (!options.has("out")) throw UsageError("'synth' needs --out F.gguf");
    const std::filesystem::path out = options.get<std::string>("out");
    requireFreshOutput(out, options.isSet("overwrite"));
    if (options.get<int>("threads") < 0) throw UsageError("--threads takes 0 or more");

    SynthConfig config = synthConfig(options.get<std::vector<std::string>>("config").front());
    if (options.has("dense")) {
        const auto dense = synthDense(options.get<std::string>("dense"));
        if (!dense) throw UsageError("--dense takes q8_0 or bf16");
        config.dense = *dense;
    }
    SynthOptions synth;
    synth.seed = options.get<std::uint64_t>("seed");
    synth.threads = options.get<int>("threads");
    if (options.has("vocabulary")) synth.tiktokenRanks = options.get<std::string>("vocabulary");
    synth.stop = invocation.stop;
    Progress progress(parseProgressStyle(options.get<std::string>("progress")), "synth", "MB");
    synth.progress = [&](std::uint64_t done, std::uint64_t total) {
        progress.update(done / 1000000, total / 1000000);
    };
    const SynthResult result = synthesize(config, out, synth);
    progress.finish();

    if (options.isSet("json")) {
        printJson("synth", {{"file", out.string()},
                            {"bytes", result.fileBytes},
                            {"parameters", result.parameters},
                            {"tensors", result.tensors},
                            {"seed", synth.seed},
                            {"synthetic", true}});
    } else {
        std::cout << out.string() << ": " << formatBytes(static_cast<double>(result.fileBytes))
                  << ", " << formatParameters(static_cast<double>(result.parameters))
                  << " SYNTHETIC weights (seed " << synth.seed << ") in " << result.tensors
                  << " tensors\n";
    }
    return kDone;
}

}  // namespace moescope::cli
