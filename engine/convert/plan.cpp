// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/gguf.h"

namespace moescope {
namespace {

/// Keys that describe the file rather than the model: written anew.
constexpr std::array<std::string_view, 7> kOwnKeys{
    "general.alignment",           "general.file_type", "general.quantization_version",
    "general.moescope.conversion", "split.no",          "split.count",
    "split.tensors.count"};

/// The type that most bytes of the file have.
DType commonest(const std::vector<PlannedTensor>& tensors) {
    std::map<DType, std::int64_t> bytes;
    for (const PlannedTensor& t : tensors)
        bytes[t.type] +=
            rowBytes(t.type, t.source.cols()).value_or(0) * t.source.rows() * t.source.stack();
    const auto most = std::max_element(bytes.begin(), bytes.end(),
                                       [](auto& a, auto& b) { return a.second < b.second; });
    return most == bytes.end() ? DType::F32 : most->first;
}

/// llama.cpp's LLAMA_FTYPE_*; of the mixtures of k-quants that have one name each, the medium one.
std::uint32_t fileType(DType type) {
    switch (type) {
        case DType::F16:
            return 1;
        case DType::Q4_0:
            return 2;
        case DType::Q4_1:
            return 3;
        case DType::Q8_0:
            return 7;
        case DType::Q5_0:
            return 8;
        case DType::Q4_K:
            return 15;
        case DType::Q5_K:
            return 17;
        case DType::Q6_K:
            return 18;
        case DType::BF16:
            return 32;
        case DType::MXFP4:
            return 38;
        default:
            return 0;  // all float32
    }
}

/// Stacks, and the experts of Mixtral's older files: "blk.3.ffn_gate.7.weight".
bool isExperts(std::string_view name) {
    constexpr std::string_view kEnd = ".weight";
    if (!name.starts_with("blk.") || !name.ends_with(kEnd)) return false;
    name.remove_suffix(kEnd.size());
    return name.ends_with("_exps") || (name.back() >= '0' && name.back() <= '9');
}

/// A matrix of a layer, other than the router. Names are GGUF's.
bool isLinear(const PlannedTensor& t) {
    const std::string_view name = t.name;
    const bool router = name.find("ffn_gate_inp") != std::string_view::npos;
    return name.starts_with("blk.") && name.ends_with(".weight") && t.source.rank > 1 && !router;
}

bool isEnd(std::string_view name) {
    return name == "token_embd.weight" || name == "output.weight";
}

bool chosen(const PlannedTensor& t, ConvertPart part) {
    switch (part) {
        case ConvertPart::Experts:
            return isExperts(t.name);
        case ConvertPart::Linear:
            return isLinear(t);
        case ConvertPart::All:
            return isLinear(t) || isEnd(t.name);
    }
    return false;
}

ConvertPart partOf(const ConvertOptions& options, const BoundModel& model) {
    if (options.part) return *options.part;
    return model.spec.nExpert > 0 ? ConvertPart::Experts : ConvertPart::Linear;
}

std::string_view partName(ConvertPart part) {
    constexpr std::array<std::string_view, 3> kNames{"experts", "linear layers", "all matrices"};
    return kNames[static_cast<std::size_t>(part)];
}

std::vector<PlannedTensor> ggufTensors(const Checkpoint& checkpoint) {
    std::vector<PlannedTensor> tensors;
    for (const TensorView& t : checkpoint.tensors()) tensors.push_back({t.name, t, t.type});
    return tensors;
}

}  // namespace

std::vector<PlannedTensor> planTensors(const Checkpoint& checkpoint, const BoundModel& model,
                                       const ConvertOptions& options, ConvertResult& result) {
    const ConvertPart part = partOf(options, model);
    if (part == ConvertPart::Experts && model.spec.nExpert == 0) {
        throw Error(checkpoint.path().string() + ": the model has no experts to convert",
                    "choose its linear layers (--what linear)");
    }
    std::vector<PlannedTensor> tensors = checkpoint.layout() == CheckpointLayout::Gguf
                                             ? ggufTensors(checkpoint)
                                             : huggingFaceTensors(checkpoint, model);
    for (PlannedTensor& t : tensors) {
        ++result.tensors;
        if (!chosen(t, part) || !dtypeInfo(t.source.type).isWeight || t.type == options.type)
            continue;
        if (rowBytes(options.type, t.source.cols())) {
            t.type = options.type;
            ++result.converted;
        } else {
            result.unconverted.push_back(t.name);
        }
    }
    return tensors;
}

void addKeys(GgufWriter& writer, const Checkpoint& checkpoint, const BoundModel& model,
             const std::vector<PlannedTensor>& tensors, const ConvertOptions& options) {
    if (const auto* gguf = dynamic_cast<const GgufCheckpoint*>(&checkpoint)) {
        for (const auto& record : gguf->keyRecords()) {
            if (std::find(kOwnKeys.begin(), kOwnKeys.end(), record.key) == kOwnKeys.end())
                writer.addRecord(record.bytes);
        }
    } else {
        addHuggingFaceKeys(writer, checkpoint, model);
        addTokenizerKeys(writer, checkpoint, model.spec);
    }
    writer.add("general.quantization_version", std::uint32_t{2});
    writer.add("general.file_type", fileType(commonest(tensors)));
    std::string how(partName(partOf(options, model)));
    how += " to " + std::string(dtypeInfo(options.type).name);
    if (options.type == DType::MXFP4) how += ", rule " + std::string(mxfp4RuleName(options.rule));
    writer.add("general.moescope.conversion", how);
}

}  // namespace moescope
