// SPDX-License-Identifier: Apache-2.0
// moescope bench: prefill and decode speed beside the read bandwidth measured in the same run.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <numeric>
#include <optional>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/lists.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/cpu_features.h"
#include "engine/core/error.h"
#include "engine/run/cache_memory.h"
#include "engine/run/forward_pass.h"
#include "profiler/analysis/roofline.h"
#include "profiler/record/machine.h"
#include "profiler/record/run_recorder.h"
#include "profiler/runfile/run_reader.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

/// Sums the bytes that the operations must read; the plain run and the traced run both use it, the
/// plain one in a pass of its own that is not timed.
class ByteCounter final : public TraceSink {
public:
    void stepBegin(const StepInfo&) override {}
    void stepEnd() override {}
    void opBegin(Op op, int) override { sampling_ = op == Op::Sample; }
    void opEnd(const OpWork& work) override {
        if (sampling_) return;  // logits are none of what the model must read
        bytes_ += work.bytes;
        flops_ += work.flops;
    }
    std::uint64_t bytes() const { return bytes_; }
    std::uint64_t flops() const { return flops_; }

private:
    bool sampling_ = false;
    std::uint64_t bytes_ = 0, flops_ = 0;
};

struct Row {
    std::string phase;
    int tokens = 0;                      ///< of each sequence
    int sequences = 1;                   ///< at a time
    int depth = 0;                       ///< tokens of each sequence that were there before
    std::vector<double> seconds;         ///< one a repetition
    std::uint64_t bytes = 0, flops = 0;  ///< one repetition
    double bandwidth = 0;                ///< best read bandwidth seen beside it, bytes per second

    double best() const { return *std::min_element(seconds.begin(), seconds.end()); }
    double median() const {
        std::vector<double> sorted = seconds;
        std::sort(sorted.begin(), sorted.end());
        const std::size_t middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
};

/// Token ids that spread over the vocabulary, the same in every run.
std::vector<TokenId> someTokens(int count, int vocab) {
    std::vector<TokenId> tokens;
    std::uint32_t state = 12345;
    for (int i = 0; i < count; ++i) {
        state = state * 1664525U + 1013904223U;
        tokens.push_back(static_cast<TokenId>((state >> 8U) % static_cast<std::uint32_t>(vocab)));
    }
    return tokens;
}

double secondsOf(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Most tokens of a prompt in a step of decodeMany, so that a longer one asks for no more memory.
constexpr int kPromptStep = 512;

class Bench {
public:
    Bench(const Model& model, Session& session, TraceSink* trace, RoutingSink* routing,
          const StopFlag* stop)
        : model_(model), session_(session), trace_(trace), routing_(routing), stop_(stop) {}

    Row prefill(int tokens, int repeat) {
        const std::vector<TokenId> ids = someTokens(tokens, model_.spec().vocab);
        std::span<const float> logits;
        return measure(
            "prefill", tokens, repeat, [] {},
            [&] { logits = session_.append(ids, StepKind::Prefill); }, [&] { mostLikely(logits); });
    }

    /// Decodes greedily after a prompt of `depth` tokens; 0: the first step has nothing before it.
    Row decode(int depth, int tokens, int repeat) {
        const std::vector<TokenId> prompt = someTokens(depth, model_.spec().vocab);
        const TokenId first = someTokens(1, model_.spec().vocab).front();
        Row row = measure(
            "decode", tokens, repeat,
            [&] {
                if (!prompt.empty()) session_.append(prompt, StepKind::Prefill);
            },
            [&] { session_.appendGreedy(first, tokens); }, [] {});
        row.depth = depth;
        return row;
    }

    /// The same for several sequences at a time, in steps of one token each.
    Row decodeMany(int sequences, int depth, int tokens, int repeat) {
        Row row;
        row.phase = "decode";
        row.tokens = tokens;
        row.sequences = sequences;
        row.depth = depth;
        const Backend& backend = model_.backend();
        const int step = std::clamp(depth, 1, kPromptStep);
        const CacheShape shape{depth + tokens, step};
        requireCacheMemory(backend, shape, sequences);
        const std::vector<TokenId> ids = someTokens(sequences, model_.spec().vocab);
        ForwardPass pass(backend, depth + tokens, std::max(sequences, step));
        const std::vector<TokenId> prompt = someTokens(depth, model_.spec().vocab);
        ByteCounter counter;
        std::vector<std::int32_t> rows(ids.size());
        std::iota(rows.begin(), rows.end(), 0);
        for (int i = -1; i < repeat; ++i) {
            std::vector<std::shared_ptr<KvCache>> caches;
            for (int s = 0; s < sequences; ++s) {
                throwIfStopped(stop_);
                caches.push_back(backend.newCache(shape));
                for (int at = 0; at < depth; at += step) {
                    const int count = std::min(step, depth - at);
                    const StepRun run{caches.back().get(), at, count};
                    pass.step({s, StepKind::Prefill, at, count},
                              std::span(prompt).subspan(static_cast<std::size_t>(at),
                                                        static_cast<std::size_t>(count)),
                              {&run, 1}, [] {});
                }
            }
            pass.setTrace(i < 0 ? &counter : trace_);
            pass.setRouting(i < 0 ? nullptr : routing_);
            if (i >= 0) row.bandwidth = std::max(row.bandwidth, readBandwidth());
            const double seconds = secondsOf([&] {
                std::vector<TokenId> next = ids;
                for (int position = depth; position < depth + tokens; ++position) {
                    throwIfStopped(stop_);
                    decodeStep(pass, caches, next, rows, position);
                }
            });
            pass.setTrace(nullptr);
            pass.setRouting(nullptr);
            if (i >= 0) row.seconds.push_back(seconds);
        }
        row.bytes = counter.bytes();
        row.flops = counter.flops();
        return row;
    }

private:
    /// One token of every sequence: in one step, or in as few as the back end takes.
    void decodeStep(ForwardPass& pass, const std::vector<std::shared_ptr<KvCache>>& caches,
                    std::vector<TokenId>& next, std::span<const std::int32_t> rows,
                    int position) const {
        const auto most = static_cast<std::size_t>(model_.backend().maxRuns());
        for (std::size_t first = 0; first < next.size(); first += most) {
            const std::size_t count = std::min(most, next.size() - first);
            std::vector<StepRun> runs;
            for (std::size_t s = 0; s < count; ++s)
                runs.push_back({caches[first + s].get(), position, 1});
            const StepInfo info{static_cast<std::int64_t>(first), StepKind::Decode, position,
                                static_cast<std::int32_t>(count)};
            const std::span<TokenId> tokens = std::span(next).subspan(first, count);
            pass.step(info, tokens, runs, [&] {
                if (pass.keepsLogits()) {
                    chooseThere(pass, rows.first(count), tokens);
                } else {
                    chooseHere(pass, rows.first(count), tokens);
                }
            });
        }
    }

    static void chooseThere(ForwardPass& pass, std::span<const std::int32_t> rows,
                            std::span<TokenId> tokens) {
        const std::vector<TokenRule> largest(rows.size());
        std::vector<TokenChoice> choices(rows.size());
        pass.choose(rows, largest, choices);
        for (std::size_t i = 0; i < choices.size(); ++i) {
            if (choices[i].token < 0) throw notFinite();
            tokens[i] = choices[i].token;
        }
    }

    void chooseHere(ForwardPass& pass, std::span<const std::int32_t> rows,
                    std::span<TokenId> tokens) const {
        const auto vocab = static_cast<std::size_t>(model_.spec().vocab);
        pass.head(rows, [&](std::size_t at, std::span<const float> logits) {
            const auto found = static_cast<int>(logits.size() / vocab);
            model_.backend().parallelFor(found, [&](int i) {
                const auto row = static_cast<std::size_t>(i);
                tokens[at + row] = mostLikely(logits.subspan(row * vocab, vocab));
            });
        });
    }

    /// A damaged model is as fast as a whole one, but its speed must not be reported: `check` looks
    /// at what the untimed pass gave and throws. (Decoding looks at the logits of every token.)
    Row measure(const char* phase, int tokens, int repeat, const std::function<void()>& before,
                const std::function<void()>& work, const std::function<void()>& check) {
        Row row;
        row.phase = phase;
        row.tokens = tokens;
        ByteCounter counter;
        for (int i = -1; i < repeat; ++i) {  // -1: warms up and counts the work
            throwIfStopped(stop_);
            session_.beginSequence(nextSequence_++);
            session_.setTrace(nullptr);
            session_.setRouting(nullptr);
            before();
            session_.setTrace(i < 0 ? &counter : trace_);
            session_.setRouting(i < 0 ? nullptr : routing_);
            if (i >= 0) row.bandwidth = std::max(row.bandwidth, readBandwidth());
            const double seconds = secondsOf(work);
            if (i < 0)
                check();
            else
                row.seconds.push_back(seconds);
        }
        row.bytes = counter.bytes();
        row.flops = counter.flops();
        return row;
    }

    double readBandwidth() const {
        const double device = model_.backend().readBandwidth();
        return device > 0 ? device : streamBandwidth(model_.backend().threads());
    }

    const Model& model_;
    Session& session_;
    TraceSink* trace_;
    RoutingSink* routing_;
    const StopFlag* stop_;
    std::int64_t nextSequence_ = 0;
};

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
    std::vector<Row> rows;
    const std::size_t total = prompts.size() + decodes.size() * depths.size() * batches.size();
    bool interrupted = false;
    try {
        Bench bench(*model, session, recorder ? recorder->trace() : nullptr,
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
    for (const Row& row : rows) {
        const double all = double(row.tokens) * row.sequences;
        const double rate = all / row.best();
        const double bytesPerSecond = static_cast<double>(row.bytes) / row.best();
        const bool comparable = row.bandwidth > 0 && !cached;
        const double share = comparable ? bytesPerSecond / row.bandwidth : 0;
        table.row({row.phase, std::to_string(row.sequences), std::to_string(row.depth),
                   std::to_string(row.tokens), formatFixed(rate, 2),
                   formatFixed(all / row.median(), 2), formatFixed(bytesPerSecond / 1e9, 2),
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
