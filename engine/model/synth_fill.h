// SPDX-License-Identifier: Apache-2.0
// Seeded random blocks, written directly in their stored format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/formats/tensor.h"

namespace moescope {

/// One tensor to draw: values uniform around `mean` with root mean square deviation `rms`.
/// Formats F32, BF16, Q8_0 and MXFP4 (the latter two with mean 0).
struct SynthTensor {
    std::string name;
    DType type = DType::F32;
    std::vector<std::int64_t> shape;  ///< outermost first
    double rms = 0.0;
    double mean = 0.0;

    std::int64_t elements() const noexcept;
    std::int64_t blocks() const noexcept;
};

/// Blocks [firstBlock, ...) of one tensor of a list: the share of one thread at a time.
struct SynthChunk {
    std::size_t tensor = 0;
    std::int64_t firstBlock = 0;
    std::size_t bytes = 0;
};

/// All blocks of all tensors in order, in chunks of at most 4 MiB.
std::vector<SynthChunk> splitTensors(const std::vector<SynthTensor>& tensors);

/// Key of a tensor's own random stream.
std::uint64_t synthKey(std::uint64_t seed, const std::string& tensorName);

/// Blocks [first, first + n) of `tensor`, n = out.size() / block bytes. Each block depends on key
/// and block number only (a counter-based generator), so any split over calls gives the same bytes.
void fillBlocks(const SynthTensor& tensor, std::uint64_t key, std::int64_t first,
                std::span<std::byte> out);

}  // namespace moescope
