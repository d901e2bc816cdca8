// SPDX-License-Identifier: Apache-2.0
// moescope inspect: what a checkpoint holds and what running it will need. Reads no weights.
#include <algorithm>
#include <iostream>
#include <map>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "engine/formats/checkpoint.h"
#include "engine/formats/dtypes.h"
#include "engine/model/memory_plan.h"
#include "engine/model/spec.h"
#include "engine/run/model_names.h"
#include "reports/numbers.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

struct TypeTotal {
    std::int64_t tensors = 0;
    std::int64_t elements = 0;
    std::uint64_t bytes = 0;
};

void add(TypeTotal& total, const TensorView& t) {
    ++total.tensors;
    total.elements += t.elements();
    total.bytes += storedBytes(t);
}

std::map<std::string, TypeTotal> totalsByType(const Checkpoint& checkpoint) {
    std::map<std::string, TypeTotal> totals;
    for (const TensorView& t : checkpoint.tensors()) {
        add(totals[std::string(dtypeInfo(t.type).name)], t);
    }
    return totals;
}

/// Where the bytes of the checkpoint's files are.
struct FileParts {
    TypeTotal all, notRead;  ///< of tensors; notRead is a part of all
    std::uint64_t header = 0;
};

FileParts partsOf(const Checkpoint& checkpoint, const ModelSpec& spec) {
    FileParts parts;
    for (const TensorView& t : checkpoint.tensors()) add(parts.all, t);
    for (const std::string& name : spec.leftAsideTensors)
        if (const TensorView* t = checkpoint.find(name); t != nullptr) add(parts.notRead, *t);
    parts.header = checkpoint.fileBytes() - std::min(checkpoint.fileBytes(), parts.all.bytes);
    return parts;
}

std::string bytesText(std::uint64_t bytes) {
    return formatBytes(static_cast<double>(bytes));
}

std::string shapeText(const TensorView& t) {
    std::string out;
    for (int i = 0; i < t.rank; ++i)
        out += (i > 0 ? " x " : "") + std::to_string(t.shape[static_cast<std::size_t>(i)]);
    return out;
}

nlohmann::json tensorList(const Checkpoint& checkpoint) {
    nlohmann::json list = nlohmann::json::array();
    for (const TensorView& t : checkpoint.tensors()) {
        nlohmann::json shape = nlohmann::json::array();
        for (int i = 0; i < t.rank; ++i) shape.push_back(t.shape[static_cast<std::size_t>(i)]);
        list.push_back({{"name", t.name},
                        {"type", std::string(dtypeInfo(t.type).name)},
                        {"shape", shape},
                        {"bytes", storedBytes(t)}});
    }
    return list;
}

std::string windowsText(const ModelSpec& spec) {
    const auto windowed = std::count_if(spec.layers.begin(), spec.layers.end(),
                                        [](const LayerSpec& l) { return l.window > 0; });
    if (windowed == 0) return "full on every layer";
    const auto first = std::find_if(spec.layers.begin(), spec.layers.end(),
                                    [](const LayerSpec& l) { return l.window > 0; });
    const std::string window = "sliding window of " + std::to_string(first->window) + " on ";
    if (windowed == spec.nLayer) return window + "every layer";
    return window + std::to_string(windowed) + " of " + std::to_string(spec.nLayer) +
           " layers, full on the rest";
}

nlohmann::json describe(const Checkpoint& checkpoint, const BoundModel& bound,
                        const MemoryPlan& plan) {
    nlohmann::json facts = modelFacts(checkpoint, bound.spec, bound.weights);
    nlohmann::json types = nlohmann::json::object();
    for (const auto& [name, total] : totalsByType(checkpoint)) {
        types[name] = {
            {"tensors", total.tensors}, {"elements", total.elements}, {"bytes", total.bytes}};
    }
    facts["types"] = std::move(types);
    const FileParts parts = partsOf(checkpoint, bound.spec);
    facts["tensor_bytes"] = parts.all.bytes;
    if (!bound.spec.leftAside.empty()) {
        facts["not_read"] = bound.spec.leftAside;
        facts["not_read_bytes"] = parts.notRead.bytes;
    }
    facts["memory"] = {{"weights", plan.weights},         {"kv_cache", plan.kvCache},
                       {"activations", plan.activations}, {"total", plan.total()},
                       {"available", plan.available},     {"context", plan.context}};
    return facts;
}

}  // namespace

int runInspect(const Invocation& invocation) {
    Options options("inspect");
    options.positional("model", 1, "a file, folder or name");
    options.add("context", po::value<int>()->default_value(4096)->value_name("N"),
                "tokens of context to plan memory for");
    options.flag("tensors", "list every tensor");
    options.flag("json", "print one JSON document");
    if (!options.parse(invocation)) return kDone;

    const auto checkpoint =
        openModel(options.get<std::vector<std::string>>("model").front(), options.stop());
    const BoundModel bound = bindModel(*checkpoint);
    const int context = options.get<int>("context");
    if (context <= 0) throw UsageError("--context takes a positive number of tokens");
    const MemoryPlan plan = planMemory(bound, context);
    nlohmann::json facts = describe(*checkpoint, bound, plan);
    if (options.isSet("json")) {
        if (options.isSet("tensors")) facts["tensors"] = tensorList(*checkpoint);
        printJson("inspect", facts);
        return kDone;
    }

    const ModelSpec& s = bound.spec;
    const ParameterCount count = countParameters(s, bound.weights);
    std::cout << visibleLine(s.name) << (s.synthetic ? "  SYNTHETIC: seeded random weights" : "")
              << "\n\n";
    TextTable head({"", ""});
    const FileParts parts = partsOf(*checkpoint, bound.spec);
    head.row({"file", checkpoint->path().string() + ", " + bytesText(checkpoint->fileBytes())});
    head.row({"", bytesText(parts.all.bytes - parts.notRead.bytes) +
                      " of weights that are read + " +
                      (s.leftAside.empty() ? "" : bytesText(parts.notRead.bytes) + " not read + ") +
                      bytesText(parts.header) + " of names, settings and padding"});
    if (!s.leftAside.empty()) head.row({"not read", s.leftAside});
    head.row(
        {"architecture", s.architecture + ", identity " + checkpoint->identity().substr(0, 16)});
    head.row({"parameters", formatParameters(static_cast<double>(count.total)) + " total, " +
                                formatParameters(static_cast<double>(count.active)) +
                                " active per token"});
    head.row({"", formatParameters(static_cast<double>(count.mlp)) + " feed-forward, " +
                      formatParameters(static_cast<double>(count.attention)) + " attention, " +
                      formatParameters(static_cast<double>(count.embedding)) +
                      " embedding and head, " +
                      formatCount(static_cast<std::int64_t>(count.total - count.mlp -
                                                            count.attention - count.embedding)) +
                      " last norm"});
    head.row({"layers", std::to_string(s.nLayer) + " of width " + std::to_string(s.dModel)});
    head.row({"attention", std::to_string(s.nHead) + " query heads, " + std::to_string(s.nKvHead) +
                               " key/value heads of " + std::to_string(s.headDim) +
                               (s.sinks ? ", sinks; " : "; ") + windowsText(s)});
    if (s.nExpert > 0) {
        head.row({"experts", std::to_string(s.nExpert) + " a layer of width " +
                                 std::to_string(s.layers.front().ffn) + ", top-" +
                                 std::to_string(s.topK)});
    } else if (!s.layers.empty()) {
        head.row({"feed-forward", "dense, width " + std::to_string(s.layers.front().ffn)});
    }
    head.row({"vocabulary", std::to_string(s.vocab) + " tokens"});
    head.row({"context", std::to_string(s.contextLength) + " tokens at most"});
    head.row({"memory", bytesText(plan.weights) + " weights as the CPU packs them + " +
                            bytesText(plan.kvCache) + " KV cache for " +
                            std::to_string(plan.context) + " tokens + " +
                            bytesText(plan.activations) +
                            " activations = " + bytesText(plan.total())});
    head.row({"", bytesText(plan.available) + " are available here: " +
                      (plan.total() <= plan.available ? "fits" : "does NOT fit")});
    std::cout << head.text() << '\n';

    TextTable types({"type", "tensors", "weights", "bytes"});
    for (const auto& [name, total] : totalsByType(*checkpoint)) {
        types.row({name, std::to_string(total.tensors),
                   formatParameters(static_cast<double>(total.elements)), bytesText(total.bytes)});
    }
    if (!s.leftAside.empty())
        types.row({"of these not read", std::to_string(parts.notRead.tensors),
                   formatParameters(static_cast<double>(parts.notRead.elements)),
                   bytesText(parts.notRead.bytes)});
    std::cout << types.text();
    if (options.isSet("tensors")) {
        TextTable table({"tensor", "type", "shape", "bytes"});
        for (const TensorView& t : checkpoint->tensors()) {
            table.row({t.name, std::string(dtypeInfo(t.type).name), shapeText(t),
                       std::to_string(storedBytes(t))});
        }
        std::cout << '\n' << table.text();
    }
    return kDone;
}

}  // namespace moescope::cli
