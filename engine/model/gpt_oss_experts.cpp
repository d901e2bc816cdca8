// SPDX-License-Identifier: Apache-2.0
#include "engine/model/gpt_oss_experts.h"

#include <cstring>

namespace moescope {
namespace {

constexpr std::int64_t kBlockWeights = 32;  ///< of MXFP4
constexpr std::int64_t kBlockBytes = 16;    ///< codes of one block, scale apart

/// Views of every `step`-th row, from row `first` on, of stacked MXFP4 codes and scales.
TensorView splitView(const TensorView& blocks, const TensorView& scales, std::int64_t first,
                     std::int64_t step, std::int64_t rows, std::int64_t cols) {
    const std::int64_t rowScales = cols / kBlockWeights;
    const std::int64_t rowBytes = rowScales * kBlockBytes;
    TensorView t;
    t.name = blocks.name;
    t.type = DType::MXFP4Split;
    t.rank = 3;
    t.shape = {blocks.shape[0], rows, cols, 1};
    t.data = blocks.data + first * rowBytes;
    t.scales = scales.data + first * rowScales;
    t.rowStride = step * rowBytes;
    t.scaleStride = step * rowScales;
    t.stackStride = step * rows * rowBytes;
    t.scaleStackStride = step * rows * rowScales;
    return t;
}

/// Every second column, from `first` on, of an (n, 2 * ffn) float32 stack.
TensorView everySecond(TensorBinder& tensors, const TensorView& stored, std::int64_t first) {
    std::byte* out = nullptr;
    const std::int64_t n = stored.rows();
    const std::int64_t ffn = stored.cols() / 2;
    TensorView copy = tensors.own(stored.name, DType::F32, {n, ffn}, &out);
    constexpr std::int64_t kSize = sizeof(float);
    for (std::int64_t e = 0; e < n; ++e) {
        for (std::int64_t i = 0; i < ffn; ++i) {
            std::memcpy(out + e * copy.rowStride + i * kSize,
                        stored.data + e * stored.rowStride + (2 * i + first) * kSize,
                        sizeof(float));
        }
    }
    return copy;
}

}  // namespace

void bindMxfp4Experts(TensorBinder& tensors, const ConfigReader& config, const ModelSpec& spec,
                      std::int64_t ffn, const Mxfp4Names& names, const std::string& prefix,
                      LayerWeights& layer) {
    const std::int64_t n = spec.nExpert;
    const std::int64_t d = spec.dModel;
    if (d % kBlockWeights != 0 || ffn % kBlockWeights != 0) {
        config.fail("MXFP4 experts need widths that are multiples of 32");
    }
    const auto raw = [&](const char* name, std::int64_t rows, std::int64_t cols, bool codes) {
        const std::int64_t blocks = cols / kBlockWeights;
        return codes ? tensors.raw(prefix + name, DType::U8, {n, rows, blocks, kBlockBytes})
                     : tensors.raw(prefix + name, DType::U8, {n, rows, blocks});
    };
    const TensorView gateUp = raw(names.gateUpBlocks, 2 * ffn, d, true);
    const TensorView gateUpScales = raw(names.gateUpScales, 2 * ffn, d, false);
    const TensorView down = raw(names.downBlocks, d, ffn, true);
    const TensorView downScales = raw(names.downScales, d, ffn, false);
    layer.gate = splitView(gateUp, gateUpScales, 0, 2, ffn, d);
    layer.up = splitView(gateUp, gateUpScales, 1, 2, ffn, d);
    layer.down = splitView(down, downScales, 0, 1, d, ffn);
}

TensorView everySecondRow(const TensorView& stack, std::int64_t first) {
    TensorView t = stack;
    t.shape[static_cast<std::size_t>(t.rank - 2)] /= 2;
    t.data += first * stack.rowStride;
    t.rowStride = 2 * stack.rowStride;
    return t;
}

void bindInterleavedBiases(TensorBinder& tensors, const ModelSpec& spec, std::int64_t ffn,
                           const std::string& gateUp, const std::string& down,
                           LayerWeights& layer) {
    const TensorView bias = tensors.vector(gateUp, {spec.nExpert, 2 * ffn});
    layer.gateBias = everySecond(tensors, bias, 0);
    layer.upBias = everySecond(tensors, bias, 1);
    layer.downBias = tensors.vector(down, {spec.nExpert, spec.dModel});
}

}  // namespace moescope
