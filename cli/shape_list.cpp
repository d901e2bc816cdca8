// SPDX-License-Identifier: Apache-2.0
#include "cli/shape_list.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "cli/lists.h"
#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/model/synth_checkpoint.h"
#include "engine/run/model_names.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

constexpr int kMostLayers = 1024, kMostExperts = 4096, kMostContext = 1 << 24;
constexpr int kUsualContext = 4096;
constexpr std::size_t kMostShapes = 64;
constexpr int kCudaKvBytes = 2;  // of a key or value element: half precision
const std::vector<int> kSequences{1, 8, 64};

/// What synth takes: a built-in configuration or a JSON file; "synth:CONFIG" is one too.
std::optional<SynthConfig> configNamed(const std::string& name) {
    if (auto config = synthNamed(name)) return config;
    const std::vector<std::string> known = synthConfigNames();
    const bool builtIn = std::find(known.begin(), known.end(), name) != known.end();
    if (builtIn || std::filesystem::path(name).extension() == ".json") return synthConfig(name);
    return std::nullopt;
}

ShapeFamilyOptions familyOptions(const Options& options) {
    using Keeps = std::array<std::pair<const char*, ShapeKeep>, 2>;
    ShapeFamilyOptions out;
    if (options.has("layers"))
        out.layers = parseIntList(options.get<std::string>("layers"), "--layers", kMostLayers);
    if (options.has("experts"))
        out.experts = parseIntList(options.get<std::string>("experts"), "--experts", kMostExperts);
    out.keep = chosenBy(options.get<std::string>("keep"), "--keep",
                        Keeps{{{"total", ShapeKeep::Total}, {"active", ShapeKeep::Active}}});
    if (std::max<std::size_t>(1, out.layers.size()) * std::max<std::size_t>(1, out.experts.size()) >
        kMostShapes)
        throw UsageError("--layers and --experts make more than " + std::to_string(kMostShapes) +
                         " shapes");
    return out;
}

/// The shape's figures once the context is known.
void count(ListedShape& shape, const Checkpoint& checkpoint, const BoundModel& bound,
           const ShapeList& list) {
    shape.spec = bound.spec;
    shape.figures = shapeFigures(checkpoint, bound, {list.context, kCudaKvBytes, kSequences});
    shape.chance = balanceNull(list.chanceTokens, bound.spec.nExpert, bound.spec.topK);
}

/// --context, or as much of the usual one as all models take.
int contextOf(const Options& options, int longest) {
    if (!options.has("context")) return std::min(kUsualContext, longest);
    const int context = options.get<int>("context");
    if (context < 1 || context > longest)
        throw UsageError("--context takes 1 to " + std::to_string(longest) +
                         " tokens, which is what these shapes are made for");
    return context;
}

struct Opened {
    std::unique_ptr<Checkpoint> checkpoint;
    BoundModel bound;
};

Opened outlineOf(const SynthConfig& config) {
    Opened opened{std::make_unique<SynthOutline>(config), {}};
    opened.bound = bindModel(*opened.checkpoint);
    return opened;
}

Opened openedBy(const std::string& name, const std::optional<SynthConfig>& config) {
    if (config) return outlineOf(*config);
    Opened opened{openModel(name), {}};
    opened.bound = bindModel(*opened.checkpoint);
    return opened;
}

void addFamily(ShapeList& list, const Options& options, const std::string& name,
               const ShapeFamilyOptions& wanted) {
    std::optional<SynthConfig> base = configNamed(name);
    if (!base) {
        const Opened opened = openedBy(name, base);
        base = synthConfigOf(opened.bound, std::filesystem::path(name).stem().string());
    }
    list.family = true;
    list.context = contextOf(options, base->context);
    for (const FamilyShape& member : shapeFamily(*base, wanted)) {
        if (!member.possible()) {
            list.impossible.push_back(member.config.name + ": " + member.problem);
            continue;
        }
        ListedShape shape;
        shape.name = member.config.name;
        shape.config = member.config;
        shape.totalDeviation = member.totalDeviation;
        shape.activeDeviation = member.activeDeviation;
        const bool total = list.keep == ShapeKeep::Total;
        shape.far = std::abs(total ? member.totalDeviation : member.activeDeviation) > kFarShape;
        const Opened opened = outlineOf(member.config);
        count(shape, *opened.checkpoint, opened.bound, list);
        list.shapes.push_back(std::move(shape));
    }
    if (list.shapes.size() == 1 && !list.impossible.empty())
        throw Error(list.impossible.front(), "Give --experts a multiple or a part of the base's.");
}

void addModels(ShapeList& list, const Options& options, const std::vector<std::string>& names) {
    std::vector<std::optional<SynthConfig>> configs;
    std::vector<Opened> opened;
    int longest = kMostContext;
    for (const std::string& name : names) {
        configs.push_back(configNamed(name));
        opened.push_back(openedBy(name, configs.back()));
        longest = std::min(longest, opened.back().bound.spec.contextLength);
    }
    list.context = contextOf(options, longest);
    for (std::size_t i = 0; i < names.size(); ++i) {
        ListedShape shape;
        shape.name = names[i];
        shape.config = configs[i];
        count(shape, *opened[i].checkpoint, opened[i].bound, list);
        const ParameterCount& own = shape.figures.parameters;
        const ParameterCount& first =
            list.shapes.empty() ? own : list.shapes.front().figures.parameters;
        shape.totalDeviation = double(own.total) / double(first.total) - 1;
        shape.activeDeviation = double(own.active) / double(first.active) - 1;
        list.shapes.push_back(std::move(shape));
    }
}

/// No name of a file may lead out of its folder.
std::string fileName(const std::string& name) {
    std::string out;
    for (const char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                           (c == '.' && !out.empty());
        out += plain ? c : '_';
    }
    return out + ".json";
}

std::string deviationText(double share) {
    return (share < 0 ? "" : "+") + formatFixed(100 * share, 2) + " %";
}

bool fits(const ListedShape& shape, const ShapeList& list) {
    return double(shape.figures.weightBytes + shape.figures.kvBytes) <= list.hardware->capacity;
}

/// Seconds in which the memory of the hardware can be read for the step, at the least.
double floorSeconds(const DecodeStep& step, const ShapeList& list) {
    return step.bytes / list.hardware->memory;
}

std::string shapeTable(const ShapeList& list) {
    const std::string of = list.family ? "of base" : "of first";
    TextTable table({"shape", "layers", "width", "heads/kv", "experts", "top-k", "expert width",
                     "total", of, "active", of});
    for (const ListedShape& shape : list.shapes) {
        const ModelSpec& s = shape.spec;
        const bool first = &shape == &list.shapes.front();
        const auto deviation = [&](double share) { return first ? "" : deviationText(share); };
        table.row(
            {shape.name + (shape.far ? " *" : ""), std::to_string(s.nLayer),
             std::to_string(s.dModel), std::to_string(s.nHead) + "/" + std::to_string(s.nKvHead),
             std::to_string(s.nExpert), std::to_string(s.topK), std::to_string(s.layers.back().ffn),
             formatParameters(double(shape.figures.parameters.total)),
             deviation(shape.totalDeviation),
             formatParameters(double(shape.figures.parameters.active)),
             deviation(shape.activeDeviation)});
    }
    return table.text();
}

std::string costTable(const ShapeList& list) {
    TextTable table({"shape", "weights", "KV/token", "KV cache", "read/token", "experts at 8",
                     "at 64", "GFLOP/token", "operations", "time floor", "fits", "chance"});
    for (const ListedShape& shape : list.shapes) {
        const ShapeFigures& f = shape.figures;
        const DecodeStep& one = f.steps.front();
        const bool experts = shape.spec.expertLayers() > 0;
        const auto distinct = [&](const DecodeStep& step) {
            return experts ? formatFixed(step.distinctExperts, 1) : kNoData;
        };
        table.row({shape.name, formatBytes(double(f.weightBytes)),
                   formatBytes(double(f.tokenKvBytes)), formatBytes(double(f.kvBytes)),
                   formatBytes(one.bytes), distinct(f.steps[1]), distinct(f.steps[2]),
                   formatSignificant(one.flops / 1e9), std::to_string(f.dependentOperations),
                   formatDuration(1e9 * floorSeconds(one, list)), fits(shape, list) ? "yes" : "no",
                   formatFixed(shape.chance.maxOverMean, 3)});
    }
    return table.text();
}

}  // namespace

std::unique_ptr<Checkpoint> ListedShape::open(const StopFlag* stop) const {
    if (config) return std::make_unique<SynthCheckpoint>(*config, "synth:" + name, 0, stop);
    return openModel(name, stop);
}

void addShapeOptions(Options& options) {
    options.positional("model", -1,
                       "a configuration as synth takes it, or a model; several are compared");
    options.add("layers", po::value<std::string>()->value_name("N,.."),
                "wide against deep: for each number of layers the width that keeps the count");
    options.add("experts", po::value<std::string>()->value_name("N,.."),
                "few large against many small experts: width and top-k scaled alike");
    options.add("keep", po::value<std::string>()->default_value("total")->value_name("COUNT"),
                "parameters that --layers keeps: total or active");
    options.add("hardware", po::value<std::string>()->default_value("h100")->value_name("NAME"),
                "whose memory is asked for size and speed: h100, h200, b200");
    options.add("context", po::value<int>()->value_name("N"),
                "tokens of a sequence, for caches and work; default: 4096 or what the model has");
    options.add("chance-tokens", po::value<int>()->default_value(1024)->value_name("N"),
                "tokens for which chance's max/mean is shown");
}

ShapeList readShapes(const Options& options) {
    ShapeList list;
    const ShapeFamilyOptions wanted = familyOptions(options);
    list.keep = wanted.keep;
    list.hardware = &findGpuHardware(options.get<std::string>("hardware"));
    list.chanceTokens = options.get<int>("chance-tokens");
    if (list.chanceTokens < 1 || list.chanceTokens > 1 << 24)
        throw UsageError("--chance-tokens takes 1 to " + std::to_string(1 << 24));
    const auto names = options.get<std::vector<std::string>>("model");
    if (names.size() > kMostShapes)
        throw UsageError("'shapes' compares " + std::to_string(kMostShapes) + " models at most");
    if (options.has("layers") || options.has("experts")) {
        if (names.size() > 1)
            throw UsageError("--layers and --experts make a family of one model, not of " +
                             std::to_string(names.size()));
        addFamily(list, options, names.front(), wanted);
    } else {
        options.refuse({"keep"}, "goes with --layers");
        addModels(list, options, names);
    }
    return list;
}

void printShapes(const ShapeList& list) {
    std::cout << shapeTable(list) << '\n' << costTable(list) << '\n';
    const bool marked = std::any_of(list.shapes.begin(), list.shapes.end(),
                                    [](const ListedShape& shape) { return shape.far; });
    const std::string kept = list.keep == ShapeKeep::Total ? "total" : "active";
    if (marked)
        std::cout
            << "*: the nearest shape in the base's proportions, on the grid of 32, is more than "
            << formatFixed(100 * kFarShape, 0) << " % from the base's " << kept
            << " parameters: no equal of it.\n";
    for (const std::string& line : list.impossible) std::cout << "no shape " << line << ".\n";
    std::cout << "active: of one token: the top-k experts and all else but the embedding.\n"
                 "KV cache: of one sequence of "
              << groupedCount(list.context, "token")
              << " in half precision; KV/token: of one more token, beyond the windows.\n"
                 "read/token, GFLOP/token: decoding one sequence at that length; experts: of a "
                 "layer that 8 and 64 tokens\nwould read if the router were uniform. operations: "
                 "each waits for the one before.\ntime floor: read/token over the read bandwidth "
                 "of "
              << list.hardware->name << " (" << formatPerSecond(list.hardware->memory, "B")
              << "), a bound and no forecast; fits: weights and cache in its "
              << formatBytes(list.hardware->capacity)
              << ".\nchance: max/mean load that a uniform router shows by chance after "
              << groupedCount(list.chanceTokens, "token")
              << "; never compare raw max/mean between shapes.\n";
}

nlohmann::json shapeJson(const ListedShape& shape, const ShapeList& list) {
    const ModelSpec& s = shape.spec;
    const ShapeFigures& f = shape.figures;
    nlohmann::json steps = nlohmann::json::array();
    for (const DecodeStep& step : f.steps)
        steps.push_back({{"sequences", step.sequences},
                         {"distinct_experts", step.distinctExperts},
                         {"bytes", step.bytes},
                         {"flops", step.flops},
                         {"floor_seconds", floorSeconds(step, list)}});
    return {{"name", shape.name},
            {"random_weights", shape.random()},
            {"layers", s.nLayer},
            {"d_model", s.dModel},
            {"heads", s.nHead},
            {"kv_heads", s.nKvHead},
            {"head_dim", s.headDim},
            {"experts", s.nExpert},
            {"top_k", s.topK},
            {"ffn", s.layers.back().ffn},
            {"parameters", {{"total", f.parameters.total}, {"active", f.parameters.active}}},
            {"deviation", {{"total", shape.totalDeviation}, {"active", shape.activeDeviation}}},
            {"far", shape.far},
            {"weight_bytes", f.weightBytes},
            {"kv_bytes_per_token", f.tokenKvBytes},
            {"kv_bytes", f.kvBytes},
            {"decode", std::move(steps)},
            {"dependent_operations", f.dependentOperations},
            {"fits", fits(shape, list)},
            {"chance_max_over_mean", shape.chance.maxOverMean}};
}

nlohmann::json settingJson(const ShapeList& list) {
    return {{"context", list.context},
            {"kv_element_bytes", kCudaKvBytes},
            {"chance_tokens", list.chanceTokens},
            {"keep", list.keep == ShapeKeep::Total ? "total" : "active"},
            {"hardware",
             {{"name", list.hardware->name},
              {"description", list.hardware->description},
              {"read_bandwidth", list.hardware->memory},
              {"memory_bytes", list.hardware->capacity}}}};
}

std::vector<std::string> writeShapes(const ShapeList& list, const std::string& folder,
                                     bool overwrite) {
    std::vector<std::string> files;
    for (const ListedShape& shape : list.shapes) {
        files.push_back((std::filesystem::path(folder) / fileName(shape.name)).string());
        requireFreshOutput(files.back(), overwrite, "--write");
    }
    for (std::size_t i = 0; i < files.size(); ++i)
        writeFile(files[i], synthConfigText(*list.shapes[i].config));
    return files;
}

}  // namespace moescope::cli
