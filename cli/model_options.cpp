// SPDX-License-Identifier: Apache-2.0
#include "cli/model_options.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "cli/console.h"
#include "engine/core/error.h"
#include "engine/model/memory_plan.h"
#include "reports/numbers.h"

namespace moescope::cli {

void addModelOptions(Options& options) {
    options.add("backend", po::value<std::string>()->default_value("cpu")->value_name("NAME"),
                "cpu, cuda or reference");
    options.add("numerics", po::value<std::string>()->default_value("exact")->value_name("KIND"),
                "exact, or fast: activations rounded to 8 bits on cpu, to bf16 in cuda's prefill "
                "(docs/cpu.md, docs/cuda.md)");
    options.add("threads,t", po::value<int>()->default_value(0)->value_name("N"),
                "0: every available core");
    options.add("cpu-target", po::value<std::string>()->default_value("")->value_name("NAME"),
                "force an instruction set: portable, avx2, avx512, avx512_vnni, avx512_bf16");
    options.add("device", po::value<int>()->default_value(0)->value_name("N"),
                "CUDA device, by number");
    options.add("experts-on-host", po::value<int>()->default_value(0)->value_name("N"),
                "cuda: keep the experts of the first N layers in host memory, read over the bus");
    options.flag("ggml-yarn",
                 "round the YaRN bounds as llama.cpp does (only for comparisons with it)");
}

Numerics parseNumerics(const std::string& name) {
    if (name == "exact") return Numerics::Exact;
    if (name == "fast") return Numerics::Fast;
    throw UsageError("'exact' and 'fast' are the numerics there are, not '" + name + "'");
}

ModelOptions modelOptions(const Options& options) {
    ModelOptions out;
    out.backend = options.get<std::string>("backend");
    out.cpu.threads = options.get<int>("threads");
    if (out.cpu.threads < 0 || out.cpu.threads > 1024)
        throw UsageError("--threads takes 0 to 1024");
    out.cpu.target = options.get<std::string>("cpu-target");
    out.cpu.numerics = parseNumerics(options.get<std::string>("numerics"));
    out.cuda.device = options.get<int>("device");
    out.cuda.numerics = out.cpu.numerics;
    out.cuda.expertsOnHost = options.get<int>("experts-on-host");
    if (out.backend != "cuda")
        options.refuse({"device", "experts-on-host"}, "goes with --backend cuda");
    if (out.cuda.device < 0) throw UsageError("--device takes 0 or more");
    if (out.cuda.expertsOnHost < 0) throw UsageError("--experts-on-host takes 0 or more");
    out.architecture.ggmlCompatibleYarn = options.isSet("ggml-yarn");
    out.stop = options.stop();
    return out;
}

std::unique_ptr<Model> loadModel(const std::string& name, const Options& options,
                                 const Model::Check& check) {
    return loadModel(name, modelOptions(options), check);
}

namespace {

void noteLoaded(const Model& model, const ModelOptions& options) {
    const ModelSpec& spec = model.spec();
    note("loaded " + spec.name + " (" + spec.architecture + ", " +
         formatBytes(static_cast<double>(model.checkpoint().fileBytes())) + ") in " +
         formatDuration(static_cast<double>(model.loadNanoseconds())) + " on " +
         model.backend().description());
    if (options.cpu.numerics == Numerics::Fast && options.backend == "cpu") {
        note(
            "note: fast numerics round activations to 8 bits: KL from exact 0.0003 nats a token on "
            "the demo models, 0.003 on SmolLM2 (docs/fidelity.md); on this model: moescope "
            "compare-numerics MODEL MODEL --numerics-b fast --text F.txt");
    }
    if (const Mxfp4Edges edges = model.backend().mxfp4Edges(); edges.any()) {
        note("note: MXFP4 blocks at the ends of the scale's range: " +
             std::to_string(edges.smallest) + " of 2^-127, " + std::to_string(edges.next) +
             " of 2^-126, " + std::to_string(edges.largest) +
             " of 2^127; read as OCP MX v1.0 has them, other programs may differ (docs/mxfp4.md)");
    }
    if (spec.synthetic) {
        note(
            "note: this checkpoint is SYNTHETIC (seeded random weights): speeds and shapes are "
            "real, its text and scores mean nothing");
    }
}

}  // namespace

std::unique_ptr<Model> loadModel(const std::string& name, const ModelOptions& options,
                                 const Model::Check& check) {
    auto model = Model::load(name, options, check);
    noteLoaded(*model, options);
    return model;
}

std::unique_ptr<Model> loadModel(std::unique_ptr<Checkpoint> checkpoint,
                                 const ModelOptions& options, const Model::Check& check) {
    auto model = Model::load(std::move(checkpoint), options, check);
    noteLoaded(*model, options);
    return model;
}

namespace {

/// Absolute, but for a model that no file holds: its name stays as it was typed.
std::string placeOf(const Checkpoint& checkpoint) {
    std::error_code unreadable;
    const std::filesystem::path& path = checkpoint.path();
    return (std::filesystem::exists(path, unreadable) ? std::filesystem::absolute(path) : path)
        .string();
}

}  // namespace

nlohmann::json modelFacts(const Checkpoint& checkpoint, const ModelSpec& s,
                          const ModelWeights& weights) {
    const ParameterCount count = countParameters(s, weights);
    return {{"name", s.name},
            {"path", placeOf(checkpoint)},
            {"architecture", s.architecture},
            {"identity", checkpoint.identity()},
            {"synthetic", s.synthetic},
            {"file_bytes", checkpoint.fileBytes()},
            {"parameters",
             {{"total", count.total},
              {"active", count.active},
              {"attention", count.attention},
              {"mlp", count.mlp},
              {"embedding", count.embedding}}},
            {"layers", s.nLayer},
            {"d_model", s.dModel},
            {"heads", s.nHead},
            {"kv_heads", s.nKvHead},
            {"head_dim", s.headDim},
            {"vocab", s.vocab},
            {"experts", s.nExpert},
            {"top_k", s.topK},
            {"ffn", s.layers.empty() ? 0 : s.layers.front().ffn},
            {"expert_bytes", expertBytes(s, weights)},
            {"context_length", s.contextLength}};
}

nlohmann::json modelFacts(const Model& model) {
    return modelFacts(model.checkpoint(), model.spec(), model.weights());
}

nlohmann::json backendFacts(const Model& model, const Options& options) {
    return {{"backend", std::string(model.backend().name())},
            {"backend_description", model.backend().description()},
            {"numerics", options.get<std::string>("numerics")},
            {"threads", model.backend().threads()},
            {"ggml_yarn", options.isSet("ggml-yarn")},
            {"load_ns", model.loadNanoseconds()}};
}

std::string numericIdentity(const Model& model, const Options& options) {
    std::string backend = model.backend().description();  // "cpu avx2, 2 threads, exact"
    const std::string threads = ", " + std::to_string(model.backend().threads()) + " thread";
    if (const auto at = backend.find(threads); at != std::string::npos)
        backend.erase(at, backend.find(',', at + 1) - at);
    if (options.isSet("ggml-yarn")) backend += ", ggml-yarn";
    return backend;
}

std::optional<RoutingOptions> routingOptions(const ModelSpec& spec) {
    if (spec.expertLayers() == 0) return std::nullopt;
    return RoutingOptions{spec.nExpert, spec.topK, spec.nLayer, spec.expertLayers()};
}

int contextFor(const Model& model, const Options& options, std::int64_t needed,
               std::int64_t wanted) {
    const std::int64_t limit = model.spec().contextLength > 0 ? model.spec().contextLength : 131072;
    wanted = std::max(needed, std::min(wanted, limit));
    const std::int64_t context = options.has("context") ? options.get<int>("context") : wanted;
    if (context <= 0) throw UsageError("--context takes a positive number of tokens");
    if (options.has("context") && context < needed) {
        throw Error("--context " + std::to_string(context) +
                    " is too small: " + std::to_string(needed) + " tokens are asked for");
    }
    if (context > limit) {
        const std::string why = std::to_string(context) + " tokens of context are more than the " +
                                std::to_string(limit) + " that '" + model.spec().name +
                                "' was made for";
        if (options.has("context")) throw UsageError(why);
        throw Error(why);
    }
    return static_cast<int>(context);
}

int contextToGenerate(const Model& model, const Options& options, std::size_t prompt) {
    const auto length = static_cast<std::int64_t>(prompt);
    return contextFor(model, options, length, length + options.get<int>("tokens") - 1);
}

void noteFullContext(const Options& options, int context, std::size_t prompt) {
    // The last token is chosen and takes no place.
    const std::int64_t room = context - static_cast<std::int64_t>(prompt) + 1;
    const std::int64_t asked = options.get<int>("tokens");
    if (options.has("tokens") && asked > room)
        note("note: of the " + formatCount(asked) + " tokens of -n the context of " +
             formatCount(context) + " has room for " + formatCount(room));
}

std::string hashText(std::uint64_t hash) {
    std::array<char, 17> text{};
    const auto end = std::to_chars(text.data(), text.data() + 16, hash, 16).ptr;
    const std::string digits(text.data(), end);
    return std::string(16 - digits.size(), '0') + digits;
}

}  // namespace moescope::cli
