// SPDX-License-Identifier: Apache-2.0
// Built-in shapes and the JSON form of a SynthConfig.
#include <algorithm>
#include <array>
#include <limits>

#include "engine/core/edit_distance.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/model/synth.h"

namespace moescope {
namespace {

constexpr std::int32_t kBlock = 32;  // weights of an MXFP4 or Q8_0 block
constexpr std::int32_t kMinVocab = 512;

SynthConfig gptOss20b() {
    SynthConfig c;
    c.name = "gpt-oss-20b";
    c.layers = 24;
    c.dModel = 2880;
    c.heads = 64;
    c.kvHeads = 8;
    c.headDim = 64;
    c.experts = 32;
    c.topK = 4;
    c.ffn = 2880;
    c.vocab = 201088;
    c.context = 131072;
    c.window = 128;
    c.originalContext = 4096;
    c.yarnFactor = 32.0;
    c.ropeTheta = 150000.0;
    return c;
}

SynthConfig gptOss20bTwoLayers() {
    SynthConfig c = gptOss20b();
    c.name = "gpt-oss-20b-2layer";
    c.layers = 2;
    return c;
}

SynthConfig gptOss120b() {
    SynthConfig c = gptOss20b();
    c.name = "gpt-oss-120b";
    c.layers = 36;
    c.experts = 128;
    return c;
}

SynthConfig demo() {
    SynthConfig c = gptOss20b();
    c.name = "demo-synthetic";
    c.layers = 8;
    c.dModel = 224;
    c.heads = 8;
    c.kvHeads = 2;
    c.headDim = 32;
    c.experts = 24;
    c.ffn = 64;
    c.vocab = 5120;
    return c;
}

SynthConfig qwen3Moe() {
    SynthConfig c;
    c.name = "qwen3-30b-a3b";
    c.architecture = "qwen3moe";
    c.layers = 48;
    c.dModel = 2048;
    c.heads = 32;
    c.kvHeads = 4;
    c.headDim = 128;
    c.experts = 128;
    c.topK = 8;
    c.ffn = 768;
    c.vocab = 151936;
    c.context = 40960;
    c.ropeTheta = 1e6;
    c.normEps = 1e-6;
    return c;
}

using Make = SynthConfig (*)();
constexpr std::array<Make, 5> kBuiltIn{gptOss20b, gptOss120b, qwen3Moe, demo, gptOss20bTwoLayers};

struct IntegerField {
    const char* key;
    std::int32_t SynthConfig::*member;
    std::int32_t low, high;
};
constexpr std::array<IntegerField, 12> kIntegers{{
    {"n_layer", &SynthConfig::layers, 1, 1024},
    {"d_model", &SynthConfig::dModel, kBlock, 1 << 17},
    {"n_head", &SynthConfig::heads, 1, 4096},
    {"n_kv_head", &SynthConfig::kvHeads, 1, 4096},
    {"head_dim", &SynthConfig::headDim, 2, 1024},
    {"n_expert", &SynthConfig::experts, 1, 4096},
    {"top_k", &SynthConfig::topK, 1, 4096},
    {"ffn", &SynthConfig::ffn, kBlock, 1 << 17},
    {"vocab", &SynthConfig::vocab, kMinVocab, 1 << 23},
    {"context", &SynthConfig::context, 1, 1 << 24},
    {"window", &SynthConfig::window, 0, 1 << 24},
    {"original_context", &SynthConfig::originalContext, 0, 1 << 24},
}};

struct NumberField {
    const char* key;
    double SynthConfig::*member;
    double low, high;
};
constexpr std::array<NumberField, 3> kNumbers{{
    {"yarn_factor", &SynthConfig::yarnFactor, 1.0, 1e6},
    {"rope_theta", &SynthConfig::ropeTheta, 1.001, 1e12},
    {"norm_eps", &SynthConfig::normEps, 1e-12, 0.1},
}};

std::string listOfNames() {
    std::string list;
    for (const std::string& name : synthConfigNames()) list += (list.empty() ? "" : ", ") + name;
    return list;
}

void setField(SynthConfig& config, const std::string& key, const nlohmann::json& value,
              const std::string& origin) {
    const auto wrong = [&](const std::string& wanted) {
        throw Error(origin + ": \"" + key + "\" is " + dumpJson(value) + ", not " + wanted);
    };
    if (key == "name" || key == "architecture") {
        if (!value.is_string()) wrong("a string");
        (key == "name" ? config.name : config.architecture) = value.get<std::string>();
        return;
    }
    if (key == "dense") {
        const auto type = value.is_string() ? synthDense(value.get<std::string>()) : std::nullopt;
        if (!type) wrong("\"q8_0\" or \"bf16\"");
        config.dense = *type;
        return;
    }
    for (const IntegerField& field : kIntegers) {
        if (key != field.key) continue;
        const bool valid = value.is_number_integer() && value >= field.low && value <= field.high;
        if (!valid) {
            wrong("an integer from " + std::to_string(field.low) + " to " +
                  std::to_string(field.high));
        }
        config.*field.member = value.get<std::int32_t>();
        return;
    }
    for (const NumberField& field : kNumbers) {
        if (key != field.key) continue;
        const bool valid = value.is_number() && value >= field.low && value <= field.high;
        if (!valid) wrong("a number in its valid range");
        config.*field.member = value.get<double>();
        return;
    }
    throw Error(origin + ": unknown field \"" + key + "\"");
}

}  // namespace

std::vector<std::string> synthConfigNames() {
    std::vector<std::string> names;
    for (const Make make : kBuiltIn) names.push_back(make().name);
    return names;
}

std::optional<DType> synthDense(std::string_view text) {
    if (text == "q8_0") return DType::Q8_0;
    if (text == "bf16") return DType::BF16;
    return std::nullopt;
}

void requireSynthShape(const SynthConfig& c, const std::string& origin) {
    const auto need = [&](bool condition, const std::string& what) {
        if (!condition) throw Error(origin + ": " + what);
    };
    need(c.architecture == "gpt-oss" || c.architecture == "qwen3moe",
         "architecture '" + c.architecture + "' cannot be synthesised (gpt-oss and qwen3moe can)");
    for (const IntegerField& field : kIntegers) {
        const std::string name = std::string("\"") + field.key + "\" ";
        need(c.*field.member >= field.low, name + "is missing");
        need(c.*field.member <= field.high, name + "is above " + std::to_string(field.high));
    }
    need(c.dModel % kBlock == 0, "\"d_model\" is not a multiple of 32");
    need(c.ffn % kBlock == 0, "\"ffn\" is not a multiple of 32");
    need(c.heads * c.headDim % kBlock == 0,
         "\"n_head\" times \"head_dim\" is not a multiple of 32");
    need(c.headDim % 2 == 0, "\"head_dim\" is odd");
    need(c.heads % c.kvHeads == 0, "\"n_head\" is not a multiple of \"n_kv_head\"");
    need(c.architecture != "gpt-oss" || c.window > 0, "\"window\" is 0, gpt-oss needs one");
    need(c.topK <= c.experts, "\"top_k\" is greater than \"n_expert\"");
    need(c.yarnFactor == 1.0 || c.originalContext > 0,
         "\"yarn_factor\" needs \"original_context\"");
}

std::string synthConfigText(const SynthConfig& config) {
    nlohmann::json object{{"name", config.name}, {"architecture", config.architecture}};
    for (const IntegerField& field : kIntegers) object[field.key] = config.*field.member;
    for (const NumberField& field : kNumbers) object[field.key] = config.*field.member;
    object["dense"] = config.dense == DType::BF16 ? "bf16" : "q8_0";
    return dumpJson(object, 2) + '\n';
}

SynthConfig synthConfig(const std::string& nameOrFile) {
    for (const Make make : kBuiltIn) {
        if (SynthConfig config = make(); config.name == nameOrFile) return config;
    }
    const std::filesystem::path path(nameOrFile);
    if (path.extension() != ".json") {
        const std::string guess = nearest(nameOrFile, synthConfigNames());
        throw Error("'" + nameOrFile + "' is neither a built-in configuration nor a .json file",
                    (guess.empty() ? "" : "Did you mean '" + guess + "'? ") +
                        "Built in: " + listOfNames() + ".");
    }
    const nlohmann::json root = parseJson(readFile(path, 1U << 20), nameOrFile);
    if (!root.is_object()) throw Error(nameOrFile + ": not a JSON object");
    SynthConfig config;
    if (const auto base = root.find("base"); base != root.end()) {
        const auto make = std::find_if(kBuiltIn.begin(), kBuiltIn.end(),
                                       [&](Make m) { return *base == m().name; });
        if (make == kBuiltIn.end()) {
            throw Error(
                nameOrFile + ": \"base\" is " + dumpJson(*base) + ", no built-in configuration",
                "Built in: " + listOfNames() + ".");
        }
        config = (*make)();
    }
    config.name = path.stem().string();
    for (const auto& [key, value] : root.items()) {
        if (key != "base") setField(config, key, value, nameOrFile);
    }
    requireSynthShape(config, nameOrFile);
    return config;
}

}  // namespace moescope
