// SPDX-License-Identifier: Apache-2.0
// The experts of gpt-oss as safetensors files hold them: rows of gate and up interleaved, MXFP4
// codes and scales in tensors of their own.
#pragma once

#include <cstdint>
#include <string>

#include "engine/model/binding.h"

namespace moescope {

struct Mxfp4Names {
    const char *gateUpBlocks, *gateUpScales, *downBlocks, *downScales;
};

/// Fills gate, up, down of `layer` with views; no copy is made.
void bindMxfp4Experts(TensorBinder& tensors, const ConfigReader& config, const ModelSpec& spec,
                      std::int64_t ffn, const Mxfp4Names& names, const std::string& prefix,
                      LayerWeights& layer);

/// Rows `first`, `first` + 2, ... of every matrix of a stack of plain type: (n, 2 * ffn, d) gives
/// (n, ffn, d).
TensorView everySecondRow(const TensorView& stack, std::int64_t first);

/// Fills gateBias, upBias from an (n, 2 * ffn) tensor, downBias from an (n, d_model) one.
void bindInterleavedBiases(TensorBinder& tensors, const ModelSpec& spec, std::int64_t ffn,
                           const std::string& gateUp, const std::string& down, LayerWeights& layer);

}  // namespace moescope
