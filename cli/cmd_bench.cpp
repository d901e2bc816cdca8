// SPDX-License-Identifier: Apache-2.0
// moescope bench: prefill and decode speed beside the read bandwidth measured in the same run.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/lists.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/speed_bench.h"
#include "engine/core/count_text.h"
#include "engine/core/cpu_features.h"
#include "engine/core/error.h"
#include "profiler/analysis/roofline.h"
#include "profiler/record/machine.h"
#include "profiler/record/run_recorder.h"
#include "profiler/runfile/run_reader.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

/// A temporary run file, removed however the command ends.
struct Scratch {
    std::filesystem::path path = std::filesystem::temp_directory_path() /
                                 ("moescope-bench-" + std::to_string(::getpid()) + ".moescope");
    Scratch() = default;
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
};

/// How much --trace recorded: that nothing was left out is part of the answer.
struct Recorded {
    std::int64_t operations = 0, routed = 0;  ///< routed: choices of an expert
};

Recorded recordedIn(const std::filesystem::path& path) {
    const RunReader run(path);
    Recorded recorded{run.operationCount(), 0};
    for (const RoutingCountRow& row : run.routingCounts()) recorded.routed += row.count;
    return recorded;
}

}  // namespace

int runBench(const Invocation& invocation) {
    Options options("bench");
    options.positional("model", 1, "a file, folder or name");
    options.add("prompt,p", po::value<std::string>()->default_value("128,512")->value_name("N,.."),
                "prefill lengths");
    options.add("tokens,n", po::value<std::string>()->default_value("64")->value_name("N,.."),
                "numbers of tokens to decode");
    options.add(
        "depth,d", po::value<std::string>()->default_value("16")->value_name("N,.."),
        "of decoding: tokens of a sequence before those decoded; 0: none. Prefill has none, "
        "whatever this says");
    options.add("batch,b", po::value<std::string>()->default_value("1")->value_name("N,.."),
                "sequences decoded at a time");
    options.add("repeat,r", po::value<int>()->default_value(3)->value_name("N"),
                "repetitions; best and median are shown");
    options.flag(
        "trace",
        "record operations and routing into a temporary run file while measuring: what does "
        "tracing cost?");
    options.flag("json", "print one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addModelOptions(options);
    if (!options.parse(invocation)) return kDone;
    constexpr int kMostTokens = 1 << 24, kMostSequences = 1 << 16;
    const auto list = [&](const char* name, const char* shown, int most, int least = 1) {
        return parseIntList(options.get<std::string>(name), shown, most, least);
    };
    const std::vector<int> prompts = list("prompt", "-p", kMostTokens);
    const std::vector<int> decodes = list("tokens", "-n", kMostTokens);
    const std::vector<int> depths = list("depth", "-d", kMostTokens, 0);
    const std::vector<int> batches = list("batch", "-b", kMostSequences);
    const int repeat = options.get<int>("repeat");
    if (repeat < 1 || repeat > 1000) throw UsageError("--repeat takes 1 to 1000");
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));

    const auto model = loadModel(options.get<std::vector<std::string>>("model").front(), options);
    const int longest = std::max(*std::max_element(prompts.begin(), prompts.end()),
                                 *std::max_element(depths.begin(), depths.end()) +
                                     *std::max_element(decodes.begin(), decodes.end()));
    Session session(*model, contextFor(*model, options, longest));
    session.setStop(invocation.stop);

    const Scratch scratch;
    std::optional<RunRecorder> recorder;
    if (options.isSet("trace")) {
        RunFacts facts;
        facts.kind = "bench";
        facts.command = invocation.commandLine;
        facts.model = modelFacts(*model);
        facts.settings = backendFacts(*model, options);
        facts.synthetic = model->spec().synthetic;
        facts.routing = routingOptions(model->spec());
        recorder.emplace(scratch.path, facts, RunWriter::Mode::Create, true);
    }
    std::vector<SpeedRow> rows;
    const std::size_t total = prompts.size() + decodes.size() * depths.size() * batches.size();
    bool interrupted = false;
    try {
        SpeedBench bench(*model, session, recorder ? recorder->trace() : nullptr,
                         recorder ? recorder->routing() : nullptr, invocation.stop);
        Progress progress(style, "bench", "measurements");
        for (const int tokens : prompts) {
            rows.push_back(bench.prefill(tokens, repeat));
            progress.update(rows.size(), total);
        }
        for (const int tokens : decodes) {
            for (const int depth : depths) {
                for (const int batch : batches) {
                    rows.push_back(batch == 1 ? bench.decode(depth, tokens, repeat)
                                              : bench.decodeMany(batch, depth, tokens, repeat));
                    progress.update(rows.size(), total);
                }
            }
        }
    } catch (const Interrupted&) {
        if (rows.empty()) throw;
        interrupted = true;  // what was measured is shown first
    }
    std::optional<Recorded> recorded;
    if (recorder) {
        recorder->finish(interrupted ? RunStatus::Interrupted : RunStatus::Done);
        recorder.reset();
        recorded = recordedIn(scratch.path);
    }

    nlohmann::json results = nlohmann::json::array();
    const bool cached = model->backend().deviceMemory().total == 0 &&
                        cacheResident(model->checkpoint().fileBytes(), lastLevelCacheBytes());
    TextTable table({"phase", "sequences", "depth", "tokens", "best tok/s", "median tok/s", "GB/s",
                     "read bandwidth", "share", "GFLOP/s"});
    for (const SpeedRow& row : rows) {
        const double all = double(row.tokens) * row.sequences;
        const double rate = all / row.best();
        const double bytesPerSecond = static_cast<double>(row.bytes) / row.best();
        const bool comparable = row.bandwidth > 0 && !cached;
        const double share = comparable ? bytesPerSecond / row.bandwidth : 0;
        table.row({row.phase, std::to_string(row.sequences), std::to_string(row.depth),
                   std::to_string(row.tokens), formatMeasured(rate, 2),
                   formatMeasured(all / row.median(), 2), formatFixed(bytesPerSecond / 1e9, 2),
                   formatFixed(row.bandwidth / 1e9, 2),
                   comparable ? formatFixed(100 * share, 1) + " %" : "in cache",
                   formatFixed(static_cast<double>(row.flops) / row.best() / 1e9, 1)});
        results.push_back(
            {{"phase", row.phase},
             {"sequences", row.sequences},
             {"tokens", row.tokens},
             {"depth", row.depth},
             {"seconds", row.seconds},
             {"tokens_per_second", rate},
             {"bytes", row.bytes},
             {"flops", row.flops},
             {"bytes_per_second", bytesPerSecond},
             {"read_bandwidth", row.bandwidth},
             {"bandwidth_share", comparable ? nlohmann::json(share) : nlohmann::json(nullptr)}});
    }
    if (options.isSet("json")) {
        nlohmann::json body{{"model", modelFacts(*model)},
                            {"settings", backendFacts(*model, options)},
                            {"machine", machineFacts()},
                            {"traced", options.isSet("trace")},
                            {"interrupted", interrupted},
                            {"device_memory_used", model->backend().deviceMemory().used},
                            {"results", std::move(results)}};
        if (recorded)
            body["recorded"] = {{"operations", recorded->operations},
                                {"routing_choices", recorded->routed}};
        printJson("bench", body);
    } else {
        std::cout << table.text()
                  << "bytes: what must be read (weights once a step, each chosen expert once, "
                     "cache); share: of the\n"
                     "best read bandwidth measured between the repetitions\n";
        if (recorded)
            std::cout << "recorded meanwhile: " << countText(recorded->operations, "operation")
                      << ", " << countText(recorded->routed, "choice") << " of an expert\n";
    }
    if (interrupted) {
        throw Interrupted("interrupted", std::to_string(rows.size()) + " of " +
                                             countText(total, "measurement") + " are above");
    }
    return kDone;
}

}  // namespace moescope::cli
