// SPDX-License-Identifier: Apache-2.0
// moescope convert: a checkpoint to GGUF with other number formats.
#include <array>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/convert/convert.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/run/model_names.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

struct Target {
    std::string_view name;
    DType type;
};
constexpr std::array kTargets{
    Target{"mxfp4", DType::MXFP4}, Target{"q8_0", DType::Q8_0}, Target{"bf16", DType::BF16},
    Target{"f32", DType::F32},     Target{"f16", DType::F16},   Target{"q4_0", DType::Q4_0},
    Target{"q4_1", DType::Q4_1},
};

struct Part {
    std::string_view name;
    ConvertPart part;
};
constexpr std::array kParts{Part{"experts", ConvertPart::Experts},
                            Part{"linear", ConvertPart::Linear}, Part{"all", ConvertPart::All}};

/// The entry of `table` called `name`; UsageError that lists them.
template <typename Table>
const auto& pick(const Table& table, const std::string& name, const char* option) {
    std::string names;
    for (const auto& entry : table) {
        if (entry.name == name) return entry;
        names += (names.empty() ? "" : ", ") + std::string(entry.name);
    }
    throw UsageError(std::string(option) + " takes one of " + names + ", not '" + name + "'");
}

ConvertOptions convertOptions(const Options& options) {
    ConvertOptions convert;
    convert.type = pick(kTargets, options.get<std::string>("to"), "--to").type;
    if (options.has("what"))
        convert.part = pick(kParts, options.get<std::string>("what"), "--what").part;
    const auto rule = mxfp4Rule(options.get<std::string>("rule"));
    if (!rule) throw UsageError("--rule takes floor, ceil or rne");
    if (options.has("rule") && convert.type != DType::MXFP4)
        throw UsageError("--rule belongs to --to mxfp4");
    convert.rule = *rule;
    convert.threads = options.get<int>("threads");
    if (convert.threads < 0) throw UsageError("--threads takes 0 or more");
    convert.startOver = options.isSet("overwrite") || options.isSet("force");
    return convert;
}

void printResult(const std::filesystem::path& out, const ConvertResult& result, bool json) {
    if (json) {
        printJson("convert",
                  {{"file", out.string()},
                   {"bytes", result.fileBytes},
                   {"resumed_at", result.resumedAt},
                   {"tensors", result.tensors},
                   {"converted", result.converted},
                   {"unconverted", result.unconverted},
                   {"llama_cpp",
                    result.llamaCpp.empty() ? nlohmann::json() : nlohmann::json(result.llamaCpp)}});
        return;
    }
    std::cout << out.string() << ": " << formatBytes(static_cast<double>(result.fileBytes)) << ", "
              << result.converted << " of " << countText(result.tensors, "tensor") << " converted";
    if (result.resumedAt > 0)
        std::cout << ", continued at " << formatBytes(static_cast<double>(result.resumedAt));
    std::cout << '\n';
    if (!result.unconverted.empty()) {
        note(countText(result.unconverted.size(), "tensor") +
             (result.unconverted.size() == 1 ? " keeps its type, because its rows are"
                                             : " keep their type, because their rows are") +
             " no multiple of the block: " + result.unconverted.front() +
             (result.unconverted.size() > 1 ? ", .." : ""));
    }
    if (!result.llamaCpp.empty()) note("note: " + result.llamaCpp);
}

}  // namespace

int runConvert(const Invocation& invocation) {
    Options options("convert");
    options.positional("model", 1, "a file, folder or name");
    options.positional("out", 1, "GGUF file to write");
    options.add("to", po::value<std::string>()->value_name("TYPE"),
                "mxfp4, q8_0, bf16, f32; also f16, q4_0, q4_1");
    options.add("what", po::value<std::string>()->value_name("PART"),
                "experts, linear (every matrix of the layers), all (embedding and head too); "
                "default: experts where the model has them, else linear");
    options.add("rule", po::value<std::string>()->default_value("floor")->value_name("RULE"),
                "MXFP4 scales: floor (ggml), ceil (triton_kernels), rne (OCP; torchao)");
    options.add("threads,t", po::value<int>()->default_value(0)->value_name("N"),
                "0: every available core");
    options.flag("overwrite", "replace an existing file; throw an unfinished one away");
    options.flag("force", "the earlier name of --overwrite");
    options.flag("json", "print one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    options.epilog(
        "The file is written as OUT.part and renamed at the end. After a kill, Ctrl-C or a full\n"
        "disk the same command continues where it was. Keys and tokenizer are carried over; the\n"
        "router and all vectors keep their type. docs/mxfp4.md compares the rules.");
    if (!options.parse(invocation)) return kDone;
    if (!options.has("to")) throw UsageError("'convert' needs --to TYPE");
    ConvertOptions convert = convertOptions(options);
    const auto out = std::filesystem::path(options.get<std::vector<std::string>>("out").front());
    requireFreshOutput(out, convert.startOver, "OUT");
    const auto in = resolveModel(options.get<std::vector<std::string>>("model").front());
    Progress progress(parseProgressStyle(options.get<std::string>("progress")), "convert", "MB");
    convert.progress = [&](std::uint64_t done, std::uint64_t total, std::uint64_t resumed) {
        progress.setResumed(resumed / 1000000);
        progress.update(done / 1000000, total / 1000000);
    };
    convert.stop = invocation.stop;
    const ConvertResult result = convertCheckpoint(in, out, convert);
    progress.finish();
    printResult(out, result, options.isSet("json"));
    return kDone;
}

}  // namespace moescope::cli
