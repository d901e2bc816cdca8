// SPDX-License-Identifier: Apache-2.0
// The table of commands, help, version, and the one place where exceptions become exit codes.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <new>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "engine/core/edit_distance.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/record/machine.h"

namespace moescope::cli {
namespace {

constexpr std::array kCommands{
    Command{"inspect", "MODEL",
            "what a model is: parts, tensors, sizes, and the memory it will need", runInspect},
    Command{"generate", "MODEL --prompt TEXT | --chat TEXT | --messages F.json",
            "continue a text or answer a message", runGenerate},
    Command{"score", "MODEL --input F.jsonl --output F.jsonl",
            "log-probabilities of texts and continuations", runScore},
    Command{"tokenize", "MODEL | --tokenizer FILE --text TEXT", "text to token ids and back",
            runTokenize},
    Command{"profile", "MODEL --prompt TEXT | --workload F.jsonl --out RUN",
            "time every operation and record routing", runProfile},
    Command{"bench", "MODEL [-p N,..] [-n N,..]",
            "prefill and decode speed beside the memory bandwidth", runBench},
    Command{"eval", "MODEL --suite NAME[,..] --out RUN", "score capability and fairness suites",
            runEval},
    Command{"import", "KIND FILE.. --out RUN", "routing traces and profiles of other tools",
            runImport},
    Command{"kernels", "RUN [--by kernel|op|layer|step|phase]",
            "where the time went: kernels, idle time, tokens, roofline, expert load", runKernels},
    Command{"routing", "RUN", "load balance of the experts, layer by layer", runRouting},
    Command{"placement", "RUN [--gpus N,..]",
            "what the routing costs with the experts on one GPU or on several", runPlacement},
    Command{"cache", "RUN [--sizes C,..] [--by size|layer] [--link GB/S]",
            "hits of a cache of experts, and what loading the others costs", runCache},
    Command{"compare", "RUN RUN [..]", "headline figures of several runs side by side", runCompare},
    Command{"report", "RUN [..] --format html,json,csv,md,summary --out DIR", "write reports",
            runReport},
    Command{"export", "RUN --out FILE [--format chrome|perfetto|nsys|csv]",
            "a timeline for the Perfetto UI, or tables for other tools", runExport},
    Command{"synth", "CONFIG --out F.gguf",
            "a checkpoint of a known shape with seeded random weights", runSynth},
    Command{"shapes", "CONFIG --layers N,.. --experts N,.. | MODEL [..]",
            "wide or deep, few or many experts, at a fixed number of parameters", runShapes},
    Command{"convert", "MODEL OUT.gguf --to mxfp4|q8_0|bf16|f32",
            "the same model as GGUF with other number formats", runConvert},
    Command{"compare-numerics", "A B --text F.txt",
            "perplexity, KL divergence and routing agreement of two models", runCompareNumerics},
    Command{"gui", "[RUN ..]", "open the window", runGui},
};

void printHelp(std::FILE* to) {
    std::string text =
        "moescope: run, profile and evaluate mixture-of-experts language models\n\n"
        "usage: moescope COMMAND [ARGUMENTS] [OPTIONS]\n\n";
    for (const Command& command : commands()) {
        const std::string name(command.name);
        text +=
            "  " + name + std::string(18 - name.size(), ' ') + std::string(command.summary) + '\n';
    }
    text +=
        "\nMODEL is a .gguf or .safetensors file, a Hugging Face folder, an embedded model "
        "('demo', 'demo-wide',\n'demo-deep'), 'ollama:NAME[:TAG]', 'hf:ORG/NAME', or "
        "'synth:CONFIG[:bf16]': random weights in memory.\n"
        "'moescope COMMAND --help' lists a command's options. Results go to stdout, talk to "
        "stderr;\n"
        "--json prints one JSON document. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 threshold "
        "crossed,\n"
        "130 interrupted (what was measured is kept).\n";
    std::fputs(text.c_str(), to);
}

void printVersion(bool json) {
    const nlohmann::json build = buildFacts();
    if (json) {
        std::cout << dumpJson({{"schema", "moescope.version"}, {"version", 1}, {"build", build}}, 2)
                  << '\n';
        return;
    }
    std::cout << "moescope " << build.value("version", "?") << '\n';
    for (const auto& [key, value] : build.items()) {
        if (key != "version")
            std::cout << key << ": "
                      << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
    }
}

int dispatch(const std::vector<std::string>& commandLine, const StopFlag* stop) {
    if (commandLine.size() < 2) {
        printHelp(stderr);
        return kUsage;
    }
    std::string name = commandLine[1];
    std::vector<std::string> arguments(commandLine.begin() + 2, commandLine.end());
    if (name == "help" && !arguments.empty()) {
        name = arguments.front();
        arguments = {"--help"};
    }
    if (name == "help" || name == "--help" || name == "-h") {
        printHelp(stdout);
        return kDone;
    }
    if (name == "--version" || name == "version") {
        const bool json = arguments == std::vector<std::string>{"--json"};
        if (!json && !arguments.empty())
            throw UsageError("'version' takes only --json, not '" + arguments.front() + "'");
        printVersion(json);
        return kDone;
    }
    for (const Command& command : commands()) {
        if (command.name == name)
            return command.run(Invocation{std::move(arguments), commandLine, stop});
    }
    std::vector<std::string> names;
    for (const Command& command : commands()) names.emplace_back(command.name);
    const std::string guess = nearest(name, names);
    throw UsageError("unknown command '" + name + "'", guess.empty()
                                                           ? "'moescope help' lists the commands"
                                                           : "did you mean '" + guess + "'?");
}

/// Whether nobody reads standard output any more: "moescope .. | head" is nothing to speak of.
bool readerGone() {
    pollfd out{STDOUT_FILENO, POLLOUT, 0};
    return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

}  // namespace

std::span<const Command> commands() {
    return kCommands;
}

int runProgram(const std::vector<std::string>& commandLine, const StopFlag* stop) {
    try {
        const int code = dispatch(commandLine, stop);
        std::cout.flush();
        if (!std::cout || std::fflush(stdout) != 0) {
            if (readerGone()) return kFailed;
            throw Error("standard output: cannot write the result (disk full?)");
        }
        return code;
    } catch (const UsageError& e) {
        printError(e.what(), e.hint());
        return kUsage;
    } catch (const Interrupted& e) {
        printError(e.what(), e.hint());
        return kInterrupted;
    } catch (const Error& e) {
        printError(e.what(), e.hint());
        return kFailed;
    } catch (const std::bad_alloc&) {
        printError("out of memory", "a smaller --context needs less");
        return kFailed;
    } catch (const std::exception& e) {
        printError(std::string("unexpected: ") + e.what(),
                   "please report this with the command line");
        return kFailed;
    }
}

}  // namespace moescope::cli
