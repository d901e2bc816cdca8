// SPDX-License-Identifier: Apache-2.0
// moescope compare-numerics: what a change of number format does to a model, on given texts.
#include <cmath>
#include <iostream>
#include <optional>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "evals/compare_numerics.h"
#include "profiler/record/run_recorder.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

std::string percent(double share) {
    return formatFixed(100 * share, 2) + " %";
}

/// The value and its interval in the same unit.
template <typename Format>
std::vector<std::string> cells(const std::string& name, const Estimate& e, const Format& format) {
    if (std::isnan(e.value)) return {name, "-", ""};
    const bool known = !std::isnan(e.interval.low);
    return {name, format(e.value),
            known ? "[" + format(e.interval.low) + ", " + format(e.interval.high) + "]" : ""};
}

nlohmann::json number(double value) {
    return std::isnan(value) ? nlohmann::json(nullptr) : nlohmann::json(value);
}

nlohmann::json json(const Estimate& e) {
    return {{"value", number(e.value)},
            {"low", number(e.interval.low)},
            {"high", number(e.interval.high)}};
}

nlohmann::json json(const NumericsReport& r) {
    nlohmann::json layers = nlohmann::json::array();
    for (std::size_t i = 0; i < r.layers.size(); ++i) {
        layers.push_back({{"layer", i},
                          {"relative_error", json(r.layers[i].error)},
                          {"routing_agreement", json(r.layers[i].routing)}});
    }
    return {{"tokens", r.tokens},
            {"blocks", r.blocks},
            {"perplexity_a", json(r.perplexityA)},
            {"perplexity_b", json(r.perplexityB)},
            {"nats_difference", json(r.nats)},
            {"kl_mean", json(r.klMean)},
            {"kl_p99", json(r.klP99)},
            {"same_top1", json(r.sameTop1)},
            {"routing_agreement", json(r.routing)},
            {"routing_agreement_all_layers", json(r.routingEverywhere)},
            {"layers", std::move(layers)}};
}

/// `context`: tokens of a block, without which a perplexity says nothing.
void printTable(const NumericsReport& r, int context) {
    const std::string blocks = ", blocks of " + countText(context, "token");
    const auto nats = [](double x) { return formatFixed(x, 5); };
    const auto plain = [](double x) { return formatFixed(x, 4); };
    TextTable table({"figure", "value", "95 % interval"});
    table.row(cells("perplexity A" + blocks, r.perplexityA, plain));
    table.row(cells("perplexity B" + blocks, r.perplexityB, plain));
    table.row(cells("nats a token, B - A", r.nats, nats));
    table.row(cells("KL(A || B) mean, nats", r.klMean, nats));
    table.row(cells("KL(A || B) 99th percentile", r.klP99, nats));
    table.row(cells("same top-1", r.sameTop1, percent));
    if (!std::isnan(r.routing.value)) {
        table.row(cells("same experts, tokens and layers", r.routing, percent));
        table.row(cells("same experts in every layer", r.routingEverywhere, percent));
    }
    std::cout << table.text() << '\n';
    TextTable layers({"layer", "relative error", "95 % interval", "same experts", "95 % interval"});
    for (std::size_t i = 0; i < r.layers.size(); ++i) {
        auto row = cells("", r.layers[i].error, nats);
        const auto routing = cells("", r.layers[i].routing, percent);
        layers.row({std::to_string(i), row[1], row[2], routing[1], routing[2]});
    }
    std::cout << layers.text();
}

/// Everything that the figures depend on, models and texts by their hashes.
nlohmann::json comparedFacts(const Model& a, const Model& b, const std::vector<std::string>& names,
                             const std::vector<std::string>& texts, const Options& options) {
    nlohmann::json facts = backendFacts(a, options);
    facts["a"] = names[0];
    facts["b"] = names[1];
    facts["model_b"] = modelFacts(b);
    facts["numerics_b"] =
        options.get<std::string>("numerics-b", options.get<std::string>("numerics"));
    facts["context"] = options.get<int>("context");
    facts["max_tokens"] = options.get<std::int64_t>("tokens");
    facts["resamples"] = options.get<int>("resamples");
    facts["texts"] = nlohmann::json::array();
    const auto files = options.get<std::vector<std::string>>("text");
    for (std::size_t i = 0; i < files.size(); ++i) {
        facts["texts"].push_back(
            {{"file", files[i]}, {"bytes", texts[i].size()}, {"sha256", sha256Hex(texts[i])}});
    }
    return facts;
}

void writeRows(RunWriter& writer, const NumericsReport& report, nlohmann::json settings,
               int resamples) {
    settings["tokens"] = report.tokens;
    settings["blocks"] = report.blocks;
    SuiteRow suite;
    suite.id = 1;
    suite.name = "numerics";
    suite.title = "Numerics: " + settings.at("b").get<std::string>() + " beside " +
                  settings.at("a").get<std::string>();
    suite.kind = kNumericsKind;
    suite.settings = dumpJson(settings);
    writer.add(suite);
    for (const MetricRow& row : numericsMetrics(report, suite.id, resamples)) writer.add(row);
}

}  // namespace

int runCompareNumerics(const Invocation& invocation) {
    Options options("compare-numerics");
    options.positional("models", 2, "A, the reference, and B: files, folders or names");
    options.add("text", po::value<std::vector<std::string>>()->composing()->value_name("F.txt"),
                "held-out text; may be given several times");
    options.add("context", po::value<int>()->default_value(512)->value_name("N"),
                "tokens of a block; each block is a sequence of its own");
    options.add("tokens", po::value<std::int64_t>()->default_value(0)->value_name("N"),
                "at most so many in all; 0: all");
    options.add("resamples", po::value<int>()->default_value(1000)->value_name("N"),
                "of the bootstrap");
    options.add("numerics-b", po::value<std::string>()->value_name("KIND"),
                "exact or fast, of B alone: what fast numerics cost is A = B and this");
    options.add("out,o", po::value<std::string>()->value_name("RUN"),
                "also write a run file, for 'moescope report' and the window");
    options.flag("overwrite", "replace an existing run file");
    options.flag("json", "print one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addModelOptions(options);
    options.epilog(
        "Both models see the same blocks. Intervals: percentile bootstrap over blocks. KL: of B's\n"
        "next-token distribution from A's. Relative error of a layer: |h_B - h_A| / |h_A| of the\n"
        "hidden states that leave it. Same experts: the chosen set is unchanged.");
    if (!options.parse(invocation)) return kDone;
    if (!options.has("text")) throw UsageError("'compare-numerics' needs --text F.txt");
    NumericsOptions numerics;
    numerics.context = options.get<int>("context");
    numerics.maxTokens = options.get<std::int64_t>("tokens");
    numerics.resamples = options.get<int>("resamples");
    if (numerics.context < 2 || numerics.maxTokens < 0 || numerics.resamples < 100)
        throw UsageError("--context takes 2 or more, --tokens 0 or more, --resamples 100 or more");
    if (options.has("out"))
        requireFreshOutput(options.get<std::string>("out"), options.isSet("overwrite"));
    std::vector<std::string> texts;
    for (const std::string& file : options.get<std::vector<std::string>>("text")) {
        texts.push_back(readFile(file));
        if (texts.back().empty()) throw Error(file + ": holds no text");
    }

    const auto names = options.get<std::vector<std::string>>("models");
    ModelOptions other = modelOptions(options);
    if (options.has("numerics-b"))
        other.cpu.numerics = parseNumerics(options.get<std::string>("numerics-b"));
    // B is opened while A waits for its back end: what cannot be compared is refused before either
    // is loaded.
    std::unique_ptr<Model> b;
    const auto a = loadModel(names[0], options, [&](const Model& first) {
        b = loadModel(names[1], other, [&](const Model& second) {
            requireComparable(first, second, texts, numerics);
        });
    });
    Progress progress(parseProgressStyle(options.get<std::string>("progress")), "compare",
                      "blocks");
    numerics.stop = invocation.stop;
    numerics.progress = [&](std::int64_t done, std::int64_t total) {
        progress.update(static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total));
    };
    NumericsReport report;
    if (options.has("out")) {
        RunFacts facts;
        facts.kind = "numerics";
        facts.command = invocation.commandLine;
        facts.model = modelFacts(*a);
        facts.settings = comparedFacts(*a, *b, names, texts, options);
        facts.synthetic = a->spec().synthetic || b->spec().synthetic;
        RunRecorder recorder(options.get<std::string>("out"), facts, RunWriter::Mode::Create,
                             options.isSet("overwrite"));
        recorder.record([&] {
            report = compareNumerics(*a, *b, texts, numerics);
            writeRows(recorder.writer(), report, facts.settings, numerics.resamples);
        });
    } else {
        report = compareNumerics(*a, *b, texts, numerics);
    }
    progress.finish();
    if (options.isSet("json")) {
        nlohmann::json body = json(report);
        body["a"] = modelFacts(*a);
        body["b"] = modelFacts(*b);
        body["context"] = numerics.context;
        printJson("compare-numerics", body);
    } else {
        note("A: " + names[0] + ", B: " + names[1] + "; " +
             countText(report.tokens, "scored token") + " in " + countText(report.blocks, "block"));
        printTable(report, numerics.context);
        const auto fewest = static_cast<std::int64_t>(stats::kFewestClusters);
        if (report.blocks < fewest)
            note("no intervals: they take " + countText(fewest, "block") + " or more");
    }
    return kDone;
}

}  // namespace moescope::cli
